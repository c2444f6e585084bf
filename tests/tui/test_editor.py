"""The editor pane: every action by its key, files that others write, Vim's commands."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.tui.actions import of
from bai_tui.app.tui.choice_box import ChoiceBox
from bai_tui.tests.tui.fakes import FakeServer
from textual import events
from textual.widgets import Input
from textual.widgets.text_area import Selection

CODE = "def f(x):\n    return x\n\nprint(f(1))"


async def at_editor(desk: Any, text: str = CODE, cursor: tuple[int, int] = (0, 0)) -> Any:
    """Goes to the editor with a text in it."""
    await desk.press("f3")
    await desk.code(text)
    desk.app.main.editor.move_cursor(cursor)
    return desk.app.main.editor


async def with_file(desk: Any, path: Path, text: str = CODE) -> Any:
    path.write_bytes(text.encode())
    pane = desk.app.main.editor_pane
    assert await pane.open(str(path)) is None
    await desk.press("f3")
    return pane


def asked(desk: Any) -> bool:
    return isinstance(desk.app.screen, ChoiceBox)


EDITS = {
    "editor-comment": ("ctrl+underscore", (1, 0), "def f(x):\n    # return x\n\nprint(f(1))"),
    "editor-duplicate": ("alt+d", (3, 0), CODE + "\nprint(f(1))"),
    "editor-line-up": ("alt+up", (3, 2), "def f(x):\n    return x\nprint(f(1))\n"),
    "editor-line-down": ("alt+down", (0, 0), "    return x\ndef f(x):\n\nprint(f(1))"),
    "editor-join": ("alt+j", (0, 0), "def f(x): return x\n\nprint(f(1))"),
}


@pytest.mark.parametrize("action", EDITS)
async def test_a_key_that_edits_is_one_step_to_undo(open_desk: Any, action: str) -> None:
    key, cursor, after = EDITS[action]
    assert key in next(row.key for row in of("editor") if row.id == action).split(",")
    async with open_desk() as desk:
        editor = await at_editor(desk, cursor=cursor)
        await desk.press(key)
        assert editor.text == after
        await desk.press("ctrl+z")
        assert editor.text == CODE


async def test_trimming_selecting_brackets_wrap_and_guides(open_desk: Any) -> None:
    async with open_desk() as desk:
        editor = await at_editor(desk, "f(a)  \n\t\nb ", (0, 1))
        await desk.press("alt+m")
        assert editor.cursor_location == (0, 3)
        await desk.press("alt+k")
        assert editor.text == "f(a)\n\nb" and editor.cursor_location == (0, 3)
        await desk.press("alt+a")
        assert editor.selected_text == editor.text
        wraps, guides = editor.soft_wrap, editor.indent_guides
        await desk.press("alt+z", "alt+i")
        assert (editor.soft_wrap, editor.indent_guides) == (not wraps, not guides)


async def test_brackets_in_pairs_are_remembered(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk(folder=tmp_path) as desk:
        editor = await at_editor(desk, "")
        await desk.press("alt+9", "(")
        assert editor.text == "()"
        await desk.press("ctrl+q")
    async with open_desk(folder=tmp_path) as desk:
        assert desk.app.main.editor.auto_close


async def test_an_empty_text_is_in_the_language_of_the_session(open_desk: Any, server: FakeServer) -> None:
    async with open_desk() as desk:
        editor = await at_editor(desk, "")
        server.add("r-1", image="r-base:4.4")
        server.tell("session_started", "r-1")
        await desk.until(lambda: desk.cursor == "r-1")
        await desk.until(lambda: editor.language == "r")
        await desk.press("x", "alt+t")
        assert editor.language == "r"


async def test_going_to_a_line(open_desk: Any) -> None:
    async with open_desk() as desk:
        editor = await at_editor(desk, "\n".join(f"line {number}" for number in range(500)))
        for key, typed, place in (
            ("ctrl+l", "300", (299, 0)),
            ("ctrl+l", "12:5", (11, 4)),
            ("ctrl+l", "9999", (499, 0)),
        ):
            await desk.press(key)
            await desk.until(lambda: isinstance(desk.app.focused, Input))
            desk.app.focused.value = typed
            await desk.press("enter")
            await desk.until(lambda: desk.app.screen is desk.app.main)
            assert editor.cursor_location == place
        assert editor.scroll_offset.y > 400
        await desk.press("ctrl+l")
        await desk.until(lambda: isinstance(desk.app.focused, Input))
        desk.app.focused.value = "nowhere"
        await desk.press("enter")
        await desk.until(lambda: "such as 12:5" in str(desk.app.screen.query_one("#path-error").content))
        await desk.press("escape")


async def test_finding_and_replacing(open_desk: Any) -> None:
    async with open_desk(size=(120, 50)) as desk:
        text = "alpha Beta\nbeta alphabet\nALPHA"
        editor = await at_editor(desk, text)
        bar = desk.app.main.editor_pane.find_bar
        await desk.press("ctrl+f", *"alpha")
        await desk.until(lambda: "1 of 3" in str(bar.query_one("#find-count").content))
        assert editor.selection == Selection((0, 0), (0, 5))
        await desk.press("enter")
        await desk.until(lambda: "2 of 3" in str(bar.query_one("#find-count").content))
        await desk.press("down", "down")
        assert editor.selection.start == (0, 0), "it goes round"
        await desk.press("up")
        assert editor.selection.start == (2, 0)
        await desk.press("alt+b")
        await desk.until(lambda: "of 2" in str(bar.query_one("#find-count").content))
        await desk.press("alt+c")
        await desk.until(lambda: "of 1" in str(bar.query_one("#find-count").content))
        await desk.press("alt+b", "alt+c", "alt+x")
        bar.query_one("#find-text", Input).value = "(b)eta"
        await desk.until(lambda: "of 2" in str(bar.query_one("#find-count").content))
        await desk.press("alt+f")
        bar.query_one("#replace-text", Input).value = r"<\1>"
        bar.query_one("#replace-text", Input).focus()
        editor.move_cursor((0, 0))
        await desk.press("alt+p", "alt+g")
        assert editor.selected_text == "Beta"
        await desk.press("enter")
        await desk.until(lambda: editor.selected_text == "beta")
        assert editor.text == "alpha <B>\nbeta alphabet\nALPHA"
        await desk.press("alt+y")
        assert editor.text == "alpha <B>\n<b> alphabet\nALPHA"
        bar.query_one("#find-text", Input).value = "alpha"
        await desk.until(lambda: "of 3" in str(bar.query_one("#find-count").content))
        await desk.press("alt+l")
        assert editor.text == "alpha <B>\n<b> alphabet\nALPHA", "there is no group 1"
        assert "cannot be made" in str(bar.query_one("#find-count").content)
        bar.query_one("#replace-text", Input).value = "x"
        await desk.press("alt+l")
        assert editor.text == "x <B>\n<b> xbet\nx"
        await desk.until(lambda: "3 replaced" in desk.hint)
        await desk.press("escape")
        assert not bar.is_open and editor.has_focus and editor.finder is None
        await desk.press("ctrl+z")
        assert editor.text == "alpha <B>\n<b> alphabet\nALPHA"


async def test_a_broken_pattern_is_said_where_it_is_typed(open_desk: Any) -> None:
    async with open_desk() as desk:
        await at_editor(desk)
        bar = desk.app.main.editor_pane.find_bar
        await desk.press("ctrl+f", "alt+x", "(")
        await desk.until(lambda: "no regular expression" in str(bar.query_one("#find-count").content))


async def test_matches_are_shown(open_desk: Any) -> None:
    async with open_desk() as desk:
        editor = await at_editor(desk)
        before = editor.render_line(3)
        await desk.press("ctrl+f", *"f(")
        await desk.until(lambda: editor.finder is not None and editor.finder.query.text == "f(")
        assert editor.render_line(3) != before
        await desk.press("escape")
        assert editor.render_line(3).text == before.text


# -- tabs --------------------------------------------------------------------------------------------------------------


async def test_tabs(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk() as desk:
        editor = await at_editor(desk)
        documents = desk.app.bench.documents
        await desk.press("alt+t")
        assert editor.text == "" and [document.name for document in documents.all] == ["scratch", "scratch 2"]
        await desk.press("a", "ctrl+pageup")
        assert editor.text == CODE
        await desk.press("ctrl+pagedown", "ctrl+z")
        assert editor.text == "", "undo is the tab's own"
        await desk.press("ctrl+y", "alt+comma", "alt+full_stop")
        assert editor.text == "a"
        await desk.press("alt+w")
        await desk.until(lambda: asked(desk))
        await desk.press("escape")
        await desk.until(lambda: not asked(desk))
        assert len(documents.all) == 2
        await desk.press("alt+w")
        await desk.until(lambda: asked(desk))
        await desk.press("d")
        await desk.until(lambda: len(documents.all) == 1)
        assert editor.text == CODE


async def test_a_tab_is_clicked_and_closed_by_the_middle_button(open_desk: Any) -> None:
    async with open_desk() as desk:
        pane = desk.app.main.editor_pane
        await at_editor(desk)
        await desk.press("alt+t")
        await desk.pilot.pause()
        row = "".join(segment.text for segment in pane.render_lines(pane.region.reset_offset)[0])
        assert "scratch │ scratch 2 ×" in row
        first = row.index("scratch") + 2
        await desk.pilot.click(pane, offset=(first, 0))
        await desk.until(lambda: desk.app.main.editor.text == CODE)
        row = "".join(segment.text for segment in pane.render_lines(pane.region.reset_offset)[0])
        await desk.pilot.click(pane, offset=(row.index("scratch 2") + 2, 0), button=2)
        await desk.until(lambda: len(desk.app.bench.documents.all) == 1)


async def test_open_texts_are_there_at_the_next_start(open_desk: Any, tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with open_desk(folder=state) as desk:
        await with_file(desk, tmp_path / "a.py", "\n" * 300)
        desk.app.main.editor.go_to(200, 0)
        await desk.press("x", "ctrl+q")
    assert (tmp_path / "a.py").read_text() == "\n" * 300
    async with open_desk(folder=state) as desk:
        editor = desk.app.main.editor
        await desk.until(lambda: editor.cursor_location == (200, 1))
        assert editor.document[200] == "x" and editor.scroll_offset.y > 150
        assert "a.py ●" in str(desk.app.main.editor_pane._border_title)
        document = desk.app.bench.documents.current
        await desk.until(lambda: document.baseline_known)
        await desk.press("f3", "backspace")
        assert not document.changed, "the file is known again"


# -- files -------------------------------------------------------------------------------------------------------------


async def test_saving_keeps_undo_and_the_mark_tells(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk() as desk:
        file = tmp_path / "a.py"
        pane = await with_file(desk, file, "x\r\n")
        await desk.press("y")
        assert pane.documents.current.changed
        await desk.press("ctrl+s")
        await desk.until(lambda: not pane.documents.current.changed)
        assert file.read_bytes() == b"yx\r\n"
        await desk.press("ctrl+z")
        assert pane.editor.text == "x\r\n" and pane.documents.current.changed


async def test_saving_under_another_name(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk() as desk:
        pane = await with_file(desk, tmp_path / "a.py", "x")
        other = tmp_path / "b.r"
        await desk.press("alt+s")
        await desk.until(lambda: isinstance(desk.app.focused, Input))
        desk.app.focused.value = str(other)
        await desk.press("enter")
        await desk.until(other.exists)
        await desk.until(lambda: desk.app.screen is desk.app.main)
        assert pane.documents.current.path == str(other) and pane.editor.language == "r"


async def test_what_others_wrote_is_read_again_or_asked_about(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk() as desk:
        file = tmp_path / "a.py"
        pane = await with_file(desk, file, "one\n")
        file.write_text("two two\n")
        desk.app.post_message(events.AppFocus())
        pane.look_at_disk()
        await desk.until(lambda: pane.editor.text == "two two\n")
        await desk.until(lambda: "changed by others" in desk.hint)
        assert not pane.documents.current.changed
        await desk.press("x")
        file.write_text("three three\n")
        await desk.press("ctrl+s")
        await desk.until(lambda: asked(desk))
        await desk.press("escape")
        await desk.until(lambda: not asked(desk))
        assert file.read_text() == "three three\n"
        await desk.press("ctrl+s")
        await desk.until(lambda: asked(desk))
        await desk.press("o")
        await desk.until(lambda: not pane.documents.current.changed)
        assert "x" in file.read_text()


async def test_a_conflict_is_asked_about_once_on_focus(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk() as desk:
        file = tmp_path / "a.py"
        pane = await with_file(desk, file, "one\n")
        await desk.press("x")
        file.write_text("other words\n")
        await desk.press("f2", "f3")
        await desk.until(lambda: asked(desk))
        await desk.press("r")
        await desk.until(lambda: pane.editor.text == "other words\n")
        await desk.press("ctrl+z")
        assert pane.editor.text == "xone\n", "what was typed is not lost"


async def test_what_cannot_be_edited_says_why(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk() as desk:
        file = tmp_path / "a.py"
        file.write_text("x")
        file.chmod(0o444)
        pane = desk.app.main.editor_pane
        assert await pane.open(str(file)) is None
        await desk.press("f3", "y")
        assert pane.editor.text == "x" and "read-only" in str(pane._border_subtitle)
        (tmp_path / "b").write_bytes(b"\0")
        assert "no text" in str(await pane.open(str(tmp_path / "b")))


async def test_the_users_own_editor(open_desk: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with open_desk() as desk:
        editor = await at_editor(desk)
        await desk.press("alt+e")
        await desk.until(lambda: "no terminal to hand over" in desk.hint)
        # with a terminal: a script stands for the editor
        script = tmp_path / "ed"
        script.write_text('#!/bin/sh\necho "# by $(basename "$1")" >> "$1"\n')
        script.chmod(0o755)
        monkeypatch.setenv("VISUAL", str(script))
        monkeypatch.setattr(desk.app, "suspend", contextlib.nullcontext)
        await desk.press("alt+e")
        assert editor.text.endswith("# by scratch.py\n")
        await desk.press("ctrl+z")
        assert editor.text == CODE
        monkeypatch.setenv("VISUAL", "/nowhere/ed")
        await desk.press("alt+e")
        await desk.until(lambda: "cannot be started" in desk.hint)
        monkeypatch.setenv("VISUAL", "false")
        await desk.press("alt+e")
        await desk.until(lambda: "ended with 1" in desk.hint)


# -- vim ---------------------------------------------------------------------------------------------------------------


async def test_vims_keys(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk() as desk:
        pane = await with_file(desk, tmp_path / "a.py")
        editor = pane.editor
        await desk.press("alt+v")
        assert "normal" in str(pane._border_subtitle)
        await desk.press(*"jddu")
        assert editor.text == CODE and editor.cursor_location == (1, 0)
        await desk.press("o", "y", "enter", "z", "escape")
        assert editor.text == "def f(x):\n    return x\ny\nz\n\nprint(f(1))"
        await desk.press("u")
        assert editor.text == CODE, "an insertion is one step"
        await desk.press("g", "g", "V", "j")
        assert editor.selected_text == "def f(x):\n    return x" and "visual-line" in str(pane._border_subtitle)
        await desk.press("escape")
        assert editor.selection.is_empty and editor.has_focus
        await desk.press(*"ggcw", *"abc", "escape", "j", "^", "full_stop")
        assert editor.text.startswith("abc f(x):\n    abc x")
        await desk.press("slash", *"print", "enter")
        assert editor.cursor_location == (3, 0)
        await desk.press("ctrl+u")
        assert editor.cursor_location[0] < 3 and "print" in editor.text, "half a page, not a deletion"
        await desk.press("colon", *"w", "enter")
        await desk.until(lambda: not pane.documents.current.changed)
        assert (tmp_path / "a.py").read_text() == editor.text
        await desk.press("x", "colon", "q", "enter")
        await desk.until(lambda: ":q! drops them" in desk.hint)
        await desk.press("colon", "q", "exclamation_mark", "enter")
        await desk.until(lambda: pane.documents.find(str(tmp_path / "a.py")) is None)
        await desk.press("colon", *"e ", *str(tmp_path / "a.py"), "enter")
        await desk.until(lambda: pane.documents.current.path == str(tmp_path / "a.py"))
        await desk.press("alt+v")
        assert "normal" not in str(pane._border_subtitle)
