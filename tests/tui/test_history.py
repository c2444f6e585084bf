"""The history: sessions that ended, why, what they wrote, and another one like them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bai_tui.app.client.views import JournalLine, SessionView
from bai_tui.app.model.errors import RemoteError
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.history_screen import HistoryScreen
from bai_tui.app.tui.past import PAGE
from bai_tui.app.tui.reasons import exit_words, why_ended
from bai_tui.tests.tui.fakes import NOW_S, FakeServer

S = SessionStatus


@pytest.mark.parametrize(
    ("info", "status", "words"),
    [
        ("user-requested", S.TERMINATED, "ended by its user"),
        ("user-requested", S.CANCELLED, "cancelled by its user before it started"),
        ("force-terminated", S.TERMINATED, "forced to end by its user"),
        ("task-finished", S.TERMINATED, "its command succeeded"),
        ("task-failed: exit status 3", S.TERMINATED, "its command failed: exit status 3"),
        ("task-failed: exit status 127", S.TERMINATED, "its command failed: exit status 127: command not found"),
        ("task-failed: exit status 137", S.TERMINATED, "its command failed: SIGKILL: killed"),
        ("idle-timeout", S.TERMINATED, "unused for too long"),
        (
            "pending-timeout: waits for 1.00 cuda.shares",
            S.CANCELLED,
            "waited too long in the queue: waits for 1.00 gpu",
        ),
        ("some [new] reason", S.TERMINATED, "some [new] reason"),
        (None, S.ERROR, "failed without a reason: see the server's log"),
        (None, S.CANCELLED, "cancelled before it started"),
        (None, S.TERMINATED, ""),
    ],
)
def test_reasons_are_words(info: str | None, status: SessionStatus, words: str) -> None:
    assert why_ended(SessionView(id="1", name="n", status=status, status_info=info)).startswith(words)


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "success"), (1, "failure"), (-9, "SIGKILL"), (139, "SIGSEGV: crashed"), (143, "SIGTERM: told"),
     (200, "exit status 200"), (-70, "exit status -70"), (42, "exit status 42")],
)  # fmt: skip
def test_exit_codes_are_words(code: int, words: str) -> None:
    assert words in exit_words(code)


def past(server: FakeServer, name: str, ago_s: float, **more: Any) -> str:
    ref = server.add(name, status=more.pop("status", S.TERMINATED), age_s=ago_s + 600, **more)
    server.change(ref, terminated_at=datetime.fromtimestamp(NOW_S, UTC) - timedelta(seconds=ago_s))
    return ref


def pane(desk: Any) -> Any:
    screen = desk.app.screen
    return screen.pane if isinstance(screen, HistoryScreen) else None


def text_of(widget: Any) -> str:
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))


async def opened(desk: Any, count: int) -> None:
    await desk.press("h")
    await desk.until(lambda: pane(desk) is not None and pane(desk).is_mounted)
    await desk.until(lambda: len(pane(desk).list.table) >= count, "the rows")


async def test_ended_sessions_with_reason_and_output(open_desk: Any, server: FakeServer) -> None:
    first = past(server, "old-job", 9000, status_info="task-failed: exit status 137")
    past(server, "new-job", 60, status_info="idle-timeout")
    server.add("living")
    server.find(first).journal += [
        JournalLine(1, NOW_S, "r1", "run-started", {"mode": "query", "code": "print(1)", "options": {}}),
        JournalLine(2, NOW_S, "r1", "stdout", "it wrote [this]\n"),
        JournalLine(3, NOW_S, "r1", "run-finished", {"exitCode": 0}),
    ]
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["living"])
        await opened(desk, 2)
        await desk.until(lambda: "new-job" in text_of(pane(desk).list))
        lines = text_of(pane(desk).list).splitlines()
        assert "why it ended" in lines[0] and "new-job" in lines[1] and "unused for too long" in lines[1]
        assert "old-job" in lines[2] and "SIGKILL" in lines[2] and "10m" in lines[2] and "2h30m" in lines[2]
        await desk.press("j", "enter")
        console = desk.app.screen.console
        await desk.until(lambda: "it wrote [this]" in text_of(console))
        await desk.press("k", "enter")
        await desk.until(lambda: "it wrote nothing" in text_of(console) and "[this]" not in text_of(console))
        await desk.press("tab")
        await desk.until(lambda: console.has_focus)
        await desk.press("escape")
        await desk.until(lambda: pane(desk).list.has_focus)
        await desk.press("escape")
        await desk.until(lambda: pane(desk) is None)


async def test_again_launches_one_like_it(open_desk: Any, server: FakeServer) -> None:
    past(server, "old-job", 60, image="r-base:4.3", slots={"cpu": "2", "mem": "1g", "gpu": "0.5"})
    async with open_desk() as desk:
        await desk.connected()
        await opened(desk, 1)
        await desk.press("a")
        await desk.until(lambda: [what for call, what in server.calls if call == "create"])
        asked = next(what for call, what in server.calls if call == "create")
        assert asked["image"] == "r-base:4.3" and asked["resources"]["cuda.shares"] == "0.5"
        await desk.press("q")
        await desk.until(lambda: pane(desk) is None and len(desk.names) == 1)


async def test_pages_are_asked_for_when_one_comes_near_them(open_desk: Any, server: FakeServer) -> None:
    for number in range(2 * PAGE + 30):
        past(server, f"job-{number:03d}", 100 + number)
    async with open_desk() as desk:
        await desk.connected()
        await opened(desk, PAGE)
        assert len(pane(desk).list.table) == PAGE
        await desk.until(lambda: f"{PAGE} of 230 loaded" in str(pane(desk).border_subtitle))
        await desk.press("G")
        await desk.until(lambda: len(pane(desk).list.table) == 2 * PAGE)
        assert pane(desk).cursor is not None
        # a filter looks further back by itself
        await desk.press("slash", *"229$")
        await desk.until(lambda: [row.name for row in pane(desk).rows] == ["job-229"])
        await desk.press("enter", "s", "n")
        await desk.until(lambda: pane(desk).sort_told.startswith("name"))
        await desk.press("escape")
        await desk.until(lambda: len(pane(desk).rows) == 230)


async def test_a_server_that_cannot_tell_says_why(open_desk: Any, server: FakeServer) -> None:
    server.add("living")
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["living"])
        server.refuse_past = RemoteError("no [history] here", http_status=500)
        await desk.press("h")
        await desk.until(lambda: pane(desk) is not None and "no [history] here" in text_of(pane(desk).list))
