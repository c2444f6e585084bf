"""What the client shows of a server's answers: small immutable views, the same for our backend and a real cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..model.sessions import SessionStatus
from ..model.slots import ResourceSlots


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Answer of the handshake."""

    api_version: str
    """Negotiated version, e.g. `v9.20250722`."""
    manager: str
    capabilities: frozenset[str] = frozenset()
    """What our backend offers beyond the public API: `journal`, `devices`, `shutdown`. Empty for a real cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A row of the session list. Fields that the server did not send have their defaults."""

    id: str
    name: str
    status: SessionStatus | None = None
    """None when the server named a status that this client does not know; see `status_text`."""
    status_text: str = ""
    status_info: str | None = None
    image: str = ""
    image_notice: str | None = None
    """From `status_data.image_notice` of our backend."""
    type: str = ""
    priority: int | None = None
    access_key: str | None = None
    group_name: str | None = None
    tag: str | None = None
    result: str = ""
    created_at: datetime | None = None
    terminated_at: datetime | None = None
    status_changed: datetime | None = None
    requested_slots: ResourceSlots = field(default_factory=ResourceSlots)
    occupying_slots: ResourceSlots = field(default_factory=ResourceSlots)
    allocation: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Slot -> device -> amount; from `status_data.allocation` of our backend, else empty."""
    idle_remaining_s: float | None = None
    busy: bool = False
    """A run is going on (our backend only)."""


@dataclass(frozen=True, slots=True)
class CreatedSession:
    id: str
    name: str
    status: str
    """RUNNING, PENDING, SCHEDULED, TIMEOUT, TERMINATED, ERROR, CANCELLED, ..."""
    created: bool
    """False when a live session of that name was reused."""
    service_ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageView:
    reference: str
    """As one types it to start a session."""
    architecture: str = ""
    aliases: tuple[str, ...] = ()
    size_bytes: int = 0
    digest: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    installed: bool = True


@dataclass(frozen=True, slots=True)
class DeviceView:
    id: str
    """`gpu0`, ..."""
    model: str
    kind: str
    """`nvidia` or `mock`."""
    capacity: Decimal
    """In `cuda.shares`."""
    mem_bytes: int
    promised: Mapping[str, Decimal]
    """Session id -> shares."""


@dataclass(frozen=True, slots=True)
class MachineView:
    """The slots of the machine or resource group, and its GPUs one by one where the server tells."""

    available: ResourceSlots
    """All there is."""
    occupied: ResourceSlots
    gpus: tuple[DeviceView, ...] = ()


@dataclass(frozen=True, slots=True)
class EventView:
    """One server-sent event."""

    name: str
    session_id: str | None
    session_name: str | None
    reason: str = ""
    exit_code: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One journal record of our backend; kinds as in `docs/http-api.md`."""

    seq: int
    time_s: float
    run_id: str | None
    kind: str
    data: Any
