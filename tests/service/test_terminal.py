"""Terminals of sessions, seen from the service: who may, and what keeps a session from idling."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.app.backend.service import terminals
from bai_tui.app.model.errors import KernelNotReady, SessionNotFound
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.tests.service.conftest import OTHER
from bai_tui.tests.waiting import until

S = SessionStatus


async def test_typing_and_pings_keep_a_session_and_an_idle_prompt_does_not(world: Any) -> None:
    outcome = await world.create()
    async with world.service.terminal(world.user, "sess-1") as terminal:
        world.at(1700)
        assert world.service.idle_remaining_s(outcome.session) == pytest.approx(100)
        await terminal.type(b"ls\n")
        assert world.service.idle_remaining_s(outcome.session) == pytest.approx(1800)
        world.at(3000)
        terminal.keep()
        await terminal.resize(30, 100)
        world.at(4700)
        assert outcome.session.status is S.RUNNING
        assert (world.kernel(outcome).terminals[0].typed, world.kernel(outcome).terminals[0].sizes) == (
            b"ls\n",
            [(30, 100)],
        )
        world.at(4801)
        session = await world.ended(outcome)
    assert session.status_info == "idle-timeout", "somebody who has left a prompt open holds no GPU for ever"
    assert world.kernel(outcome).terminals[0].is_closed


async def test_a_program_in_the_foreground_keeps_a_session(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "_LOOK_S", 0.001)
    outcome = await world.create()
    async with world.service.terminal(world.user, "sess-1"):
        kept = world.kernel(outcome).terminals[0]
        kept.is_busy = True
        world.at(1700)
        await until(lambda: (world.service.idle_remaining_s(outcome.session) or 0) > 1799)
        kept.is_busy = False
        kept.end()


async def test_only_who_may_see_a_session_has_its_terminal_and_only_while_it_runs(world: Any) -> None:
    await world.create()
    with pytest.raises(SessionNotFound):
        async with world.service.terminal(OTHER, "sess-1"):
            pass
    await world.create("waits", enqueue_only=True, resources={"cpu": "4"})
    await world.create("later", enqueue_only=True, resources={"cpu": "4"})
    with pytest.raises(KernelNotReady, match="PENDING"):
        async with world.service.terminal(world.user, "later"):
            pass
