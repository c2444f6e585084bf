"""Rich output in a console: painted without a jump, folded in place, and nothing left in the terminal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bai_tui.tests.widgets.test_pictures import encoded
from bai_tui.widgets import media as media_module
from bai_tui.widgets.graphics import Mode
from bai_tui.widgets.lines import Media
from bai_tui.widgets.media import INLINE_ROWS, MediaView
from bai_tui.widgets.output_console import OutputConsole
from bai_tui.widgets.transcript import Transcript
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import ModalScreen

TREE = Media("application/json", json.dumps({"a": [1, 2], "b": {"c": {"d": 1}}}), "{}")


class Shown(App[None]):
    def __init__(self, images: str, ascii_only: bool) -> None:
        super().__init__()
        self.view = MediaView(images=images, ascii_only=ascii_only)
        self.chosen: list[Media] = []

    def compose(self) -> ComposeResult:
        yield OutputConsole(media=self.view)

    def on_output_console_media_chosen(self, event: OutputConsole.MediaChosen) -> None:
        self.chosen.append(event.media)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the terminal is told besides what is painted."""
    sequences: list[str] = []
    monkeypatch.setattr(media_module, "write_to_terminal", lambda app, sequence: sequences.append(sequence))
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    return sequences


@asynccontextmanager
async def showing(
    *pieces: Media, images: str = "blocks", ascii_only: bool = False, size: tuple[int, int] = (60, 30)
) -> AsyncIterator[tuple[Shown, OutputConsole, Pilot[None]]]:
    transcript = Transcript()
    transcript.begin("x", 0.0)
    transcript.write("before\n")
    for piece in pieces:
        transcript.media(piece)
    transcript.write("after\n")
    app = Shown(images, ascii_only)
    async with app.run_test(size=size) as pilot:
        console = app.query_one(OutputConsole)
        console.show(transcript)
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()
        yield app, console, pilot


def rows(console: OutputConsole) -> list[str]:
    return [console.render_line(y).text.rstrip() for y in range(console.size.height)]


async def test_a_picture_takes_its_rows_before_it_is_decoded(told: list[str]) -> None:
    piece = Media("image/png", encoded(80, 80), "[image/png]")
    view = MediaView(images="blocks")
    async with showing(piece) as (app, console, _):
        app.view.attach(console, "console--rich-", lambda: None)
        height = view.height(piece, console.size.width)
        assert rows(console)[1:3] == ["before", "[image/png 80x80 " + rows(console)[2].split()[-1]]
        assert rows(console).index("after") == 2 + height
        strip = console.render_line(4)
        assert "▀" in strip.text or any(style and style.bgcolor for _, style, _ in strip)
    assert told == []


async def test_ascii_shows_shades(told: list[str]) -> None:
    async with showing(Media("image/png", encoded()), TREE, images="auto", ascii_only=True) as (app, console, _):
        assert app.view.mode is Mode.SHADES
        assert all(row.isascii() for row in rows(console)[2:])


async def test_pictures_can_be_switched_off(told: list[str]) -> None:
    async with showing(Media("image/png", encoded()), images="none") as (_, console, _):
        assert rows(console)[3] == "after"


async def test_kitty_is_told_once_and_again_only_after_the_terminal_was_anothers(told: list[str]) -> None:
    async with showing(Media("image/png", encoded(80, 80)), images="kitty") as (app, console, pilot):
        assert len(told) == 1 and told[0].startswith("\x1b_Ga=T,U=1,")
        placeholders = [row.count("\U0010eeee") for row in rows(console)]
        assert placeholders.count(10) == 5
        console.refresh()
        await pilot.pause()
        assert len(told) == 1
        app.view.forget_screen()
        console.refresh()
        await pilot.pause()
        await app.workers.wait_for_complete()
        assert len(told) == 2
    assert told[-1].startswith("\x1b_Ga=d,d=I,")


async def test_the_terminal_keeps_few_pictures_and_all_that_are_seen(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_module, "_KEPT_PICTURES", 2)

    def kept() -> int:
        return sum("a=T" in sequence for sequence in told) - sum("a=d" in sequence for sequence in told)

    pieces = [Media("image/png", encoded(8, 16 * 8)) for _ in range(6)]
    async with showing(*pieces, images="kitty", size=(60, 60)):
        assert kept() == 6
    assert kept() == 0
    pieces = [Media("image/png", encoded(8, 16 * 8)) for _ in range(6)]
    async with showing(*pieces, images="kitty", size=(60, 7)) as (app, console, pilot):
        for row in range(0, 60, 4):
            console.scroll_to(y=row, animate=False, force=True)
            await pilot.pause()
            await app.workers.wait_for_complete()
            await pilot.pause()
        assert kept() <= 4
    assert kept() == 0


async def test_sixels_are_not_painted_over_a_dialog(told: list[str]) -> None:
    async with showing(Media("image/png", encoded(80, 80)), images="sixel") as (app, console, pilot):
        strip = console.render_line(4)
        assert "\x1bP" in strip.text and strip.cell_length == console.size.width
        app.push_screen(ModalScreen())
        await pilot.pause()
        assert not any("\x1b" in console.render_line(y).text for y in range(10))


@pytest.mark.parametrize("data", ["data:image/png;base64,AAAA", encoded()[:-60]])
async def test_a_broken_picture_is_a_line_that_says_so(told: list[str], data: str) -> None:
    async with showing(Media("image/png", data, "a plot")) as (_, console, _):
        assert "a plot" in rows(console)[2] and "not shown: its data is broken" in rows(console)[2]


async def test_a_tree_folds_where_it_is_clicked_and_nothing_above_moves(told: list[str]) -> None:
    async with showing(TREE) as (app, console, pilot):
        assert rows(console)[2:8] == ["▾ {2}", "  ▾ a: [2]", "      0: 1", "      1: 2", "  ▾ b: {1}", "    ▸ c: {1}"]
        await pilot.click(OutputConsole, offset=(2, 3))
        assert rows(console)[2:6] == ["▾ {2}", "  ▸ a: [2]", "  ▾ b: {1}", "    ▸ c: {1}"]
        await pilot.click(OutputConsole, offset=(6, 5))
        assert rows(console)[5:8] == ["    ▾ c: {1}", "        d: 1", "after"]
        assert app.chosen == []
        await pilot.click(OutputConsole, offset=(9, 6))
        assert app.chosen == [TREE]


async def test_long_rich_text_is_cut_and_says_so(told: list[str]) -> None:
    tree = Media("application/json", json.dumps(list(range(99))))
    text = Media("text/latex", "\n".join(f"line {n}" for n in range(500)))
    async with showing(tree, text, size=(60, 200)) as (app, console, _):
        shown = rows(console)
        assert shown[2 + INLINE_ROWS] == f"… {1 + 99 - INLINE_ROWS} more rows: open it to see them"
        assert "more rows" in shown[2 + 2 * INLINE_ROWS + 1]
        assert not app.view.can_toggle(tree, console.size.width, INLINE_ROWS)
        whole = MediaView(whole=True)
        assert whole.height(text, 60) == 500


@pytest.mark.parametrize(
    ("piece", "first"),
    [
        (Media("text/html", "<p>a <b>b</b></p>"), "a b"),
        (Media("text/html", "<style>x</style>", ""), "[text/html: nothing to read in it]"),
        (Media("text/markdown", "**b**"), "b"),
        (Media("text/latex", "$x^2$"), "$x^2$"),
        (Media("application/vnd.x+json", "[]"), "  [0]"),
        (Media("application/json", "{broken"), "{broken"),
        (Media("application/pdf", "data:application/pdf;base64,AAAA", "a paper"), "[application/pdf 3] a paper"),
    ],
)
async def test_every_kind_says_something(told: list[str], piece: Media, first: str) -> None:
    async with showing(piece) as (_, console, _):
        assert rows(console)[2] == first


async def test_it_stays_in_its_width_whatever_that_is(told: list[str]) -> None:
    table = "<table><tr><th>a long name</th><th>漢字漢字</th></tr><tr><td>some words</td><td>1</td></tr></table>"
    pieces = [
        TREE,
        Media("text/html", table),
        Media("image/png", encoded(800, 80)),
        Media("text/markdown", "word " * 9),
    ]
    async with showing(*pieces, size=(70, 60)) as (app, console, pilot):
        for width in (70, 31, 12, 5, 2):
            await pilot.resize_terminal(width, 60)
            await app.workers.wait_for_complete()
            for y in range(60):
                assert console.render_line(y).cell_length == console.size.width


async def test_other_themes_have_other_styles(told: list[str]) -> None:
    async with showing(TREE, Media("image/png", encoded(16, 16))) as (app, _, pilot):
        before: dict[str, Any] = dict(app.view._styles)
        assert before
        app.theme = "textual-light"
        await pilot.pause()
        await app.workers.wait_for_complete()
        assert app.view.mode is Mode.BLOCKS
