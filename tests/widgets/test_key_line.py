"""The line of keys."""

from __future__ import annotations

from typing import ClassVar

from bai_tui.widgets.key_line import KeyLine
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Button, Input


class KeysApp(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "note('a')", "first"),
        Binding("b", "note('b')", "second"),
        Binding("c", "note('c')", "never", show=False),
        Binding("plus", "note('+')", "more", key_display="+"),
        Binding("question_mark", "help", "help", show=False, key_display="?"),
        Binding("f1", "app.help", "help", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def compose(self) -> ComposeResult:
        yield Button("x")
        yield Input()
        yield KeyLine()

    def action_note(self, what: str) -> None:
        self.noted.append(what)

    def action_help(self) -> None:
        self.noted.append("help")

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
    async with app.run_test(size=(31, 10)) as pilot:
        await pilot.pause()
        assert "a first" in app.line and "b" not in app.line and len(app.line) == 31
        assert app.line.rstrip().endswith("? help  ^p palette")
        await pilot.resize_terminal(5, 10)
        await pilot.pause()
        assert len(app.line) == 5


async def test_help_and_palette_stay_where_nothing_else_has_room() -> None:
    app = KeysApp()
    async with app.run_test(size=(20, 10)) as pilot:
        await pilot.pause()
        assert app.line == " ? help  ^p palette "


async def test_keys_that_would_be_typed_are_not_offered() -> None:
    app = KeysApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await pilot.pause()
        assert "+ more" in app.line and "? help" in app.line
        app.query_one(Input).focus()
        await pilot.pause()
        assert app.line.split() == ["f1", "help", "^p", "palette"]
        app.query_one(Button).focus()
        await pilot.pause()
        assert "a first" in app.line and "? help" in app.line
