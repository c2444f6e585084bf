"""How a row of the session list is painted: in one line with columns, or in two short ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from rich.segment import Segment
from rich.style import Style

from .glyphs import status_class, status_glyph, status_word
from .image_words import progress_text
from .rows import SessionRow
from .session_columns import AGE, NAME, STATUS, Look, Placed, cell, compact, idle_level, placed
from .text import fit, one_line

_AGE_WIDTH: Final = 6
_WORD_WIDTH: Final = 10
_BAR_CELLS: Final = 8
_LEAD: Final = 2
"""Cells of the shape of a state and of a mark, of two lines."""
_LEAD_LINE: Final = 3
"""The same of one line, where the word of the state follows."""


class RowPainter:
    """Paints rows.

    Args:
        style: Returns the style of a component by its name, without `sessions--`.
    """

    def __init__(
        self,
        look: Look,
        style: Callable[[str], Style],
        *,
        columns: Sequence[str],
        marks: Collection[str],
        pins: Collection[str],
    ) -> None:
        self.look = look
        self._style = style
        self._columns = columns
        self._marks = marks
        self._pins = pins
        self._placed: tuple[int, list[Placed]] = (-1, [])

    def places(self, width: int) -> list[Placed]:
        """Returns where columns stand in a line of `width` cells, the lead not counted."""
        if self._placed[0] != width:
            self._placed = width, placed(self._columns, width)
        return self._placed[1]

    # -- one line --------------------------------------------------------------------------------------------------

    def header(self, width: int, sorted_by: str, falling: bool) -> list[Segment]:
        """Returns the line with the titles of the columns; the one that rows are sorted by has an arrow."""
        glyphs = self.look.glyphs
        quiet, lit = self._style("header"), self._style("header-sorted")
        segments, x = [Segment(" " * _LEAD_LINE, quiet)], 0
        for place in self.places(width - _LEAD_LINE):
            column = place.column
            title, style = column.title, quiet
            if column.id == sorted_by:
                arrow, style = glyphs.falling if falling else glyphs.rising, lit
                title = fit(title, min(len(title), place.width - 1), ellipsis="") + arrow
            segments.append(Segment(" " * (place.x - x), quiet))
            segments.append(Segment(fit(title, place.width, right=column.right, ellipsis=""), style))
            x = place.x + place.width
        return [*segments, Segment(" " * max(0, width - _LEAD_LINE - x), quiet)]

    def column_at(self, x: int, width: int) -> str | None:
        """Returns the id of the column at a cell of the header, None between columns."""
        x -= _LEAD_LINE
        return next((p.column.id for p in self.places(width - _LEAD_LINE) if p.x <= x < p.x + p.width), None)

    def line(self, row: SessionRow, width: int) -> list[Segment]:
        """Returns a row as one line."""
        places = self.places(width - _LEAD_LINE)
        segments = [*self._lead(row), Segment(" ", None)]
        quiet = self._style("quiet")
        name_end = next((place.x + place.width for place in places if place.column.id == NAME), 0)
        last = places[-1] if places else None
        age = last if last is not None and last.column.id == AGE else None
        rest = (age.x if age is not None else width - _LEAD_LINE) - name_end - 2
        told = self._told(row, rest)
        x = 0
        for place in places:
            column = place.column.id
            if told is not None and name_end <= place.x and place is not age:
                continue
            if told is not None and place is age:
                segments += [Segment(" ", None), told, Segment(" ", None)]
                x = place.x
            segments.append(Segment(" " * (place.x - x), None))
            x = place.x + place.width
            if column == STATUS:
                segments.append(Segment(cell(place, row, self.look), self._state(row)[2]))
            elif column == NAME:
                segments.append(Segment(cell(place, row, self.look), self._name_style(row)))
            elif column == AGE:
                segments.append(self._when(row))
            else:
                segments.append(Segment(cell(place, row, self.look), quiet))
        if told is not None and age is None:
            segments += [Segment(" ", None), told]
        return segments

    # -- two lines -------------------------------------------------------------------------------------------------

    def head(self, row: SessionRow, width: int) -> list[Segment]:
        """Returns the first of two lines: shape, mark, name, word, age."""
        _, word, style = self._state(row)
        name_width = width - _LEAD - _WORD_WIDTH - _AGE_WIDTH - 1
        name = fit(one_line(row.name), name_width, ellipsis=self.look.glyphs.ellipsis)
        return [
            *self._lead(row),
            Segment(name, self._name_style(row)),
            Segment(fit(word, _WORD_WIDTH, right=True), style),
            self._when(row),
            Segment(" ", None),
        ]

    def foot(self, row: SessionRow, width: int) -> list[Segment]:
        """Returns the second: what needs the user, else why it waits, else the columns that were chosen."""
        told = self._told(row, width - _LEAD)
        if told is None:
            told = Segment(compact(self._columns, row, self.look, width - _LEAD), self._style("quiet"))
        return [Segment(" " * _LEAD, None), told]

    # -- parts -----------------------------------------------------------------------------------------------------

    def _lead(self, row: SessionRow) -> list[Segment]:
        glyphs = self.look.glyphs
        glyph, _, style = self._state(row)
        if row.id in self._marks:
            return [Segment(glyph, style), Segment(glyphs.marked, self._style("marked"))]
        return [Segment(glyph, style), Segment(glyphs.pinned if row.id in self._pins else " ", self._style("quiet"))]

    def _name_style(self, row: SessionRow) -> Style:
        return self._style("marked" if row.id in self._marks else "name")

    def _when(self, row: SessionRow) -> Segment:
        """Returns the age, or the time that is left when that is little."""
        doomed = self.look.doomed(row)
        text, style = (f"{self.look.glyphs.left}{doomed}", "near") if doomed else (self.look.age(row), "quiet")
        return Segment(fit(text, _AGE_WIDTH, right=True), self._style(style))

    def told(self, row: SessionRow) -> tuple[str, str]:
        """Returns what a row says in place of its columns, and its style; empty = nothing."""
        glyphs, now_s = self.look.glyphs, self.look.now_s
        if row.kill_at_s is not None:
            return f"ends in {max(1, round(row.kill_at_s - now_s))} s {glyphs.dot} u takes it back", "alarm"
        if row.alarm:
            return row.alarm, "alarm"
        if row.ends_at_s is not None and idle_level(row.ends_at_s - now_s) == "soon":
            return f"ends soon: {row.ends_why} {glyphs.dot} + keeps it", "alarm"
        if row.progress is not None:
            return (
                f"{glyphs.branch} {progress_text(row.progress, glyphs, now_s, width=_BAR_CELLS, percents=True)}",
                "quiet",
            )
        return (f"{glyphs.branch} {row.note}" if row.note else ""), "failed" if row.ended else "quiet"

    def _told(self, row: SessionRow, width: int) -> Segment | None:
        text, style = self.told(row)
        if not text:
            return None
        return Segment(fit(one_line(text), width, ellipsis=self.look.glyphs.ellipsis), self._style(style))

    def _state(self, row: SessionRow) -> tuple[str, str, Style]:
        return (
            status_glyph(self.look.glyphs, row.status, busy=row.busy, asks=row.asks),
            status_word(row.status, one_line(row.status_text), busy=row.busy, asks=row.asks),
            self._style(status_class(row.status, busy=row.busy, asks=row.asks)),
        )
