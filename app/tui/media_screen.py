"""Rich output on the whole screen: looked at one after the other, saved, or handed to the desktop."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ...widgets.lines import Media
from ...widgets.media import MediaView
from ...widgets.media_page import MediaPage
from ...widgets.picture import EXTENSIONS, PictureError, amount_bytes, bytes_of
from ...widgets.text import one_line, size

OPENED: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"})
"""What is handed to the desktop: pages of others are not, since a browser would run what is in them."""


class MediaScreen(ModalScreen[None]):
    """Shows rich output.

    Args:
        pieces: All that can be looked at, the oldest first.
        at: Which of them is shown first.
        where: Folder in which it is saved unless the user says otherwise.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,i", "close", "close", id="media-close", tooltip="Go back to the console"),
        Binding("left,h,p", "other(-1)", "last", id="media-last", tooltip="Show what came before"),
        Binding("right,l,n", "other(1)", "next", id="media-next", tooltip="Show what came after"),
        Binding("down,j", "step(1)", "down", id="media-down", tooltip="Go down a line"),
        Binding("up,k", "step(-1)", "up", id="media-up", tooltip="Go up a line"),
        Binding("pagedown,space", "page(1)", "page down", id="media-page-down", tooltip="Go down a screenful"),
        Binding("pageup,b", "page(-1)", "page up", id="media-page-up", tooltip="Go up a screenful"),
        Binding("less_than_sign,comma", "sideways(-8)", "left", id="media-left", tooltip="Scroll to the left"),
        Binding("greater_than_sign,full_stop", "sideways(8)", "right", id="media-right", tooltip="Scroll to the right"),
        Binding("enter", "fold", "fold", id="media-toggle", tooltip="Open or close a part of a tree"),
        Binding("s", "save", "save", id="media-save", tooltip="Save it in a file"),
        Binding("o", "open", "open", id="media-open", tooltip="Open it with the desktop's viewer"),
    ]

    def __init__(
        self, pieces: Sequence[Media], at: int, *, images: str, ascii_only: bool, where: Path | None = None
    ) -> None:
        super().__init__()
        self._pieces = list(pieces)
        self._at = at
        self._where = where
        view = MediaView(images=images, ascii_only=ascii_only, whole=True)
        self.page = MediaPage(self._pieces[at], view, id="media-page")
        self._agreed = ""
        """A path that is known to be there and was entered a second time."""
        self._result = ""
        """What was done, which stays to be read until another piece is shown."""

    def compose(self) -> ComposeResult:
        with Vertical(id="media-box"):
            yield self.page
            yield Input(id="media-path", compact=True)
            yield Static("", id="media-keys", markup=False)

    def on_mount(self) -> None:
        self.query_one("#media-path", Input).display = False
        self.page.focus()

    @on(MediaPage.Shown)
    def _shown(self, event: MediaPage.Shown) -> None:
        event.stop()
        media = self.page.media
        box = self.query_one("#media-box")
        place = f"{self._at + 1} of {len(self._pieces)}"
        box.border_title = Content(f"{one_line(media.mime)} {size(amount_bytes(media.data))}")
        box.border_subtitle = Content(place)
        fold = "enter folds · " if self.page.has_cursor else ""
        opens = "o opens it outside · " if media.mime in OPENED else ""
        others = "← → others · " if len(self._pieces) > 1 else ""
        if not self._result:
            self._say(f"{fold}{others}s saves · {opens}escape closes")

    def _say(self, text: str) -> None:
        self.query_one("#media-keys", Static).update(text)

    # -- keys ------------------------------------------------------------------------------------------------------

    def action_close(self) -> None:
        if self._close_field():
            self.page.post_message(MediaPage.Shown(self.page))
        else:
            self.dismiss(None)

    def _close_field(self) -> bool:
        """Takes the line for a path away; returns whether it was open."""
        field = self.query_one("#media-path", Input)
        if not field.display:
            return False
        field.display = False
        self.page.focus()
        return True

    def action_other(self, step: int) -> None:
        self._result = ""
        self._at = max(0, min(self._at + step, len(self._pieces) - 1))
        self.page.show(self._pieces[self._at])

    def action_step(self, rows: int) -> None:
        self.page.step(rows)

    def action_page(self, pages: int) -> None:
        self.page.step(pages * max(1, self.page.size.height - 1))

    def action_sideways(self, cells: int) -> None:
        self.page.scroll_relative(x=cells, animate=False)

    def action_fold(self) -> None:
        self.page.toggle()

    def action_save(self) -> None:
        field = self.query_one("#media-path", Input)
        folder = self._where or Path()
        field.value = str(folder / f"output-{self._at + 1}.{EXTENSIONS.get(self.page.media.mime, 'bin')}")
        field.display = True
        field.focus()
        self._say("enter saves it in this file · escape does not")

    @on(Input.Submitted, "#media-path")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        # a worker, since a file may be on a disk that does not answer: escape must still lead out
        self.run_worker(self._save(event.value.strip(), self.page.media), name="save media", exclusive=True)

    async def _save(self, path: str, media: Media) -> None:
        if not path:
            self._say("write the path of a file")
            return

        def write(replace: bool) -> None:
            with Path(path).expanduser().open("wb" if replace else "xb") as stream:
                stream.write(bytes_of(media.data))

        try:
            await asyncio.to_thread(write, path == self._agreed)
        except FileExistsError:
            self._agreed = path
            self._say(f"{one_line(path)} is there already: enter once more writes over it")
            return
        except (OSError, ValueError, PictureError) as error:
            reason = getattr(error, "strerror", None) or error
            self._say(f"{one_line(path)} cannot be written: {reason}")
            return
        self._result = f"saved as {one_line(path)}"
        self._close_field()
        self._say(self._result)

    def action_open(self) -> None:
        media = self.page.media
        if media.mime not in OPENED:
            self._say("only pictures are opened outside: s saves it")
            return
        opener = _opener()
        if opener is None or self.app.is_web:
            self._say("there is no desktop here to open it: s saves it")
            return
        self.run_worker(self._open(opener, media), name="open media", exclusive=True)

    async def _open(self, opener: str, media: Media) -> None:
        try:
            await asyncio.to_thread(_hand_over, opener, media)
        except (OSError, PictureError) as error:
            self._say(f"it cannot be opened: {error}")
        else:
            self._say("opened by the desktop")

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:
            self.dismiss(None)


def _opener() -> str | None:
    """Returns the program that opens files as the desktop would; None where there is no desktop."""
    if sys.platform == "darwin":
        return shutil.which("open")
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    return shutil.which("xdg-open")


def _hand_over(opener: str, media: Media) -> None:
    folder = tempfile.mkdtemp(prefix="bai-tui-")
    # the viewer reads it at any time until then
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / f"output.{EXTENSIONS[media.mime]}"
    path.write_bytes(bytes_of(media.data))
    subprocess.Popen(
        [opener, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
