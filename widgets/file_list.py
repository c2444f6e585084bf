"""The files of a folder, one a line: name, size, and when each was changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment

from .cursor_list import CursorList
from .glyphs import UNICODE, Glyphs
from .text import fit, one_line, size

_SIZE_CELLS = 7
_WHEN_CELLS = 14
_MARK_CELLS = 2
_YEAR_S = 300 * 86400


class FileRow(NamedTuple):
    """An entry of a folder."""

    name: str
    size_bytes: int
    changed_s: float
    """Unix time."""
    is_folder: bool = False
    is_link: bool = False


class FileList(CursorList):
    """Shows files in the order given.

    | Component class | What |
    | --- | --- |
    | `files--name`, `files--folder`, `files--link` | the name |
    | `files--about` | size and time |
    | `files--marked` | the mark of those that the next key acts on |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "files--name",
        "files--folder",
        "files--link",
        "files--about",
        "files--marked",
    }

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        glyphs: Glyphs = UNICODE,
        empty: str = "",
        id: str | None = None,
    ) -> None:
        super().__init__(glyphs=glyphs, empty=empty, id=id)
        self._clock = clock
        self._files: Sequence[FileRow] = ()
        self.marked: set[str] = set()
        """Names of the files that are marked."""

    @property
    def current(self) -> FileRow | None:
        """The file under the cursor."""
        return self._files[self._cursor] if self._files else None

    @property
    def chosen(self) -> list[FileRow]:
        """The marked files, else the one under the cursor; never the way up."""
        found = [file for file in self._files if file.name in self.marked]
        if not found and self.current is not None and self.current.name != "..":
            found = [self.current]
        return found

    def set_files(self, files: Sequence[FileRow], *, at: str | None = None) -> None:
        """Shows files.

        Args:
            at: name of the file that gets the cursor; None = the one that has it, else the one in its place.
        """
        name = at if at is not None else (self.current.name if self.current is not None else None)
        self._files = files
        self.marked &= {file.name for file in files}
        place = next(
            (place for place, file in enumerate(files) if file.name == name), self._cursor if at is None else 0
        )
        self.rows_changed(place)

    def mark(self) -> None:
        """Marks the file under the cursor, or takes its mark away, and goes to the next."""
        if self.current is not None and self.current.name != "..":
            self.marked ^= {self.current.name}
        self.action_down()
        self.refresh()

    def row_count(self) -> int:
        return len(self._files)

    def paint_row(self, row: int, width: int) -> list[Segment]:
        file = self._files[row]
        style = "folder" if file.is_folder else "link" if file.is_link else "name"
        about = f"{'' if file.is_folder else size(file.size_bytes):>{_SIZE_CELLS}}  {self._when(file):<{_WHEN_CELLS}}"
        if file.name == "..":
            about = ""
        room = max(1, width - _MARK_CELLS - len(about))
        name = one_line(file.name) + ("/" if file.is_folder else "@" if file.is_link else "")
        mark = f" {self.glyphs.cursor}"[-_MARK_CELLS:] if file.name in self.marked else " " * _MARK_CELLS
        return [
            Segment(mark, self.get_component_rich_style("files--marked", partial=True)),
            Segment(
                fit(name, room, ellipsis=self.glyphs.ellipsis),
                self.get_component_rich_style(f"files--{style}", partial=True),
            ),
            Segment(about, self.get_component_rich_style("files--about", partial=True)),
        ]

    def _when(self, file: FileRow) -> str:
        at = time.localtime(file.changed_s)
        # as ls does: the time of day for what is young, else the year
        recent = abs(self._clock() - file.changed_s) < _YEAR_S
        return time.strftime("%b %d %H:%M" if recent else "%b %d  %Y", at)
