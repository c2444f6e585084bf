"""What happens for minutes leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.tui import happenings, store
from bai_tui.app.tui_settings import TuiSettings
from bai_tui.tests.tui.fakes import FakeServer
from bai_tui.tests.tui.simulated_day import CYCLE_S, Day, Kept

MOST_PER_S = 400
"""Pieces of memory more for each second: caches fill in the first minutes. Forgotten dialogs are twice as many."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is bounded reaches its bound within seconds."""
    monkeypatch.setattr(happenings, "KEPT", 20)
    monkeypatch.setattr(store, "KEPT_ENDED", 2)


async def test_what_happens_leaves_nothing_behind_and_a_leak_would_be_found(
    open_desk: Callable[..., Any], server: FakeServer, tmp_path: Path
) -> None:
    settings = TuiSettings(scrollback_lines=100)
    async with open_desk(folder=tmp_path, settings=settings, size=(100, 30)) as desk:
        server.clock = desk.clock
        day = Day(desk.app, server, desk.pilot, desk.clock)

        async def grown() -> tuple[float, str]:
            """Returns by how many pieces of memory a second the app grows, and what they are."""
            before = Kept.now()
            await day.go(CYCLE_S)
            # the last dialog goes when all of its messages have
            await desk.pilot.pause()
            after = Kept.now()
            return (after.blocks - before.blocks) / CYCLE_S, after.grown(before)

        await day.go(CYCLE_S)
        await desk.pilot.pause()
        per_second, what = await grown()
        assert per_second < MOST_PER_S, what

        # dialogs that somebody forgets to let go of
        kept: list[Any] = []
        push = desk.app.push_screen

        def push_and_keep(screen: Any, *more: Any, **options: Any) -> Any:
            kept.append(screen)
            return push(screen, *more, **options)

        desk.app.push_screen = push_and_keep
        per_second, what = await grown()
        assert per_second > MOST_PER_S, what
    assert kept and day.runs > 20 and day.launches > 5 and day.ends > 5
