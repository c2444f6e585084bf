"""The log of how an image was built or pulled, read in a console of its own; it grows while that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from ...widgets.output_console import OutputConsole
from ...widgets.text import one_line
from ...widgets.transcript import Transcript
from ..model.errors import BaiTuiError

if TYPE_CHECKING:
    from .workbench import Workbench

_AGAIN_S: Final = 1.0
"""Between looks at the log of an image that is being built: the server does not push it."""


class ImageLogScreen(ModalScreen[None]):
    """Shows the log of an image."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "close", id="image-log-close", tooltip="Go back"),
    ]
    AUTO_FOCUS = "#console"

    def __init__(self, bench: Workbench, reference: str) -> None:
        super().__init__()
        self._bench = bench
        self._reference = reference
        self._transcript = Transcript(max_lines=bench.settings.scrollback_lines)
        self._text = ""
        self._trouble = ""
        self.console = OutputConsole(clock=bench.clock, glyphs=bench.glyphs, empty="asking the server", id="console")

    def compose(self) -> ComposeResult:
        with Vertical(id="image-log") as box:
            dot = f" {self._bench.glyphs.dot} "
            box.border_title = Content(f"Log{dot}{one_line(self._reference)}")
            box.border_subtitle = Content(dot.join(("v selects", "y copies", "escape closes")))
            yield self.console

    def on_mount(self) -> None:
        self.console.show(self._transcript)
        self._load()
        self.set_interval(_AGAIN_S, self._again, name="image log")

    def _load(self) -> None:
        self.run_worker(self._read(), name="image log", group="image log", exit_on_error=False)

    def _again(self) -> None:
        image = self._bench.sync.connection.image(self._reference)
        idle = not any(worker.group == "image log" and worker.is_running for worker in self.workers)
        if image is not None and image.progress is not None and idle:
            self._load()

    async def _read(self) -> None:
        try:
            text = await self._bench.image_work.log(self._reference)
        except BaiTuiError as error:
            if error.message != self._trouble:
                self._trouble = error.message
                self._transcript.note(error.message, "error")
                self.console.sync()
            return
        if not text.startswith(self._text):
            # another building has begun
            self._transcript = Transcript(max_lines=self._bench.settings.scrollback_lines)
            self.console.show(self._transcript)
            self._text = ""
        if text and text != self._text:
            self._transcript.write(text[len(self._text) :])
            self._text = text
        elif not text and not self._trouble:
            self._trouble = "the log is empty"
            self._transcript.note(self._trouble)
        self.console.sync()

    def action_close(self) -> None:
        self.dismiss()
