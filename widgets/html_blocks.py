"""HTML of others as blocks: tables as tables, the rest as readable text. Nothing is fetched, nothing is run.

Bounded: only the beginning of a long page is read, in a time that grows with its length and nothing else; what was
left out is said. (`html.parser` of the standard library takes minutes for 300 KB of `<a b='`.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

from .blocks import Block, Code, Paragraph, Piece, RichLine, Rule, Table, merged
from .text import one_line

MAX_CHARS: Final = 150_000
"""Characters of a page that are parsed."""
MAX_CELLS: Final = 40_000
MAX_COLUMNS: Final = 400
MAX_SPAN: Final = 1_000
MAX_INDENT: Final = 24
MAX_TAG_CHARS: Final = 4_096
"""A longer tag is no tag."""

_ROW: Final = re.compile(r"<tr\b", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s+")
_NAME: Final = re.compile(r"/?[A-Za-z][A-Za-z0-9:-]{0,40}")
_ATTRIBUTE: Final = re.compile(r"""([A-Za-z-]{1,40})\s{0,9}=\s{0,9}("[^"]*"|'[^']*'|[^\s"'>]+)""")
_SKIPPED: Final = frozenset(
    (
        *("script", "style", "head", "title", "template", "noscript", "svg", "math", "select", "textarea", "button"),
        *("iframe", "object", "canvas"),
    )
)
_BLOCKS: Final = frozenset(
    (
        *("p", "div", "section", "article", "header", "footer", "main", "nav", "aside", "ul", "ol", "dl", "li", "dt"),
        *("dd", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "table", "figure", "figcaption", "form"),
        *("fieldset", "details", "summary", "address", "body", "html", "caption"),
    )
)
_ROLES: Final = {
    "b": "strong", "strong": "strong", "th": "strong", "dt": "strong", "summary": "strong", "i": "em", "em": "em",
    "cite": "em", "var": "em", "code": "code", "kbd": "code", "samp": "code", "tt": "code", "a": "link",
    "h1": "head", "h2": "head", "h3": "head", "h4": "head", "h5": "head", "h6": "head", "caption": "quiet",
}  # fmt: skip


def html_blocks(text: str, *, dot: str = "•") -> list[Block]:
    """Returns the blocks of a page or a part of one; never fails."""
    reader = _Reader(dot)
    at = 0
    for kind, value, attributes, end in _tokens(text[:MAX_CHARS]):
        at = end
        if kind == "text":
            reader.text(unescape(value))
        elif kind == "start":
            reader.start(value, attributes)
        else:
            reader.end(value)
        if reader.full:
            break
    rest = text[at:]
    blocks = reader.finish(len(_ROW.findall(rest)))
    if rest and not (blocks and isinstance(blocks[-1], Table)):
        blocks.append(Paragraph(((f"and {len(rest):,} more characters of HTML", "quiet"),)))
    return blocks


def html_text(text: str) -> str:
    """Returns what a page says, line by line, without its looks."""
    said: list[str] = []
    for block in html_blocks(text):
        if isinstance(block, Paragraph):
            said.append("".join(part for part, _ in block.pieces))
        elif isinstance(block, Code):
            said.append(block.text)
        elif isinstance(block, Table):
            said += ["\t".join(row) for row in block.rows]
    return "\n".join(said)


def _tokens(text: str) -> Iterator[tuple[str, str, str, int]]:
    """Yields (`text`, `start` or `end`; text or name; attributes as written; where it ends)."""
    position, end = 0, len(text)
    while position < end:
        opened = text.find("<", position)
        if opened == -1:
            yield "text", text[position:], "", end
            return
        if opened > position:
            yield "text", text[position:opened], "", opened
        if text.startswith("<!--", opened):
            closed = text.find("-->", opened + 4)
            position = end if closed == -1 else closed + 3
            continue
        name = _NAME.match(text, opened + 1)
        closed = text.find(">", opened, opened + MAX_TAG_CHARS)
        if name is None and text[opened + 1 : opened + 2] in ("!", "?") and closed != -1:
            position = closed + 1
            continue
        if name is None or closed == -1:
            yield "text", "<", "", opened + 1
            position = opened + 1
            continue
        attributes = text[name.end() : closed]
        for quote in "\"'":
            if attributes.count(quote) % 2:  # the end was within a quoted value
                unquoted = text.find(quote, closed, opened + MAX_TAG_CHARS)
                further = -1 if unquoted == -1 else text.find(">", unquoted, opened + MAX_TAG_CHARS)
                closed = closed if further == -1 else further
                attributes = text[name.end() : closed]
                break
        position = closed + 1
        tag = name[0].lower()
        if tag.startswith("/"):
            yield "end", tag[1:], "", position
            continue
        yield "start", tag, attributes, position
        if tag in ("script", "style"):
            over = re.compile(f"</{tag}", re.IGNORECASE).search(text, position)
            position = end if over is None else over.start()


def _attributes(written: str) -> dict[str, str]:
    return {name.lower(): unescape(value.strip("\"'")) for name, value in _ATTRIBUTE.findall(written)}


class _Grid:
    """A table while it is read."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.heads = 0
        self.head_columns: list[int] = []
        self._spans: dict[int, int] = {}
        """Column -> rows that a cell above still reaches down into."""
        self.in_head = False
        self.cells = 0
        self.ragged = 0
        self.only_heads = True
        self.row_heads = 0
        self.seen_body_cell = False

    def begin_row(self) -> None:
        self.rows.append([])
        self.only_heads, self.row_heads, self.seen_body_cell = True, 0, False

    def add(self, text: str, *, columns: int, rows: int, is_head: bool) -> None:
        if not self.rows:
            self.begin_row()
        row = self.rows[-1]
        self._skip(row)
        if len(row) >= MAX_COLUMNS:
            return
        if is_head and not self.seen_body_cell:
            self.row_heads += 1
        if not is_head:
            self.only_heads, self.seen_body_cell = False, True
        for number in range(min(columns, MAX_COLUMNS - len(row))):
            if rows > 1:
                self._spans[len(row)] = rows - 1
            row.append(text if number == 0 else "")
        self.cells += columns

    def _skip(self, row: list[str]) -> None:
        while self._spans.get(len(row), 0) > 0:
            self._spans[len(row)] -= 1
            row.append("")
            if not self.seen_body_cell:
                self.row_heads += 1

    def end_row(self) -> None:
        if not self.rows:
            return
        row = self.rows[-1]
        if row or self._spans:
            self._skip(row)
        is_head = self.in_head or (self.only_heads and bool(row) and self.heads == len(self.rows) - 1)
        if is_head and self.heads == len(self.rows) - 1:
            self.heads += 1
        else:
            self.head_columns.append(self.row_heads)

    def table(self, more: int) -> Table | None:
        rows = tuple(tuple(row) for row in self.rows if any(cell for cell in row) or len(row) > 1)
        heads = min(self.heads, len(rows))
        if not rows:
            return None
        return Table(rows, heads, more, min(self.head_columns, default=0))


class _Reader:
    """Takes tags and text, makes blocks."""

    def __init__(self, dot: str) -> None:
        self._dot = dot
        self._blocks: list[Block] = []
        self._pieces: list[Piece] = []
        self._roles: list[tuple[str, str]] = []
        """Open tags that give a role: (tag, role)."""
        self._skipping: list[str] = []
        self._lists: list[int | None] = []
        """Open lists: the number of the next item, None = dots."""
        self._mark = ""
        self._pre = 0
        self._pre_text: list[str] = []
        self._grids: list[_Grid] = []
        self._cell: list[str] | None = None
        self._cell_spans = (1, 1)
        self._cell_is_head = False
        self._links: list[tuple[str, int]] = []
        self._cells = 0

    @property
    def full(self) -> bool:
        """Whether enough was read."""
        return self._cells > MAX_CELLS

    def finish(self, more_rows: int) -> list[Block]:
        """Returns the blocks; `more_rows` are rows that were not parsed."""
        self._end_cell()
        while self._grids:
            self._end_table(more_rows)
            more_rows = 0
        self._flush()
        self._end_pre()
        return self._blocks

    def start(self, tag: str, attributes: str) -> None:
        if self._skipping:
            if tag == self._skipping[-1] and len(self._skipping) < 100:
                self._skipping.append(tag)
            return
        if tag in _SKIPPED:
            self._skipping.append(tag)
            return
        if tag == "br":
            self._text("\n", raw=True)
        elif tag == "hr":
            self._flush()
            self._blocks.append(Rule())
        elif tag == "img":
            alt = _attributes(attributes).get("alt", "")
            self._text(f"[{alt or 'image'}]")
        elif tag == "table":
            self._end_cell()
            self._flush()
            if len(self._grids) < 20:
                self._grids.append(_Grid())
        elif self._grids and tag in ("tr", "td", "th", "thead", "tbody", "tfoot"):
            self._table_tag(tag, attributes)
        elif tag in _BLOCKS and self._cell is None:
            self._begin_block(tag)
        elif self._cell is not None and tag in _BLOCKS:
            self._text(" ")
        role = _ROLES.get(tag)
        if role is not None and self._cell is None and len(self._roles) < 200:
            self._roles.append((tag, role))
            if tag == "a":
                self._links.append((_attributes(attributes).get("href", ""), len(self._pieces)))

    def end(self, tag: str) -> None:
        if self._skipping:
            if tag == self._skipping[-1]:
                self._skipping.pop()
            return
        if tag == "table" and self._grids:
            self._end_cell()
            self._end_table(0)
        elif self._grids and tag in ("td", "th"):
            self._end_cell()
        elif self._grids and tag == "tr":
            self._end_cell()
            self._grids[-1].end_row()
        elif self._grids and tag == "thead":
            self._grids[-1].in_head = False
        elif tag == "pre" and self._pre:
            self._pre -= 1
            self._end_pre()
        elif tag in ("ul", "ol") and self._lists and self._cell is None:
            self._flush()
            self._lists.pop()
        elif tag in _BLOCKS and self._cell is None:
            self._flush()
        for index in range(len(self._roles) - 1, -1, -1):
            if self._roles[index][0] == tag:
                del self._roles[index]
                if tag == "a" and self._links:
                    self._end_link(*self._links.pop())
                break

    def text(self, data: str) -> None:
        if not self._skipping:
            self._text(data)

    # -- text ----------------------------------------------------------------------------------------------------

    def _text(self, data: str, *, raw: bool = False) -> None:
        if self._cell is not None:
            if len(self._cell) < 200:
                self._cell.append(data[:2000])
            return
        if self._grids:
            return  # between cells: blanks of the source, or text that browsers move out of the table
        if self._pre:
            self._pre_text.append(data)
            return
        if raw:
            self._pieces.append((data, ""))
            return
        text = _SPACE.sub(" ", data)
        if text.startswith(" ") and (not self._pieces or self._pieces[-1][0].endswith((" ", "\n"))):
            text = text[1:]
        if text:
            self._pieces.append((one_line(text), self._roles[-1][1] if self._roles else ""))

    def _end_link(self, href: str, start: int) -> None:
        said = "".join(text for text, _ in self._pieces[start:])
        if href.startswith(("http://", "https://", "mailto:")) and href not in said:
            self._pieces.append((f" ({one_line(href[:200])})", "quiet"))

    def _begin_block(self, tag: str) -> None:
        self._flush()
        if tag == "pre":
            self._pre += 1
        elif tag in ("ul", "ol") and len(self._lists) < 50:
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            number = self._lists[-1] if self._lists else None
            self._mark = self._dot if number is None else f"{number}."
            if self._lists and number is not None:
                self._lists[-1] = number + 1
        elif tag in ("blockquote", "dd"):
            self._mark = " "

    def _flush(self) -> None:
        pieces, self._pieces = _trimmed(self._pieces), []
        mark, self._mark = self._mark, ""
        if not pieces:
            self._mark = mark
            return
        indent = min(MAX_INDENT, 2 * max(0, len(self._lists) - 1))
        if not mark and self._lists:
            indent += 2
        self._blocks.append(Paragraph(pieces, indent, mark, tight=bool(self._lists and self._blocks)))

    def _end_pre(self) -> None:
        text = "".join(self._pre_text).strip("\n")
        self._pre_text = []
        if text:
            self._blocks.append(Code(text))

    # -- tables --------------------------------------------------------------------------------------------------

    def _table_tag(self, tag: str, attributes: str) -> None:
        grid = self._grids[-1]
        if tag == "thead":
            grid.in_head = True
        elif tag in ("tbody", "tfoot"):
            grid.in_head = False
        elif tag == "tr":
            self._end_cell()
            grid.begin_row()
        else:
            self._end_cell()
            found = _attributes(attributes)
            self._cell, self._cell_is_head = [], tag == "th"
            self._cell_spans = (_span(found.get("colspan")), _span(found.get("rowspan")))

    def _end_cell(self) -> None:
        if self._cell is None or not self._grids:
            self._cell = None
            return
        text = one_line(_SPACE.sub(" ", "".join(self._cell)).strip())
        columns, rows = self._cell_spans
        self._grids[-1].add(text, columns=columns, rows=rows, is_head=self._cell_is_head)
        self._cells += 1
        self._cell = None

    def _end_table(self, more: int) -> None:
        table = self._grids.pop().table(more)
        if table is not None:
            self._blocks.append(table)


def _trimmed(pieces: list[Piece]) -> RichLine:
    line = merged(pieces)
    return () if not "".join(text for text, _ in line).strip() else line


def _span(value: str | None) -> int:
    return max(1, min(int(value[:6]), MAX_SPAN)) if value and value.isdecimal() else 1
