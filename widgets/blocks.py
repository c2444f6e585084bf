"""Rich text as blocks, and blocks as lines of a width: what HTML and Markdown both become.

Pure: no Textual, no Rich styles. A line is a tuple of pieces `(text, role)`; whoever paints it knows the roles. Every
text in here is fit for the screen: no control characters, no line ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from rich.cells import cell_len, set_cell_size

from .highlight import STYLES as TOKEN_ROLES
from .text import fit, one_line

Piece = tuple[str, str]
"""(text, role); the role `""` is plain text."""
RichLine = tuple[Piece, ...]

ROLES: Final = (
    "head", "strong", "em", "code", "link", "quiet", "border", "mark",
    "key", "string", "number", "constant", "keyword", "comment", "function", "error",
)  # fmt: skip
"""Every role but plain text."""
_CODE_ROLES: Final = {
    "comment": "comment", "keyword": "keyword", "constant": "constant", "type": "keyword", "operator": "code",
    "builtin": "function", "function": "function", "class": "function", "decorator": "function", "namespace": "code",
    "string": "string", "docstring": "string", "escape": "string", "number": "number", "error": "code",
}  # fmt: skip
_NUMBER: Final = re.compile(
    r"[-+]?(\d[\d,_ ]*)?(\.\d*)?([eE][-+]?\d+)?\s?%?|[-+]?(nan|inf)|NaN|<NA>|NaT|None", re.ASCII
)
_MIN_COLUMN: Final = 5
"""Cells that a column keeps when a table is narrowed; below that whole columns go."""
_MAX_CODE_CHARS: Final = 20_000
"""Longer code is shown without colours."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text that wraps."""

    pieces: RichLine
    indent: int = 0
    mark: str = ""
    """What stands before its first line, such as the dot of a list."""
    tight: bool = False
    """No blank line above it."""


@dataclass(frozen=True, slots=True)
class Code:
    """Text whose line ends count."""

    text: str
    language: str = ""
    indent: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Cells in rows."""

    rows: tuple[tuple[str, ...], ...]
    heads: int = 0
    """How many of the rows are headings."""
    more: int = 0
    """Rows that were not even read."""
    head_columns: int = 0
    """Leading columns that are headings, such as an index."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across."""


Block = Paragraph | Code | Table | Rule


@dataclass(frozen=True, slots=True)
class Shapes:
    """What lines are drawn with."""

    across: str = "─"
    down: str = "│"
    top: str = "╭┬╮"
    middle: str = "├┼┤"
    bottom: str = "╰┴╯"
    dot: str = "•"
    ellipsis: str = "…"
    opened: str = "▾"
    closed: str = "▸"


ASCII_SHAPES: Final = Shapes("-", "|", "+++", "+++", "+++", "*", "~", "v", ">")


def layout(
    blocks: Iterable[Block],
    width: int,
    *,
    max_rows: int = 20,
    table_width: int = 0,
    shapes: Shapes | None = None,
) -> list[RichLine]:
    """Returns blocks as lines of at most `width` cells.

    Args:
        max_rows: Rows of a table that are shown, besides its headings; what is left out is counted below it.
        table_width: Cells that tables may take, where that is more than the text around them may.
    """
    shapes = shapes or Shapes()
    width = max(4, width)
    lines: list[RichLine] = []
    for block in blocks:
        if lines and lines[-1] and not (isinstance(block, Paragraph) and block.tight):
            lines.append(())
        match block:
            case Paragraph():
                lines += _paragraph(block, width)
            case Code():
                lines += _code(block, width)
            case Table():
                lines += _table(block, max(width, table_width), max_rows, shapes)
            case Rule():
                lines.append(((shapes.across * width, "border"),))
    return lines


def pieces_of(text: str, role: str = "") -> RichLine:
    """Returns foreign text as one clean piece."""
    shown = one_line(text)
    return ((shown, role),) if shown else ()


def wrap(pieces: RichLine, width: int) -> list[RichLine]:
    """Returns pieces in lines of at most `width` cells, broken between words; a longer word is cut."""
    lines: list[list[Piece]] = [[]]
    used = 0

    def put(text: str, role: str) -> None:
        nonlocal used
        lines[-1].append((text, role))
        used += cell_len(text)

    for text, role in pieces:
        for word in re.findall(r"\n| +|[^ \n]+", text):
            if word == "\n":
                lines.append([])
                used = 0
                continue
            length = cell_len(word)
            if used + length <= width:
                if used or not word.isspace():
                    put(word, role)
                continue
            if word.isspace():
                lines.append([])
                used = 0
                continue
            if used:
                lines.append([])
                used = 0
            *full, last = _chunks(word, width)
            for chunk in full:
                lines += [[(chunk, role)], []]
            put(last, role)
    return [merged(line) for line in lines]


def merged(pieces: Iterable[Piece]) -> RichLine:
    """Returns pieces with neighbours of one role joined and without blanks at the end."""
    line = [("".join(text for text, _ in group), role) for role, group in groupby(pieces, key=lambda piece: piece[1])]
    while line and not line[-1][0].rstrip():
        line.pop()
    if line:
        line[-1] = (line[-1][0].rstrip(), line[-1][1])
    return tuple(line)


def cut_line(pieces: RichLine, width: int, ellipsis: str = "…") -> RichLine:
    """Returns a line in at most `width` cells, its end replaced by an ellipsis where it is longer."""
    total = sum(cell_len(text) for text, _ in pieces)
    if total <= width:
        return pieces
    kept: list[Piece] = []
    room = max(0, width - 1)
    for text, role in pieces:
        length = cell_len(text)
        if length <= room:
            kept.append((text, role))
            room -= length
            continue
        if room:
            kept.append((set_cell_size(text, room), role))
        break
    return (*kept, (ellipsis, "quiet"))


def _chunks(word: str, width: int) -> list[str]:
    """Returns a word in parts of at most `width` cells."""
    if word.isascii():
        return [word[at : at + width] for at in range(0, len(word), width)]
    parts, start, cells = [], 0, 0
    for index, char in enumerate(word):
        size = cell_len(char)
        if cells + size > width and index > start:
            parts.append(word[start:index])
            start, cells = index, 0
        cells += size
    return [*parts, word[start:]]


def _cut(word: str, width: int) -> tuple[str, str]:
    """Returns the longest beginning of a word that fits, at least one character, and the rest."""
    cells = 0
    for index, char in enumerate(word):
        cells += cell_len(char)
        if cells > width and index:
            return word[:index], word[index:]
    return word, ""


def _paragraph(block: Paragraph, width: int) -> list[RichLine]:
    indent = min(block.indent, width // 2)
    mark = fit(block.mark, cell_len(block.mark) + 1) if block.mark else ""
    hang = indent + cell_len(mark)
    lines = wrap(block.pieces, max(1, width - hang))
    first: list[Piece] = [(" " * indent, ""), (mark, "mark")] if mark else [(" " * indent, "")]
    shown = []
    for number, line in enumerate(lines):
        before = first if number == 0 else [(" " * hang, "")]
        shown.append(tuple(piece for piece in (*before, *line) if piece[0]))
    return shown


def _code(block: Code, width: int) -> list[RichLine]:
    indent = " " * min(block.indent + 2, width // 2)
    room = max(1, width - len(indent))
    lines: list[RichLine] = []
    for line in highlighted(block.text, block.language):
        while True:
            total = sum(cell_len(text) for text, _ in line)
            if total <= room:
                break
            head, line = _split(line, room)
            lines.append(((indent, ""), *head))
        lines.append(((indent, ""), *line))
    return lines


def _split(line: RichLine, width: int) -> tuple[RichLine, RichLine]:
    room, head = width, []
    for index, (text, role) in enumerate(line):
        length = cell_len(text)
        if length <= room:
            head.append((text, role))
            room -= length
            continue
        if room == 0 and head:
            return tuple(head), line[index:]
        start, rest = _cut(text, room) if room else _cut(text, width)
        if cell_len(start) > room and head:
            return tuple(head), line[index:]
        tail = ((rest, role), *line[index + 1 :]) if rest else line[index + 1 :]
        return (*head, (start, role)), tail
    return tuple(head), ()


def highlighted(text: str, language: str) -> list[RichLine]:
    """Returns code line by line, coloured where its language is known."""
    text = text.expandtabs(4).rstrip("\n")
    lexer = None
    if language and len(text) <= _MAX_CODE_CHARS:
        from pygments.lexers import get_lexer_by_name
        from pygments.util import ClassNotFound

        try:
            lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        except ClassNotFound:
            lexer = None
    if lexer is None:
        return [pieces_of(line, "code") for line in text.split("\n")]
    lines: list[list[Piece]] = [[]]
    for kind, value in lexer.get_tokens(text):
        role = _token_role(kind)
        for number, part in enumerate(value.split("\n")):
            if number:
                lines.append([])
            if part:
                lines[-1].append((one_line(part), role))
    return [tuple(line) for line in lines]


def _token_role(kind: object) -> str:
    nearest = kind
    while nearest is not None:
        name = TOKEN_ROLES.get(str(nearest))
        if name is not None:
            return _CODE_ROLES[name]
        nearest = getattr(nearest, "parent", None)
    return "code"


# -- tables ------------------------------------------------------------------------------------------------------------


def _table(table: Table, width: int, max_rows: int, shapes: Shapes) -> list[RichLine]:
    heads, body = list(table.rows[: table.heads]), list(table.rows[table.heads :])
    left_out = table.more
    if len(body) > max_rows:
        left_out += len(body) - max_rows
        body = body[:max_rows]
    if not heads and not body:
        return []
    columns = max(len(row) for row in (*heads, *body))
    rows = [[*row, *[""] * (columns - len(row))] for row in (*heads, *body)]
    widths = [max(1, *(cell_len(row[column]) for row in rows)) for column in range(columns)]
    rows, widths, kept = _narrowed(rows, widths, width, shapes.ellipsis)
    right = [all(_NUMBER.fullmatch(row[column].strip()) for row in rows[len(heads) :]) for column in range(len(widths))]
    lines = [_border(widths, shapes.top, shapes.across)]
    for number, row in enumerate(rows):
        if number == len(heads) and heads:
            lines.append(_border(widths, shapes.middle, shapes.across))
        line: list[Piece] = [(shapes.down, "border")]
        for column, cell in enumerate(row):
            is_head = number < len(heads) or column < table.head_columns
            shown = fit(cell, widths[column], right=right[column], ellipsis=shapes.ellipsis)
            line += [(f" {shown} ", "key" if is_head else ""), (shapes.down, "border")]
        lines.append(merged(line))
    lines.append(_border(widths, shapes.bottom, shapes.across))
    said = [f"{left_out:,} more row{'' if left_out == 1 else 's'}"] if left_out else []
    if kept < columns:
        said.append(f"{columns - kept:,} more column{'' if columns - kept == 1 else 's'}")
    if said:
        lines += wrap(((f"{shapes.ellipsis} {', '.join(said)}", "quiet"),), width)
    return [cut_line(line, width, shapes.ellipsis) for line in lines]


def _border(widths: Sequence[int], ends: str, across: str) -> RichLine:
    return ((ends[0] + ends[1].join(across * (cells + 2) for cells in widths) + ends[2], "border"),)


def _narrowed(
    rows: list[list[str]], widths: list[int], width: int, ellipsis: str
) -> tuple[list[list[str]], list[int], int]:
    """Returns rows and widths of columns that fit into `width`, and how many of the columns are left.

    The widest columns give first; when all are narrow, columns in the middle go, as pandas leaves them out.
    """
    columns = len(widths)
    # borders and blanks: three cells a column and one more
    room = width - 1
    if sum(widths) + 3 * columns <= room:
        return rows, widths, columns
    least = [min(_MIN_COLUMN, cells) for cells in widths]
    if sum(least) + 3 * columns > room:
        kept = columns
        while kept > 2 and sum(least[: (kept + 1) // 2]) + sum(least[columns - kept // 2 :]) + 3 * kept + 4 > room:
            kept -= 1
        head, tail = (kept + 1) // 2, columns - kept // 2
        rows = [[*row[:head], ellipsis, *row[tail:]] for row in rows]
        widths = [*widths[:head], 1, *widths[tail:]]
        least = [*least[:head], 1, *least[tail:]]
    else:
        kept = columns
    spare = room - 3 * len(widths) - sum(least)
    given = list(least)
    # every column gets what it wants up to a common bound: the highest that fits
    low, high = 0, max(widths)
    while low < high:
        bound = (low + high + 1) // 2
        if sum(max(0, min(want, bound) - has) for want, has in zip(widths, least, strict=True)) <= spare:
            low = bound
        else:
            high = bound - 1
    given = [max(has, min(want, low)) for want, has in zip(widths, least, strict=True)]
    return rows, given, kept
