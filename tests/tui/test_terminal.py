"""The terminal pane: one terminal a session, opened when it is looked at, opened again when the server is back."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.app.client.pty import PtyNotice
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui import terminals
from bai_tui.app.tui.panes.terminal import TerminalPane, TerminalView
from bai_tui.tests.tui.fakes import FakeServer
from textual import events


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "_AGAIN_S", 0.01)


def view(desk: Any) -> TerminalView:
    return desk.app.main.pane("terminal").terminal  # type: ignore[no-any-return]  # a pane like any other to the screen


def text(desk: Any) -> str:
    """What the terminal shows."""
    terminal = view(desk)
    return "\n".join(terminal.render_line(y).text.rstrip() for y in range(terminal.size.height)).rstrip()


def note(desk: Any) -> str:
    return str(desk.app.main.pane("terminal")._border_subtitle)


async def test_it_is_opened_when_it_is_first_seen_and_takes_every_key(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    shell = server.shells[ref]
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor == "py-1")
        assert shell.attached == 0
        await desk.press("f10")
        await desk.until(lambda: text(desk) == "$")
        assert desk.app.focused is view(desk)
        await desk.until(lambda: shell.sizes)
        assert shell.sizes[-1] == (view(desk).size.height, view(desk).size.width)
        await desk.press(
            "l", "s", "enter", "ctrl+r", "escape", "f2", "f6", "ctrl+q", "ctrl+c", "n", "x", "question_mark"
        )
        await desk.until(lambda: shell.typed.endswith(b"?"))
        assert shell.typed == b"ls\r\x12\x1b\x1bOQ\x1b[17~\x11\x03nx?"
        assert not [call for call in server.calls if call[0] == "create"]
        keys = {binding.key for _, binding, _, _ in desk.app.main.active_bindings.values()}
        assert keys == {"ctrl+right_square_bracket", "shift+pageup", "shift+pagedown"}
        assert "Terminal" in str(desk.app.main.pane("terminal")._border_title)
        await desk.press("ctrl+right_square_bracket")
        assert desk.app.focused is desk.app.main.sessions.focus_target()
        assert b"\x1d" not in shell.typed


async def test_each_session_has_its_own_and_keeps_it(open_desk: Any, server: FakeServer) -> None:
    first, second = server.add("py-1", age_s=100), server.add("py-2", age_s=50)
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 2)
        await desk.press("f10")
        selected = server.find(desk.cursor).view.id
        other = second if selected == first else first
        server.shells[selected].say(b"in the first")
        await desk.until(lambda: "in the first" in text(desk))
        desk.app.main.sessions.select(other)
        await desk.until(lambda: text(desk) == "$")
        server.shells[selected].say(b" meanwhile")
        desk.app.main.sessions.select(selected)
        await desk.until(lambda: "in the first meanwhile" in text(desk))
        assert server.shells[selected].attached == 1


async def test_it_comes_back_with_the_server(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    shell = server.shells[ref]
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor == "py-1")
        await desk.press("f10")
        shell.say(b"vim is open")
        await desk.until(lambda: "vim is open" in text(desk))
        server.up = False
        shell.lose()
        await desk.until(lambda: "connection lost" in note(desk) or "does not answer" in note(desk))
        assert "vim is open" in text(desk), "what was there can still be read"
        await desk.press("escape", "x", "ctrl+r")
        assert shell.typed == b"" and desk.app.focused is view(desk), "keys for a program are for nothing else"
        server.up = True
        await desk.until(lambda: shell.attached == 2 and note(desk) == "")
        await desk.until(lambda: text(desk).count("vim is open") == 1)
        await desk.press("x")
        await desk.until(lambda: shell.typed == b"x")


async def test_a_shell_that_has_ended_is_started_again_by_enter(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    shell = server.shells[ref]
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor == "py-1")
        await desk.press("f10")
        await desk.until(lambda: view(desk).is_open)
        shell.notify(PtyNotice("the shell has ended with exit code 7", exit_code=7))
        await desk.until(lambda: "exit code 7: enter starts another" in text(desk))
        assert "enter" in note(desk)
        await desk.press("a", "f2")
        assert shell.typed == b"" and desk.app.focused is desk.app.main.sessions.focus_target()
        await desk.press("f10", "enter")
        await desk.until(lambda: "again$" in text(desk))
        assert shell.restarts == 1 and note(desk) == ""
        await desk.press("b")
        await desk.until(lambda: shell.typed == b"b")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (SessionStatus.PENDING, "the session is pending: its terminal opens when it runs"),
        (SessionStatus.TERMINATED, "the session has ended"),
    ],
)
async def test_it_says_in_one_line_why_there_is_none(
    open_desk: Any, server: FakeServer, status: SessionStatus, said: str
) -> None:
    ref = server.add("py-1", status=SessionStatus.PENDING)
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor == "py-1")
        if status is SessionStatus.TERMINATED:
            server.change(ref, status=status)
            server.tell("session_terminated", ref)
            await desk.until(lambda: desk.app.bench.store.row(ref) is not None and desk.app.bench.store.row(ref).ended)
        await desk.press("f10")
        await desk.until(lambda: text(desk) == said)
        if status is SessionStatus.PENDING:
            server.start(ref)
            await desk.until(lambda: text(desk) == "$")


async def test_without_a_session_it_says_what_would_fill_it(open_desk: Any) -> None:
    async with open_desk() as desk:
        await desk.connected()
        await desk.press("f10")
        await desk.until(lambda: "no session is selected" in text(desk))
        await desk.press("f2")
        assert desk.app.focused is desk.app.main.sessions.focus_target()


async def test_the_end_of_the_session_is_told_below_what_was_there(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor == "py-1")
        await desk.press("f10")
        server.shells[ref].say(b"last words")
        await desk.until(lambda: "last words" in text(desk))
        server.shells[ref].notify(PtyNotice("the session py-1 has ended", ended=True))
        await desk.until(lambda: "the session py-1 has ended" in text(desk))
        assert "last words" in text(desk)
        await desk.press("f2")
        assert desk.app.focused is desk.app.main.sessions.focus_target()


async def test_looking_back_by_keys(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor == "py-1")
        await desk.press("f10")
        server.shells[ref].say(b"".join(b"line %d\r\n" % number for number in range(200)))
        await desk.until(lambda: "line 199" in text(desk))
        await desk.press("shift+pageup", "shift+pageup")
        await desk.until(lambda: "lines back" in note(desk))
        assert "line 199" not in text(desk)
        await desk.press("shift+pagedown", "shift+pagedown")
        await desk.until(lambda: "line 199" in text(desk) and note(desk) == "")
        server.shells[ref].say(b"\x1b[?1049h")
        await desk.until(lambda: not view(desk).can_look_back)
        await desk.press("shift+pageup")
        await desk.until(lambda: server.shells[ref].typed == b"\x1b[5;2~")


async def test_answers_and_pastes_are_typed_and_selections_copied(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor == "py-1")
        await desk.press("f10")
        await desk.until(lambda: view(desk).is_open)
        server.shells[ref].say(b"\x1b[2J\x1b[H\x1b[c")
        await desk.until(lambda: server.shells[ref].typed == b"\x1b[?62;22c")
        view(desk).post_message(events.Paste("one\ntwo"))
        await desk.until(lambda: server.shells[ref].typed.endswith(b"one\rtwo"))
        await desk.until(lambda: "two" in text(desk))
        assert isinstance(desk.app.main.pane("terminal"), TerminalPane)
        row = next(y for y, line in enumerate(text(desk).splitlines()) if "one" in line)
        await desk.pilot.mouse_down(TerminalView, offset=(0, row))
        await desk.pilot._post_mouse_events([events.MouseMove], TerminalView, offset=(40, row), button=1)
        await desk.pilot.mouse_up(TerminalView, offset=(40, row))
        await desk.until(lambda: "one" in desk.app.clipboard)
