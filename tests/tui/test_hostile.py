"""Names, reasons, prompts and errors that try to break the whole screen, and the keys of rich output."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.tui.media_screen import MediaScreen
from bai_tui.tests.tui.fakes import FakeServer, Script
from bai_tui.tests.widgets.hostile.corpus import NAMES, TEXTS
from bai_tui.tests.widgets.test_pictures import encoded
from bai_tui.widgets.lines import Media
from rich.cells import cell_len
from textual.widgets import Input, Static

STEERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def check(app: Any, name: str) -> None:
    width = app.size.width
    for strip in app.screen._compositor.render_strips():
        assert strip.cell_length == width, name
        assert sum(cell_len(text) for text, _, _ in strip) == width, name
        for text, _, _ in strip:
            assert not STEERS.search(text), (name, text)


async def test_names_reasons_and_errors_do_not_break_the_screen(open_desk: Any, server: FakeServer) -> None:
    for index, text in enumerate(NAMES.values()):
        session = server.find(server.add(f"s{index:04d}"))
        session.view = replace(session.view, name=text or "x", image=text or "x", status_info=text, result=text[:50])
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.bench.store.rows())
        for key in ("f2", "j", "j", "f8", "f7", "f9", "f9"):
            await desk.press(key)
            await desk.pilot.pause()
            check(desk.app, key)


@pytest.mark.parametrize("name", ["title", "c1", "markup", "rtl", "emoji", "surrogates", "zero width", "wide"])
async def test_output_prompts_and_notices_do_not_break_the_screen(
    open_desk: Any, server: FakeServer, name: str
) -> None:
    text = TEXTS[name]
    server.add("py-1")
    server.scripts["go"] = Script(
        [("out", text), ("err", text), ("html", text), ("media", [text[:9], text]), ("ask", False)]
    )
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("go")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.app.main.console_pane.asking)
        desk.app.main.console_pane.hint(text)
        desk.app.notify(text, markup=False)
        await desk.pilot.pause()
        check(desk.app, name)


async def test_rich_output_is_looked_at_folded_and_saved_by_keys(
    open_desk: Any, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.add("py-1")
    server.scripts["show"] = Script(
        [
            ("media", ["image/png", encoded(40, 20)]),
            ("media", ["application/json", json.dumps({"a": {"b": [1, 2]}})]),
        ]
    )
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.press("f4", "i")
        assert "no picture" in str(desk.app.main.console_pane.border_subtitle)
        await desk.code("show")
        await desk.press("ctrl+r")
        await desk.until(lambda: "✓" in desk.console)
        await desk.press("f4", "i")
        await desk.until(lambda: isinstance(desk.app.screen, MediaScreen) and desk.app.screen.page.rows > 1)
        screen = desk.app.screen
        page = screen.page
        shown: Media = page.media
        assert shown.mime == "application/json"
        rows = page.rows
        await desk.press("j", "enter")
        assert page.rows == rows - 1
        await desk.press("enter", "up", "pagedown", "pageup", "less_than_sign", "greater_than_sign")
        assert page.rows == rows
        await desk.press("s")
        assert screen.query_one(Input).value == str(tmp_path / "output-2.json")
        await desk.press("enter")
        await desk.until(lambda: (tmp_path / "output-2.json").exists() and not screen.query_one(Input).display)
        assert json.loads((tmp_path / "output-2.json").read_text()) == {"a": {"b": [1, 2]}}
        said = screen.query_one("#media-keys", Static)
        await desk.press("s", "enter")
        await desk.until(lambda: "enter once more" in str(said.content))
        await desk.press("enter")
        await desk.until(lambda: str(said.content).startswith("saved as"))
        await desk.press("o")
        assert "only pictures" in str(said.content)
        await desk.press("left")
        await desk.until(lambda: page.media.mime == "image/png")
        await desk.press("o")
        assert "no desktop" in str(said.content)
        await desk.press("right", "escape")
        await desk.until(lambda: desk.app.screen is desk.app.main)
