"""The picker of columns: which are shown, or which one rows are sorted by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ...widgets.glyphs import Glyphs
from ...widgets.session_columns import COLUMNS, Column

_LETTERS: Final = "abcdefghilmnoprstuvwxyz"
"""j, k and q are keys of the list."""


class ColumnBox(ModalScreen[str | None]):
    """Lists columns; a letter or enter takes one.

    To choose what is shown, it stays open and each press adds a column or takes it away. To sort, it closes; the
    column that is sorted by already is reversed.

    Args:
        shown: Ids of the columns that are shown, for choosing them; None = it asks what to sort by.
        changed: Takes the ids that are shown now.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "close", id="columns-close", tooltip="Close the picker"),
        Binding("j", "move(1)", "down", show=False, id="columns-down", tooltip="Go down"),
        Binding("k", "move(-1)", "up", show=False, id="columns-up", tooltip="Go up"),
        Binding("space", "take", "take", show=False, id="columns-take", tooltip="Take the column under the cursor"),
    ]

    def __init__(
        self,
        glyphs: Glyphs,
        *,
        sorted_by: str,
        falling: bool,
        offered: Sequence[Column] = COLUMNS,
        shown: Sequence[str] | None = None,
        changed: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._sorted_by, self._falling = sorted_by, falling
        self._shown = None if shown is None else list(shown)
        self._changed = changed
        self._offered = [column for column in offered if shown is None or not column.fixed]
        self._letters = _letters(self._offered)

    def compose(self) -> ComposeResult:
        with Vertical(id="columns") as box:
            choosing = self._shown is not None
            box.border_title = "Columns" if choosing else "Sort by"
            box.border_subtitle = "letter or space · escape closes" if choosing else "letter or enter · again reverses"
            yield OptionList(*self._options(), id="columns-list", compact=True)

    def _options(self) -> list[Option]:
        options = [Option(self._line(column), id=column.id) for column in self._offered]
        if self._shown is None:
            mark = self._glyphs.ok if not self._sorted_by else " "
            head = Content.assemble((f" {mark} ", "$accent"), ("-  ", "bold $accent"), ("as they came", "$quiet"))
            options.insert(0, Option(head, id="-"))
        return options

    def _line(self, column: Column) -> Content:
        if self._shown is not None:
            mark = self._glyphs.ok if column.id in self._shown else " "
        else:
            arrow = self._glyphs.falling if self._falling else self._glyphs.rising
            mark = arrow if column.id == self._sorted_by else " "
        return Content.assemble(
            (f" {mark} ", "$accent"),
            (f"{self._letters[column.id]}  ", "bold $accent"),
            f"{column.title:<13}",
            (column.about, "$quiet"),
        )

    def on_key(self, event: Key) -> None:
        if event.key in ("minus", "-") and self._shown is None:
            event.stop()
            self.dismiss("")
            return
        for column_id, letter in self._letters.items():
            if event.character == letter:
                event.stop()
                self._take(column_id)
                return

    def action_close(self) -> None:
        self.dismiss(None)

    def action_move(self, step: int) -> None:
        options = self.query_one(OptionList)
        (options.action_cursor_down if step > 0 else options.action_cursor_up)()

    def action_take(self) -> None:
        self.query_one(OptionList).action_select()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take("" if event.option_id == "-" else event.option_id or "")

    def _take(self, column_id: str) -> None:
        if self._shown is None:
            self.dismiss(column_id)
            return
        if column_id in self._shown:
            self._shown.remove(column_id)
        else:
            self._shown.append(column_id)
        column = next(one for one in self._offered if one.id == column_id)
        self.query_one(OptionList).replace_option_prompt(column_id, self._line(column))
        if self._changed is not None:
            self._changed(self._shown)


def _letters(columns: Sequence[Column]) -> dict[str, str]:
    """Returns a letter of its own for each column, one of its title where that is free."""
    found: dict[str, str] = {}
    for column in columns:
        free = [letter for letter in (*column.title, *_LETTERS) if letter in _LETTERS and letter not in found.values()]
        found[column.id] = free[0]
    return found
