"""Which part of a text is run: a cell, the statement under the cursor, a selection, everything above. Pure.

Rows and columns count from 0; ranges of rows are half open.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...widgets import languages

AROUND_LINES: Final = (60, 400)
"""How many lines around the cursor are tried when the whole text cannot be parsed, or would take too long."""
_WHOLE_LINES: Final = 1_500
"""Texts with more lines are parsed in part."""
_GAP_LINES: Final = 50
"""Blank lines over which a block may go on."""
_MAGIC: Final = re.compile(r"(?m)^(?P<indent>[ \t]*)(?:[%!?].*|[\w.]+\?\??|[\w, ]+=\s*[%!].*)$")
"""Lines in IPython's own syntax."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A part of a text that can be run."""

    code: str
    first: int
    """Its first row."""
    end: int
    """The row after its last one."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to run in it."""
        return not self.code.strip()


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of a text between two separators, with the one above it."""

    first: int
    """Row of its separator; of the first cell, row 0 where there is none."""
    end: int
    title: str = ""
    markdown: bool = False
    """It holds prose in comments: there is nothing to run."""


def comment_of(language: str) -> str:
    """Returns what begins a comment in a language; `#` where it has none of its own."""
    return languages.language(language).comment or "#"


def separator(language: str = "python") -> re.Pattern[str]:
    """Returns what a line matches that begins a cell: `# %%`, `#%% title`, `# %% [markdown]`, `# In[3]:`."""
    sign = re.escape(comment_of(language))
    return re.compile(rf"{sign}\s*(?:%%(?!%)(?P<title>.*)|In\s?\[[ \d]*\]:?\s*)$")


def cells(lines: Sequence[str], language: str = "python") -> list[Cell]:
    """Returns the cells of a text, which cover it without a gap; one when nothing separates any."""
    marks = [(row, match) for row, line in enumerate(lines) if (match := _separates(line, language)) is not None]
    found: list[Cell] = []
    if not marks or marks[0][0] > 0:
        found.append(Cell(0, marks[0][0] if marks else len(lines)))
    for at, (row, match) in enumerate(marks):
        end = marks[at + 1][0] if at + 1 < len(marks) else len(lines)
        title = (match.group("title") or "").strip()
        markdown = re.match(r"\[(markdown|md|raw)\]", title, re.IGNORECASE) is not None
        found.append(Cell(row, end, title, markdown))
    return found


_SEPARATORS: dict[str, re.Pattern[str]] = {}


def _separates(line: str, language: str) -> re.Match[str] | None:
    pattern = _SEPARATORS.get(language)
    if pattern is None:
        pattern = _SEPARATORS[language] = separator(language)
    # most lines are told by their first character
    return pattern.match(line) if line.startswith(comment_of(language)) else None


def cell_at(lines: Sequence[str], row: int, language: str = "python") -> Cell:
    """Returns the cell that a row is in, found from there: the rest of the text is not read."""
    row = max(0, min(row, len(lines) - 1))
    first = row
    while first > 0 and _separates(lines[first], language) is None:
        first -= 1
    end = row + 1
    while end < len(lines) and _separates(lines[end], language) is None:
        end += 1
    head = cells(lines[first : first + 1], language)[0]
    return Cell(first, min(end, len(lines)), head.title, head.markdown)


def cell(lines: Sequence[str], row: int, language: str = "python") -> Snippet:
    """Returns the code of the cell that a row is in; nothing of a markdown cell."""
    found = cell_at(lines, row, language)
    return Snippet("" if found.markdown else _joined(lines, found.first, found.end), found.first, found.end)


def next_cell(lines: Sequence[str], row: int, language: str = "python") -> int | None:
    """Returns the first row of code in the next cell that can be run; None when there is none below."""
    at = cell_at(lines, row, language)
    while at.end < len(lines):
        at = cell_at(lines, at.end, language)
        if not at.markdown:
            return min(at.first + 1, len(lines) - 1)
    return None


def previous_cell(lines: Sequence[str], row: int, language: str = "python") -> int | None:
    """Returns the first row of the cell above that can be run; None when there is none."""
    at = cell_at(lines, row, language)
    while at.first > 0:
        at = cell_at(lines, at.first - 1, language)
        if not at.markdown:
            return at.first + 1 if _separates(lines[at.first], language) is not None else at.first
    return None


def whole(lines: Sequence[str]) -> Snippet:
    """Returns all of a text."""
    return Snippet(_joined(lines, 0, len(lines)), 0, len(lines))


def above(lines: Sequence[str], row: int, language: str = "python") -> Snippet:
    """Returns everything above the cell of a row; in a text without cells, above the statement of that row."""
    found = cell_at(lines, row, language)
    end = found.first
    if found.first == 0 and _separates(lines[0] if lines else "", language) is None:
        end = statement(lines, row, language).first if lines else 0
        end = min(end, row)
    kept = [line for part in cells(lines[:end], language) if not part.markdown for line in lines[part.first : part.end]]
    return Snippet("\n".join(kept), 0, end)


def selection(lines: Sequence[str], start: tuple[int, int], end: tuple[int, int]) -> Snippet:
    """Returns what is selected, moved to the left as a whole: a part of a block runs by itself."""
    (row, column), (last, last_column) = sorted((start, end))
    if row == last:
        return Snippet(lines[row][column:last_column].strip(), row, row + 1)
    parts = [lines[row][column:], *lines[row + 1 : last], lines[last][:last_column]]
    before = lines[row][:column]
    if before.strip() == "":
        # the indent of the first line was left out, or in part
        parts[0] = lines[row]
    end_row = last if last_column == 0 else last + 1
    return Snippet(textwrap.dedent("\n".join(parts)).rstrip("\n"), row, end_row)


def statement(lines: Sequence[str], row: int, language: str = "python") -> Snippet:
    """Returns the whole outermost statement that a row is in, or the next one below where the row has none.

    Of Python that can be parsed it is exact, with decorators and strings over many lines. Of code that is broken, and
    of other languages, it is the block of lines by indent and blank lines.
    """
    if not lines:
        return Snippet("", 0, 0)
    row = max(0, min(row, len(lines) - 1))
    if language == "python":
        found = _parsed_statement(lines, row)
        if found is not None:
            return found
    return _block(lines, row)


def _parsed_statement(lines: Sequence[str], row: int) -> Snippet | None:
    if len(lines) <= _WHOLE_LINES:
        spans = _spans(lines, 0, len(lines))
        if spans is not None:
            return _statement_among(lines, spans, row)
    cell_ = cell_at(lines, row)
    for reach in AROUND_LINES:
        first = max(cell_.first, _left_edge(lines, max(0, row - reach), -1))
        end = min(cell_.end, _left_edge(lines, min(len(lines), row + reach), 1))
        spans = _spans(lines, first, end) if end - first <= 4 * reach else None
        if spans is not None:
            return _statement_among(lines, spans, row)
    return None


def _left_edge(lines: Sequence[str], row: int, step: int) -> int:
    """Returns a row near `row` where a statement may begin: one that is not indented and no part of another."""
    while 0 < row < len(lines):
        line = lines[row]
        if line[:1].strip() and not line.startswith(
            (")", "]", "}", "#", '"', "'", "else", "elif", "except", "finally")
        ):
            break
        row += step
    return row


def _spans(lines: Sequence[str], first: int, end: int) -> list[tuple[int, int]] | None:
    """Returns the rows of each outermost statement, or None where the text is no Python."""
    text = "\n".join(lines[first:end])
    tree = _parsed(text) or _parsed(_MAGIC.sub(r"\g<indent>0", text))
    if tree is None:
        return None
    spans: list[tuple[int, int]] = []
    for node in tree.body:
        decorators = getattr(node, "decorator_list", ())
        begins = min([node.lineno, *(one.lineno for one in decorators)]) - 1 + first
        ends = (node.end_lineno or node.lineno) + first
        if spans and begins < spans[-1][1]:
            # several on one line are run together
            spans[-1] = spans[-1][0], max(ends, spans[-1][1])
        else:
            spans.append((begins, ends))
    return spans


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _statement_among(lines: Sequence[str], spans: list[tuple[int, int]], row: int) -> Snippet:
    for first, end in spans:
        if row < end:
            return Snippet(_joined(lines, first, end), first, end)
    return Snippet("", row, row + 1)


def _block(lines: Sequence[str], row: int) -> Snippet:
    """Returns the line that is not indented, at or above the row, with all that belongs to it."""
    count = len(lines)
    while row < count and not lines[row].strip():
        row += 1
    if row == count:
        return Snippet("", count - 1, count)
    first = row
    while first > 0 and (_is_inner(lines[first]) or _goes_on(lines, first)):
        first -= 1
    while first < row and not lines[first].strip():
        first += 1
    end = row + 1
    while end < count and lines[end - 1].startswith("@"):
        end += 1
    while end < count and (_is_inner(lines[end]) or not lines[end].strip() or _closes(lines[end])):
        end += 1
    while end > row + 1 and not lines[end - 1].strip():
        end -= 1
    return Snippet(textwrap.dedent(_joined(lines, first, end)), first, end)


def _is_inner(line: str) -> bool:
    return line[:1] in (" ", "\t") and bool(line.strip())


def _closes(line: str) -> bool:
    return line.startswith((")", "]", "}", "end", "else", "elif", "except", "finally", "fi", "done", "esac"))


def _goes_on(lines: Sequence[str], row: int) -> bool:
    """Whether a row belongs to what is above it: a closing bracket, or a blank line within something indented."""
    if not lines[row].strip():
        below = next((line for line in lines[row + 1 : row + _GAP_LINES] if line.strip()), "")
        return _is_inner(below) or _closes(below)
    return _closes(lines[row]) or lines[row - 1].startswith("@")


def _joined(lines: Sequence[str], first: int, end: int) -> str:
    return "\n".join(lines[first:end])
