"""Drivers and sessions for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pynvml
import pytest
from bai_tui.app.backend.devices.nvml import Nvml
from bai_tui.app.model.sessions import Session
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.tests.devices.fake_nvml import Card, FakeLibrary

NOW_S = 1_000_000.0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[FakeLibrary, Nvml]]]:
    """Makes a driver with cards, and what asks it."""
    made: list[FakeLibrary] = []

    def make(*cards: Card) -> tuple[FakeLibrary, Nvml]:
        library = FakeLibrary(*cards)
        made.append(library)
        monkeypatch.setattr(pynvml, "nvmlLib", library)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        return library, Nvml(lambda: pynvml, clock=lambda: NOW_S)

    yield make
    for library in made:
        for event in library.hangs.values():
            event.set()


@pytest.fixture
def session() -> Callable[..., Session]:
    """Makes a session that holds something."""

    def make(allocation: dict[str, dict[str, str]] | None = None, **changes: Any) -> Session:
        return Session(
            **{
                "id": "i",
                "kernel_id": "k",
                "name": "name",
                "access_key": "a",
                "image": "python:3.11-debian12",
                "image_asked": "python",
                "created_at": datetime(2026, 1, 1, tzinfo=UTC),
                "requested_slots": ResourceSlots(),
                "allocation": allocation or {},
                **changes,
            }
        )

    return make
