"""The plain data that the panes show. No Textual here: the session store and its tests use these too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ..app.model.sessions import ANSWERING, TERMINAL, SessionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session in the list."""

    id: str
    name: str
    status: SessionStatus | None = None
    status_text: str = ""
    """The server's word, for a state that this program does not know."""
    image: str = ""
    slots: Mapping[str, Decimal] = field(default_factory=dict)
    """What it holds, or asks for while it waits."""
    holds: bool = False
    """Whether `slots` are held, not only asked for."""
    since_s: float | None = None
    """Unix time of creation; None when unknown."""
    busy: bool = False
    asks: bool = False
    """A run waits for input."""
    note: str = ""
    """Why it waits or failed; shown in place of the image and slots."""
    alarm: str = ""
    """What needs the user now, such as a kill to confirm; shown in place of the rest of the row."""

    @property
    def answering(self) -> bool:
        return self.status in ANSWERING

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


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

    @property
    def used(self) -> Decimal:
        return sum(self.promised.values(), Decimal(0))


@dataclass(frozen=True, slots=True)
class Machine:
    gauges: tuple[Gauge, ...] = ()
    gpus: tuple[GpuGauge, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One entry of the image picker."""

    reference: str
    aliases: tuple[str, ...] = ()
    detail: str = ""
    installed: bool = True


@dataclass(frozen=True, slots=True)
class Detail:
    """One line of the details pane."""

    label: str
    value: str
    quiet: bool = False
