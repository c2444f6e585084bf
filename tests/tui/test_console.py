"""The console's keys, each as a user presses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.client.views import JournalLine
from bai_tui.app.tui.actions import of
from bai_tui.app.tui.feed import Feed
from bai_tui.app.tui.messages import LocationAsked
from bai_tui.app.tui.panes.console import ConsolePane
from bai_tui.app.tui_settings import TuiSettings
from bai_tui.tests.tui.conftest import Desk
from bai_tui.tests.tui.fakes import FakeServer, Script
from textual.widgets import Checkbox, Input

OpenDesk = Callable[..., AbstractAsyncContextManager[Desk]]

LOUD = [("out", "".join(f"row {number}\n" for number in range(100)))]
TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "{path}", line 2, in f\n    return 1 / x\n'
    '  File "<cell 1>", line 2, in g\n    boom()\n'
    "ZeroDivisionError: division by zero\n"
)


def ran(desk: Desk, code: str) -> bool:
    return any(run.code == code and not run.going for run in runs_of(desk))


async def said(desk: Desk, server: FakeServer, *scripts: tuple[str, list[Any]]) -> None:
    """Has a session in which code was run, and goes to the console."""
    server.add("py-1")
    await desk.until(lambda: desk.names)
    for code, output in scripts:
        server.scripts[code] = Script(output)
        await desk.code(code)
        await desk.press("f5")
        await desk.until(partial(ran, desk, code), code)
    await desk.press("f4")
    await desk.pilot.pause()


def runs_of(desk: Desk) -> list[Any]:
    return desk.app.main.console.transcript.runs


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was handed to the clipboards of the machine."""
    found: list[str] = []

    async def take(text: str) -> list[str]:
        found.append(text)
        return ["a program"]

    monkeypatch.setattr("bai_tui.app.tui.app.to_programs", take)
    return found


async def test_follow_and_pause(open_desk: OpenDesk, server: FakeServer) -> None:
    async with open_desk() as desk:
        await said(desk, server, ("loud()", LOUD))
        console = desk.app.main.console
        assert console.following and "following" in desk.hint
        await desk.press("f")
        before = desk.console
        console.transcript.write("more\n" * 3)
        console.sync()
        await desk.pilot.pause()
        assert desk.console == before and "paused · 3 new lines" in desk.hint
        await desk.press("f")
        await desk.pilot.pause()
        assert "following" in desk.hint and desk.console.endswith("more")
        await desk.press("g")
        assert "[1]" in desk.console and "paused" in desk.hint
        await desk.press("j", "j")
        assert "[1]" not in desk.console and "row 1" in desk.console
        await desk.press("k", "up")
        assert "[1]" in desk.console
        await desk.press("space")
        assert "row 0" not in desk.console
        await desk.press("b")
        assert "row 0" in desk.console
        await desk.press("end")
        assert desk.console.endswith("more")


async def test_runs_are_folded_shown_with_their_code_and_gone_through(open_desk: OpenDesk, server: FakeServer) -> None:
    async with open_desk() as desk:
        await said(desk, server, ("first()\nmore()", [("out", "one\ntwo\n")]), ("second()", LOUD), ("third()", LOUD))
        await desk.press("o")
        assert "▸ [3]" in desk.console and "100 lines" in desk.console
        await desk.press("O")
        assert [line.split()[1] for line in desk.console.splitlines()] == ["[1]", "[2]", "[3]"]
        await desk.press("left_square_bracket", "left_square_bracket", "o")
        assert "▾ [1]" in desk.console and "two" in desk.console
        await desk.press("c")
        assert "    more()" in desk.console
        await desk.press("c", "right_square_bracket")
        assert "    more()" not in desk.console
        await desk.press("enter")
        assert "▾ [2]" in desk.console
        await desk.press("O", "O")
        assert "▾ [1]" in desk.console


async def test_search(open_desk: OpenDesk, server: FakeServer) -> None:
    async with open_desk() as desk:
        await said(desk, server, ("loud()", LOUD))
        pane = desk.app.main.console_pane
        count = pane.search_line.query_one(".search-count")
        await desk.press("n")
        assert "/ begins" in desk.hint
        await desk.press("slash", *"Row 1")
        await desk.until(lambda: "0 found" in str(count.render()))
        await desk.press("alt+c")
        await desk.press("alt+c")
        await desk.until(lambda: "11 of 11" in str(count.render()))
        await desk.press("enter")
        assert desk.app.main.focused is desk.app.main.console
        await desk.press("n")
        await desk.until(lambda: "1 of 11" in str(count.render()))
        assert "row 1" in desk.console
        await desk.press("N", "N")
        await desk.until(lambda: "10 of 11" in str(count.render()))
        before = desk.console
        await desk.press("slash", *"5.$", "alt+x")
        await desk.until(lambda: "1 of 10" in str(count.render()), str(count.render()))
        assert desk.console != before
        await desk.press("escape")
        assert not pane.search_line.has_class("-open") and desk.app.main.console.search is None
        # who has not pressed enter is where the search began
        assert desk.console.startswith(before)
        assert desk.app.main.focused is desk.app.main.console
        await desk.press("escape")
        focused = desk.app.main.focused
        assert focused is not None and desk.app.main.sessions in focused.ancestors_with_self


async def test_copy_of_a_run_of_all_and_of_what_is_selected(
    open_desk: OpenDesk, server: FakeServer, copied: list[str]
) -> None:
    async with open_desk() as desk:
        await said(desk, server, ("a()", [("out", "one\ntwo\n")]), ("b()", [("out", "three\n")]))
        await desk.press("y")
        await desk.until(lambda: copied)
        assert copied == ["three"] == [desk.app.clipboard] and "1 line copied: what [2] said" in desk.hint
        await desk.press("left_square_bracket", "Y")
        await desk.until(lambda: len(copied) == 2)
        assert copied[1] == "a()\none\ntwo" and "3 lines copied" in desk.hint
        await desk.press("A")
        await desk.until(lambda: len(copied) == 3)
        assert "# > a()" in copied[2] and "three" in copied[2]
        await desk.press("V", "k", "y")
        await desk.until(lambda: len(copied) == 4)
        assert copied[3] == "[2] b()\nthree" and "2 lines copied" in desk.hint
        assert desk.app.main.console.cursor is None


async def test_selecting_by_keys(open_desk: OpenDesk, server: FakeServer, copied: list[str]) -> None:
    async with open_desk() as desk:
        await said(desk, server, ("a()", [("out", "alpha beta\ngamma delta\n")]))
        await desk.press("v")
        assert "selecting" in desk.hint
        await desk.press("0", "w", "v", "k", "l", "right", "h")
        assert "2 lines" in desk.hint
        await desk.press("o", "dollar_sign", "enter")
        await desk.until(lambda: copied)
        assert copied == ["eta\ngamma delta"]
        await desk.press("v", "g", "G", "v", "escape")
        assert desk.app.main.console.cursor is None and desk.app.main.focused is desk.app.main.console
        await desk.press("v", "y")
        await desk.until(lambda: len(copied) == 2)
        # where nothing was begun, the line of the cursor
        assert copied[1] == "gamma delta"


async def test_the_look_is_changed_and_remembered(open_desk: OpenDesk, server: FakeServer, tmp_path: Path) -> None:
    async with open_desk(folder=tmp_path) as desk:
        await said(desk, server, ("wide()", [("out", "x" * 300 + "end\n")]))
        await desk.press("l")
        assert "wrapped" in desk.hint
        await desk.press("t")
        assert "22:13:2" in desk.console.splitlines()[-2] or desk.console.count(":") > 2
        await desk.press("w")
        await desk.pilot.pause()
        assert "end" not in desk.console
        await desk.press("dollar_sign")
        await desk.pilot.pause()
        assert "end" in desk.console
        await desk.press("0", "right", "left")
        await desk.pilot.pause()
        assert "end" not in desk.console
        await asyncio.to_thread(desk.app.bench.save_state)
    async with open_desk(folder=tmp_path) as desk:
        await desk.until(lambda: not desk.app.main.console.wrap)
        assert desk.app.main.console.stamps


async def test_output_is_saved(open_desk: OpenDesk, server: FakeServer, tmp_path: Path) -> None:
    async with open_desk() as desk:
        await said(desk, server, ("a()", [("out", "\x1b[31mone\x1b[0m\n")]), ("b()", [("out", "two\n")]))

        async def save(name: str, *options: str) -> None:
            await desk.press("s")
            await desk.until(lambda: desk.app.screen.query("#save-output-path"))
            desk.app.screen.query_one(Input).value = str(tmp_path / name)
            for option in options:
                desk.app.screen.query_one(f"#save-output-{option}", Checkbox).value = True
            await desk.press("enter")

        await save("run.txt")
        await desk.until(lambda: "saved as" in desk.hint)
        assert (tmp_path / "run.txt").read_text() == "two\n"
        await save("all.ansi", "all", "colours")
        await desk.until(lambda: (tmp_path / "all.ansi").exists() and desk.app.screen is desk.app.main)
        assert "\x1b[31mone\x1b[0m" in (tmp_path / "all.ansi").read_text()
        await save("run.txt", "all")
        await desk.until(lambda: "once more" in str(desk.app.screen.query_one("#save-output-error").render()))
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is desk.app.main)
        assert "one" in (tmp_path / "run.txt").read_text()
        await save("no/such/folder")
        await desk.until(lambda: "cannot be written" in str(desk.app.screen.query_one("#save-output-error").render()))
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.app.main)


async def test_places_in_a_traceback_are_opened(
    open_desk: OpenDesk, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mod.py"
    file.write_text("def f(x):\n    return 1 / x\n")
    asked: list[LocationAsked] = []
    async with open_desk() as desk:
        post = ConsolePane.post_message

        def noted(self: ConsolePane, message: Any) -> bool:
            if isinstance(message, LocationAsked):
                asked.append(message)
                return True
            return post(self, message)

        monkeypatch.setattr(ConsolePane, "post_message", noted)
        await said(
            desk, server, ("def g():\n    boom()", []), ("g()", [("out", TRACEBACK.format(path=file)), ("exit", 1)])
        )
        await desk.press("E", "enter")
        await desk.until(lambda: asked)
        assert asked[0].path == "" and asked[0].code == "def g():\n    boom()" and asked[0].row == 1
        await desk.press("E", "enter")
        await desk.until(lambda: len(asked) == 2)
        assert (asked[1].path, asked[1].row) == (str(file), 1)
        await desk.press("e", "e")
        assert "below" in desk.hint


async def test_a_place_in_a_cell_is_shown_where_its_code_is(open_desk: OpenDesk, server: FakeServer) -> None:
    code = "def g():\n    boom()"
    async with open_desk() as desk:
        await said(desk, server, (code, [("out", TRACEBACK.format(path="/nowhere")), ("exit", 1)]))
        await desk.code("# above\n" + code + "\n# below")
        # the traceback names line 2 of what was run
        await desk.press("E", "enter")
        await desk.until(lambda: desk.app.main.focused is desk.app.main.editor)
        assert desk.app.main.editor.cursor_location[0] == 2
        await desk.code("something else")
        await desk.press("f4", "enter")
        await desk.until(lambda: "here is what was run" in desk.hint)
        assert "        boom()" in desk.console and desk.app.main.console.transcript.runs[0].code_shown


async def test_clear(open_desk: OpenDesk, server: FakeServer) -> None:
    async with open_desk() as desk:
        await said(desk, server, ("loud()", LOUD))
        await desk.press("ctrl+l")
        await desk.pilot.pause()
        assert "row" not in desk.console


@pytest.mark.parametrize(("where", "told"), [("here", False), ("elsewhere", True), ("away", True)])
async def test_the_end_of_a_long_run_is_told_to_who_looks_elsewhere(
    open_desk: OpenDesk, server: FakeServer, monkeypatch: pytest.MonkeyPatch, where: str, told: bool
) -> None:
    written: list[str] = []
    monkeypatch.setattr("bai_tui.app.tui.app.write_to_terminal", lambda app, text: written.append(text))
    monkeypatch.setenv("TERM_PROGRAM", "WezTerm")
    gate = asyncio.Event()
    server.scripts["long()\x1b"] = Script([("out", "begun\n"), ("gate", gate)])
    async with open_desk() as desk:
        server.add("py-1", age_s=2)
        server.add("py-2", age_s=1)
        await desk.until(lambda: len(desk.names) == 2)
        await desk.code("long()\x1b")
        await desk.press("f5")
        await desk.until(lambda: "begun" in desk.console)
        if where == "elsewhere":
            await desk.press("f2", "j")
            await desk.until(lambda: desk.cursor == "py-2")
        elif where == "away":
            desk.app.app_focus = False
        desk.clock.now += 60
        gate.set()
        await desk.until(lambda: "busy" not in desk.list_text)
        await desk.pilot.pause()
        assert bool(written) is told
        if told:
            assert written[0].startswith("\x1b]9;py-1: [1] long()  is done after 1m") and written[0].count("\x1b") == 2
        assert any("is done" in toast for toast in desk.toasts) is (where == "elsewhere")


async def test_a_short_run_is_not_told_of(
    open_desk: OpenDesk, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr("bai_tui.app.tui.app.write_to_terminal", lambda app, text: written.append(text))
    monkeypatch.setenv("TERM_PROGRAM", "WezTerm")
    async with open_desk(settings=TuiSettings(notify_after_s=5.0)) as desk:
        desk.app.app_focus = False
        await said(desk, server, ("a()", [("out", "one\n")]))
        assert not written


def test_every_key_of_the_console_is_tried_here() -> None:
    source = Path(__file__).read_text()
    ours = [action for action in of("console") if action.action.partition(".")[0] not in ("screen", "app")]
    tried_elsewhere = {"console-media"}
    missing = [action.id for action in ours if not any(f'"{key}"' in source for key in action.key.split(","))]
    assert set(missing) == tried_elsewhere


def test_what_is_read_from_the_middle_of_a_run_has_its_line() -> None:
    feed = Feed()
    feed.begun_before("r1", "endless()", 5.0)
    feed.journal(
        [JournalLine(9, 7.0, "r1", "stdout", "said\n"), JournalLine(10, 8.0, "r1", "run-finished", {"exitCode": 0})]
    )
    (run,) = feed.transcript.runs
    assert (run.code, run.started_s, run.ended_s, run.run_id) == ("endless()", 5.0, 8.0, "r1")
    feed.begun_before("r1", "endless()", 5.0)
    assert len(feed.transcript.runs) == 1
