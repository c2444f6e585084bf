"""Claim: 10,000 sessions in the list: fill, 1,000 updates, sort; beside two tables."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from bai_tui.app.model.sessions import SessionStatus
from bai_tui.widgets.rows import SessionRow
from bai_tui.widgets.session_list import SessionList
from textual.widget import Widget
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey

from .harness import Claim, Sample
from .painting import alone

OURS, FAST, PLAIN = "bai-tui session list", "textual-fastdatatable", "Textual DataTable"
TITLES = {
    "fill": "fill",
    "updates": "{updates:,} updates of one text each",
    "sort": "sort by name",
}
_NOW_S = 1_800_000_000.0
_STATES = (SessionStatus.RUNNING, SessionStatus.PENDING, SessionStatus.PREPARING)


class Told(NamedTuple):
    """A session as a server tells of it."""

    id: str
    name: str
    status: str
    image: str
    cpu: int
    mem_bytes: int
    gpu: Decimal
    since_s: float


def _name(number: int) -> str:
    return f"job-{number * 7919 % 1_000_003:07d}"


def told(number: int, *, image: str = "python:3.11-debian12") -> Told:
    """Returns the session of a number. Names come in another order than numbers: there is something to sort."""
    return Told(
        id=f"id-{number}",
        name=_name(number),
        status=_STATES[number % 3].value,
        image=image,
        cpu=number % 8 + 1,
        mem_bytes=(number % 16 + 1) << 30,
        gpu=Decimal(number % 4) / 4,
        since_s=_NOW_S - number,
    )


class Table(Protocol):
    """What is done to each."""

    @property
    def widget(self) -> Widget:
        """What is shown."""

    def fill(self, sessions: Sequence[Told]) -> None:
        """Shows sessions."""

    def update(self, place: int, session: Told) -> None:
        """Shows another image of a session."""

    def sort(self) -> None:
        """Sorts by name."""


class Ours:
    """The list of bai-tui, with its columns."""

    def __init__(self) -> None:
        self.widget = self._list = SessionList(clock=lambda: _NOW_S)

    def fill(self, sessions: Sequence[Told]) -> None:
        self._list.set_rows([self._row(one) for one in sessions])

    def update(self, place: int, session: Told) -> None:
        self._list.change_rows([self._row(session)])

    def sort(self) -> None:
        self._list.set_sort("name")

    @staticmethod
    def _row(one: Told) -> SessionRow:
        slots = {"cpu": Decimal(one.cpu), "mem": Decimal(one.mem_bytes), "cuda.shares": one.gpu}
        status = SessionStatus(one.status)
        return SessionRow(
            id=one.id, name=one.name, status=status, image=one.image, slots=slots, since_s=one.since_s, note=""
        )


_COLUMNS = ("name", "status", "image", "cpu", "mem", "gpu", "age")
_WIDEST = ("a-first-job", "TERMINATING", "python:3.11-debian12", "16", "16G", "0.00", "100m")
_IMAGE = 2
"""The column that updates change: all else of a session stays."""


def _cells(one: Told) -> tuple[Any, ...]:
    age = f"{int(_NOW_S - one.since_s) // 60}m"
    return one.name, one.status, one.image, str(one.cpu), f"{one.mem_bytes >> 30}G", f"{one.gpu:.2f}", age


class Fast:
    """textual-fastdatatable with an Arrow backend."""

    def __init__(self) -> None:
        from textual_fastdatatable import ArrowBackend
        from textual_fastdatatable import DataTable as FastTable

        # one row, since columns without any have neither type nor width
        first = ArrowBackend.from_pydict({name: [cell] for name, cell in zip(_COLUMNS, _WIDEST, strict=True)})
        self.widget = self._table = FastTable(backend=first, cursor_type="row", render_markup=False)

    def fill(self, sessions: Sequence[Told]) -> None:
        self._table.add_rows(map(_cells, sessions))

    def update(self, place: int, session: Told) -> None:
        self._table.update_cell(place + 1, _IMAGE, session.image)

    def sort(self) -> None:
        self._table.sort([("name", "ascending")])


class Plain:
    """Textual's own table."""

    def __init__(self) -> None:
        self.widget = self._table = DataTable[str](cursor_type="row")
        self._keys: list[ColumnKey] = []

    def fill(self, sessions: Sequence[Told]) -> None:
        # not before: columns need an app
        self._keys = self._table.add_columns(*_COLUMNS)
        for one in sessions:
            self._table.add_row(*_cells(one), key=one.id)

    def update(self, place: int, session: Told) -> None:
        self._table.update_cell(session.id, self._keys[_IMAGE], session.image)

    def sort(self) -> None:
        self._table.sort(self._keys[0])


TABLES: dict[str, Callable[[], Table]] = {OURS: Ours, FAST: Fast, PLAIN: Plain}


async def _steps(make: Callable[[], Table], sessions: Sequence[Told], updates: int) -> dict[str, float]:
    """Returns the milliseconds of each step, from the call to the paint of what it must show."""
    table = make()
    took: dict[str, float] = {}
    async with alone(table.widget) as driver:

        async def step(name: str, shown: str, act: Callable[[], Awaitable[None]]) -> None:
            painted = driver.painted(shown)
            began = time.perf_counter()
            await act()
            took[name] = (await painted - began) * 1e3

        async def fill() -> None:
            table.fill(sessions)

        async def update() -> None:
            # the last one is in view
            for number in range(updates - 1, -1, -1):
                place = number * (len(sessions) // updates)
                table.update(place, told(place, image=f"python:3.{number}"))
                # as between two events of a stream: others may go on
                await asyncio.sleep(0)

        async def sort() -> None:
            table.sort()

        for name, shown, act in (
            ("fill", sessions[1].name, fill),
            ("updates", "python:3.0", update),
            ("sort", sorted(one.name for one in sessions)[1], sort),
        ):
            await step(name, shown, act)
            # until all is done that the step left to be done
            await asyncio.sleep(0.3)
    return took


async def measure(*, rounds: int, count: int = 10_000, updates: int = 1_000) -> list[Claim]:
    """Fills, updates and sorts each in turn."""
    sessions = [told(number) for number in range(count)]
    tables = {name: make for name, make in TABLES.items() if name != FAST or find_spec("textual_fastdatatable")}
    found: dict[str, dict[str, list[float]]] = {name: {step: [] for step in TITLES} for name in tables}
    for number in range(-1, rounds):
        order = list(tables.items())
        for name, make in order if number % 2 == 0 else reversed(order):
            for step, value in (await _steps(make, sessions, updates)).items():
                if number >= 0:
                    found[name][step].append(value)
    claims = []
    for letter, (step, title) in zip("abc", TITLES.items(), strict=True):
        claim = Claim(
            title=f"14{letter}. {count:,} sessions: {title.format(updates=updates)}",
            unit="ms",
            how="From the first call until what it must show has been painted in 120x40. All begin with the same plain "
            "objects; ours makes its rows of them and keeps the cursor on its session.",
            samples=[Sample(name, tuple(steps[step])) for name, steps in found.items()],
            ours=OURS,
        )
        if FAST in tables:
            claim.goal_factor(FAST, 1)
        else:
            claim.notes.append(f"{FAST} is not to be had here.")
        claims.append(claim)
    return claims
