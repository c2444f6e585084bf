"""The rows of the session list in the order in which they are seen: filtered, sorted, pinned ones first. Pure.

What changes costs what it changes: a row that stays where it is costs the same among ten and among ten thousand.
The cursor stays on its session whatever happens to the order; when its row goes, it is on the nearest one that was
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .rows import SessionRow
from .session_columns import Column, Key, Look
from .session_filter import Marked, Test


class SessionTable:
    """Rows, their order, the cursor and the marks.

    Args:
        look: Returns what columns need beside the row.
    """

    def __init__(self, look: Callable[[], Look]) -> None:
        self._look = look
        self._rows: dict[str, SessionRow] = {}
        self._arrival: dict[str, int] = {}
        self._next = 0
        self._exchanged = False
        """An id was exchanged for another: the order of `_rows` is not that of their arrival any more."""
        self._keys: dict[str, Key | None] = {}
        self._test: Test | None = None
        self._column: Column | None = None
        self._falling = False
        self.shown: list[SessionRow] = []
        self.places: dict[str, int] = {}
        """Id -> place in `shown`."""
        self.cursor: str | None = None
        """Id; of a row that is not shown only where none is."""
        self.marks: set[str] = set()
        self.pins: set[str] = set()
        """May hold ids of sessions that are not here."""
        self.anchor: str | None = None
        """Where a range of marks begins."""
        self.sets = Marked(self.marks, self.pins)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def column(self) -> Column | None:
        """What rows are sorted by; None = their arrival."""
        return self._column

    @property
    def falling(self) -> bool:
        """Whether the most comes first."""
        return self._falling

    @property
    def filtered(self) -> bool:
        """Whether rows may be hidden."""
        return self._test is not None

    def row(self, session_id: str) -> SessionRow | None:
        """Returns a row, shown or not."""
        return self._rows.get(session_id)

    # -- changes ---------------------------------------------------------------------------------------------------

    def replace(self, rows: Sequence[SessionRow]) -> None:
        """Takes all rows anew, in the order of their arrival."""
        self._rows = {row.id: row for row in rows}
        self._arrival = {session_id: place for place, session_id in enumerate(self._rows)}
        self._next = len(self._rows)
        self._exchanged = False
        self.marks &= self._rows.keys()
        self._arrange()

    def change(self, changed: Iterable[SessionRow], gone: Iterable[str] = ()) -> bool:
        """Takes rows that changed or came, and ids of those that went; returns whether others stand elsewhere now."""
        moved = False
        look = self._look()
        for row in changed:
            moved |= self._take(row, look)
        for session_id in gone:
            if self._rows.pop(session_id, None) is not None:
                self._arrival.pop(session_id, None)
                self._keys.pop(session_id, None)
                self.marks.discard(session_id)
                moved |= session_id in self.places or session_id == self.cursor
        if moved:
            self._arrange(keys=False)
        return moved

    def _take(self, row: SessionRow, look: Look) -> bool:
        """Takes one row; returns whether the order is another one now."""
        known = row.id in self._rows
        self._rows[row.id] = row
        if not known:
            self._arrival[row.id] = self._next
            self._next += 1
        passes = self._test is None or self._test(row)
        place = self.places.get(row.id)
        key = None if self._column is None else self._column.key(row, look)
        same_key = self._column is None or (known and self._keys.get(row.id) == key)
        self._keys[row.id] = key
        if passes and place is not None and same_key:
            self.shown[place] = row
            return False
        if passes and place is None and self._column is None and not known and row.id not in self.pins:
            # the newest comes last
            self.places[row.id] = len(self.shown)
            self.shown.append(row)
            if self.cursor is None or self.cursor not in self.places:
                self.cursor = row.id
            return False
        return passes or place is not None

    def renamed(self, old_id: str, new_id: str) -> None:
        """Lets cursor, marks and pins go along when a session gets its real id; call before its row comes."""
        if self.cursor == old_id:
            self.cursor = new_id
        if self.anchor == old_id:
            self.anchor = new_id
        for ids in (self.marks, self.pins):
            if old_id in ids:
                ids.discard(old_id)
                ids.add(new_id)
        if old_id in self.places:
            self.places[new_id] = self.places[old_id]
        if old_id in self._rows:
            self._rows[new_id] = self._rows.pop(old_id)
            self._arrival[new_id] = self._arrival.pop(old_id)
            self._keys[new_id] = self._keys.pop(old_id, None)
            self._exchanged = True

    def filter(self, test: Test | None) -> None:
        """Shows the rows that meet `test`; None = all."""
        self._test = test
        self._arrange(keys=False)

    def sort(self, column: Column | None, *, falling: bool = False) -> None:
        """Sorts by a column; None = by arrival. Rows of which it says nothing come last."""
        self._column, self._falling = column, falling
        self._arrange()

    def pin(self, ids: Iterable[str], pinned: bool) -> None:
        """Puts rows before all others, or back."""
        (self.pins.update if pinned else self.pins.difference_update)(ids)
        self._arrange(keys=False)

    def arrange(self) -> None:
        """Sorts anew, for columns that change by themselves."""
        self._arrange()

    def _arrange(self, *, keys: bool = True) -> None:
        """Makes the order anew."""
        rows = self._rows
        if keys:
            column = self._column
            look = self._look()
            self._keys = {} if column is None else {key: column.key(row, look) for key, row in rows.items()}
        test = self._test
        shown = list(rows) if test is None else [key for key, row in rows.items() if test(row)]
        if self._exchanged:
            shown.sort(key=self._arrival.__getitem__)
        if self._column is not None:
            of = self._keys
            told = [(key, session_id) for session_id in shown if (key := of.get(session_id)) is not None]
            told.sort(key=_first, reverse=self._falling)
            shown = [session_id for _, session_id in told] + [one for one in shown if of.get(one) is None]
        if self.pins and not self.pins.isdisjoint(rows):
            pins = self.pins
            shown = [one for one in shown if one in pins] + [one for one in shown if one not in pins]
        before, old_places = self.shown, self.places
        self.shown = [rows[session_id] for session_id in shown]
        self.places = {session_id: place for place, session_id in enumerate(shown)}
        self._keep_cursor(before, old_places)

    def _keep_cursor(self, before: Sequence[SessionRow], old_places: dict[str, int]) -> None:
        if self.cursor in self.places:
            return
        if not self.shown:
            if self.cursor not in self._rows:
                self.cursor = next(iter(self._rows), None)
            return
        at = old_places.get(self.cursor or "", 0)
        # where it was, the next one below that is still there, else the next one above
        below = next((row.id for row in before[at + 1 :] if row.id in self.places), None)
        above = next((row.id for row in reversed(before[:at]) if row.id in self.places), None)
        self.cursor = below or above or self.shown[0].id

    # -- the cursor and the marks ----------------------------------------------------------------------------------

    def move(self, step: int) -> str | None:
        """Returns the id of the row so many below the cursor, or above; None where no row is shown."""
        if not self.shown:
            return None
        place = self.places.get(self.cursor or "", 0)
        return self.shown[max(0, min(len(self.shown) - 1, place + step))].id

    def toggle(self) -> None:
        """Marks the row under the cursor, or takes its mark back."""
        if self.cursor is not None and self.cursor in self.places:
            self.marks.symmetric_difference_update({self.cursor})
            self.anchor = self.cursor

    def mark_range(self) -> None:
        """Marks the rows from the last one that was marked to the cursor."""
        if self.cursor is None or self.cursor not in self.places:
            return
        here = self.places[self.cursor]
        there = self.places.get(self.anchor or "", here)
        first, last = min(here, there), max(here, there)
        self.marks.update(row.id for row in self.shown[first : last + 1])
        self.anchor = self.cursor

    def mark_shown(self) -> None:
        """Marks every row that is shown."""
        self.marks.update(self.places)

    def clear_marks(self) -> None:
        """Takes all marks back."""
        self.marks.clear()
        self.anchor = None

    def targets(self) -> list[str]:
        """Returns the ids that an action is for: the marked ones that are shown, else the one under the cursor."""
        if self.marks and (marked := [row.id for row in self.shown if row.id in self.marks]):
            return marked
        return [self.cursor] if self.cursor is not None and self.cursor in self.places else []


def _first(pair: tuple[Key, str]) -> Key:
    return pair[0]
