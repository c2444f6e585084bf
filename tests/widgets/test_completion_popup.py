from __future__ import annotations

import pytest
from bai_tui.widgets.completion_popup import ROWS, CompletionPopup, DocPanel, PopupItem
from textual.app import App, ComposeResult
from textual.geometry import Region

HOSTILE = "a[/b]\x1b[31m\u202e‮字"


class PopupApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.popup, self.panel = CompletionPopup(id="popup"), DocPanel(id="panel")
        self.heard: list[tuple[str, int]] = []

    def compose(self) -> ComposeResult:
        yield self.popup
        yield self.panel

    def on_completion_popup_picked(self, event: CompletionPopup.Picked) -> None:
        self.heard.append(("picked", event.index))

    def on_completion_popup_highlighted(self, event: CompletionPopup.Highlighted) -> None:
        self.heard.append(("marked", event.index))


def items(count: int) -> list[PopupItem]:
    return [PopupItem(f"name_{number}", "function") for number in range(count)]


def rows(popup: CompletionPopup) -> list[str]:
    return [popup.render_line(y).text.rstrip() for y in range(popup.size.height)]


async def test_the_list_is_below_the_word_or_above_it() -> None:
    async with PopupApp().run_test(size=(60, 20)) as pilot:
        app = pilot.app
        assert isinstance(app, PopupApp)
        app.popup.open(items(3), Region(10, 2, 4, 1), typed="nam")
        await pilot.pause()
        assert (app.popup.region.y, app.popup.region.height) == (3, 3)
        assert app.popup.region.x == 7, "the names stand below what was typed of them"
        assert rows(app.popup)[0].split() == ["f", "name_0", "function"]
        app.popup.close()
        app.popup.open(items(5), Region(55, 18, 4, 1), note="busy")
        await pilot.pause()
        assert app.popup.region.bottom == 18
        assert app.popup.region.right <= 60
        assert rows(app.popup)[-1].strip() == "busy"


async def test_the_cursor_goes_round_and_by_pages() -> None:
    async with PopupApp().run_test(size=(60, 30)) as pilot:
        app = pilot.app
        assert isinstance(app, PopupApp)
        popup = app.popup
        popup.open(items(25), Region(0, 0, 1, 1))
        await pilot.pause()
        assert popup.size.height == ROWS
        assert popup.take_key("up") and popup.cursor == 24
        assert "name_24" in rows(popup)[-1]
        assert popup.take_key("down") and popup.cursor == 0
        assert popup.take_key("pagedown") and popup.cursor == ROWS
        assert popup.take_key("pageup") and popup.take_key("pageup") and popup.cursor == 0
        assert not popup.take_key("a")
        assert popup.moved
        popup.take_key("down")
        popup.open(items(20), Region(0, 0, 1, 1))
        assert popup.cursor == 1, "what was marked stays marked while the list is narrowed"
        popup.close()
        assert not popup.is_open and popup.cursor == 1
        popup.open([], Region(0, 0, 1, 1), note="nothing")
        popup.move(1)


async def test_the_mouse() -> None:
    async with PopupApp().run_test(size=(60, 30)) as pilot:
        app = pilot.app
        assert isinstance(app, PopupApp)
        app.popup.open(items(25), Region(4, 4, 1, 1), note="note")
        await pilot.pause()
        await pilot.click("#popup", offset=(3, 2))
        assert ("picked", 2) in app.heard
        app.heard.clear()
        await pilot.click("#popup", offset=(3, ROWS))
        assert not [one for one in app.heard if one[0] == "picked"], "the note is no suggestion"


@pytest.mark.parametrize("width", [20, 60])
async def test_foreign_text_breaks_nothing(width: int) -> None:
    async with PopupApp().run_test(size=(width, 12)) as pilot:
        app = pilot.app
        assert isinstance(app, PopupApp)
        hostile = [PopupItem(HOSTILE, HOSTILE), PopupItem("x" * 500, "class"), PopupItem("", "")]
        app.popup.open(hostile, Region(2, 2, 1, 1), typed=HOSTILE, note=HOSTILE)
        app.panel.open(HOSTILE * 30, (HOSTILE + "\n") * 50, Region(2, 2, 1, 1), foot="foot")
        await pilot.pause()
        await pilot.pause()
        assert all("\x1b" not in row and "\u202e" not in row for row in rows(app.popup))
        assert app.popup.region.right <= max(width, app.popup.region.width)
        said = str(app.panel.content)
        assert "\x1b" not in said and "a[/b]" in said
        assert said.endswith("…\nfoot")
        assert app.panel.region.bottom <= 12


async def test_the_panel_does_not_cover_the_list() -> None:
    async with PopupApp().run_test(size=(100, 30)) as pilot:
        app = pilot.app
        assert isinstance(app, PopupApp)
        for x in (2, 80):
            app.popup.close()
            app.popup.open(items(4), Region(x, 4, 1, 1))
            await pilot.pause()
            app.panel.open("f(a)", "Says what it does. " * 20, app.popup.region, beside=app.popup.region)
            await pilot.pause()
            assert app.panel.is_open
            assert not app.panel.region.overlaps(app.popup.region)
            assert app.panel.region.x >= 0 and app.panel.region.right <= 100
