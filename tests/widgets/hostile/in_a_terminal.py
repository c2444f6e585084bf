"""Shows the whole corpus in a console, in whatever terminal this is started in; for the test of what arrives there."""

from __future__ import annotations

import asyncio

from bai_tui.tests.widgets.hostile.corpus import TEXTS
from bai_tui.widgets.lines import Media
from bai_tui.widgets.media import MediaView
from bai_tui.widgets.output_console import OutputConsole
from bai_tui.widgets.transcript import Transcript
from textual.app import App, ComposeResult


class Corpus(App[None]):
    def compose(self) -> ComposeResult:
        yield OutputConsole(media=MediaView(images="blocks"))

    async def on_mount(self) -> None:
        self.call_after_refresh(self.run_worker, self.show_all(), exit_on_error=True)

    async def show_all(self) -> None:
        console = self.query_one(OutputConsole)
        for name, text in TEXTS.items():
            transcript = Transcript()
            transcript.begin(text[:200], 0.0)
            transcript.write(text[-5_000:] if len(text) > 100_000 else text, error=len(name) % 2 == 0)
            transcript.note(text[:500], "error")
            transcript.media(Media("text/html", f"<p>{text[:500]}</p>", text[:100]))
            console.show(transcript)
            self.title = text[:100]
            self.refresh()
            # a frame of the screen: what is painted is what the test is about
            await asyncio.sleep(1 / 30)
        transcript = Transcript()
        transcript.write("\n" * 5 + "the end\n")
        console.show(transcript)
        self.set_timer(0.2, self.exit, name="the last frame was painted")


if __name__ == "__main__":
    Corpus().run()
