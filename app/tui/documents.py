"""The editor's open texts: their files, what differs from them, and what is found again at the next start.

Nothing here shows anything. What touches a disk blocks: `files` is called in threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, ClassVar, Final

from textual.widgets.text_area import Selection

from ...widgets import languages
from ...widgets.text_buffer import TextBuffer
from .draft import TEXT_NAME, Draft
from .files import FileText, Stamp
from .state import Memory

SCRATCH: Final = "scratch"
MAX_TABS: Final = 40


@dataclass(slots=True)
class Tabs:
    """What is remembered of the open texts, apart from the texts."""

    SECTION: ClassVar[str] = "tabs"

    open: list[dict[str, Any]] = field(default_factory=list)
    current: int = 0
    auto_close: bool = False
    """A bracket that is typed brings its partner."""
    guides: bool = True
    """Levels of indentation have a line."""


class Document:
    """One open text.

    Args:
        key: Tells it from the others, from start to start.
        load: Returns its text; called when it is looked at first.
    """

    def __init__(self, key: int, load: Callable[[], str], *, language: str = "python") -> None:
        self.key = key
        self.path = ""
        """Absolute path of its file; empty = it has none."""
        self.title = SCRATCH
        """What it is called while it has no file."""
        self.bom = False
        self.stamp: Stamp | None = None
        """Of the file as it was read or written last; None = none, or not known."""
        self.refused: Stamp | None = None
        """Of a change by others that the user was asked about already."""
        self.session = ""
        """Id of the session that was selected while it was looked at."""
        self._load = load
        self._language = language
        self._buffer: TextBuffer | None = None
        self._saved: str | None = None
        """The text as it is in the file; None = it is not known, or differs."""
        self._saved_revision = -1
        self._kept_revision = -1
        self._changed_before = False
        """It differed from its file when the program was left."""
        self._place: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """What its tab says."""
        return PurePath(self.path).name if self.path else self.title

    @property
    def text_name(self) -> str:
        """Under which its text is kept."""
        return TEXT_NAME if self.key == 0 else f".{self.key}.txt"

    @property
    def buffer(self) -> TextBuffer:
        """The text with cursor, scroll and history."""
        if self._buffer is None:
            text = self._load()
            language = self._language
            if self.path:
                language = languages.of_path(self.path, text[:200].partition("\n")[0]) or languages.PLAIN
            buffer = self._buffer = TextBuffer(text, language, read_only=bool(self._place.get("read_only")))
            row, column = _number(self._place, "row"), _number(self._place, "column")
            last = len(buffer.lines()) - 1
            row = min(row, last)
            buffer.selection = Selection.cursor((row, min(column, len(buffer.lines()[row]))))
            buffer.scroll = _number(self._place, "left"), _number(self._place, "top")
            self._kept_revision = buffer.revision
            if self._saved is None and not self._changed_before:
                self._saved = text
        return self._buffer

    @property
    def changed(self) -> bool:
        """Whether it differs from its file; a text without one never does."""
        if not self.path:
            return False
        buffer = self._buffer
        if buffer is None or self._saved is None:
            return self._changed_before
        if buffer.revision == self._saved_revision:
            return False
        # an undo may have come back to what the file holds
        same = buffer.document.chars == len(self._saved) and buffer.text == self._saved
        if same:
            self._saved_revision = buffer.revision
        return not same

    @property
    def baseline_known(self) -> bool:
        """Whether it is known what its file holds: not after a start with a changed text."""
        return self._saved is not None

    @property
    def worth_asking(self) -> bool:
        """Whether something is lost when it is closed."""
        return self.changed if self.path else bool(self.buffer.history.undo_stack) and bool(self.buffer.text.strip())

    def is_file(self, path: str, text: str, stamp: Stamp | None) -> None:
        """Takes that a file holds this text."""
        if path != self.path:
            self.path = path
            found = languages.of_path(path, text[:200].partition("\n")[0])
            if self._buffer is not None:
                self.buffer.language = found or languages.PLAIN
        self._saved, self.stamp, self.refused = text, stamp, None
        self._changed_before = False
        if self._buffer is not None:
            self._saved_revision = self.buffer.revision if self.buffer.text == text else -1

    def entry(self) -> dict[str, Any]:
        """Returns what is remembered of it."""
        place = self._place
        if self._buffer is not None:
            row, column = self._buffer.selection.end
            left, top = self._buffer.scroll
            place = {"row": row, "column": column, "left": left, "top": top, "read_only": self._buffer.read_only}
        return {
            **place,
            "key": self.key,
            "file": self.path,
            "title": self.title,
            "language": self._buffer.language if self._buffer is not None else self._language,
            "changed": self.changed,
            "bom": self.bom,
            "stamp": list(self.stamp or ()),
            "session": self.session,
        }

    def unkept(self) -> str | None:
        """Returns its text if that changed since it was asked for last, else None."""
        buffer = self._buffer
        if buffer is None or buffer.revision == self._kept_revision:
            return None
        self._kept_revision = buffer.revision
        return buffer.document.copied_text()

    def restore(self, entry: dict[str, Any]) -> None:
        """Takes what was remembered of it."""
        self.path = str(entry.get("file") or "")
        self.title = str(entry.get("title") or SCRATCH)
        self.bom = entry.get("bom") is True
        self.session = str(entry.get("session") or "")
        self._language = str(entry.get("language") or "python")
        self._changed_before = entry.get("changed") is True
        stamp = entry.get("stamp")
        if isinstance(stamp, list) and len(stamp) == 3 and all(isinstance(part, int) for part in stamp):
            self.stamp = stamp[0], stamp[1], stamp[2]
        self._place = entry


def _number(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name)
    return max(0, value) if isinstance(value, int) else 0


class Documents:
    """The open texts in the order of their tabs; there is always one.

    Args:
        memory: Where they are kept from start to start.
        sample: What the first start shows.
    """

    def __init__(self, memory: Memory, sample: str) -> None:
        self._memory = memory
        self.options = self._tabs = memory.of(Tabs)
        self.first_start = not self._tabs.open and memory.text(TEXT_NAME) is None
        """Nothing was there before."""
        self.all: list[Document] = []
        for entry in self._entries()[:MAX_TABS]:
            key = _number(entry, "key")
            if any(document.key == key for document in self.all):
                continue
            document = self._made(key)
            document.restore(entry)
            self.all.append(document)
        if not self.all:
            self.all.append(Document(0, lambda: sample))
            memory.keep_text(TEXT_NAME, sample)
        self.current = self.all[min(max(0, self._tabs.current), len(self.all) - 1)]
        """The one that is looked at."""

    def _entries(self) -> list[dict[str, Any]]:
        found = [entry for entry in self._tabs.open if isinstance(entry, dict)]
        if found or self.first_start:
            return found
        # from before there were tabs
        draft = self._memory.of(Draft)
        return [
            {"key": 0, "file": draft.file, "changed": draft.changed, "row": draft.row, "column": draft.column},
        ]

    def _made(self, key: int, text: str | None = None, language: str = "python") -> Document:
        def load() -> str:
            return text if text is not None else self._memory.text(document.text_name) or ""

        document = Document(key, load, language=language)
        return document

    def _free_key(self) -> int:
        taken = {document.key for document in self.all}
        return next(key for key in range(len(taken) + 1) if key not in taken)

    def find(self, path: str) -> Document | None:
        """Returns the open text of a file."""
        return next((document for document in self.all if document.path == path), None)

    def new(self, text: str = "", language: str = "python") -> Document:
        """Opens an empty text, right of the one that is looked at, and goes there."""
        titles = {document.title for document in self.all if not document.path}
        document = self._made(self._free_key(), text, language)
        document.title = next(
            title
            for number in range(1, 10_000)
            if (title := SCRATCH if number == 1 else f"{SCRATCH} {number}") not in titles
        )
        self._insert(document)
        return document

    def opened(self, file: FileText) -> Document:
        """Takes a file that was read: its tab, or a new one. One that has nothing of its own gives way."""
        found = self.find(file.path)
        if found is not None:
            self.current = found
            return found
        document = self._made(self._free_key(), file.text)
        document.restore({"file": file.path, "bom": file.bom, "read_only": not file.writable})
        document.is_file(file.path, file.text, file.stamp)
        replaced = self.current
        self._insert(document)
        if not replaced.path and not replaced.buffer.text.strip() and not replaced.worth_asking:
            self.close(replaced)
        self._memory.keep_text(document.text_name, file.text)
        return document

    def _insert(self, document: Document) -> None:
        self.all.insert(self.all.index(self.current) + 1, document)
        self.current = document
        self._memory.keep_text(document.text_name, document.buffer.text)

    def close(self, document: Document) -> None:
        """Closes a text; its neighbour is looked at then, or an empty one."""
        at = self.all.index(document)
        del self.all[at]
        self._memory.forget_text(document.text_name)
        if not self.all:
            empty = self._made(0, "")
            self.all.append(empty)
            self._memory.keep_text(empty.text_name, "")
        if document is self.current:
            self.current = self.all[min(at, len(self.all) - 1)]

    def step(self, by: int) -> Document:
        """Goes to another tab, round the ends."""
        self.current = self.all[(self.all.index(self.current) + by) % len(self.all)]
        return self.current

    def remember(self) -> None:
        """Notes everything for the next start; may be called from a thread."""
        for document in list(self.all):
            text = document.unkept()
            if text is not None:
                self._memory.keep_text(document.text_name, text)
        self._tabs.open = [document.entry() for document in self.all]
        self._tabs.current = self.all.index(self.current)
