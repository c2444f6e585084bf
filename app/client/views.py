"""What the client shows of a server's answers: small immutable views, the same for our backend and a real cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..model.images import ImageState
from ..model.metrics import Metrics
from ..model.sessions import SessionStatus
from ..model.slots import ResourceSlots


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Answer of the handshake."""

    api_version: str
    """Negotiated version, e.g. `v9.20250722`."""
    manager: str
    capabilities: frozenset[str] = frozenset()
    """What our backend offers beyond the public API: `journal`, `follow`, `devices`, `stats`, ... Empty for a real
    cluster."""


@dataclass(frozen=True, slots=True)
class IdleCheckView:
    """One of the checks that end sessions nobody uses."""

    remaining_s: float | None
    """None = it never ends the session."""
    in_grace: bool = False
    """The time is not running."""
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WaitingView:
    """Why a session waits."""

    text: str
    position: int | None = None
    """1 = next; None when something of its own holds it back."""
    expected_start: datetime | None = None
    failed: tuple[str, ...] = ()
    """Names of the predicates that hold it back: `resources`, `dependencies`, `concurrency`, ..."""


@dataclass(frozen=True, slots=True)
class LayerView:
    """A layer of enforcement in force."""

    name: str
    applies_to: str
    """`cpu`, `mem` or `gpu`."""
    guarantee: str
    """`hard`, `cooperative`, `detected` or `counted`."""
    detail: str


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
    image_gone: str | None = None
    """Why no other session could run in its image now, such as that it was removed (our backend only)."""
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
    stat: Metrics = field(default_factory=dict)
    """What it uses, or used last: `live_stat`, else `last_stat` of its kernel; empty when not asked for or not told."""
    idle_checks: Mapping[str, IdleCheckView] = field(default_factory=dict)
    """By name: `network_timeout`, `session_lifetime`, `utilization`."""
    kept_until: datetime | None = None
    """No idle check ends it before: its owner has extended it (our backend only)."""
    waiting: WaitingView | None = None
    """Why a PENDING session waits, where the server tells (`status_data.scheduler`)."""
    layers: tuple[LayerView, ...] = ()
    """What enforces its slots, from `status_data.enforcement` of our backend."""
    startup_command: str | None = None
    depends_on: tuple[str, ...] = ()
    """Names of the sessions it depends on."""


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
class ProgressView:
    """How far the building or pulling of an image is."""

    current: float = 0.0
    total: float = 0.0
    """In the same unit, whatever it is; 0 = nobody knows."""
    message: str = ""
    """The step that is being taken, in one line; untrusted."""

    @property
    def percent(self) -> int | None:
        """0 to 100; None while nobody knows the total."""
        return min(100, max(0, int(self.current / self.total * 100))) if self.total > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView(ProgressView):
    """News of a background task."""

    state: str
    """`started`, `updated`, or how it ended: `done`, `partial_success`, `failed`, `cancelled`."""
    errors: tuple[str, ...] = ()
    """What went wrong in part."""

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after it."""
        return self.state not in ("started", "updated")

    @property
    def has_failed(self) -> bool:
        """Whether it ended without doing what it was to do; `message` says why."""
        return self.state in ("failed", "cancelled")


@dataclass(frozen=True, slots=True)
class ImageView:
    """An image of the catalogue. What only our backend tells (capability `images`) has its default elsewhere."""

    reference: str
    """As one types it to start a session."""
    architecture: str = ""
    aliases: tuple[str, ...] = ()
    size_bytes: int = 0
    """0 = not told."""
    digest: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    installed: bool = True
    """Whether a session starts at once: the same as `state` READY."""
    id: str = ""
    """UUID text."""
    state: ImageState = ImageState.READY
    """Of a cluster READY or PULLABLE."""
    reason: str = ""
    """Why it is not ready; of our backend."""
    kind: str = ""
    """A value of `model.images.ImageKind`; empty = not told."""
    language: str = ""
    runtime_version: str = ""
    """Full version of the language runtime, e.g. `3.11.7`."""
    packages: tuple[str, ...] = ()
    """What a recipe installs, as requirements."""
    summary: str = ""
    """What it is, in one line."""
    min_slots: ResourceSlots = field(default_factory=ResourceSlots)
    default_slots: ResourceSlots = field(default_factory=ResourceSlots)
    """What a session gets that asks for nothing."""
    service_ports: tuple[str, ...] = ()
    """As in the label of Backend.AI: `jupyter:http:8081`."""
    prepare_s: float = 0.0
    """About how long building or pulling takes; 0 = nobody knows, or nothing is to be done."""
    progress: ProgressView | None = None
    """While it is built or pulled, by whomever."""
    notice: str | None = None
    """One line when it stands for another one that was asked for; told for one image only."""


@dataclass(frozen=True, slots=True)
class AliasView:
    """An entry of the alias tables of our backend."""

    name: str
    targets: tuple[str, ...]
    """The references that it may lead to: the first that is there wins."""
    leads_to: str
    """The image that it leads to now; empty = none is there."""
    shipped: bool | None
    """Whether it came with the backend, else it is the user's; None = not told (a cluster)."""


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
    lost: bool = False
    """It was there and is not now."""
    mem_used_bytes: int | None = None
    """Really used, by anybody; None when it is not measured."""
    util_pct: float | None = None
    session_mem_bytes: Mapping[str, int] = field(default_factory=dict)
    """Session id -> memory that its processes really hold."""
    temperature_c: float | None = None
    power_w: float | None = None


@dataclass(frozen=True, slots=True)
class ExtensionView:
    """What a session got when its owner extended it (capability `extend`)."""

    kept_until: datetime | None
    """No idle check ends it before; None = it is not extended."""
    remaining_s: float | None
    """Until the first idle check ends it if nothing happens; None = never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsView:
    """One round of measuring."""

    time_s: float
    """Unix time."""
    sessions: Mapping[str, Metrics]
    """Session id -> metrics."""
    gpus: tuple[DeviceView, ...] = ()
    """With what is promised and used now."""
    cpu_pct: float = 0.0
    """Of the whole machine."""
    mem_used_bytes: int = 0
    """Of the whole machine; 0 = the server does not tell, nor does it tell `cpu_pct` then."""


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
    image: str = ""
    """Of `bai_image_progress`, `bai_image_gone` and `bai_image_back`: the reference of the image that it is about."""
    progress: ProgressView | None = None
    """Of `bai_image_progress`; None when that is over: `data["state"]` is `done`, `failed` (`reason` says why) or
    `cancelled` then."""


@dataclass(frozen=True, slots=True)
class AboutView:
    """What was asked for with a session, beside its slots."""

    environ: Mapping[str, str] = field(default_factory=dict)
    resource_opts: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[str, ...] = ()
    """Storage folders."""


@dataclass(frozen=True, slots=True)
class FileView:
    """An entry of a folder in a session."""

    name: str
    size_bytes: int
    changed_s: float
    """Unix time."""
    mode: str = ""
    """As `ls -l` writes it, such as `-rw-r--r--`; empty = not told."""

    @property
    def is_folder(self) -> bool:
        return self.mode.startswith("d")

    @property
    def is_link(self) -> bool:
        return self.mode.startswith("l")


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One journal record of our backend; kinds as in `docs/http-api.md`."""

    seq: int
    time_s: float
    run_id: str | None
    kind: str
    data: Any


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session that was followed ended."""

    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run that the journal of a session knows of (our backend only)."""

    id: str
    after: int
    """Journal number before its first record."""
    started_s: float
    """Unix time."""
    mode: str = ""
    code: str = ""
    """Its beginning; in batch mode the command."""
    last_seq: int | None = None
    """Journal number of its end; None while it goes on, or when nobody has seen its end."""
    ended_s: float | None = None
    exit_code: int | None = None
    died: bool = False
    """It ended with its kernel."""
    reason: str = ""

    @property
    def title(self) -> str:
        """The first line of the code."""
        return next((line.strip() for line in self.code.splitlines() if line.strip()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypairView:
    access_key: str
    user_id: str
    is_admin: bool
    is_active: bool
    created_at: datetime | None = None
    sessions: int | None = None
    """How many of its sessions hold resources now; None = that is not ours to see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKeypair:
    """A keypair with its secret key, which is told once."""

    access_key: str
    secret_key: str = field(repr=False)
    user_id: str | None = None
    """None = that was not told."""
