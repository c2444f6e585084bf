"""Ending sessions: the undo of idle ones, the box for busy ones, force, and leaving meanwhile."""

from __future__ import annotations

from typing import Any

from bai_tui.app.model.errors import RemoteError
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.choice_box import ChoiceBox
from bai_tui.app.tui.happenings import Kind
from bai_tui.tests.tui.fakes import FakeServer


def ended(server: FakeServer) -> list[tuple[str, bool]]:
    return [what for call, what in server.calls if call == "terminate"]


def boxed(desk: Any) -> bool:
    return isinstance(desk.app.screen, ChoiceBox) and desk.app.screen.is_current


def logged(desk: Any) -> list[str]:
    return [one.text for one in desk.app.bench.happenings if one.kind is Kind.COMMAND]


async def test_x_counts_down_and_then_ends_an_idle_session(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["py-1"])
        await desk.press("x")
        await desk.until(lambda: "ends in 5 s · u takes it back" in desk.list_text)
        desk.clock.now += 2
        desk.app.main._tick()
        await desk.until(lambda: "ends in 3 s" in desk.list_text)
        assert not ended(server)
        await desk.press("x")
        await desk.until(lambda: any("about to end" in toast for toast in desk.toasts))
        await desk.press("u")
        await desk.until(lambda: "py-1 goes on" in desk.toasts and "ends in" not in desk.list_text)
        await desk.press("u")
        await desk.until(lambda: "nothing is about to end" in desk.toasts)
        desk.app.bench.ending.undo_s = 0.01
        await desk.press("x")
        await desk.until(lambda: ended(server) == [(ref, False)])
        await desk.until(lambda: "ended" in desk.list_text)
        await desk.press("delete")
        await desk.until(lambda: desk.names == [])


async def test_an_end_that_was_taken_back_is_never_sent(open_desk: Any, server: FakeServer) -> None:
    first, second = server.add("py-1", age_s=9), server.add("py-2", age_s=8)
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 2)
        await desk.press("x")
        assert desk.app.bench.ending.undo() == "py-1 goes on"
        desk.app.bench.ending.undo_s = 0.01
        await desk.press("j", "x")
        await desk.until(lambda: ended(server) == [(second, False)])
        assert server.find(first).view.status is SessionStatus.RUNNING


async def test_undo_takes_the_newest_back_first(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1", age_s=9)
    server.add("py-2", age_s=8)
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 2)
        await desk.press("x", "j", "x", "u")
        await desk.until(lambda: "py-2 goes on" in desk.toasts)
        await desk.press("u")
        await desk.until(lambda: "py-1 goes on" in desk.toasts)
        assert not ended(server) and not desk.app.bench.ending.waiting


async def test_a_busy_session_is_asked_about_and_cancel_is_the_default(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1", busy=True)
    async with open_desk() as desk:
        await desk.until(lambda: "busy" in desk.list_text)
        for key in ("enter", "escape", "c"):
            await desk.press("x")
            await desk.until(lambda: boxed(desk))
            await desk.press(key)
            await desk.until(lambda: not boxed(desk))
        assert not ended(server)
        await desk.press("x")
        await desk.until(lambda: boxed(desk))
        await desk.press("i")
        await desk.until(lambda: server.find(ref).interrupted.is_set() and "py-1 is interrupted" in desk.toasts)
        await desk.press("x")
        await desk.until(lambda: boxed(desk))
        await desk.press("t")
        await desk.until(lambda: ended(server) == [(ref, False)])
        assert "bai-tui interrupt py-1" in logged(desk)


async def test_the_box_can_be_clicked_and_kills_by_force(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1", busy=True)
    async with open_desk() as desk:
        await desk.until(lambda: "busy" in desk.list_text)
        await desk.press("x")
        await desk.until(lambda: boxed(desk))
        lines = list(desk.app.screen.query(".choice-line"))
        assert [str(line.content).split()[1] for line in lines] == ["INT", "TERM", "KILL", "cancel"]
        await desk.pilot.click(lines[2])
        await desk.until(lambda: ended(server) == [(ref, True)])


async def test_many_marked_ones_are_told_apart(open_desk: Any, server: FakeServer) -> None:
    idle = [server.add(f"idle-{number}", age_s=90 - number) for number in range(3)]
    busy = [server.add(f"busy-{number}", age_s=50 - number, busy=True) for number in range(2)]
    gone = server.add("gone", age_s=10)
    async with open_desk() as desk:
        desk.app.bench.ending.undo_s = 0.05
        await desk.until(lambda: len(desk.names) == 6)
        server.change(gone, status=SessionStatus.TERMINATED)
        server.tell("session_terminated", gone)
        await desk.until(lambda: "· gone" in desk.list_text)
        await desk.press("asterisk")
        await desk.until(lambda: "6 marked" in str(desk.app.main.sessions.border_subtitle))
        await desk.press("x")
        await desk.until(lambda: boxed(desk))
        assert "busy-0, busy-1" in str(desk.app.screen.query_one("#choice-names").content)
        await desk.until(lambda: sorted(ended(server)) == [(ref, False) for ref in idle])
        await desk.press("k")
        await desk.until(lambda: sorted(ended(server))[3:] == [(ref, True) for ref in busy])
        assert "gone" not in desk.names and not desk.app.main.sessions.list.table.marks
        await desk.until(lambda: len(logged(desk)) == 2)
        assert logged(desk) == ["bai-tui rm idle-0 idle-1 idle-2", "bai-tui rm --forced busy-0 busy-1"]


async def test_force_ends_at_once_also_what_counts_down(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["py-1"])
        await desk.press("x", "X")
        await desk.until(lambda: ended(server) == [(ref, True)])
        assert not desk.app.bench.ending.waiting


async def test_a_session_that_somebody_else_uses_by_then_is_not_ended(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["py-1"])
        await desk.press("x")
        await desk.until(lambda: "ends in" in desk.list_text)
        server.change(ref, busy=True)
        # as when its seconds are over
        await desk.app.bench.ending.flush()
        await desk.until(lambda: "somebody runs code here now" in desk.list_text)
        assert not ended(server)


async def test_an_end_that_the_server_refuses_is_told_in_the_row(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    server.refuse_end = RemoteError("the [server] is busy", http_status=500)
    async with open_desk() as desk:
        desk.app.bench.ending.undo_s = 0.01
        await desk.until(lambda: desk.names == ["py-1"])
        await desk.press("x")
        await desk.until(lambda: "the [server] is busy" in desk.list_text)
        assert "running" in desk.list_text


async def test_leaving_sends_what_was_not_taken_back(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["py-1"])
        await desk.press("x")
        await desk.until(lambda: desk.app.bench.ending.waiting)
        await desk.press("q")
        await desk.until(lambda: not desk.app.is_running or desk.app._exit)
        assert ended(server) == [(ref, False)]
