"""The files of the selected session's work folder, with their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget

from ....widgets.cursor_list import CursorList
from ....widgets.file_list import FileList, FileRow
from ....widgets.text import one_line, size
from ...model.errors import BaiTuiError, Unreachable
from ..actions import bindings
from ..copies import Copies
from ..files import MAX_BYTES, absolute
from ..messages import Hinted, LocationAsked

if TYPE_CHECKING:
    from ...client.api import ApiClient
    from ..workbench import Workbench

_SORTS: Final = ("name", "size", "time")
_AGAIN_S: Final = 1.0
_NO_SESSION: Final = "no session is selected: its work folder is listed here"
_WAITS: Final = "this session does not run: its files can be seen when it does"
_DELETES: Final = "delete-files"
"""The capability of servers that remove files."""
_NOTHING: Final = "nothing is here: u uploads a file"
_PARENT: Final = FileRow("..", 0, 0.0, is_folder=True)


@dataclass(slots=True)
class FilesMemory:
    """What is remembered of the pane."""

    SECTION: ClassVar[str] = "files"

    sort: str = "name"
    folder: str = ""
    """Of this machine, into which was downloaded last."""


class FilesPane(Vertical):
    """A folder of the session; it is asked for when the pane is seen, and again after each change from here."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("files")]
    pane_name: ClassVar[str] = "files"

    def __init__(self, bench: Workbench, *, id: str) -> None:
        super().__init__(id=id)
        self.bench = bench
        self.files = FileList(clock=bench.clock, glyphs=bench.glyphs, empty=_NO_SESSION, id="files")
        self._memory = bench.memory.of(FilesMemory)
        self._session: str | None = None
        self._folders: dict[str, PurePosixPath] = {}
        """Session -> folder that is shown, from the work folder."""
        self._listed: tuple[str, PurePosixPath] | None = None
        self._copies = Copies(bench.folder)
        self._again: Timer | None = None
        """Goes while there is something to wait for: a session that starts, a connection."""

    def compose(self) -> ComposeResult:
        yield self.files

    def on_mount(self) -> None:
        self._again = self.set_interval(_AGAIN_S, self._look_again, name="files", pause=True)

    def on_show(self) -> None:
        self._look()

    def focus_target(self) -> Widget:
        return self.files

    def tab_title(self) -> str:
        view = None if self._session is None else self.bench.store.view(self._session)
        dot = self.bench.glyphs.dot
        return "Files" if view is None else f"Files {dot} {one_line(view.name)} {dot} {one_line(self._shown)}"

    @property
    def _folder(self) -> PurePosixPath:
        return self._folders.get(self._session or "", PurePosixPath("."))

    @property
    def _shown(self) -> str:
        return "/" if self._folder == PurePosixPath(".") else f"/{self._folder}"

    def show_session(self, session_id: str | None) -> None:
        self._session = session_id
        if self.display:
            self._look()

    # -- looking -----------------------------------------------------------------------------------------------------

    def _look(self, at: str | None = None) -> None:
        """Asks what is in the folder."""
        session_id = self._session
        row = None if session_id is None else self.bench.store.row(session_id)
        if row is None or session_id is None or not row.answering:
            self._listed = None
            self.files.empty = _NO_SESSION if row is None else _WAITS
            self.files.set_files(())
            if row is not None and not row.ended and self._again is not None:
                self._again.resume()
            return
        place = session_id, self._folder
        if place != self._listed:
            self.files.empty = "looking"
            self.files.marked.clear()
            self.files.set_files(())
        self._work(self._list(place, at), "look")

    def _look_again(self) -> None:
        """Looks when what was missing may be there."""
        row = self.bench.store.row(self._session or "")
        connected = self.bench.sync.connection.client is not None
        if self._again is not None and (row is None or row.ended or not self.display or (row.answering and connected)):
            self._again.pause()
            if row is not None and self.display:
                self._look()

    async def _list(self, place: tuple[str, PurePosixPath], at: str | None) -> None:
        session_id, folder = place
        try:
            client = await self.bench.connected()
            found = await client.list_files(session_id, str(folder))
        except BaiTuiError as error:
            if folder != PurePosixPath("."):
                # it may be gone: the way up is still there
                self._folders.pop(session_id, None)
            raise error
        if place != (self._session, self._folder):
            return
        rows = [FileRow(file.name, file.size_bytes, file.changed_s, file.is_folder, file.is_link) for file in found]
        rows.sort(key=self._order)
        if folder != PurePosixPath("."):
            rows.insert(0, _PARENT)
        self._listed = place
        self.files.empty = _NOTHING
        self.files.set_files(rows, at=at)
        total = sum(row.size_bytes for row in rows if not row.is_folder)
        self.border_subtitle = Content(
            f"{len(found)} here, {size(total)} {self.bench.glyphs.dot} by {self._memory.sort}"
        )

    def _order(self, row: FileRow) -> tuple[bool, float, str]:
        """Folders first; the largest or the youngest before the others, else by name."""
        amount = {"size": row.size_bytes, "time": row.changed_s}.get(self._memory.sort, 0)
        return not row.is_folder, -amount, row.name.lower()

    def _work(self, doing: Awaitable[None], name: str) -> None:
        self.run_worker(self._told(doing), name=f"files {name}", group=f"files {name}", exclusive=name == "look")

    async def _told(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except BaiTuiError as error:
            self.files.empty = error.message
            self.files.refresh()
            self.post_message(Hinted(error.message))
            if isinstance(error, Unreachable) and self._again is not None:
                self._again.resume()

    # -- actions -----------------------------------------------------------------------------------------------------

    def action_down(self) -> None:
        self.files.action_down()

    def action_up(self) -> None:
        self.files.action_up()

    def action_page(self, direction: int) -> None:
        self.files.action_page(direction)

    def action_first(self) -> None:
        self.files.action_first()

    def action_last(self) -> None:
        self.files.action_last()

    def action_refresh(self) -> None:
        self._look()

    def action_sort(self) -> None:
        place = _SORTS.index(self._memory.sort) if self._memory.sort in _SORTS else 0
        self._memory.sort = _SORTS[(place + 1) % len(_SORTS)]
        self._look()

    def action_mark(self) -> None:
        self.files.mark()

    def action_parent(self) -> None:
        if self._session is not None and self._folder != PurePosixPath("."):
            left = self._folder
            self._folders[self._session] = left.parent
            self._look(at=left.name)

    @on(CursorList.Chosen)
    def action_open(self) -> None:
        file = self.files.current
        if file is None or self._session is None:
            return
        if file.name == "..":
            self.action_parent()
        elif file.is_folder:
            self._folders[self._session] = self._folder / file.name
            self._look()
        elif file.size_bytes > MAX_BYTES:
            self.post_message(Hinted(f"{one_line(file.name)} is larger than {size(MAX_BYTES)}: d downloads it"))
        else:
            self._work(self._open(self._session, self._folder / file.name), "open")

    async def _open(self, session_id: str, path: PurePosixPath) -> None:
        """Opens a copy of a file in the editor; saving it there puts it back."""
        folder = await asyncio.to_thread(self._copies.folder_for, session_id, path)
        copy = await (await self.bench.connected()).download(session_id, str(path), folder)
        self.post_message(LocationAsked(str(copy)))

    def saved(self, path: str) -> None:
        """Puts a copy back into its session when it was saved in the editor; other files are left alone."""
        found = self._copies.origin_of(path)
        if found is not None:
            self._work(self._put_back(*found, Path(path)), "put back")

    async def _put_back(self, session_id: str, remote: PurePosixPath, copy: Path) -> None:
        wrong = self.bench.refuse_changes()
        row = self.bench.store.row(session_id)
        name = one_line(remote.name)
        if wrong is not None or row is None or row.ended:
            self.bench.complain(f"{name} was saved as {copy} only: {wrong or 'its session has ended'}")
            return
        try:
            await (await self.bench.connected()).upload(session_id, {str(remote): copy})
        except BaiTuiError as error:
            self.bench.complain(f"{name} was saved as {copy}, but not in {one_line(row.name)}: {error.message}")
            return
        self.post_message(Hinted(f"{name} is saved in {one_line(row.name)}"))
        if session_id == self._session and self.display:
            self._look()

    def action_upload(self) -> None:
        from ..dialogs import PathPrompt

        session_id, folder = self._session, self._folder
        if session_id is None:
            return
        if (wrong := self.bench.refuse_changes()) is not None:
            self.post_message(Hinted(wrong))
            return

        async def upload(typed: str) -> str | None:
            path = Path(absolute(typed))
            if not await asyncio.to_thread(path.is_file):
                return f"{typed} is no file of this machine"
            target = str(folder / path.name)
            done = await self._tried(lambda client: client.upload(session_id, {target: path}))
            if done is None:
                self.post_message(Hinted(f"{one_line(path.name)} is in {self._shown} of the session now"))
                self._look(at=path.name)
            return done

        self.app.push_screen(PathPrompt(f"Upload into {self._shown} of the session", "", upload))

    def action_download(self) -> None:
        from ..dialogs import PathPrompt

        session_id, folder = self._session, self._folder
        names = [file.name for file in self.files.chosen]
        if session_id is None or not names:
            return

        async def download(typed: str) -> str | None:
            target = Path(absolute(typed))
            if not await asyncio.to_thread(target.is_dir):
                return f"{typed} is no folder of this machine"
            for name in names:
                path = str(folder / name)
                wrong = await self._tried(partial(_download, session_id=session_id, path=path, folder=target))
                if wrong is not None:
                    return wrong
            self._memory.folder = str(target)
            what = one_line(names[0]) if len(names) == 1 else f"{len(names)} files"
            self.post_message(Hinted(f"{what} copied into {target}"))
            return None

        start = self._memory.folder or str(Path.cwd())
        self.app.push_screen(PathPrompt("Download into a folder of this machine", start, download))

    def action_delete(self) -> None:
        from ..choice_box import Choice, ChoiceBox

        session_id, folder = self._session, self._folder
        names = [file.name for file in self.files.chosen]
        if session_id is None or not names:
            return
        if (wrong := self.bench.refuse_changes()) is not None:
            self.post_message(Hinted(wrong))
            return
        connection = self.bench.sync.connection
        if connection.client is not None and _DELETES not in connection.capabilities:
            self.post_message(Hinted(f"{connection.place} deletes no files: rm in the terminal (f10) does"))
            return

        def answered(answer: str | None) -> None:
            if answer == "delete":
                self._work(self._delete(session_id, [str(folder / name) for name in names]), "delete")

        choices = [Choice("d", "delete", "remove for good, folders with all that is in them", "delete")]
        self.app.push_screen(ChoiceBox("Delete from the session", names, choices), answered)

    async def _delete(self, session_id: str, paths: list[str]) -> None:
        try:
            await (await self.bench.connected()).delete_files(session_id, paths)
        finally:
            self.files.marked.clear()
            self._look()

    async def _tried(self, call: Callable[[ApiClient], Awaitable[object]]) -> str | None:
        """Asks the server for something; returns what went wrong, else None."""
        try:
            await call(await self.bench.connected())
        except BaiTuiError as error:
            return error.message
        return None


async def _download(client: ApiClient, *, session_id: str, path: str, folder: Path) -> None:
    await client.download(session_id, path, folder)
