"""The joints between the rooms of the backend.

Each Protocol is what one room asks of another; `daemon.py` alone knows who fulfils it. Nothing here does anything.

    api      -> Service
    service  -> ImageCatalogue, Engine, Kernel, SessionStore, Devices (and the scheduler core, which is pure)
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from ..model.console import ExecuteRequest
from ..model.images import Image
from ..model.metrics import Metrics
from ..model.sessions import Session, SessionStatus
from ..model.slots import ResourceSlots
from ..policies import LimitSettings

# --- journal -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One line of a session's journal.

    On disk: `{"seq":12,"t":1763870000.123,"run":"<run id>","rec":["stdout","..."]}` and a newline; `rec` is always
    last, so that its bytes can be handed on without being decoded. Besides the console records of
    `model.console` there are control records:

    `["run-started", {"mode", "code", "options"}]`, `["waiting-input", {"is_password": bool}]`,
    `["clean-finished", {"exitCode"}]`, `["build-finished", {"exitCode"}]`,
    `["run-finished", {"exitCode", "signal"?}]`, `["kernel-started", {"pid"}]`,
    `["kernel-died", {"exitCode", "signal"?, "reason"}]`.
    """

    seq: int
    """1, 2, 3, ... without gaps within one session."""
    time_s: float
    """Unix time at which the runner wrote it."""
    run_id: str | None
    """None for records that belong to no run (a kernel that starts, late output of a background process)."""
    kind: str
    """First element of `rec`."""
    raw: bytes
    """`rec` as JSON bytes."""

    @property
    def data(self) -> Any:
        """Second element of `rec`, decoded."""
        return json.loads(self.raw)[1]


UPLOAD_PREFIX: Final = ".upload-"
"""Folders of a work folder whose name begins so hold an upload under way: half a file is never seen as a whole one."""

# --- images --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a reference leads to."""

    image: Image
    notice: str | None = None
    """One line when `image` is not literally what was asked for."""


class ImageCatalogue(Protocol):
    def list(self) -> Sequence[Image]:
        """Returns what is known now, newest runtime first within a language."""

    async def refresh(self) -> None:
        """Looks over the machine. Runs once after the daemon is ready; safe to cancel."""

    async def looked(self) -> None:
        """Returns when the machine was looked over, now or earlier; safe to cancel."""

    async def resolve(self, reference: str) -> Resolution:
        """Returns the image for `reference`; waits for the first look over the machine when there was none yet.

        Raises:
            ImageNotFound: nothing fits; the message names the nearest.
            BadRequest: no reference.
        """


# --- devices -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Something that amounts are taken from."""

    id: str
    """`cpu0`, `mem`, `gpu0`, ..."""
    slot: str
    """The slot it serves; a GPU serves `cuda.shares` (fractions) and `cuda.device` (whole)."""
    capacity: Decimal
    uuid: str = ""
    model: str = ""
    mem_bytes: int = 0
    """Memory of a GPU; 0 for other devices."""
    kind: str = "host"
    """`host`, `nvidia` or `mock`: a mock is shown as such wherever it is named."""
    shareable: bool = True
    """False: a GPU that is only given away whole."""
    tells_processes: bool = True
    """False: a GPU whose driver may speak of process ids that are not those of this machine's processes, as in a
    container: what sessions use of it may be missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """What a GPU does at one moment."""

    device_id: str
    present: bool = True
    """False: it has vanished, or its driver does not answer; `problem` says what."""
    problem: str = ""
    mem_used_bytes: int = 0
    mem_total_bytes: int = 0
    util_pct: float | None = None
    """Of the last sample period of the driver, 0 to 100; None when it does not tell."""
    temperature_c: float | None = None
    power_w: float | None = None
    process_mem_bytes: Mapping[int, int] = field(default_factory=dict)
    """Process id -> memory on this GPU."""
    process_util_pct: Mapping[int, float] = field(default_factory=dict)
    session_mem_bytes: Mapping[str, int] = field(default_factory=dict)
    """Id or name of a session -> memory that it is pretended to use on this GPU. Mock GPUs only: no process is behind
    them, so both of the process maps are empty there."""
    session_util_pct: Mapping[str, float] = field(default_factory=dict)


class Guarantee(StrEnum):
    """How much a layer of enforcement is worth."""

    HARD = "hard"
    """Cannot be passed by the code of a session."""
    COOPERATIVE = "cooperative"
    """Holds for code that does not work around it."""
    DETECTED = "detected"
    """Is noticed and acted upon after the fact."""
    COUNTED = "counted"
    """Is kept in the books only."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of enforcement that is in force for a session. Said as it is: never more than it does."""

    name: str
    """`accounting`, `environment`, `framework-caps`, `mps`, `watcher`, `affinity`, `memory-cgroup`, ..."""
    applies_to: str
    """`cpu`, `mem` or `gpu`."""
    guarantee: Guarantee
    detail: str
    """One line for the user, with its hole: `CUDA_VISIBLE_DEVICES=GPU-...; code that resets it sees all GPUs`."""


class Devices(Protocol):
    def list(self) -> Sequence[Device]:
        """Returns the devices that this machine had when the daemon started, lost ones too."""

    def environment(self, session: Session) -> Mapping[str, str]:
        """Returns the variables that tell a session's processes which devices are theirs."""

    def cores(self, session: Session) -> frozenset[int] | None:
        """Returns the cores that a session's processes are pinned to; None = not pinned."""

    def layers(self, session: Session) -> Sequence[Layer]:
        """Returns the layers of enforcement that the devices put in force for a session that holds resources."""

    async def read_gpus(self) -> Sequence[GpuReading]:
        """Returns one reading per GPU, in the order of `list`; never raises, never takes longer than two seconds.

        A driver that hangs costs one thread, once; its GPUs read as not present until it answers again.
        """

    async def prepare(self, session: Session) -> None:
        """Makes ready what the session's share needs outside of its processes (MPS); before `environment` is asked."""

    async def forget(self, session_id: str) -> None:
        """Undoes `prepare`; nothing happens when there was none."""

    async def close(self) -> None:
        """Lets go of drivers and of what was started for them."""


# --- metrics -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """One round of the sampler."""

    time_s: float
    """Unix time."""
    sessions: Mapping[str, Metrics]
    """Session id -> what it uses now."""
    gpus: Sequence[GpuReading]
    session_gpu_mem_bytes: Mapping[str, Mapping[str, int]]
    """Session id -> device id -> memory that its processes hold there."""
    cpu_pct: float = 0.0
    """Of the whole machine, 0 to 100."""
    core_pct: Sequence[float] = ()
    """Of each core, 0 to 100."""
    mem_used_bytes: int = 0
    """Of the whole machine."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A session that is to be measured."""

    session: Session
    pid: int
    """Of its runner: the processes below it are the session's."""


class Sampler(Protocol):
    """Measures all sessions at once, every second. Runs in a thread: the event loop only gets the result."""

    @property
    def last(self) -> Sampled | None:
        """The newest round; None before the first."""

    def stat(self, session_id: str) -> Metrics:
        """Returns the newest metrics of a session with max and mean over its life; empty when there are none yet."""

    def forget(self, session_id: str) -> Metrics:
        """Returns the last metrics of a session that has ended and drops it."""

    async def run(self, watched: Callable[[], Sequence[Watched]], on_sample: Callable[[Sampled], None]) -> None:
        """Samples until cancelled; `on_sample` is called in the event loop after each round."""


# --- engines -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """All that an engine needs to make a session real."""

    session_id: str
    session_dir: Path
    """Exists, mode 0700. The runner keeps its socket, journal and exit code here."""
    work_dir: Path
    """Exists. Working directory and HOME of the session's processes."""
    image: Image
    environ: Mapping[str, str]
    """Added to the environment that the engine builds; wins over it."""
    bootstrap_script: str | None = None
    grace_s: float = 2.0
    """Between SIGTERM and SIGKILL when the session is ended."""
    cores: frozenset[int] | None = None
    """The session's processes run on these cores only; None = on any."""
    mem_limit_bytes: int = 0
    """Enforced by the best mechanism at hand (see `Engine.layers`); 0 = no limit."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a kernel or a runner ended."""

    code: int | None
    """Exit code; None when unknown; negative for a signal."""
    reason: str
    """One line, e.g. `killed by SIGSEGV`."""


class Kernel(Protocol):
    """A session's processes, seen from the backend. Survives the backend."""

    session_id: str

    async def execute(self, run_id: str, request: ExecuteRequest) -> None:
        """Hands a run to the runner; returns when the runner has it (its `run-started` record is in the journal).

        Raises:
            KernelNotReady: the runner is gone.
            IllegalState: another run is going on.
        """

    async def send_input(self, run_id: str, text: str) -> None:
        """Answers a `waiting-input` record."""

    async def interrupt(self) -> None:
        """Interrupts the run that is going on, as ctrl+c would; nothing happens when there is none."""

    async def complete(self, code: str, cursor: int) -> Sequence[str]:
        """Returns completions for `code` at character `cursor`; empty while a run is going on."""

    async def restart(self) -> None:
        """Replaces the kernel process; the work folder and the journal stay."""

    async def terminate(self, *, grace_s: float | None = None) -> None:
        """Ends every process of the session, double-forked ones too; returns when none is left. Idempotent."""

    def records(self, after: int = 0) -> AsyncIterator[JournalRecord]:
        """Yields the journal after number `after`, then what is added, until the runner has ended.

        Reads from disk at the pace of the caller: a slow reader holds up nobody and grows no memory.
        Safe to cancel; call again with the last number to go on.
        """

    def batches(self, after: int = 0) -> AsyncGenerator[Sequence[JournalRecord]]:
        """Yields the same, each time all that has been written since; of much, a part."""

    @property
    def last_seq(self) -> int:
        """Number of the newest record that is known; 0 when there is none."""

    @property
    def busy_run(self) -> str | None:
        """Id of the run that is going on, else None."""

    @property
    def last_activity(self) -> float:
        """Unix time of the end of the last run, or of the start of the kernel."""

    @property
    def pid(self) -> int:
        """Process id of the runner."""

    async def wait(self) -> Exit:
        """Returns when the runner has ended, by `terminate` or by itself. Safe to cancel."""

    async def kernel_died(self) -> Exit:
        """Returns when the kernel process has died by itself while the runner lives. Safe to cancel."""


class Engine(Protocol):
    async def warm(self, image: Image) -> None:
        """Makes the next `start` of `image` fast. Failure is silent: `start` will tell."""

    async def start(self, spec: LaunchSpec) -> Kernel:
        """Starts runner and kernel; returns when the kernel answers.

        Raises:
            LaunchFailed: with the reason; nothing is left running.
        """

    async def adopt(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> Kernel | None:
        """Takes over a session of an earlier daemon; None when its runner is gone (its leftovers are ended then)."""

    def runner_info(self, kernel: Kernel) -> dict[str, Any]:
        """Returns what `adopt` needs, to be stored: pid, start time, interpreter."""

    def layers(self, kernel: Kernel) -> Sequence[Layer]:
        """Returns the layers that the engine put in force for a session: affinity, memory, framework caps."""

    async def close(self) -> None:
        """Lets go of everything without ending sessions."""


# --- store ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypair:
    access_key: str
    secret_key: str = field(repr=False)
    user_id: str
    """E-mail-like name of the user."""
    user_uuid: str
    is_admin: bool = False
    is_active: bool = True
    created_at: datetime | None = None


class SessionStore(Protocol):
    """SQLite behind a thread of its own. Every write is durable against the end of this process when it returns."""

    async def save(self, session: Session) -> None: ...

    async def save_all(self, sessions: Iterable[Session]) -> None:
        """Writes sessions in one transaction.

        Raises:
            ServiceUnavailable: the database refused; nothing is written then.
        """

    async def last_enqueue_order(self) -> int:
        """Returns the highest position ever given to an admission; 0 when there was none."""

    async def load_live(self) -> Sequence[Session]:
        """Returns the sessions whose status is not terminal, in the order of admission."""

    async def get(self, session_id: str) -> Session | None: ...

    async def search(
        self, *, access_key: str | None, statuses: Sequence[SessionStatus] | None, limit: int, offset: int
    ) -> tuple[Sequence[Session], int]:
        """Returns one page, newest first, and the total count."""

    async def keypairs(self) -> Sequence[Keypair]: ...

    async def add_keypair(self, keypair: Keypair) -> None: ...

    async def close(self) -> None: ...


# --- service -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """`POST /session`, checked for types only; the service checks the meaning."""

    name: str | None
    image: str
    architecture: str = "x86_64"
    type: str = "interactive"
    tag: str | None = None
    domain: str = "default"
    group: str = "default"
    cluster_size: int = 1
    enqueue_only: bool = False
    max_wait_s: float = 0
    """0 = wait without limit."""
    reuse: bool = True
    startup_command: str | None = None
    bootstrap_script: str | None = None
    callback_url: str | None = None
    priority: int = 10
    resources: Mapping[str, Any] = field(default_factory=dict)
    resource_opts: Mapping[str, Any] = field(default_factory=dict)
    """`idle_timeout` (seconds, or 10m / 2h; 0 = never) is ours; the rest is kept and reported."""
    environ: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[str] = ()
    dependencies: Sequence[str] = ()
    """Ids, or names of live sessions, of batch sessions that must end with SUCCESS first."""
    starts_at: datetime | None = None
    """Aware; batch sessions only."""
    batch_timeout_s: float = 0.0
    """0 = never."""


@dataclass(frozen=True, slots=True)
class CreateOutcome:
    session: Session
    created: bool
    """False when a live session of that name was reused."""
    timed_out: bool = False
    """`max_wait_s` passed before it ran; the session stays queued."""


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """Something that happened to a session, as it goes out by SSE."""

    name: str
    """`session_enqueued`, `session_scheduled`, `session_started`, `session_terminated`, ... (wire contract 7)."""
    session_id: str
    session_name: str
    access_key: str
    reason: str = ""
    exit_code: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """A device with what is promised of it."""

    device: Device
    promised: Mapping[str, Mapping[str, Decimal]]
    """Slot -> session id -> amount."""
    lost: bool = False
    """It was there and is not now: sessions on it are told, nobody new is put on it."""


@dataclass(frozen=True, slots=True)
class IdleCheck:
    """One of the checks that end sessions nobody uses."""

    name: str
    """`network_timeout`, `session_lifetime`, `utilization`, as Backend.AI names them."""
    remaining_s: float | None
    """Until it ends the session if nothing happens; None = never."""
    in_grace: bool = False
    """The time is not running: the session is in use, or too young for this check."""
    extra: Mapping[str, Any] | None = None
    """`utilization`: `{"resources": {"cpu_util": [average, threshold], ...}}`."""


class Run(Protocol):
    """A run that somebody watches. Leaving it does not end it."""

    run_id: str

    def records(self) -> AsyncIterator[JournalRecord]:
        """Yields this run's records, `run-finished` or `kernel-died` last."""

    def batches(self) -> AsyncGenerator[Sequence[JournalRecord]]:
        """Yields the same, each time all that has been written since; of much, a part. To be closed."""

    async def send_input(self, text: str) -> None: ...


class Service(Protocol):
    """All that the outside can ask of the backend. `caller` sees its own sessions, an admin sees all.

    `ref` is an id, a name of a live session, or a unique prefix of either.
    Every method raises `SessionNotFound` or `AmbiguousReference` where `ref` leads nowhere.
    """

    def keypair(self, access_key: str) -> Keypair | None: ...

    async def create(self, caller: Keypair, request: CreateRequest) -> CreateOutcome:
        """Admits, queues, starts. Waits as the request says.

        Raises: BadRequest and its children, ImageNotFound, ServiceUnavailable.
        """

    async def get(self, caller: Keypair, ref: str) -> Session:
        """Ended sessions are found by their full id only."""

    async def search(
        self,
        caller: Keypair,
        *,
        statuses: Sequence[SessionStatus] | None,
        access_key: str | None,
        limit: int,
        offset: int,
    ) -> tuple[Sequence[Session], int]: ...

    async def match(self, caller: Keypair, prefix: str) -> Sequence[Session]: ...

    async def terminate(self, caller: Keypair, ref: str, *, forced: bool = False) -> Session:
        """Ends a session; returns when its processes are gone and its slots are free. PENDING becomes CANCELLED.

        Raises: IllegalState when it is already TERMINATING and not `forced`.
        """

    async def rename(self, caller: Keypair, ref: str, name: str) -> None: ...

    async def restart(self, caller: Keypair, ref: str) -> None: ...

    def run(
        self, caller: Keypair, ref: str, request: ExecuteRequest, run_id: str | None = None
    ) -> AbstractAsyncContextManager[Run]:
        """Starts a run and keeps its session from idling while the context is open."""

    def attached(self, session_id: str) -> AbstractContextManager[None]:
        """Keeps a session from idling while the context is open: somebody has a stream to it, run or not."""

    async def find_run(self, caller: Keypair, ref: str, run_id: str) -> Run:
        """Returns a run that was begun before.

        Raises: NotFound when the journal has no such run.
        """

    async def interrupt(self, caller: Keypair, ref: str) -> None: ...

    async def complete(self, caller: Keypair, ref: str, code: str, cursor: int) -> Sequence[str]: ...

    async def work_dir(self, caller: Keypair, ref: str) -> Path:
        """Returns the folder that uploads go to and `files` lists."""

    async def logs(self, caller: Keypair, ref: str) -> str:
        """Returns the text of stdout and stderr of all runs, newest last."""

    async def journal(
        self, caller: Keypair, ref: str, *, after: int, limit: int, wait_s: float
    ) -> Sequence[JournalRecord]:
        """Returns records after a number; waits up to `wait_s` when there is none yet. Works for ended sessions too."""

    def idle_remaining_s(self, session: Session) -> float | None:
        """Seconds until the first of the idle checks ends the session; None = never or not running."""

    def idle_checks(self, session: Session) -> Sequence[IdleCheck]:
        """Returns the checks that are on for a session; empty unless it runs."""

    async def extend(self, caller: Keypair, ref: str, by_s: float) -> Session:
        """Keeps every idle check from ending a session for `by_s` seconds from now; 0 takes that back.

        Raises: IllegalState (it does not run), BadRequest (negative, or beyond the owner's session lifetime).
        """

    async def modify(self, caller: Keypair, ref: str, *, priority: int) -> Session:
        """Gives a session another priority; a waiting one changes its place in the queue at once.

        Raises: BadRequest (outside 0 to 100).
        """

    def busy(self, session: Session) -> bool:
        """Whether a run is going on."""

    def stat(self, session: Session) -> Metrics:
        """Returns what a session uses, or what an ended one used last; empty when it was never measured."""

    def sampled(self) -> Sampled | None:
        """Returns the newest round of the sampler, of all sessions."""

    def samples(self, caller: Keypair) -> AsyncIterator[Sampled]:
        """Yields each new round, cut down to the sessions that `caller` may see; a slow reader gets the newest."""

    def layers(self, session: Session) -> Sequence[Layer]:
        """Returns the layers of enforcement in force; empty unless the session holds resources."""

    def waiting(self, session: Session) -> Mapping[str, Any] | None:
        """Returns why a PENDING session waits, in the form of Backend.AI's `status_data.scheduler` (`msg`,
        `failed_predicates`, `passed_predicates`, `retries`, `last_try`) with `position` and `expected_start` (ISO) of
        ours; None when it does not wait."""

    def limits(self, keypair: Keypair) -> ResourceSlots | None:
        """Returns what a keypair may hold in all; None = no limit. Slots that are not named are not limited."""

    def policy(self, keypair: Keypair) -> LimitSettings:
        """Returns the limits of a keypair as they are configured."""

    def events(self, caller: Keypair, *, session_ref: str | None = None) -> AsyncIterator[SessionEvent]:
        """Yields what happens from now on, until the backend stops. A reader that lags loses the oldest events
        and gets one named `bai_lagged` instead."""

    def images(self) -> Sequence[Image]:
        """Returns the images that are known now: none before the first look over the machine."""

    async def all_images(self) -> Sequence[Image]:
        """Returns the images of this machine; waits for the first look over it."""

    def devices(self) -> Sequence[DeviceUse]: ...

    def slots(self) -> tuple[ResourceSlots, ResourceSlots]:
        """Returns (available, occupied) of the machine."""
