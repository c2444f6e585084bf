"""Parts of the editor's text are run by keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bai_tui.tests.tui.conftest import Desk
from bai_tui.tests.tui.fakes import FakeServer
from textual.widgets.text_area import Selection

OpenDesk = Callable[..., Any]

TEXT = """\
a = 1

# %% first
for i in range(3):
    print(i)
    x = i

# %% [markdown]
# prose

# %% last
b = 2
c = 3"""


def ran(desk: Desk) -> list[str]:
    return [run.code for run in desk.app.bench.runs.of(desk.app.main.selected or "").feed.transcript.runs]


async def at(desk: Desk, row: int, column: int = 0) -> None:
    """Goes to the editor with the text and the cursor in a row."""
    await desk.until(lambda: desk.cursor)
    await desk.code(TEXT)
    await desk.press("f3")
    desk.app.main.editor.move_cursor((row, column))


async def test_the_statement_under_the_cursor_and_on_to_the_next(open_desk: OpenDesk, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await at(desk, 4, 6)
        await desk.press("ctrl+j")
        await desk.until(lambda: ran(desk) == ["for i in range(3):\n    print(i)\n    x = i"])
        assert desk.app.main.editor.cursor_location == (7, 0)
        desk.app.main.editor.move_cursor((11, 3))
        await desk.press("ctrl+j", "ctrl+j")
        await desk.until(lambda: ran(desk)[1:] == ["b = 2", "c = 3"])
        assert desk.app.main.editor.cursor_location == (12, 0), "it is the last one"


async def test_the_selection(open_desk: OpenDesk, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await at(desk, 0)
        desk.app.main.editor.selection = Selection((5, 9), (4, 4))
        await desk.press("ctrl+j")
        await desk.until(lambda: ran(desk) == ["print(i)\nx = i"])
        assert not desk.app.main.editor.selection.is_empty


async def test_the_cell_and_on_to_the_next_that_is_code(open_desk: OpenDesk, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await at(desk, 0)
        await desk.press("ctrl+t")
        assert desk.app.main.editor.cursor_location == (3, 0)
        await desk.press("shift+enter")
        assert desk.app.main.editor.cursor_location == (11, 0), "prose is passed over"
        await desk.press("ctrl+t")
        await desk.until(lambda: len(ran(desk)) == 3)
        assert [code.split("\n")[0] for code in ran(desk)] == ["a = 1", "# %% first", "# %% last"]
        assert desk.app.main.editor.cursor_location == (11, 0)
        await at(desk, 8)
        await desk.press("ctrl+t")
        assert desk.app.main.editor.cursor_location == (11, 0), "prose is not run"
        assert len(ran(desk)) == 3


async def test_the_cell_without_going_on(open_desk: OpenDesk, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await at(desk, 11, 2)
        await desk.press("alt+o")
        await desk.until(lambda: ran(desk) == ["# %% last\nb = 2\nc = 3"])
        assert desk.app.main.editor.cursor_location == (11, 2)


async def test_everything_above(open_desk: OpenDesk, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await at(desk, 12)
        await desk.press("alt+u")
        await desk.until(lambda: ran(desk))
        assert ran(desk)[0].split("\n") == TEXT.split("\n")[:7], "prose is left out"
        await at(desk, 0)
        await desk.press("alt+u")
        await desk.until(lambda: "what is above is empty" in desk.hint)


async def test_from_cell_to_cell(open_desk: OpenDesk, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await at(desk, 0)
        rows = []
        for key in ("ctrl+down", "ctrl+down", "ctrl+up", "ctrl+up"):
            await desk.press(key)
            rows.append(desk.app.main.editor.cursor_location[0])
        assert rows == [3, 11, 3, 0]
        await desk.press("ctrl+up")
        await desk.until(lambda: "no other cell" in desk.hint)


async def test_nothing_to_run_is_said(open_desk: OpenDesk, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor)
        await desk.code("\n\n")
        await desk.press("f3", "ctrl+j")
        await desk.until(lambda: "the statement is empty" in desk.hint)
        await desk.press("ctrl+t")
        await desk.until(lambda: "the cell is empty" in desk.hint)
        assert not ran(desk)


async def test_what_a_run_says_is_seen_whatever_the_dock_showed(open_desk: OpenDesk, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        main = desk.app.main
        await desk.until(lambda: desk.cursor)
        await desk.code("run()\n")
        await desk.press("f11")
        await desk.until(lambda: main.focused_pane == "files")
        await desk.press("ctrl+r")
        await desk.until(lambda: ran(desk) and main.dock.current == "console" and main.focused_pane == "console")
        await desk.press("f12", "f3")
        await desk.until(lambda: main.focused_pane == "editor" and main.dock.current == "events")
        await desk.press("ctrl+r")
        await desk.until(lambda: len(ran(desk)) == 2 and main.dock.current == "console")
        assert main.focused_pane == "editor"
