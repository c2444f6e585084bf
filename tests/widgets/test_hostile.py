"""No output breaks the screen: rows are as wide as they say, and nothing that steers a terminal is in them.

What takes too long for a text of its size runs into the time limit of its test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from bai_tui.tests.widgets.hostile.corpus import TEXTS
from bai_tui.widgets.lines import Media
from bai_tui.widgets.media import MediaView
from bai_tui.widgets.output_console import OutputConsole
from bai_tui.widgets.transcript import Transcript
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.strip import Strip

STEERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


class Shown(App[None]):
    def compose(self) -> ComposeResult:
        yield OutputConsole(media=MediaView(images="blocks"))


def rows(console: OutputConsole) -> Iterator[Strip]:
    for y in range(console.size.height):
        yield console.render_line(y)


def check(console: OutputConsole, name: str) -> None:
    for strip in rows(console):
        assert strip.cell_length == console.size.width, name
        assert sum(cell_len(segment.text) for segment in strip) == console.size.width, name
        for segment in strip:
            assert not STEERS.search(segment.text), (name, segment)
            segment.text.encode()


async def looked_at(transcripts: Sequence[tuple[str, Transcript]]) -> None:
    """Looks at transcripts from both ends, wide and narrow, wrapped and not."""
    app = Shown()
    async with app.run_test(size=(80, 24)) as pilot:
        console = app.query_one(OutputConsole)
        for name, transcript in transcripts:
            console.show(transcript)
            check(console, name)
            console.scroll_to(y=0, animate=False, force=True)
            check(console, name)
            await pilot.pause()
        console.set_stamps(True)
        console.set_wrap(False)
        check(console, "not wrapped")
        await pilot.resize_terminal(23, 9)
        console.set_wrap(True)
        await pilot.pause()
        for name, transcript in transcripts:
            console.show(transcript)
            check(console, f"{name}, narrow")
        app.export_screenshot()


def written(error: bool) -> Iterator[tuple[str, Transcript]]:
    for name, text in TEXTS.items():
        transcript = Transcript()
        transcript.begin(text[:5000], 0.0)
        transcript.write("before\n")
        transcript.write(text, error=error)
        transcript.begin("next", 0.0)
        transcript.write("and after\n", error=error)
        yield name, transcript


@pytest.mark.parametrize("error", [False, True], ids=["stdout", "stderr"])
async def test_output(error: bool) -> None:
    await looked_at(list(written(error)))


async def test_notes_and_code() -> None:
    transcripts = []
    for name, text in TEXTS.items():
        transcript = Transcript()
        transcript.begin(text[:6_000], 0.0).code_shown = True
        transcript.note(text[:6_000], "error")
        transcripts.append((name, transcript))
    await looked_at(transcripts)


@pytest.mark.parametrize("mime", ["text/html", "text/markdown", "application/json", "text/latex", "image/png", "a/b"])
async def test_rich_output(mime: str) -> None:
    transcripts = []
    for name, text in TEXTS.items():
        transcript = Transcript()
        transcript.begin("x", 0.0)
        transcript.media(Media(mime, text[:30_000], text[:200]))
        transcript.media(Media(mime, f'<table><tr><td title="{text[:50]}">{text[:2_000]}</td></tr></table>'))
        transcripts.append((name, transcript))
    await looked_at(transcripts)


@pytest.mark.parametrize("size", [1, 3, 64])
def test_it_does_not_matter_where_output_is_cut(size: int) -> None:
    for name, text in TEXTS.items():
        if len(text) > 2_000:
            continue
        whole, pieces = Transcript(), Transcript()
        for transcript in (whole, pieces):
            transcript.begin("x", 0.0)
        whole.write(text)
        for at in range(0, len(text), size):
            pieces.write(text[at : at + size])
        assert pieces.lines[1:] == whole.lines[1:], name
