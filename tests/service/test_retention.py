"""What ended long ago is removed while the daemon runs, and nothing else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.service import retention
from bai_tui.tests.waiting import until


def age(folder: Path, seconds: float, now: float) -> None:
    for item in (*folder.glob("*"), folder):
        os.utime(item, (now - seconds, now - seconds), follow_symlinks=False)


@pytest.fixture
async def busy(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service that looks all the time."""
    monkeypatch.setattr(retention, "EVERY_S", 0.001)
    await world.restart()
    return world


async def test_only_sessions_that_ended_long_ago_are_removed(busy: Any) -> None:
    world, now = busy, busy.clock()
    old, young, live = [await world.create(name) for name in ("old-one", "young-one", "live-one")]
    for outcome, name in ((old, "old-one"), (young, "young-one")):
        await world.service.terminate(world.user, name)
        await world.ended(outcome)
    folders = {
        name: world.root / "sessions" / it.session.id for name, it in (("old", old), ("young", young), ("live", live))
    }
    (folders["old"] / "link").symlink_to("what-went-with-its-container")
    age(folders["live"], 30 * 86400, now)
    age(folders["young"], 6 * 86400, now)
    age(folders["old"], 8 * 86400, now)
    async with asyncio.timeout(10):
        await until(lambda: not folders["old"].exists())
    assert (folders["live"] / "work").is_dir()
    assert (folders["young"] / "journal").is_dir()


async def test_a_session_that_begins_during_a_look_is_left_alone(world: Any) -> None:
    looking = retention.Retention(world.service._folders, world.service._register, lambda: world.clock() + 10**9)
    creating = asyncio.gather(*(world.create(f"sess-{number}") for number in range(3)))
    while not creating.done():
        await looking.look()
    for outcome in await creating:
        assert (world.root / "sessions" / outcome.session.id / "work").is_dir()
