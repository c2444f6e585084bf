"""The line of keys."""

from __future__ import annotations

from typing import ClassVar

from bai_tui.widgets.key_line import KeyLine
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Button


class KeysApp(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "note('a')", "first"),
        Binding("b", "note('b')", "second"),
        Binding("c", "note('c')", "never", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def compose(self) -> ComposeResult:
        yield Button("x")
        yield KeyLine()

    def action_note(self, what: str) -> None:
        self.noted.append(what)

    @property
    def line(self) -> str:
        return self.query_one(KeyLine).render_line(0).text


async def test_it_shows_what_works_and_a_click_does_it() -> None:
    app = KeysApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await pilot.pause()
        assert app.line.startswith(" a first  b second ") and app.line.rstrip().endswith("palette")
        assert "never" not in app.line
        await pilot.click(KeyLine, offset=(app.line.index("second"), 0))
        await pilot.pause()
        assert app.noted == ["b"]


async def test_what_has_no_room_is_left_out_whole() -> None:
    app = KeysApp()
    async with app.run_test(size=(23, 10)) as pilot:
        await pilot.pause()
        assert "a first" in app.line and "b" not in app.line and len(app.line) == 23
        await pilot.resize_terminal(5, 10)
        await pilot.pause()
        assert len(app.line) == 5
