"""Keys of the code editor."""

from __future__ import annotations

import pytest
from bai_tui.widgets.code_editor import CodeEditor
from textual import events
from textual.app import App, ComposeResult
from textual.widgets.text_area import Selection


class EditorApp(App[None]):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.editor = CodeEditor(text)

    def compose(self) -> ComposeResult:
        yield self.editor


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1", "x = 1\n"),
        ("  x = 1", "  x = 1\n  "),
        ("for x in y:", "for x in y:\n    "),
        ("    if x:  # why", "    if x:  # why\n        "),
        ("    return x", "    return x\n"),
        ("    pass", "    pass\n"),
        ("    returned = 1", "    returned = 1\n    "),
        ('x = "#:', 'x = "#:\n    '),
        ("# note:", "# note:\n"),
    ],
)
async def test_enter_keeps_the_indentation(before: str, after: str) -> None:
    app = EditorApp(before)
    async with app.run_test() as pilot:
        app.editor.move_cursor(app.editor.document.end)
        await pilot.press("enter")
        assert app.editor.text == after
        assert app.editor.cursor_location == app.editor.document.end


async def test_enter_replaces_a_selection_and_is_one_step_to_undo() -> None:
    app = EditorApp("  ab:cd")
    async with app.run_test() as pilot:
        app.editor.selection = Selection((0, 7), (0, 5))
        await pilot.press("enter")
        assert app.editor.text == "  ab:\n      "
        await pilot.press("ctrl+z")
        assert app.editor.text == "  ab:cd"


async def test_enter_inside_the_indentation_does_not_deepen_it() -> None:
    app = EditorApp("        x")
    async with app.run_test() as pilot:
        app.editor.move_cursor((0, 4))
        await pilot.press("enter")
        assert app.editor.text == "    \n        x"


async def test_tab_and_shift_tab_move_lines() -> None:
    app = EditorApp("a\n\n  b\nc")
    async with app.run_test() as pilot:
        await pilot.press("tab")
        assert app.editor.text == "    a\n\n  b\nc"
        await pilot.press("shift+tab")
        assert app.editor.text == "a\n\n  b\nc"
        app.editor.selection = Selection((0, 1), (3, 0))
        await pilot.press("tab")
        assert app.editor.text == "    a\n\n      b\nc"
        assert app.editor.selection == Selection((0, 5), (3, 0))
        await pilot.press("shift+tab", "shift+tab", "shift+tab")
        assert app.editor.text == "a\n\nb\nc"
        await pilot.press("ctrl+z", "ctrl+z", "ctrl+z")
        assert app.editor.text == "a\n\n  b\nc"


async def test_a_letter_with_alt_is_a_command_and_nothing_to_be_typed() -> None:
    """Terminals send the letter along: `pilot.press` does not."""
    async with EditorApp("ab").run_test() as pilot:
        editor = pilot.app.query_one(CodeEditor)
        editor.post_message(events.Key("alt+h", "h"))
        await pilot.press("c")
        assert editor.text == "cab"
