"""Fixtures for tests that need a container engine; known to every room."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every test run passes through here
    from .podman import Podman

PYTHON_IMAGE = "localhost/offline-python:latest"
"""Has the Python that runs the tests, a shell and a few tools."""


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """A Podman service of the tests' own that has `PYTHON_IMAGE`; skips, loudly, where there can be none."""
    from . import podman as engine

    folder = Path(tempfile.mkdtemp(prefix="p", dir=os.environ["BAI_TUI_TEST_ROOT"])) / "podman"
    try:
        with engine.podman(folder, _archive(), PYTHON_IMAGE) as made:
            yield made
    except engine.NotUsable as exc:
        pytest.skip(f"NO CONTAINER ENGINE HERE: nothing of containers is tried: {exc}")


def _archive() -> Path:
    """Returns the archive of the image; made once, whichever worker comes first."""
    from . import offline

    path = Path(os.environ["BAI_TUI_TEST_ROOT"], "offline-python.tar")
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            layers = [offline.base_layer(), offline.python_layer()]
            made = offline.image(layers, {"PYTHON_VERSION": offline.VERSION}, offline.LABELS)
            path.write_bytes(made.archive(PYTHON_IMAGE))
    return path
