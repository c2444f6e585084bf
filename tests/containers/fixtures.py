"""Fixtures for tests that need a container engine; known to every room."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every test run passes through here
    from bai_tui.tests.containers.offline import Layer
    from bai_tui.tests.containers.podman import Podman

PYTHON_IMAGE = "localhost/offline-python:latest"
"""Has the Python that runs the tests, a shell and a few tools."""


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """A Podman service of the tests' own that has `PYTHON_IMAGE`; skips, loudly, where there can be none."""
    from bai_tui.tests.containers import podman as engine

    folder = Path(tempfile.mkdtemp(prefix="p", dir=os.environ["BAI_TUI_TEST_ROOT"])) / "podman"
    try:
        with engine.podman(folder, _made_once("image.tar", _archive), PYTHON_IMAGE) as made:
            yield made
    except engine.NotUsable as exc:
        pytest.skip(f"NO CONTAINER ENGINE HERE: nothing of containers is tried: {exc}")


def python_layers() -> Sequence[Layer]:
    """Returns the layers of `PYTHON_IMAGE`."""
    from bai_tui.tests.containers import offline

    base = _made_once("base-layer.tar", lambda: offline.base_layer().data)
    python = _made_once("python-layer.tar", lambda: offline.python_layer().data)
    return [offline.Layer(path.read_bytes()) for path in (base, python)]


def _archive() -> bytes:
    from bai_tui.tests.containers import offline

    made = offline.image(python_layers(), {"PYTHON_VERSION": offline.VERSION}, offline.LABELS)
    return made.archive(PYTHON_IMAGE)


def _made_once(name: str, make: Callable[[], bytes]) -> Path:
    """Returns a file of this test run; whichever worker comes first makes it."""
    path = Path(os.environ["BAI_TUI_TEST_ROOT"], name)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.write_bytes(make())
    return path
