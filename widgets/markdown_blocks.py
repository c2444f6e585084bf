"""Markdown as blocks: headings, lists, quotes, code, tables, links as text. Nothing is fetched.

The parser is markdown-it, which Textual brings along; it is imported when the first Markdown comes, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .blocks import Block, Code, Paragraph, Piece, RichLine, Rule, Table, merged
from .text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CHARS: Final = 30_000
"""Characters that are read; the parser is slow on some texts, and nobody reads more in a console."""
MAX_INDENT: Final = 24
_MAX_NESTING: Final = 12


def markdown_blocks(text: str, *, dot: str = "•") -> list[Block]:
    """Returns the blocks of Markdown; never fails."""
    from markdown_it import MarkdownIt

    shown = text[:MAX_CHARS]
    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable(["table", "strikethrough"])
    blocks = _Walk(dot).blocks(parser.parse(shown))
    if len(text) > MAX_CHARS:
        blocks.append(Paragraph(((f"and {len(text) - MAX_CHARS:,} more characters of Markdown", "quiet"),)))
    return blocks


class _Walk:
    def __init__(self, dot: str) -> None:
        self._dot = dot
        self._found: list[Block] = []
        self._lists: list[int | None] = []
        self._quotes = 0
        self._mark = ""
        self._rows: list[tuple[str, ...]] = []
        self._heads = 0
        self._cells: list[str] = []
        self._in_head = False
        self._in_table = False
        self._heading = 0

    def blocks(self, tokens: Sequence[Any]) -> list[Block]:
        for token in tokens:
            self._token(token)
        return self._found

    @property
    def _indent(self) -> int:
        return min(MAX_INDENT, 2 * self._quotes + 2 * max(0, len(self._lists) - 1))

    def _token(self, token: Any) -> None:
        kind = token.type
        if kind == "inline":
            self._inline(token)
        elif kind == "heading_open":
            self._heading = int(token.tag[1:])
        elif kind == "heading_close":
            self._heading = 0
        elif kind in ("fence", "code_block"):
            language = token.info.split()[0] if token.info.split() else ""
            self._found.append(Code(token.content, language, self._indent))
        elif kind == "hr":
            self._found.append(Rule())
        elif kind == "html_block":
            from .html_blocks import html_blocks

            self._found += html_blocks(token.content, dot=self._dot)
        elif kind in ("bullet_list_open", "ordered_list_open"):
            start = int(token.attrs.get("start", 1)) if kind.startswith("ordered") else None
            self._lists.append(start)
        elif kind in ("bullet_list_close", "ordered_list_close"):
            self._lists.pop()
        elif kind == "list_item_open":
            number = self._lists[-1]
            self._mark = self._dot if number is None else f"{number}."
            if number is not None:
                self._lists[-1] = number + 1
        elif kind == "list_item_close":
            self._mark = ""
        elif kind == "blockquote_open":
            self._quotes += 1
        elif kind == "blockquote_close":
            self._quotes -= 1
        else:
            self._table_token(kind)

    def _table_token(self, kind: str) -> None:
        if kind == "table_open":
            self._rows, self._heads, self._in_table = [], 0, True
        elif kind == "table_close":
            self._in_table = False
            self._found.append(Table(tuple(self._rows), self._heads))
        elif kind == "thead_open":
            self._in_head = True
        elif kind == "thead_close":
            self._in_head = False
        elif kind == "tr_open":
            self._cells = []
        elif kind == "tr_close":
            self._rows.append(tuple(self._cells))
            self._heads += self._in_head

    def _inline(self, token: Any) -> None:
        pieces = _inline_pieces(token.children or (), self._dot)
        if self._in_table:
            self._cells.append("".join(text for text, _ in pieces))
        elif self._heading:
            self._found.append(Paragraph(tuple((text, "head") for text, _ in pieces), self._indent))
        else:
            mark, self._mark = self._mark, ""
            indent = self._indent + (2 if self._lists and not mark else 0)
            if self._quotes:
                pieces = tuple((text, role or "em") for text, role in pieces)
            self._found.append(Paragraph(pieces, indent, mark, tight=bool(self._lists and self._found)))


def _inline_pieces(tokens: Sequence[Any], dot: str) -> RichLine:
    pieces: list[Piece] = []
    roles: list[str] = []
    links: list[tuple[str, int]] = []
    for token in tokens:
        kind = token.type
        if kind in ("text", "html_inline"):
            if kind == "text" and token.content:
                pieces.append((one_line(token.content), roles[-1] if roles else ""))
        elif kind == "softbreak":
            pieces.append((" ", ""))
        elif kind == "hardbreak":
            pieces.append(("\n", ""))
        elif kind == "code_inline":
            pieces.append((one_line(token.content), "code"))
        elif kind == "image":
            pieces.append((f"[{one_line(token.content) or 'image'}]", "link"))
        elif kind == "link_open":
            links.append((str(token.attrs.get("href", "")), len(pieces)))
            roles.append("link")
        elif kind == "link_close":
            href, start = links.pop()
            roles.pop()
            said = "".join(text for text, _ in pieces[start:])
            if href.startswith(("http://", "https://", "mailto:")) and href not in said:
                pieces.append((f" ({one_line(href[:200])})", "quiet"))
        elif kind.endswith("_open"):
            roles.append({"strong_open": "strong", "em_open": "em"}.get(kind, "quiet"))
        elif kind.endswith("_close") and roles:
            roles.pop()
    return merged(pieces)
