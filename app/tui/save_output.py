"""Asks where output is saved, and which of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from ...widgets.console_export import everything, output_of
from ...widgets.lines import Run
from ...widgets.tick import Tick
from ...widgets.transcript import Transcript
from .dialogs import Dialog


class SaveOutput(Dialog[str | None]):
    """Saves a run's output, or the whole console; gives back the path of the file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", id="save-output-close", tooltip="Close without saving"),
    ]

    def __init__(self, transcript: Transcript, run: Run | None, path: str) -> None:
        super().__init__()
        self._transcript = transcript
        self._run = run
        self._path = path
        self._agreed = ""
        """A path that is known to be there and was entered a second time."""

    def compose(self) -> ComposeResult:
        with Vertical(id="save-output") as box:
            box.border_title = "Save output"
            box.border_subtitle = "enter saves · tab fields · escape closes"
            yield Input(self._path, id="save-output-path", compact=True)
            number = "" if self._run is None else f" instead of run [{self._run.number}] only"
            yield Tick(f"the whole console{number}", self._run is None, id="save-output-all", compact=True)
            yield Tick("with its colours", False, id="save-output-colours", compact=True)
            yield Static("", id="save-output-error", markup=False)

    def on_mount(self) -> None:
        self.query_one("#save-output-all", Tick).disabled = self._run is None
        self.query_one(Input).focus()

    def action_close(self) -> None:
        self.dismiss(None)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        # a worker, since a file may be on a disk that does not answer: escape must still lead out
        self.run_worker(self._save(event.value.strip()), name="save output", exclusive=True)

    async def _save(self, path: str) -> None:
        wrong = await self._try(path) if path else "write a path"
        if wrong is None:
            self.dismiss(path)
        else:
            self.query_one("#save-output-error", Static).update(wrong)

    async def _try(self, path: str) -> str | None:
        colours = self.query_one("#save-output-colours", Tick).value
        if self._run is None or self.query_one("#save-output-all", Tick).value:
            text = everything(self._transcript, colours=colours)
        else:
            text = output_of(self._transcript, self._run, colours=colours)

        def write(replace: bool) -> None:
            with (
                Path(path)
                .expanduser()
                .open("w" if replace else "x", encoding="utf-8", errors="replace", newline="\n") as stream
            ):
                stream.write(text + "\n")

        try:
            await asyncio.to_thread(write, path == self._agreed)
        except FileExistsError:
            self._agreed = path
            return f"{path} is there already: enter once more writes over it"
        except OSError as error:
            return f"{path} cannot be written: {error.strerror or error}"
        return None
