"""Keys of the code editor."""

from __future__ import annotations

import pytest
from bai_tui.widgets.code_editor import CodeEditor
from bai_tui.widgets.code_painter import Row
from bai_tui.widgets.text_buffer import TextBuffer
from textual import events
from textual.app import App, ComposeResult
from textual.strip import Strip
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


async def test_control_home_and_end_go_through_the_whole_text_and_select_with_shift() -> None:
    app = EditorApp("one\n  two\nthree")
    async with app.run_test() as pilot:
        app.editor.move_cursor((1, 3))
        await pilot.press("ctrl+end")
        assert app.editor.cursor_location == (2, 5)
        await pilot.press("ctrl+home")
        assert app.editor.cursor_location == (0, 0)
        await pilot.press("ctrl+shift+end")
        assert app.editor.selected_text == app.editor.text


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


# -- what is typed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "cursor", "keys", "after", "place"),
    [
        ("", 0, "f(", "f()", 2),
        ("", 0, "f()", "f()", 3),
        ("x", 0, "(", "(x", 1),
        ("", 0, "it's", "it's", 4),
        ("", 0, "'", "''", 1),
        ("()", 1, "<", "", 0),
        ("a[ ]", 2, "{", "a[{} ]", 3),
    ],
)
async def test_brackets_bring_their_partner_where_that_is_wanted(
    before: str, cursor: int, keys: str, after: str, place: int
) -> None:
    app = EditorApp(before)
    async with app.run_test() as pilot:
        app.editor.auto_close = True
        app.editor.move_cursor((0, cursor))
        for key in keys:
            await pilot.press("backspace" if key == "<" else key)
        assert (app.editor.text, app.editor.cursor_location) == (after, (0, place))


async def test_a_bracket_goes_around_a_selection() -> None:
    app = EditorApp("ab c")
    async with app.run_test() as pilot:
        app.editor.auto_close = True
        app.editor.selection = Selection((0, 0), (0, 2))
        await pilot.press("(")
        assert app.editor.text == "(ab) c" and app.editor.selected_text == "ab"


async def test_backspace_takes_a_level_and_words_close_blocks() -> None:
    app = EditorApp("        x")
    async with app.run_test() as pilot:
        app.editor.move_cursor((0, 8))
        await pilot.press("backspace")
        assert app.editor.text == "    x"
        app.editor.load_text("")
        app.editor.language = "julia"
        await pilot.press(*"if x", "enter", *"y", "enter", *"end", "enter", "z")
        assert app.editor.text == "if x\n    y\nend\nz"


async def test_pasted_lines_end_where_they_did() -> None:
    app = EditorApp("ab")
    async with app.run_test() as pilot:
        app.editor.move_cursor((0, 1))
        app.post_message(events.Paste("1\r2\r\n3\n\x0c"))
        await pilot.pause()
        assert app.editor.text == "a1\n2\n3\n\x0cb"


# -- for others --------------------------------------------------------------------------------------------------------


async def test_what_a_completion_needs() -> None:
    asked: list[str] = []

    class Completing(EditorApp):
        def on_code_editor_completions_asked(self, event: CodeEditor.CompletionsAsked) -> None:
            asked.append(event.control.text_before_cursor)

    app = Completing("import os\n  os.pa\n")
    async with app.run_test() as pilot:
        app.editor.completes = True
        app.editor.move_cursor((1, 7))
        await pilot.press("tab")
        assert asked == ["  os.pa"] and app.editor.cursor_region.offset == app.editor.offset_of((1, 7))
        taken: list[str] = []

        def popup(event: events.Key) -> bool:
            taken.append(event.key)
            return event.key == "down"

        app.editor.keys_first = popup
        await pilot.press("down", "t")
        assert taken == ["down", "t"] and app.editor.document[1] == "  os.pat"
        app.editor.keys_first = None
        app.editor.replace_range((1, 5), (1, 8), "path")
        assert app.editor.document[1] == "  os.path" and app.editor.cursor_location == (1, 9)
        await pilot.press("ctrl+z")
        assert app.editor.document[1] == "  os.pat"
        app.editor.move_cursor((2, 0))
        await pilot.press("tab")
        assert app.editor.document[2] == "    " and len(asked) == 1


async def test_signs_move_with_their_lines() -> None:
    app = EditorApp("a\nb\nc")
    async with app.run_test() as pilot:
        app.editor.buffer.mark(1, "▶")
        app.editor.move_cursor((0, 1))
        await pilot.press("enter")
        assert app.editor.buffer.marks == {2: "▶"}
        assert "▶" in app.editor.render_line(2).text and "▶" not in app.editor.render_line(1).text
        app.editor.buffer.mark(2, "")
        assert "▶" not in app.editor.render_line(2).text


async def test_buffers_keep_cursor_scroll_and_undo() -> None:
    app = EditorApp("one")
    async with app.run_test(size=(40, 10)) as pilot:
        first, second = app.editor.buffer, TextBuffer("\n".join(map(str, range(100))), "r")
        await pilot.press("x")
        app.editor.show_buffer(second)
        app.editor.move_cursor((60, 1))
        await pilot.press("y")
        top = app.editor.scroll_offset.y
        app.editor.show_buffer(first)
        assert app.editor.text == "xone" and app.editor.cursor_location == (0, 1)
        await pilot.press("ctrl+z")
        assert app.editor.text == "one"
        app.editor.show_buffer(second)
        await pilot.pause()
        assert app.editor.cursor_location == (60, 2) and app.editor.scroll_offset.y == top > 0
        await pilot.press("ctrl+z")
        assert app.editor.document[60] == "60"


async def test_escape_sequences_of_a_file_never_reach_the_terminal() -> None:
    app = EditorApp("a\x1b]0;title\x07b\n\x9b31m\r\n")
    async with app.run_test() as pilot:
        await pilot.pause()
        shown = "".join(app.editor.render_line(y).text for y in range(app.editor.size.height))
        assert "␛]0;title␇" in shown and shown.isprintable()


@pytest.mark.parametrize("wrap", [False, True])
async def test_rows_show_the_text(wrap: bool) -> None:
    text = "\n".join(["def f(x):", "\treturn 漢字 + 'é'", "", "x" * 90, "    " + "word " * 30])
    app = EditorApp(text)
    async with app.run_test(size=(50, 24)) as pilot:
        app.editor.indent_guides = False
        app.editor.soft_wrap = wrap
        await pilot.pause()
        rows = [app.editor.render_line(y).text[app.editor.gutter_width :] for y in range(app.editor.size.height)]
        shown = "".join(row.rstrip() for row in rows).replace(" ", "")
        expected = "".join(text.split())
        assert shown == expected if wrap else expected.startswith(shown[:40])
        assert all(app.editor.render_line(y).cell_length == app.editor.size.width for y in range(len(rows)))


async def test_a_key_paints_only_the_row_that_it_changed() -> None:
    app = EditorApp("\n".join(f"x_{number} = {number}" for number in range(50_000)))
    async with app.run_test(size=(80, 40)) as pilot:
        app.editor.move_cursor((25_000, 0), center=True)
        await pilot.pause()
        app.editor.buffer.start_lexing()
        while not app.editor.buffer.lexing.lex_to(25_100, 1.0):  # type: ignore[union-attr]  # Python has a lexer
            pass
        await pilot.pause()
        painted: list[Row] = []
        paint = app.editor.painter._paint

        def counted(row: Row) -> Strip:
            painted.append(row)
            return paint(row)

        app.editor.painter._paint = counted  # type: ignore[method-assign]  # a spy
        await pilot.press("y")
        assert 0 < len(painted) <= 4 and {row.gutter.strip() for row in painted} <= {"25001"}
