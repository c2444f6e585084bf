"""The log of what happened and what was done."""

from __future__ import annotations

from typing import Any

from bai_tui.app.client.views import EventView
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.happenings import KEPT, Happenings, event_text
from bai_tui.tests.tui.fakes import FakeServer


def test_events_are_told_in_words() -> None:
    assert event_text(EventView("session_started", "1", "py-1")) == "py-1 runs"
    ended = EventView("session_terminated", "1", "py-1", "idle-timeout", 3)
    assert event_text(ended) == "py-1 has ended: idle-timeout (exit 3)"
    assert event_text(EventView("session_terminated", "1", "py-1", "user-requested")) == "py-1 has ended"
    assert event_text(EventView("kernel_pulling", "0123456789", None)) == "01234567 kernel pulling"


def test_the_log_is_bounded_and_quotes_commands() -> None:
    posted: list[object] = []
    log = Happenings(posted.append, lambda: 5.0)
    for number in range(KEPT + 10):
        log.did("rm", f"s {number}", session_id="1")
    assert (len(log), log.count, len(posted)) == (KEPT, KEPT + 10, KEPT + 10)
    assert next(iter(log)).text == "bai-tui rm 's 10'"
    log.event(EventView("bai_lagged", None, None))
    assert log.count == KEPT + 10


async def test_it_lists_events_and_commands_and_shows_either(open_desk: Any, server: FakeServer) -> None:
    one = server.add("py-1")
    server.add("py-2", age_s=1)
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.app.main.sessions.rows) == 2)
        pane = desk.app.main.events_pane
        desk.app.bench.did("rm", "py-9", session_id="9")
        await desk.press("f12")
        await desk.until(lambda: desk.app.focused is pane.log_list)
        server.change(one, status=SessionStatus.TERMINATED)
        server.tell("session_terminated", one, "user-requested")
        log = pane.log_list
        await desk.until(lambda: "py-1 has ended" in shown(log))
        assert "bai-tui rm py-9" in shown(log)
        await desk.press("t")
        await desk.until(lambda: "py-1 has ended" not in shown(log) and "bai-tui rm py-9" in shown(log))
        await desk.press("y")
        assert desk.app.clipboard == "bai-tui rm py-9"
        await desk.press("t")
        await desk.until(lambda: "bai-tui rm py-9" not in shown(log))
        await desk.press("t", "s")
        desk.app.main.sessions.select(one)
        await desk.until(lambda: "py-1 has ended" in shown(log) and "rm py-9" not in shown(log))


def shown(log: Any) -> str:
    return "\n".join(log.render_line(y).text for y in range(log.size.height))
