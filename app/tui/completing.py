"""Completion and inspection in the editor: asks the session's kernel, shows a list and a panel, drops late answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Final

from textual import events
from textual.geometry import Offset, Region
from textual.timer import Timer
from textual.worker import Worker

from ...widgets.completion_popup import CompletionPopup, DocPanel, PopupItem
from ..model.errors import BaiTuiError
from ..model.inspection import INSPECTS, Completions, Inspection
from . import suggestions
from .store import LAUNCHING
from .suggestions import Offer, Suggestion

if TYPE_CHECKING:
    from ...widgets.code_editor import CodeEditor
    from .workbench import Workbench

log = logging.getLogger(__name__)

TYPED_S: Final = 0.15
"""How long nothing must have been typed before the list opens by itself."""
MARKED_S: Final = 0.25
"""How long a suggestion must have been marked before the kernel is asked what it is."""
KERNEL_S: Final = 6.0
"""How long a kernel is waited for; a little longer than it takes itself."""
LEAST_TYPED: Final = 2
"""Letters of a name that must have been typed before the list opens by itself."""


class Completer:
    """Drives the list and the panel of one editor.

    Args:
        session: Says which session is to be asked; None = there is none.
        hint: Shows a few words for some seconds.
        key: What is pressed to inspect.
    """

    def __init__(
        self,
        editor: CodeEditor,
        popup: CompletionPopup,
        panel: DocPanel,
        bench: Workbench,
        session: Callable[[], str | None],
        hint: Callable[[str], object],
        key: str,
    ) -> None:
        self.editor, self.popup, self.panel = editor, popup, panel
        self._bench = bench
        self._session = session
        self._hint = hint
        self._key = key
        self._offer: Offer | None = None
        self._shown: tuple[Suggestion, ...] = ()
        self._wanted = False
        """The list was asked for, so that enter takes what is marked."""
        self._timer: Timer | None = None
        self._doc_timer: Timer | None = None
        self._taking = False
        self._revision = -1
        self._cursor = (0, 0)
        """Where the cursor was when the text or the cursor changed last."""
        self._told: Inspection | None = None
        """What the panel tells of the name at the cursor."""
        editor.completes = True
        editor.keys_first = self.take_key

    # -- keys --------------------------------------------------------------------------------------------------------

    def take_key(self, event: events.Key) -> bool:
        """Takes keys that are for the list; called before the editor sees them."""
        key = event.key
        if self.popup.is_open:
            if key == "tab" or (key == "enter" and (self._wanted or self.popup.moved)):
                self.take(self.popup.cursor)
                return True
            if key not in ("ctrl+p", "ctrl+n") and self.popup.take_key(key):
                return True
            if key in ("left", "right", "home", "end", "enter"):
                self.close()
        return False

    def take(self, index: int) -> None:
        """Puts a suggestion into the text; one step to undo."""
        offer, editor = self._offer, self.editor
        if offer is None or index >= len(self._shown) or editor.read_only:
            self.close()
            return
        text = self._shown[index].text
        row, column = editor.cursor_location
        self.close()
        self._taking = True
        editor.replace_range((row, offer.start), (row, column), text)

    def step_back(self) -> bool:
        """Does what escape does; returns whether that was anything."""
        if not self.popup.is_open and not self.panel.is_open:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Takes list and panel away, and forgets what was asked."""
        self._stop()
        self._offer, self._shown, self._wanted = None, (), False
        self.popup.close()
        self.panel.close()

    def _stop(self) -> None:
        for timer in (self._timer, self._doc_timer):
            if timer is not None:
                timer.stop()
        self._timer = self._doc_timer = None
        self.editor.workers.cancel_group(self.editor, "complete")
        self.editor.workers.cancel_group(self.editor, "inspect")

    # -- what happens in the editor ----------------------------------------------------------------------------------

    def edited(self) -> None:
        """Takes that the text has changed: the list is narrowed, opened in a moment, or closed."""
        if self.editor.revision == self._revision:
            return
        self._revision = self.editor.revision
        before, self._cursor = self._cursor, self.editor.cursor_location
        typed = self._cursor == (before[0], before[1] + 1)
        self.panel.close()
        if self._taking:
            self._taking = False
            return
        if self._offer is not None:
            if self._cursor[1] <= self._offer.start:
                self.close()
            else:
                self._narrow()
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if typed and self._offer is None and self._opens_by_itself():
            self._timer = self.editor.set_timer(TYPED_S, self._open_by_itself, name="complete")

    def moved(self) -> None:
        """Takes that the cursor has moved: away from the word, the list closes."""
        if self.editor.revision == self._revision:
            self._cursor = self.editor.cursor_location
        offer = self._offer
        if offer is None:
            self.panel.close()
            return
        row, column = self.editor.cursor_location
        if row != offer.row or column <= offer.start or not self.editor.selection.is_empty:
            self.close()
        else:
            self._narrow()

    def _opens_by_itself(self) -> bool:
        editor = self.editor
        if not editor.has_focus or not editor.selection.is_empty or editor.read_only:
            return False
        row, column = editor.cursor_location
        line = editor.document[row]
        start = suggestions.word_start(line, column)
        if start is None or line[column : column + 1].isalnum():
            return False
        if column == start:
            return line[:column].rstrip(".")[-1:].isidentifier()  # behind the dot of a name, not of a number
        return column - start >= LEAST_TYPED and not _in_text(line[:start])

    def _open_by_itself(self) -> None:
        self._timer = None
        if self.editor.has_focus:
            self.ask(wanted=False)

    # -- the list ----------------------------------------------------------------------------------------------------

    def ask(self, *, wanted: bool = True) -> None:
        """Asks how the word before the cursor may go on.

        Args:
            wanted: By a key: a single answer is taken at once, and it is said when there is none.
        """
        self._stop()
        self._wanted = wanted
        self._latest("complete", partial(self._ask, wanted))

    def _latest(self, group: str, work: Callable[[], Coroutine[None, None, None]]) -> Worker[None]:
        """Runs `work` in place of what else of its group goes on. A function, since one that is given up before it has
        begun would leave a coroutine that nobody awaits."""
        return self.editor.run_worker(work, name=group, group=group, exclusive=True, exit_on_error=False)

    async def _ask(self, wanted: bool) -> None:
        editor = self.editor
        row, column = editor.cursor_location
        lines = editor.document.lines
        before = lines[row][:column]
        code = suggestions.asked_code(lines, row)
        found, note = await self._kernel(code, row, column)
        lines = editor.document.lines
        now_row, now_column = editor.cursor_location
        if not editor.has_focus or now_row != row or now_column < column or lines[row][:column] != before:
            return  # late: the text or the place is another
        words = suggestions.of_text(lines, row, column, editor.language)
        if found is None or not found.suggestions:
            found = None if words is None else Offer(row, words.start, words.suggestions, note)
        elif words is not None and words.start == found.start:
            # what is written and was not run yet
            known = {one.text for one in found.suggestions}
            more = tuple(one for one in words.suggestions if one.text not in known and one.kind == "word")
            found = Offer(row, found.start, found.suggestions + more)
        if found is None:
            if wanted:
                self._hint(f"nothing completes {before.strip().rpartition(' ')[2]!r}" + (f" ({note})" if note else ""))
            return
        self._offer = found
        self._narrow(single=wanted)

    async def _kernel(self, code: str, row: int, column: int) -> tuple[Offer | None, str]:
        """Returns what the kernel offers, and what is to be said where it was not asked or did not answer."""
        session_id, why = self._askable()
        if session_id is None:
            return None, why
        client = self._bench.sync.connection.client
        assert client is not None
        asked_row = code.count("\n")
        try:
            async with asyncio.timeout(KERNEL_S):
                found: Completions = await client.complete(session_id, code, asked_row, column)
        except (BaiTuiError, TimeoutError) as error:
            log.info("no completions from %s: %s", session_id, error)
            return None, "the session does not answer"
        if found.busy:
            return None, "busy: names of this text"
        return suggestions.of_kernel(found, code, row, column), ""

    def _askable(self) -> tuple[str | None, str]:
        """Returns the session that can be asked, or None and why there is none."""
        session_id = self._session()
        row = None if session_id is None else self._bench.store.row(session_id)
        if session_id is None or row is None or row.ended:
            return None, "no session: names of this text"
        if session_id.startswith(LAUNCHING) or not row.answering:
            return None, "the session is starting: names of this text"
        if self._bench.sync.connection.client is None:
            return None, "not connected: names of this text"
        if self._bench.runs.of(session_id).feed.current is not None:
            return None, "busy: names of this text"
        return session_id, ""

    def _narrow(self, *, single: bool = False) -> None:
        """Shows those of the offer that fit what is typed by now."""
        offer, editor = self._offer, self.editor
        if offer is None:
            return
        row, column = editor.cursor_location
        if row != offer.row or column < offer.start:
            self.close()
            return
        typed = editor.document[row][offer.start : column]
        fitting = suggestions.narrow(offer.suggestions, typed)
        if not fitting or (len(fitting) == 1 and fitting[0].text == typed):
            self.close()
            return
        self._shown = fitting
        if single and len(fitting) == 1:
            self.take(0)
            return
        last = typed.rpartition(".")[2] if fitting[0].kind != "path" else typed.rpartition("/")[2]
        at = editor.cursor_screen_offset
        anchor = Region.from_offset(Offset(at.x - len(last), at.y), (max(1, len(last)), 1))
        self.popup.open([PopupItem(one.label, one.kind) for one in fitting], anchor, typed=last, note=offer.note)

    # -- what a name is ----------------------------------------------------------------------------------------------

    def marked(self) -> None:
        """Takes that another suggestion is marked: what it is, is shown in a moment."""
        if self._doc_timer is not None:
            self._doc_timer.stop()
        self.panel.close()
        self._doc_timer = self.editor.set_timer(MARKED_S, self._tell_marked, name="tell")

    def _tell_marked(self) -> None:
        self._doc_timer = None
        if self.popup.is_open and self.popup.cursor < len(self._shown):
            one = self._shown[self.popup.cursor]
            if one.kind not in ("keyword", "path", "word", "param"):
                self._latest("inspect", partial(self._tell, one.text, len(one.text), one))

    async def _tell(self, code: str, cursor: int, one: Suggestion) -> None:
        told = await self._inspect(code, cursor, 0)
        at = self.popup.cursor
        still = self.popup.is_open and at < len(self._shown) and self._shown[at] is one
        if still and isinstance(told, Inspection) and told.found:
            # the list has its place only once it was laid out
            self.popup.call_after_refresh(self._explain_beside, told)

    def _explain_beside(self, told: Inspection) -> None:
        """Shows what the marked suggestion stands for beside the list, while that is still open."""
        if self.popup.is_open:
            self.panel.open(*_page(told), self.popup.region, beside=self.popup.region)

    def inspect(self, show_all: Callable[[Inspection], object]) -> None:
        """Tells below the cursor what the name there is; a second time, `show_all` gets all about it."""
        if self.panel.is_open and self._told is not None:
            self._latest("inspect", partial(self._tell_all, show_all))
            return
        self.close()
        self._latest("inspect", self._tell_here)

    def _here(self) -> tuple[str, int]:
        row, column = self.editor.cursor_location
        lines = self.editor.document.lines
        code = suggestions.asked_code(lines, row)
        return code, len(code) - len(lines[row]) + column

    async def _tell_here(self) -> None:
        at = self.editor.cursor_location
        code, cursor = self._here()
        told = await self._inspect(code, cursor, 0)
        if self.editor.cursor_location != at or not self.editor.has_focus:
            return  # late
        if isinstance(told, str):
            self._hint(told)
        elif told.busy:
            self._hint("the session is busy: what names are can be told when the run has ended")
        elif not told.found:
            self._hint(
                f"{told.name or 'what is here'} is not known to the session" + (": run it first" if told.name else "")
            )
        else:
            self._told = told
            anchor = Region.from_offset(self.editor.cursor_screen_offset, (1, 1))
            self.panel.open(*_page(told), anchor, foot=f"{self._key} shows all")

    async def _tell_all(self, show_all: Callable[[Inspection], object]) -> None:
        told = await self._inspect(*self._here(), 1)
        self.panel.close()
        if isinstance(told, Inspection) and told.found:
            show_all(told)

    async def _inspect(self, code: str, cursor: int, detail: int) -> Inspection | str:
        """Returns what a kernel tells, or why none does."""
        session_id, why = self._askable()
        if session_id is None:
            return why.partition(":")[0] + ": nothing to ask what this is"
        connection = self._bench.sync.connection
        if connection.client is None or INSPECTS not in connection.capabilities:
            return f"{connection.place} cannot tell what a name is"
        try:
            async with asyncio.timeout(KERNEL_S):
                return await connection.client.inspect(session_id, code, cursor, detail=detail)
        except BaiTuiError as error:
            return error.message
        except TimeoutError:
            return "the session does not answer"


def _page(told: Inspection) -> tuple[str, str]:
    """Returns head and body of what is told of a name."""
    what = told.signature or (f": {told.type}" if told.type else "")
    head = told.name + what
    body = "\n\n".join(part for part in (told.text, told.doc) if part)
    return head, body


def _in_text(before: str) -> bool:
    """Whether what follows seems to be in a string or a comment."""
    quiet = before.replace("\\'", "").replace('\\"', "")
    if "#" in quiet and quiet.partition("#")[0].count('"') % 2 == 0 and quiet.partition("#")[0].count("'") % 2 == 0:
        return True
    return quiet.count('"') % 2 == 1 or quiet.count("'") % 2 == 1
