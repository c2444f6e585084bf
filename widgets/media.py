"""Draws rich output as rows of cells: pictures, tables, Markdown, trees of JSON, readable text of everything else.

`MediaView` belongs to one widget that paints its rows. Text is laid out when it is first asked for, in bounded time;
pictures are decoded in a thread, in as many rows as their head says they take, so that nothing jumps when they are
there. Rows are kept per width.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.strip import Strip

from ._textual_private import write_to_terminal
from .blocks import ASCII_SHAPES, Block, RichLine, Shapes, cut_line, layout, pieces_of, wrap
from .graphics import CellSize, Mode, ask_tmux, cell_size, detect, environment, kitty_forget, kitty_picture
from .json_tree import JsonTree, Row
from .lines import Media
from .picture import (
    Kind,
    PictureError,
    amount_bytes,
    block_rows,
    decode,
    fitted,
    kitty_rows,
    look,
    pixels_for,
    placed_sixel,
    png_base64,
    shade_rows,
    sixel_rows,
)
from .text import one_line
from .text import size as bytes_text

if TYPE_CHECKING:
    from textual.widget import Widget

log = logging.getLogger(__name__)

INLINE_ROWS: Final = 40
"""Rows of rich text in a console; the viewer shows all of it."""
INLINE_TABLE_ROWS: Final = 20
INLINE_PICTURE_ROWS: Final = 20
VIEW_TABLE_ROWS: Final = 5_000
VIEW_TABLE_CELLS: Final = 2_000
"""Cells that a table may be wide in the viewer, which scrolls to the side."""
MAX_TEXT_CHARS: Final = 200_000
MAX_TEXT_ROWS: Final = 20_000
_KEPT_TEXTS: Final = 64
_KEPT_PICTURES: Final = 24
"""Pictures, each in one width, that stay decoded."""
_numbers = iter(range(0x51B000, 0xFFFFFF))
"""By which terminals know pictures: 24 bits, away from where other programs begin."""


@dataclass(slots=True)
class _Text:
    lines: list[RichLine]
    rows: list[Row] | None = None
    """Of a tree: what each line stands for."""


@dataclass(slots=True)
class _Frame:
    """A picture in one size; the rows come when it is decoded."""

    columns: int
    rows: int
    cells: list[list[Segment]] | None = None
    sentence: str = ""
    """Why it cannot be shown."""
    number: int = 0
    """By which the terminal knows it; 0 = it does not."""
    painted: int = 0
    """Since which change of pictures it was painted."""


@dataclass(slots=True)
class _Look:
    kind: Kind | None
    sentence: str = ""
    frames: dict[tuple[int, int], _Frame] = field(default_factory=dict)


class MediaView:
    """Rows of rich output for one widget.

    Args:
        images: `auto`, `kitty`, `sixel`, `blocks` or `none`.
        whole: Everything is shown, as large as there is room: for a viewer.
    """

    def __init__(self, *, images: str = "auto", ascii_only: bool = False, whole: bool = False) -> None:
        self._setting = images
        self._ascii = ascii_only
        self._whole = whole
        self._shapes = ASCII_SHAPES if ascii_only else Shapes()
        self._owner: Widget | None = None
        self._prefix = ""
        self._changed: Callable[[], None] = lambda: None
        self._styles: dict[str, Style] = {}
        self._texts: LRUCache[tuple[int, int], tuple[Media, _Text]] = LRUCache(_KEPT_TEXTS)
        self._trees: WeakKeyDictionary[Media, JsonTree] = WeakKeyDictionary()
        self._parsed: WeakKeyDictionary[Media, list[Block]] = WeakKeyDictionary()
        self._looks: WeakKeyDictionary[Media, _Look] = WeakKeyDictionary()
        self._recent: OrderedDict[tuple[int, int, int], _Frame] = OrderedDict()
        self._mode: Mode | None = None
        self._tmux: str | None = None
        self._changes = 0
        """How often pictures came to look different."""
        self._turn = asyncio.Lock()
        self._cell: CellSize | None = None
        self.max_rows = INLINE_PICTURE_ROWS
        """Rows that a picture may take."""

    def attach(self, owner: Widget, prefix: str, changed: Callable[[], None]) -> None:
        """Takes the widget that paints; its component classes `prefix` + role of `blocks.ROLES` give the styles.

        Args:
            changed: Is called when rows look different than before: a picture was decoded.
        """
        self._owner, self._prefix, self._changed = owner, prefix, changed
        owner.app.app_resume_signal.subscribe(owner, lambda app: self.forget_screen())
        if self._in_tmux and self._setting == "auto":
            # asked before the first picture comes, so that nothing waits for the answer then
            owner.run_worker(self._ask_tmux(), name="pictures in tmux", group="pictures", exit_on_error=False)

    # -- for the widget that paints ------------------------------------------------------------------------------

    def height(self, media: Media, width: int) -> int:
        """Returns the rows that rich output takes in `width` cells: at least one."""
        if media.mime.startswith("image/"):
            frame = self._frame(media, width)
            return 1 if frame is None else 1 + frame.rows
        return max(1, len(self._text(media, width).lines))

    def widest(self, media: Media, width: int) -> int:
        """Returns the cells of its widest row, which in a viewer may be more than `width`."""
        if media.mime.startswith("image/"):
            return width
        lines = self._text(media, width).lines
        return max((sum(cell_len(text) for text, _ in line) for line in lines), default=0)

    def strip(self, media: Media, width: int, row: int) -> Strip:
        """Returns one of its rows, in a console at most `width` cells wide."""
        if media.mime.startswith("image/"):
            return self._picture_row(media, width, row)
        lines = self._text(media, width).lines
        strip = self._strip(lines[row]) if row < len(lines) else Strip([])
        return strip if self._whole else strip.crop(0, width)

    def can_toggle(self, media: Media, width: int, row: int) -> bool:
        """Whether a row opens or closes a part of a tree."""
        return self._tree_row(media, width, row) is not None

    def toggle(self, media: Media, width: int, row: int) -> bool:
        """Opens or closes the part of a tree that a row stands for; returns whether the height may be another now."""
        found = self._tree_row(media, width, row)
        tree = self._trees.get(media)
        if found is None or tree is None or not tree.toggle(found):
            return False
        for key in [key for key in self._texts.keys() if key[0] == id(media)]:  # noqa: SIM118 (it is no dict)
            self._texts.discard(key)
        return True

    def forget_styles(self) -> None:
        """Takes that the theme is another one."""
        self._styles.clear()
        for number in [frame.number for frame in self._recent.values()]:
            self._free(number)
        self._forget_frames()

    def forget_screen(self) -> None:
        """Takes that the terminal was another program's for a while: it may have forgotten the pictures."""
        self._cell = None
        self._forget_frames()
        self._changed()

    def close(self) -> None:
        """Frees what the terminal keeps."""
        for frame in self._recent.values():
            self._free(frame.number)
        self._forget_frames()

    @property
    def mode(self) -> Mode | None:
        """How pictures are painted; None = not known yet."""
        return self._mode

    # -- text ----------------------------------------------------------------------------------------------------

    def _text(self, media: Media, width: int) -> _Text:
        key = (id(media), width)
        known = self._texts.get(key)
        if known is not None and known[0] is media:
            return known[1]
        text = self._laid_out(media, width)
        if not self._whole and len(text.lines) > INLINE_ROWS + 1:
            more = len(text.lines) - INLINE_ROWS
            said = f"{self._shapes.ellipsis} {more:,} more rows: open it to see them"
            text.lines[INLINE_ROWS:] = [cut_line(((said, "quiet"),), width, self._shapes.ellipsis)]
        self._texts[key] = (media, text)
        return text

    def _laid_out(self, media: Media, width: int) -> _Text:
        if media.mime == "application/json" or media.mime.endswith("+json"):
            tree = self._trees.get(media)
            if tree is None and (tree := JsonTree.parse(media.data)) is not None:
                self._trees[media] = tree
            if tree is not None:
                rows = tree.rows(width, self._shapes)
                return _Text([row.line for row in rows], rows)
            return _Text(self._plain(media.data, width, "code"))
        table_rows, table_width = (VIEW_TABLE_ROWS, VIEW_TABLE_CELLS) if self._whole else (INLINE_TABLE_ROWS, 0)
        if media.mime in ("text/html", "text/markdown"):
            blocks = self._blocks(media)
            lines = layout(blocks, width, max_rows=table_rows, table_width=table_width, shapes=self._shapes)
            return _Text(lines or self._plain(media.alt or f"[{media.mime}: nothing to read in it]", width, "quiet"))
        if media.mime.startswith("text/"):
            return _Text(self._plain(media.data, width, "code" if media.mime == "text/latex" else ""))
        said = f"[{one_line(media.mime)} {bytes_text(amount_bytes(media.data))}]"
        if media.alt and media.alt != said:
            said += f" {media.alt}"
        return _Text(self._plain(said, width, "quiet"))

    def _blocks(self, media: Media) -> list[Block]:
        """Returns what rich text consists of; it is parsed once, for all widths."""
        blocks = self._parsed.get(media)
        if blocks is None:
            if media.mime == "text/html":
                from .html_blocks import html_blocks

                blocks = html_blocks(media.data, dot=self._shapes.dot)
            else:
                from .markdown_blocks import markdown_blocks

                blocks = markdown_blocks(media.data, dot=self._shapes.dot)
            self._parsed[media] = blocks
        return blocks

    def _plain(self, text: str, width: int, role: str) -> list[RichLine]:
        lines: list[RichLine] = []
        most = MAX_TEXT_ROWS if self._whole else INLINE_ROWS * 2
        at, end = 0, min(len(text), MAX_TEXT_CHARS)
        while at < end and len(lines) < most:
            newline = text.find("\n", at, end)
            stop = end if newline == -1 else newline
            shown = text[at : min(stop, at + most * width)]
            lines += wrap(pieces_of(shown.rstrip("\r").expandtabs(4), role), max(1, width))
            at = stop + 1 if len(shown) == stop - at else at + len(shown)
        if at < len(text):
            more = f"{self._shapes.ellipsis} {len(text) - at:,} more characters: save it to read them"
            lines.append(cut_line(((more, "quiet"),), width, self._shapes.ellipsis))
        return lines

    def _tree_row(self, media: Media, width: int, row: int) -> Row | None:
        if media.mime.startswith("image/"):
            return None
        text = self._text(media, width)
        if text.rows is None or row >= min(len(text.rows), len(text.lines)) or text.rows[row].path is None:
            return None
        return text.rows[row] if text.lines[row] == text.rows[row].line else None

    def _strip(self, line: RichLine) -> Strip:
        return Strip([Segment(text, self._style(role)) for text, role in line])

    def _style(self, role: str) -> Style | None:
        if not role or self._owner is None:
            return None
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = self._owner.get_component_rich_style(f"{self._prefix}{role}", partial=True)
        return style

    # -- pictures ------------------------------------------------------------------------------------------------

    def _look(self, media: Media) -> _Look:
        found = self._looks.get(media)
        if found is None:
            try:
                found = _Look(look(media.mime, media.data))
            except PictureError as error:
                found = _Look(None, str(error))
            self._looks[media] = found
        return found

    def _frame(self, media: Media, width: int) -> _Frame | None:
        """Returns a picture in a width, decoded or not; None where none is shown."""
        seen = self._look(media)
        if seen.kind is None or self._setting == Mode.NONE:
            return None
        key = (width, self.max_rows)
        frame = seen.frames.get(key)
        if frame is None:
            cell = self._cell_size()
            if self._find_mode() in (Mode.BLOCKS, Mode.SHADES):
                # a cell holds so few pixels that a picture is as large as there is room for it
                columns, rows = fitted(seen.kind, cell, max(1, width), self.max_rows, enlarge=True)
                columns, rows = min(columns, seen.kind.width), min(rows, max(1, seen.kind.height // 2))
            else:
                columns, rows = fitted(seen.kind, cell, max(1, width), self.max_rows, enlarge=self._whole)
            frame = seen.frames[key] = _Frame(columns, min(rows, 290))
        return frame

    def _picture_row(self, media: Media, width: int, row: int) -> Strip:
        seen, frame = self._look(media), self._frame(media, width)
        if row == 0:
            return self._caption(media, width, seen.sentence or (frame.sentence if frame is not None else ""))
        if frame is None or frame.sentence:
            return Strip([])
        frame.painted = self._changes
        if frame.cells is None:
            self._ask(media, width, frame)
            return Strip([Segment("decoding", self._style("quiet"))]) if row == 1 and width >= 8 else Strip([])
        cells = frame.cells[row - 1] if row <= len(frame.cells) else []
        if self._mode is Mode.SIXEL and cells:
            if self._owner is not None and not self._owner.screen.is_active:
                # the terminal would paint it over the dialog in front
                return Strip([Segment(" " * frame.columns)])
            cells = placed_sixel(cells[0].text, frame.columns)
        return Strip(cells, frame.columns)

    def _caption(self, media: Media, width: int, sentence: str) -> Strip:
        kind = self._look(media).kind
        pixels = "" if kind is None else f" {kind.width}x{kind.height}"
        said = f"[{one_line(media.mime)}{pixels} {bytes_text(amount_bytes(media.data))}]"
        if media.alt and not media.alt.startswith("["):
            said += f" {one_line(media.alt[:500])}"
        if sentence:
            said += f" {sentence}"
        return self._strip(cut_line(((said, "quiet"),), max(1, width), self._shapes.ellipsis))

    def _ask(self, media: Media, width: int, frame: _Frame) -> None:
        """Has a picture decoded, unless that is under way."""
        owner = self._owner
        key = (id(media), width, self.max_rows)
        if owner is None or not owner.is_attached or key in self._recent:
            return
        # those on the screen stay, however many there are: else they would push each other out for ever
        gone = [other for other, old in self._recent.items() if old.painted < self._changes]
        for other in gone[: max(0, len(self._recent) + 1 - _KEPT_PICTURES)]:
            old = self._recent.pop(other)
            self._free(old.number)
            old.cells, old.number = None, 0
        self._recent[key] = frame
        owner.run_worker(
            self._decode(media, frame, key), name="picture", group="pictures", exit_on_error=False, exclusive=False
        )

    async def _decode(self, media: Media, frame: _Frame, key: tuple[int, int, int]) -> None:
        async with self._turn:
            if self._recent.get(key) is not frame:
                return
            kind, mode, cell, owner = self._look(media).kind, self._find_mode(), self._cell_size(), self._owner
            if kind is None or owner is None or not owner.is_attached:
                return
            ground = self._ground(owner)
            number = next(_numbers, 0) if mode is Mode.KITTY else 0
            try:
                made = await asyncio.to_thread(
                    _made, kind.mime, media.data, frame.columns, frame.rows, mode, cell, ground
                )
            except PictureError as error:
                frame.sentence = str(error)
                self._recent.pop(key, None)
            else:
                if self._recent.get(key) is not frame:
                    return
                cells, png = made
                if number:
                    sequence = kitty_picture(number, png, frame.columns, frame.rows, tmux=self._in_tmux)
                    write_to_terminal(owner.app, sequence)
                    cells = kitty_rows(number, frame.columns, frame.rows)
                frame.cells, frame.number = list(cells), number
        self._changes += 1
        self._changed()

    async def _ask_tmux(self) -> None:
        answer = await asyncio.to_thread(ask_tmux)
        if self._tmux is None:
            self._tmux = answer

    def _find_mode(self) -> Mode:
        """Returns how pictures are painted; what that depends on does not change while the terminal is the same."""
        if self._mode is None:
            owner = self._owner
            if owner is None:
                return Mode.BLOCKS
            if self._tmux is None and self._in_tmux and self._setting == "auto":
                self._tmux = ask_tmux()
            app = owner.app
            colours = {"standard": 16, "256": 256, "truecolor": 1 << 24, "windows": 16}
            self._mode = detect(
                self._setting,
                environment(),
                colours=0 if app.no_color else colours.get(app.console.color_system or "", 0),
                ascii_only=self._ascii,
                tmux=self._tmux or "",
                in_browser=app.is_web,
            )
        return self._mode

    def _cell_size(self) -> CellSize:
        if self._cell is None:
            self._cell = cell_size()
        return self._cell

    @property
    def _in_tmux(self) -> bool:
        return bool(environment().get("TMUX"))

    @staticmethod
    def _ground(owner: Widget) -> tuple[int, int, int]:
        _, colour = owner.background_colors
        return colour.r, colour.g, colour.b

    def _free(self, number: int) -> None:
        if number and self._owner is not None and self._owner.is_attached:
            write_to_terminal(self._owner.app, kitty_forget(number, tmux=self._in_tmux))

    def _forget_frames(self) -> None:
        self._recent.clear()
        for seen in self._looks.values():
            seen.frames.clear()


def _made(
    mime: str, data: str, columns: int, rows: int, mode: Mode, cell: CellSize, ground: tuple[int, int, int]
) -> tuple[Sequence[list[Segment]], str]:
    """Returns the rows of a picture, and for kitty the picture itself. Slow: runs in a thread."""
    image = decode(mime, data, pixels_for(mode, columns, rows, cell))
    if mode is Mode.KITTY:
        return (), png_base64(image)
    if mode is Mode.SIXEL:
        return sixel_rows(image, rows, ground), ""
    return (block_rows(image, ground) if mode is Mode.BLOCKS else shade_rows(image, ground)), ""
