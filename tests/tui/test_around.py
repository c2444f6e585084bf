"""Help, palette, themes, the user's keys, the read-only switch, and the mouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.client.api import ApiClient
from bai_tui.app.tui.help import HelpScreen
from bai_tui.app.tui.layout import Layout
from bai_tui.app.tui.read_only import CHANGES, ReadOnly
from bai_tui.app.tui.theme_chooser import ThemeChooser
from bai_tui.app.tui_settings import TuiSettings
from bai_tui.styles.themes import ABOUT_THEMES
from bai_tui.tests.tui.fakes import FakeServer
from textual import events
from textual.command import CommandPalette
from textual.geometry import Offset
from textual.widgets import Input, OptionList

# -- help and palette --------------------------------------------------------------------------------------------------


async def helped(desk: Any, *keys: str) -> str:
    """Opens help, types into it, and returns what it says."""
    await desk.press("question_mark")
    await desk.until(lambda: isinstance(desk.app.screen, HelpScreen) and desk.app.screen.focused)
    await desk.press(*keys)
    await desk.pilot.pause()
    return str(desk.app.screen.query_one("#help-text").content)


async def test_help_is_searched_by_typing(open_desk: Any) -> None:
    async with open_desk() as desk:
        text = await helped(desk, *"zoom")
        assert "f9" in text and "Give the focused pane the whole screen" in text and "Pick an image" not in text
        await desk.press("x", "x")
        await desk.pilot.pause()
        assert "nothing is called so" in str(desk.app.screen.query_one("#help-text").content)
        await desk.press("escape")
        await desk.pilot.pause()
        assert desk.app.screen.query_one("#help-search", Input).value == ""
        await desk.press("pagedown", "escape")
        await desk.until(lambda: desk.app.screen is desk.app.main)


async def test_help_finds_a_key(open_desk: Any) -> None:
    async with open_desk() as desk:
        assert "Run the editor's text" in await helped(desk, "^", "r")


async def found(desk: Any, *typed: str) -> list[str]:
    """Returns what the palette offers for what is typed."""
    await desk.press("ctrl+p")
    await desk.until(lambda: isinstance(desk.app.screen, CommandPalette) and desk.app.screen.focused)
    await desk.press(*typed)
    options = desk.app.screen.query_one(OptionList)
    await desk.until(lambda: options.option_count and options.highlighted is not None)
    return [str(options.get_option_at_index(index).prompt) for index in range(options.option_count)]


async def test_the_palette_has_the_table_with_panes_and_keys(open_desk: Any) -> None:
    async with open_desk() as desk:
        lines = await found(desk)
        assert len(lines) > 40
        assert any("zoom" in line and "f9" in line for line in lines)
        assert any("theme" in line for line in lines)


@pytest.mark.parametrize(
    ("typed", "first"), [("theme", "theme"), ("zoom", "zoom"), ("fold", "fold"), ("jump", "jump"), ("kill", "kill")]
)
async def test_the_palette_puts_first_what_is_called_so(open_desk: Any, typed: str, first: str) -> None:
    async with open_desk() as desk:
        assert (await found(desk, *typed))[0].startswith(first)


async def test_the_palette_does_an_action_in_its_pane(open_desk: Any) -> None:
    async with open_desk() as desk:
        assert desk.app.main.focused_pane == "sessions"
        lines = await found(desk, *"new tab")
        assert "editor" in lines[0]
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is desk.app.main)
        await desk.until(lambda: len(desk.app.main.editor_pane.documents.all) == 2)
        assert desk.app.main.focused_pane == "editor"


# -- themes ------------------------------------------------------------------------------------------------------------


async def test_a_theme_is_worn_while_the_cursor_is_on_it(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk(folder=tmp_path) as desk:
        await found(desk, *"choose colours")
        await desk.press("enter")
        await desk.until(lambda: isinstance(desk.app.screen, ThemeChooser) and desk.app.screen.focused)
        names = list(ABOUT_THEMES)
        assert desk.app.theme == names[0]
        for name in names[1:]:
            await desk.press("down")
            await desk.until(lambda name=name: desk.app.theme == name, name)
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.app.main)
        assert desk.app.theme == names[0]
        desk.app.main.action_theme()
        await desk.until(lambda: isinstance(desk.app.screen, ThemeChooser) and desk.app.screen.focused)
        await desk.press("down", "down")
        await desk.until(lambda: desk.app.theme == names[2])
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is desk.app.main)
        assert desk.app.bench.memory.of(Layout).theme == names[2]
        await desk.press("ctrl+q")
    async with open_desk(folder=tmp_path) as desk:
        assert desk.app.theme == names[2]


async def test_no_colour_means_none(open_desk: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        await desk.pilot.pause()
        styles = [segment.style for strip in desk.app.main._compositor.render_strips() for segment in strip]
        assert not [style for style in styles if style and style.color and not style.color.is_default]
        assert desk.app.main.sessions.styles.border_top[0] == "heavy"
        await desk.press("f3")
        await desk.pilot.pause()
        assert desk.app.main.sessions.styles.border_top[0] == "round"


# -- the user's keys ---------------------------------------------------------------------------------------------------


async def test_keys_of_the_configuration(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    settings = TuiSettings(keys={"list-new": "N", "zoom": "", "palette": "alt+slash", "run": "f9,ctrl+r"})
    async with open_desk(settings=settings) as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        assert desk.toasts == []
        main = desk.app.main
        await desk.pilot.pause()
        line = main.query_one("#keys").render_line(0).text
        assert "N new" in line and "f9 run" in line and "zoom" not in line and "alt+/ palette" in line
        await desk.press("n")
        await desk.pilot.pause()
        assert desk.app.screen is main
        await desk.press("N")
        await desk.until(lambda: desk.app.screen is not main)
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is main)
        assert desk.app.bench.keys.first("list-new") == "N" and desk.app.bench.keys.first("zoom") == "alt+/"
        assert "no key" in await helped(desk, *"zoom")


async def test_what_is_wrong_with_keys_is_told_at_the_start(open_desk: Any) -> None:
    settings = TuiSettings(keys={"list-kill": "n", "zoom": "ctrl+h"})
    async with open_desk(settings=settings) as desk:
        await desk.until(lambda: desk.toasts)
        (told,) = desk.toasts
        assert told.startswith("keys.") and told.endswith("; 1 more: bai-tui config validate")


# -- read-only ---------------------------------------------------------------------------------------------------------


async def test_the_switch_is_shown_and_refuses(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk(settings=TuiSettings(read_only=True)) as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        assert "read-only" in desk.app.main.strip.render_line(0).text
        await desk.press("x")
        await desk.until(lambda: any("read-only" in toast for toast in desk.toasts))
        await desk.press("f3", "f5")
        await desk.pilot.pause()
        assert "read-only" in desk.hint
        client = await desk.app.bench.connected()
        with pytest.raises(ReadOnly):
            await client.terminate("py-1")
        await found(desk, *"read-only")
        await desk.press("enter")
        await desk.until(lambda: not desk.app.bench.read_only)
        await desk.pilot.pause()
        assert "read-only" not in desk.app.main.strip.render_line(0).text


def test_every_method_of_the_client_is_known_to_change_something_or_not() -> None:
    questions = {
        "move", "handshake", "info", "list_sessions", "all_sessions", "session_rows", "resolve", "resolve_all",
        "newest_ended", "ended_by_id", "session", "complete", "inspect", "logs", "journal", "list_runs", "follow",
        "events", "stats", "images", "keypairs", "machine", "announcement", "list_files", "download", "about",
        "image", "task_progress", "image_log", "image_aliases",
    }  # fmt: skip
    methods = {name for name in dir(ApiClient) if not name.startswith("_") and callable(getattr(ApiClient, name))}
    assert methods - questions <= CHANGES, "a new method: say in read_only.py whether it changes something"
    assert not questions & CHANGES


# -- the mouse ---------------------------------------------------------------------------------------------------------


async def test_the_footer_is_clicked(open_desk: Any) -> None:
    async with open_desk() as desk:
        await desk.pilot.pause()
        line = desk.app.main.query_one("#keys").render_line(0).text
        await desk.pilot.click("#keys", offset=(line.index("^p"), 0))
        await desk.until(lambda: isinstance(desk.app.screen, CommandPalette))


async def test_the_wheel_scrolls_what_is_below_it(open_desk: Any) -> None:
    async with open_desk() as desk:
        await desk.code("\n".join(f"line {number}" for number in range(200)))
        await desk.pilot.pause()
        main = desk.app.main
        x, y = main.editor.region.offset + Offset(3, 3)
        turned = events.MouseScrollDown(
            widget=None, x=x, y=y, delta_x=0, delta_y=1, button=0, shift=False, meta=False, ctrl=False, screen_x=x,
            screen_y=y,
        )  # fmt: skip
        desk.app.post_message(turned)
        await desk.until(lambda: main.editor.scroll_offset.y > 0)
        assert main.focused_pane == "sessions"
