"""What can stand in a line of the session list: how a column reads, and how rows are sorted by it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ..app.model.slots import CPU, MEM
from .glyphs import Glyphs, status_word
from .rows import SessionRow, SessionUse
from .text import count, duration, fit, gpu_amount, left, one_line, share, size

NEAR_S: Final = 600.0
"""Time left from which the row of a session says when an idle check ends it, in place of its age."""
SOON_S: Final = 120.0
"""Time left from which that is said in words, and how to keep it."""
NAME: Final = "name"
STATUS: Final = "status"
IMAGE: Final = "image"
AGE: Final = "age"

Key = tuple[float | str, ...]
"""What rows are compared by; of one shape within a column."""


def idle_level(remaining_s: float) -> str:
    """Returns how much an end that is so far off needs the user: `soon`, `near`, or nothing."""
    return "soon" if remaining_s <= SOON_S else "near" if remaining_s <= NEAR_S else ""


@dataclass(frozen=True, slots=True)
class Look:
    """What a row does not hold itself and columns need."""

    glyphs: Glyphs
    now_s: float
    use: Callable[[str], SessionUse | None]
    """Id -> what the session uses now; None = not known."""

    def doomed(self, row: SessionRow) -> str:
        """Returns the time until an idle check ends a session; empty when that is far off or never."""
        remaining = None if row.ends_at_s is None else row.ends_at_s - self.now_s
        return left(remaining) if remaining is not None and idle_level(remaining) else ""

    def age(self, row: SessionRow) -> str:
        """Returns how old a session is."""
        return "" if row.since_s is None else duration(self.now_s - row.since_s)


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    id: str
    title: str
    """Its head; a word or two."""
    about: str
    """What the picker says of it."""
    width: int
    """Cells; 0 = what is left."""
    text: Callable[[SessionRow, Look], str]
    key: Callable[[SessionRow, Look], Key | None]
    """None = it says nothing of this row, which then comes last whatever the direction is."""
    right: bool = True
    live: bool = False
    """It changes with every round of measuring."""
    fixed: bool = False
    """It cannot be taken away."""


def _gpu(row: SessionRow, look: Look) -> str:
    gpu = gpu_amount(dict(row.slots))
    if not gpu:
        return ""
    lit = min(4, max(1, round(gpu * 4)))
    return f"{look.glyphs.share_on * lit}{look.glyphs.share_off * (4 - lit)} {share(gpu):>4}"


def _cpu(row: SessionRow, look: Look) -> str:
    return f"{count(row.slots[CPU])}c" if CPU in row.slots else ""


def _mem(row: SessionRow, look: Look) -> str:
    return size(row.slots[MEM]) if MEM in row.slots else ""


def _slot_key(slot: str) -> Callable[[SessionRow, Look], Key | None]:
    return lambda row, look: (float(row.slots[slot]),) if slot in row.slots else None


def _used(place: int, write: Callable[[float], str]) -> Callable[[SessionRow, Look], str]:
    def text(row: SessionRow, look: Look) -> str:
        use = look.use(row.id)
        amount = None if use is None else use[place]
        return "" if amount is None else write(amount)

    return text


def _used_key(place: int) -> Callable[[SessionRow, Look], Key | None]:
    def key(row: SessionRow, look: Look) -> Key | None:
        use = look.use(row.id)
        amount = None if use is None else use[place]
        return None if amount is None else (amount,)

    return key


def _word(text: Callable[[SessionRow], str]) -> Callable[[SessionRow, Look], Key | None]:
    def key(row: SessionRow, look: Look) -> Key | None:
        word = text(row)
        return (word.lower(), word) if word else None

    return key


def _plain(text: Callable[[SessionRow], str]) -> Callable[[SessionRow, Look], str]:
    return lambda row, look: one_line(text(row))


def _image(row: SessionRow, look: Look) -> str:
    # in front, where it is not cut off
    return (f"{look.glyphs.failed} gone: " if row.image_gone else "") + one_line(row.image)


def _status(row: SessionRow) -> str:
    return status_word(row.status, one_line(row.status_text), busy=row.busy, asks=row.asks)


def _ends(row: SessionRow, look: Look) -> str:
    return "" if row.ends_at_s is None else left(row.ends_at_s - look.now_s)


def _percent(amount: float) -> str:
    return f"{amount:.0f}%"


COLUMNS: Final[tuple[Column, ...]] = (
    Column(STATUS, "state", "running, busy, pending, ...", 10, lambda row, look: _status(row), _word(_status),
           right=False, fixed=True),
    Column(NAME, "name", "the session's name", 0, _plain(lambda row: row.name), _word(lambda row: row.name),
           right=False, fixed=True),
    Column(IMAGE, "image", "what it runs", 0, _image, _word(lambda row: row.image),
           right=False),
    Column("why", "why it ended", "why it ended", 0, _plain(lambda row: row.why), _word(lambda row: row.why),
           right=False),
    Column("project", "project", "the project (group) it belongs to", 10, _plain(lambda row: row.project),
           _word(lambda row: row.project), right=False),
    Column("owner", "owner", "access key of its owner", 10, _plain(lambda row: row.owner),
           _word(lambda row: row.owner), right=False),
    Column("type", "type", "interactive, batch, ...", 11, _plain(lambda row: row.type), _word(lambda row: row.type),
           right=False),
    Column("tag", "tag", "the note given at its launch", 12, _plain(lambda row: row.tag), _word(lambda row: row.tag),
           right=False),
    Column("priority", "prio", "place in the queue: more goes first", 4,
           lambda row, look: "" if row.priority is None else str(row.priority),
           lambda row, look: None if row.priority is None else (float(row.priority),)),
    Column("cpu-used", "cpu%", "processor time used now, in percent of one core", 5, _used(0, _percent),
           _used_key(0), live=True),
    Column("mem-used", "used", "memory used now", 4, _used(1, size), _used_key(1), live=True),
    Column("gpu-used", "gpu%", "GPU time used now", 4, _used(2, _percent), _used_key(2), live=True),
    Column("gpu-mem", "gmem", "GPU memory used now", 4, _used(3, size), _used_key(3), live=True),
    Column("gpu", "gpu", "GPU share that it has or waits for", 9, _gpu,
           lambda row, look: (float(amount),) if (amount := gpu_amount(dict(row.slots))) else None),
    Column("cpu", "cpu", "cores that it has or waits for", 3, _cpu, _slot_key(CPU)),
    Column("mem", "mem", "memory that it has or waits for", 4, _mem, _slot_key(MEM)),
    Column("ends", "ends", "time until an idle check ends it", 6, _ends,
           lambda row, look: None if row.ends_at_s is None else (row.ends_at_s,)),
    Column("ended", "ended", "how long ago it ended", 6,
           lambda row, look: "" if row.ended_s is None else duration(look.now_s - row.ended_s),
           lambda row, look: None if row.ended_s is None else (-row.ended_s,)),
    Column("lived", "lived", "how long it was there", 6,
           lambda row, look: "" if row.ended_s is None or row.since_s is None else duration(row.ended_s - row.since_s),
           lambda row, look: None if row.ended_s is None or row.since_s is None else (row.ended_s - row.since_s,)),
    Column(AGE, "age", "time since it was made, or what is left", 6,
           lambda row, look: look.age(row), lambda row, look: None if row.since_s is None else (-row.since_s,)),
)  # fmt: skip
BY_ID: Final = {column.id: column for column in COLUMNS}
LISTED: Final = (IMAGE, "cpu-used", "mem-used", "gpu", "cpu", "mem", AGE)
"""Columns that are shown unless others are chosen."""
ENDED: Final = (IMAGE, "why", "lived", "ended")
"""The same, of sessions that ended."""
_OF_ENDED_ONLY: Final = ("why", "ended", "lived")
OF_LIVE: Final = tuple(column for column in COLUMNS if column.id not in _OF_ENDED_ONLY)
"""What can be told of sessions that live."""
OF_ENDED: Final = tuple(column for column in COLUMNS if not column.live and column.id not in ("priority", "ends"))
"""What can be told of sessions that ended."""
_NAME_MOST: Final = 24
_IMAGE_LEAST: Final = 8
_FLEXIBLE_LEAST: Final = {IMAGE: _IMAGE_LEAST, "why": 10}
_ALIGNED: Final = ("cpu", "mem")
"""Numbers that keep their place in a short line even where there are none."""
_GAP: Final = 1


@dataclass(frozen=True, slots=True)
class Placed:
    """A column with its place in a line."""

    column: Column
    x: int
    width: int


def chosen(ids: Sequence[str]) -> list[Column]:
    """Returns the columns of these ids in the order in which they stand, with those that cannot be taken away."""
    return [column for column in COLUMNS if column.fixed or column.id in ids]


def placed(ids: Sequence[str], width: int) -> list[Placed]:
    """Returns where columns stand in a line of `width` cells; those for which there is no room are left out.

    What is left goes to the image and other long texts; the name has a third at most.
    """
    columns = chosen(ids)
    name_width = min(_NAME_MOST, max(8, (width - 22) // 3))
    while True:
        flexible = [column for column in columns if not column.width and column.id != NAME]
        taken = name_width + sum(column.width for column in columns) + _GAP * len(columns)
        room = width - taken
        if room >= sum(_FLEXIBLE_LEAST[column.id] for column in flexible):
            break
        spare = _spare(columns)
        if spare is None:
            break
        columns.remove(spare)
    widths = {column.id: room // max(1, len(flexible)) for column in flexible}
    widths[NAME] = name_width if flexible else name_width + max(0, room)
    x, found = 0, []
    for column in columns:
        cells = column.width or widths[column.id]
        found.append(Placed(column, x, cells))
        x += cells + _GAP
    return found


def _spare(columns: Sequence[Column]) -> Column | None:
    """Returns the column that goes first where there is no room: an added one, then long texts, then numbers."""
    free = [column for column in columns if not column.fixed and column.id != AGE]
    rare = [column for column in free if column.id not in LISTED and column.id not in ENDED]
    long = [column for column in free if not column.width]
    live = [column for column in free if column.live]
    for group in (rare, long, live, free):
        if group:
            return group[-1]
    return next((column for column in reversed(columns) if not column.fixed), None)


def cell(place: Placed, row: SessionRow, look: Look) -> str:
    """Returns what stands in a column, in exactly its cells."""
    column = place.column
    return fit(column.text(row, look), place.width, right=column.right, ellipsis=look.glyphs.ellipsis)


def compact(ids: Sequence[str], row: SessionRow, look: Look, width: int) -> str:
    """Returns a row's columns in one short line: long text at the left as far as it has room, numbers at the right."""
    columns = [column for column in chosen(ids) if not column.fixed and column.id != AGE]
    while True:
        numbers = _numbers([column for column in columns if column.width], row, look)
        # one cell before the border, two between text and numbers
        if len(numbers) + 1 <= width or (spare := _spare([c for c in columns if c.width])) is None:
            break
        columns.remove(spare)
    texts = [text for column in columns if not column.width and (text := column.text(row, look))]
    room = width - len(numbers) - (2 if numbers else 1)
    if not texts or room < _IMAGE_LEAST:
        return fit(numbers, width - 1, right=True) + " "
    long = f" {look.glyphs.dot} ".join(texts)
    return f"{fit(long, room, ellipsis=look.glyphs.ellipsis)} {numbers} " if numbers else fit(long, room) + " "


def _numbers(columns: Sequence[Column], row: SessionRow, look: Look) -> str:
    """Returns texts in columns of fixed width; what is empty at the left takes no room."""
    written = ""
    measured = False
    for column in columns:
        text = fit(column.text(row, look), column.width, right=True, ellipsis=look.glyphs.ellipsis)
        if not written and not text.strip() and column.id not in _ALIGNED:
            continue
        if column.id == "gpu" and not text.strip():
            continue
        written += ("  " if measured and not column.live else " " if written else "") + text
        measured = column.live
    return written
