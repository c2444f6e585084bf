"""What the API asks of the service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from ...model.console import ExecuteRequest
from ...model.inspection import Completions, Inspection
from ...model.metrics import Metrics
from ...model.sessions import Session, SessionStatus
from ...model.slots import ResourceSlots
from ...policies import LimitSettings
from .devices import Device, Layer
from .engines import TerminalNews
from .imageservice import ImageService
from .journal import JournalRecord, RunSummary
from .keypairs import Keypair, Keyring
from .metrics import Sampled


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


OTHERS: Final = ""
"""Stands for the ids of sessions that the reader may not see."""


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """A device with what is promised of it."""

    device: Device
    promised: Mapping[str, Mapping[str, Decimal]]
    """Slot -> session id -> amount; `OTHERS` stands for all sessions that are not the reader's to see."""
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

    async def send_input(self, text: str, prompt: int | None = None) -> bool:
        """Answers its prompt, or the one of that journal number; False when that one was answered already."""


class SessionTerminal(Protocol):
    """A session's terminal, as a client of the API has it: see `Terminal`."""

    def news(self) -> AsyncGenerator[TerminalNews]: ...

    async def type(self, data: bytes) -> None: ...

    async def resize(self, rows: int, cols: int) -> None: ...

    async def restart(self) -> None: ...

    def keep(self) -> None:
        """Notes that the session is used."""


class Service(ImageService, Protocol):
    """All that the outside can ask of the backend. `caller` sees its own sessions, an admin sees all.

    `ref` is an id, a name of a live session, or a unique prefix of either.
    Every method raises `SessionNotFound` or `AmbiguousReference` where `ref` leads nowhere.
    """

    def keypair(self, access_key: str) -> Keypair | None:
        """Returns a keypair, also one that is switched off: its sessions go on."""

    @property
    def keyring(self) -> Keyring: ...

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

    def terminal(self, caller: Keypair, ref: str) -> AbstractAsyncContextManager[SessionTerminal]:
        """Attaches to the session's terminal, whose shell is started when there is none and goes on when the context is
        left. What is typed, and programs that run in it, keep the session from idling.

        Raises:
            KernelNotReady: the session does not run.
            LaunchFailed: there is no starting a shell, and why.
        """

    def attached(self, session_id: str) -> AbstractContextManager[None]:
        """Keeps a session from idling while the context is open: somebody has a stream to it, run or not."""

    async def find_run(self, caller: Keypair, ref: str, run_id: str) -> Run:
        """Returns a run that was begun before.

        Raises: NotFound when the journal has no such run.
        """

    async def interrupt(self, caller: Keypair, ref: str) -> None: ...

    async def complete(self, caller: Keypair, ref: str, code: str, cursor: int) -> Completions: ...

    async def inspect(self, caller: Keypair, ref: str, code: str, cursor: int, detail: int) -> Inspection: ...

    async def work_dir(self, caller: Keypair, ref: str) -> Path:
        """Returns the folder that uploads go to and `files` lists."""

    async def upload_room_bytes(self, caller: Keypair, ref: str) -> int | None:
        """Returns how much more the work folder may take; None = whatever fits on the disk."""

    async def logs(self, caller: Keypair, ref: str) -> str:
        """Returns the text of stdout and stderr of all runs, newest last."""

    async def journal(
        self, caller: Keypair, ref: str, *, after: int, limit: int, wait_s: float
    ) -> Sequence[JournalRecord]:
        """Returns records after a number; waits up to `wait_s` when there is none yet. Works for ended sessions too."""

    async def journal_before(self, caller: Keypair, ref: str, *, before: int, limit: int) -> Sequence[JournalRecord]:
        """Returns the records that come before a number, at most `limit`, in their order."""

    async def list_runs(self, caller: Keypair, ref: str) -> Sequence[RunSummary]:
        """Returns the runs that the journal knows of, newest last."""

    def follow(self, caller: Keypair, ref: str, after: int) -> AsyncGenerator[Sequence[JournalRecord]]:
        """Yields the records after a number, then what is added, until the session has ended. To be closed.

        Safe to cancel: go on from the last number. Waits for a session that has not started, and reads those that
        have ended.
        """

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

    def sampled(self, caller: Keypair) -> Sampled | None:
        """Returns the newest round of the sampler, cut down to the sessions that `caller` may see."""

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

    def events(
        self, caller: Keypair, *, session_ref: str | None = None, progress: bool = False
    ) -> AsyncIterator[SessionEvent]:
        """Yields what happens from now on, until the backend stops. A reader that lags loses the oldest events
        and gets one named `bai_lagged` instead.

        Args:
            progress: with how far the images are that are built or pulled: all, or that of the one session.
        """

    def notices(self) -> Sequence[str]:
        """Returns what is wrong with the backend, a sentence each; empty when nothing is."""

    def devices(self, caller: Keypair) -> Sequence[DeviceUse]:
        """Returns the devices with what is promised of them; whose sessions hold it where `caller` may see that."""

    def slots(self) -> tuple[ResourceSlots, ResourceSlots]:
        """Returns (available, occupied) of the machine."""
