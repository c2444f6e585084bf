from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bai_tui.app.tui.code_history import Entry
from bai_tui.app.tui.code_screens import CodeHistoryScreen
from bai_tui.tests.tui.conftest import Desk
from bai_tui.tests.tui.fakes import FakeServer
from textual.widgets import OptionList, Static

OpenDesk = Callable[..., Any]


async def opened(desk: Desk) -> CodeHistoryScreen:
    await desk.press("alt+r")
    await desk.until(lambda: isinstance(desk.app.screen, CodeHistoryScreen))
    screen = desk.app.screen
    assert isinstance(screen, CodeHistoryScreen)
    await desk.until(lambda: screen.query("#history-about") and str(about(screen)))
    return screen


def about(screen: CodeHistoryScreen) -> str:
    return str(screen.query_one("#history-about", Static).content)


def listed(screen: CodeHistoryScreen) -> list[str]:
    listing = screen.query_one("#history-list", OptionList)
    return [str(listing.get_option_at_index(at).prompt) for at in range(listing.option_count)]


async def test_what_was_run_is_found_and_put_into_the_editor(
    open_desk: OpenDesk, server: FakeServer, tmp_path: Path
) -> None:
    server.add("py-1")
    async with open_desk(folder=tmp_path) as desk:
        await desk.until(lambda: desk.cursor)
        for code in ("import numpy", "model.fit(x)\nplot()", "a[/b]"):
            await desk.code(code)
            await desk.press("ctrl+r")
            await desk.until(lambda code=code: code in [entry.code for entry in desk.app.bench.history.load()])
            await desk.until(lambda: not desk.app.bench.store.is_busy(desk.app.main.selected or ""))
        await desk.code("before after")
        desk.app.main.editor.move_cursor((0, 7))
        screen = await opened(desk)
        assert listed(screen) == ["a[/b]", "model.fit(x)  +1", "import numpy"]
        await desk.press(*"mfit")
        assert listed(screen) == ["model.fit(x)  +1"]
        assert "py-1" in about(screen)
        assert str(screen.query_one("#history-code", Static).content) == "model.fit(x)\nplot()"
        await desk.press("enter")
        assert desk.app.main.editor.text == "before model.fit(x)\nplot()after"
        assert desk.app.focused is desk.app.main.editor


async def test_it_is_run_again_or_forgotten(open_desk: OpenDesk, server: FakeServer, tmp_path: Path) -> None:
    server.add("py-1")
    async with open_desk(folder=tmp_path) as desk:
        await desk.until(lambda: desk.cursor)
        history = desk.app.bench.history
        for at, code in enumerate(("one()", "two()", "three()")):
            history.add(Entry(code, float(at)))
        screen = await opened(desk)
        await desk.press("down", "ctrl+d")
        await desk.until(lambda: listed(screen) == ["three()", "one()"])
        assert [entry.code for entry in history.load()] == ["three()", "one()"]
        await desk.press("ctrl+r")
        await desk.until(lambda: "one()" in desk.console and "ran" in desk.console)


async def test_an_empty_history_says_so(open_desk: OpenDesk, server: FakeServer) -> None:
    async with open_desk() as desk:
        screen = await opened(desk)
        assert about(screen) == "nothing was run yet"
        await desk.press("enter", "ctrl+d", "down")
        assert desk.app.screen is screen
        await desk.press("escape")
        assert desk.app.screen is desk.app.main
