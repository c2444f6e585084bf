"""Traces: who asked for what, when, and for how long. A CSV that people can write (docs/simulation.md)."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import Final

from ...model.errors import BadRequest
from ...model.slots import CUDA_SHARES, GPU_ALIAS, ResourceSlots, format_amount, is_bytes

REQUIRED: Final = ("arrival_s", "duration_s", "slots")
OPTIONAL: Final = ("user", "priority", "limit_s", "split")
_COLUMNS: Final = REQUIRED + OPTIONAL
_MACHINE: Final = re.compile(r"#\s*machine:(.*)", re.IGNORECASE)
_LONGEST_S: Final = 1e9
"""About 30 years: beyond that, the seconds of a float lose their thousandths."""
_YES, _NO = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0", ""})
USUAL_PRIORITY: Final = 10


@dataclass(frozen=True, slots=True)
class Job:
    """A line of a trace."""

    line: int
    """Of the file, counted from 1."""
    arrival_s: float
    duration_s: float
    """What it would run if nobody ended it."""
    slots: ResourceSlots
    user: str = ""
    priority: int = USUAL_PRIORITY
    limit_s: float | None = None
    """What it says about its duration when it is enqueued; it is ended then. None = it says nothing."""
    split: bool = False

    @property
    def runs_s(self) -> float:
        """How long it holds its resources."""
        return self.duration_s if self.limit_s is None else min(self.duration_s, self.limit_s)


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in the order of their arrival, and the machine that the file proposes."""

    jobs: tuple[Job, ...]
    machine: Mapping[str, str] = field(default_factory=dict)
    """Slot -> amount of its `# machine:` line; empty without one."""


def read_trace(lines: Iterable[str], name: str) -> Trace:
    """Reads a trace; requests that arrive at the same time stay in the order of the file.

    Args:
        lines: of the file, read one by one; bytes that are no UTF-8 as surrogates (errors="surrogateescape").
        name: of the file, for messages.

    Raises:
        BadRequest: one sentence with the file, the number of the line and the reason.
    """
    number = 0

    def counted() -> Iterator[str]:
        nonlocal number
        for line in lines:
            number += 1
            if not line.isascii() and any("\ud800" <= character <= "\udfff" for character in line):
                raise BadRequest("this is no text in UTF-8")
            yield line

    reader = csv.reader(counted(), strict=True)
    machine: dict[str, str] = {}
    jobs: list[Job] = []
    header: list[str] | None = None
    parsed: dict[str, ResourceSlots] = {}
    try:
        for row in reader:
            if not row or row == [""]:
                continue
            if row[0].lstrip().startswith("#"):
                if (match := _MACHINE.match(",".join(row).strip())) is not None:
                    machine = dict(_pairs(match[1]))
                    ResourceSlots.parse(machine)
            elif header is None:
                header = _header(row)
            else:
                jobs.append(_job(number, header, row, parsed))
    except BadRequest as exc:
        raise BadRequest(f"{name} line {number}: {exc.message}") from None
    except csv.Error as exc:
        raise BadRequest(f"{name} line {number}: this is no CSV: {exc}") from None
    if header is None:
        raise BadRequest(f"{name} is empty: a trace begins with the header {','.join(_COLUMNS[:5])}")
    if not jobs:
        raise BadRequest(f"{name} has no requests: there is nothing below its header")
    jobs.sort(key=lambda job: job.arrival_s)
    return Trace(tuple(jobs), machine)


def write_trace(trace: Trace) -> Iterator[str]:
    """Yields the lines of a trace, each with its end, as `read_trace` reads them."""
    if trace.machine:
        yield f"# machine: {' '.join(f'{slot}={amount}' for slot, amount in trace.machine.items())}\n"
    yield ",".join(_COLUMNS) + "\n"
    for job in trace.jobs:
        slots = " ".join(
            f"{GPU_ALIAS if slot == CUDA_SHARES else slot}={_amount_text(slot, amount)}"
            for slot, amount in job.slots.items()
        )
        user = job.user if not set(job.user) & set(',"\r\n') else '"' + job.user.replace('"', '""') + '"'
        limit = "" if job.limit_s is None else _seconds_text(job.limit_s)
        fields = (_seconds_text(job.arrival_s), _seconds_text(job.duration_s), slots, user, str(job.priority), limit)
        yield ",".join((*fields, "yes" if job.split else "")) + "\n"


def _amount_text(slot: str, amount: Decimal) -> str:
    """Returns an amount as people write it, and exactly: `0.5`, `4g`, `1536m`."""
    if is_bytes(slot) and amount:
        for power, unit in ((3, "g"), (2, "m")):
            if not amount % 1024**power:
                return f"{amount // 1024**power}{unit}"
    return format_amount(amount)


def _seconds_text(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _header(row: list[str]) -> list[str]:
    names = [name.strip().lower() for name in row]
    for name in names:
        if name not in _COLUMNS:
            near = get_close_matches(name, _COLUMNS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_COLUMNS)}"
            raise BadRequest(f"there is no column {name!r}; {hint}")
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadRequest(f"the column {min(twice)!r} is there twice")
    if missing := [name for name in REQUIRED if name not in names]:
        raise BadRequest(f"the header lacks {' and '.join(missing)}; it needs {', '.join(REQUIRED)}")
    return names


def _job(line: int, header: list[str], row: list[str], parsed: dict[str, ResourceSlots]) -> Job:
    if len(row) != len(header):
        raise BadRequest(f"it has {len(row)} fields where the header has {len(header)}: {','.join(row)[:60]!r}")
    fields = dict(zip(header, map(str.strip, row), strict=True))
    slots = parsed.get(fields["slots"])
    if slots is None:  # traces repeat themselves: equal needs share one object
        slots = parsed[fields["slots"]] = ResourceSlots.parse(dict(_pairs(fields["slots"])))
    limit = fields.get("limit_s", "")
    return Job(
        line=line,
        arrival_s=_seconds("arrival_s", fields["arrival_s"]),
        duration_s=_seconds("duration_s", fields["duration_s"]),
        slots=slots,
        user=fields.get("user", ""),
        priority=_priority(fields.get("priority", "")),
        limit_s=_seconds("limit_s", limit) if limit else None,
        split=_flag("split", fields.get("split", "")),
    )


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yields (slot, amount) of `cpu=2 mem=4g gpu=0.5`."""
    seen = set()
    for part in text.replace(";", " ").split():
        slot, equals, amount = part.partition("=")
        if not equals or not slot or not amount:
            raise BadRequest(f"{part!r} is no slot: write slot=amount with spaces between: 'cpu=2 mem=4g gpu=0.5'")
        if slot in seen:
            raise BadRequest(f"the slot {slot!r} is there twice")
        seen.add(slot)
        yield slot, amount


def _seconds(column: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise BadRequest(f"{column} is {text!r}: write seconds, as in 90 or 0.5") from None
    if not math.isfinite(seconds) or not 0 <= seconds <= _LONGEST_S:
        raise BadRequest(f"{column} is {text!r}: write seconds from 0 to {_LONGEST_S:.0f}")
    return seconds


def _priority(text: str) -> int:
    if not text:
        return USUAL_PRIORITY
    if not text.isascii() or not text.isdecimal() or len(text) > 3 or int(text) > 100:
        raise BadRequest(f"priority is {text!r}: write a whole number from 0 to 100")
    return int(text)


def _flag(column: str, text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise BadRequest(f"{column} is {text!r}: write yes or no")
    return text.lower() in _YES
