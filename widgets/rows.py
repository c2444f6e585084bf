"""The plain data that the panes show. No Textual here: the session store and its tests use these too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from ..app.model.images import ImageKind, ImageState
from ..app.model.sessions import ANSWERING, TERMINAL, SessionStatus


class ImageProgress(NamedTuple):
    """How far an image is that is being built or pulled."""

    fraction: float | None
    """0 to 1; None = nobody knows."""
    step: str
    """What is being done now. Untrusted: it may quote an installer."""
    since_s: float
    """Unix time from which nothing else was heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session in the list."""

    id: str
    name: str
    status: SessionStatus | None = None
    status_text: str = ""
    """The server's word, for a state that this program does not know."""
    image: str = ""
    image_gone: bool = False
    """No other session could run in its image now."""
    slots: Mapping[str, Decimal] = field(default_factory=dict)
    """What it holds, or asks for while it waits."""
    since_s: float | None = None
    """Unix time of creation; None when unknown."""
    busy: bool = False
    asks: bool = False
    """A run waits for input."""
    note: str = ""
    """Why it waits or failed; shown in place of the image and slots."""
    progress: ImageProgress | None = None
    """How far its image is, which is being built or pulled; shown in place of the note."""
    alarm: str = ""
    """What needs the user now, such as a kill to confirm; shown in place of the rest of the row."""
    ends_at_s: float | None = None
    """Unix time at which an idle check ends it if nothing happens; None = none does, or its time is not running."""
    ends_why: str = ""
    """Which check that is, in a word or two: `unused`."""
    kill_at_s: float | None = None
    """Unix time at which the end that the user asked for is sent to the server; until then it can be taken back."""
    priority: int | None = None
    """None = the server does not tell."""
    type: str = ""
    tag: str = ""
    owner: str = ""
    project: str = ""
    ended_s: float | None = None
    """Unix time of its end; None = it lives, or nobody knows."""
    why: str = ""
    """Why it ended, in words; shown in the history only."""

    @property
    def answering(self) -> bool:
        return self.status in ANSWERING

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


class SessionUse(NamedTuple):
    """What a session uses now. None = not measured."""

    cpu_pct: float | None = None
    """Of one core."""
    mem_bytes: float | None = None
    gpu_pct: float | None = None
    gpu_mem_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Gauge:
    """A slot of the machine."""

    label: str
    used: Decimal
    total: Decimal
    is_bytes: bool = False


@dataclass(frozen=True, slots=True)
class GpuGauge:
    """A GPU of the machine and what of it is promised, in shares."""

    label: str
    kind: str
    """`nvidia` or `mock`: a mock is labelled wherever it is named."""
    model: str
    mem_bytes: int
    capacity: Decimal
    promised: Mapping[str, Decimal]
    """Session id -> shares."""
    lost: bool = False
    """It was there and is not now."""

    @property
    def used(self) -> Decimal:
        return sum(self.promised.values(), Decimal(0))


@dataclass(frozen=True, slots=True)
class Machine:
    gauges: tuple[Gauge, ...] = ()
    gpus: tuple[GpuGauge, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineUse:
    """What of the machine is really used, by anybody. None = not measured."""

    cpu_pct: float | None = None
    mem_used_bytes: int | None = None
    gpus_mem_bytes: Mapping[str, int] = field(default_factory=dict)
    """GPU -> memory in use; what is not in it is not measured."""


OTHERS: Final = ""
"""Stands for the id of a session where a part is held by sessions that are not ours to see."""


@dataclass(frozen=True, slots=True)
class MapPart:
    """What one session holds of one bar of the map."""

    session_id: str
    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class MapBar:
    """One bar of the map: a GPU, or all cores, or all memory."""

    id: str
    note: str
    """The model, and whether it is a mock."""
    capacity: Decimal
    parts: tuple[MapPart, ...]
    told: str
    """What is given away of what there is: `0.75/1.00`."""
    unit: Literal["shares", "cores", "bytes"] = "shares"
    lost: bool = False


@dataclass(frozen=True, slots=True)
class BarUse:
    """What is really used of a bar."""

    told: str = ""
    """`6.1G 35%`; empty = not measured."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Session id -> used of what it holds: 1 = all of it, more = beyond it. Who is not in it was not measured."""
    others: float = 0.0
    """What processes outside of all sessions use, as a fraction of the bar."""


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One entry of the image picker."""

    reference: str
    aliases: tuple[str, ...] = ()
    detail: str = ""
    """What distinguishes it in a few words, such as the version that really runs."""
    installed: bool = True
    language: str = ""
    packages: tuple[str, ...] = ()
    """What is installed in it, where that is told."""
    size_bytes: int = 0
    """What must be fetched where it is not installed; 0 = not told."""
    state: ImageState | None = None
    """None = the server does not tell: agents of a cluster fetch images by themselves."""
    reason: str = ""
    """Why it cannot be had."""
    kind: ImageKind | None = None
    version: str = ""
    """Of the language that runs."""
    summary: str = ""
    digest: str = ""
    architecture: str = ""
    service_ports: tuple[str, ...] = ()
    min_slots: Mapping[str, Decimal] = field(default_factory=dict)
    default_slots: Mapping[str, Decimal] = field(default_factory=dict)
    prepare_s: float = 0.0
    """About how long building or pulling takes; 0 = nobody knows."""
    progress: ImageProgress | None = None
    """It is being built or pulled."""

    @property
    def names(self) -> tuple[str, ...]:
        """The reference and the aliases."""
        return self.reference, *self.aliases

    @property
    def rank(self) -> int:
        """Where it stands among others: first what runs at once, last what cannot run."""
        return _RANKS.get(self.state, 0)


_RANKS: Final[Mapping[ImageState | None, int]] = {
    ImageState.BUILDABLE: 1,
    ImageState.PULLABLE: 1,
    ImageState.UNAVAILABLE: 2,
}


@dataclass(frozen=True, slots=True)
class Detail:
    """One line of the details pane."""

    label: str
    value: str
    quiet: bool = False
    level: str = ""
    """`near` or `soon`: how much it needs the user; empty = not at all."""
    trend: tuple[float | None, ...] = ()
    """What it was lately, oldest first, 1 = all that was asked for; None = not measured. Drawn behind the value."""
    spare: bool = False
    """Shown only where all lines that are not have room, and this one too."""
