"""What the service asks of an engine: sessions as processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from ...model.console import ExecuteRequest
from ...model.images import Image
from ...model.inspection import Completions, Inspection
from .devices import Layer
from .journal import JournalRecord


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
    """Added to the environment that the engine builds; wins over it. The user has a say in it: where a session is
    isolated it acts inside only."""
    granted: Mapping[str, str] = field(default_factory=dict)
    """What the session holds, in variables of the devices' own; wins over `environ`."""
    bootstrap_script: str | None = None
    grace_s: float = 2.0
    """Between SIGTERM and SIGKILL when the session is ended."""
    cores: frozenset[int] | None = None
    """The session's processes run on these cores only; None = on any."""
    mem_limit_bytes: int = 0
    """Enforced, as the limits below, by the best mechanism at hand (see `Engine.layers`); 0 = no limit."""
    cpu_limit_cores: int = 0
    """CPU time per second of wall clock; 0 = no limit."""
    max_tasks: int = 0
    """Processes and threads together; 0 = no limit."""
    wall_time_s: float = 0.0
    """The runner ends the session by itself so long after its start, backend or not; 0 = never."""
    work_quota_bytes: int = 0
    """Of the work folder; no single file grows larger. The sum is for the service to watch. 0 = no limit."""
    isolation: str = ""
    """`bwrap`: read-only system, own /tmp and HOME (the work folder), own process ids; empty = none."""
    network: bool = True
    """False: only with isolation."""
    journal_max_bytes: int = 256 << 20
    """The oldest runs go first; a record `dropped` says so."""
    journal_overflow: str = "head-and-tail"
    """One of `policies.OVERFLOWS`."""


MACHINE_RESTARTED: Final = "machine-restarted:"
WALL_TIME: Final = "wall-time:"
"""How the reason of an `Exit` begins that nobody is to blame for."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a kernel or a runner ended."""

    code: int | None
    """Exit code; None when unknown; negative for a signal. A runner that ended in order, as it was told to, has one."""
    reason: str
    """One line, e.g. `killed by SIGSEGV`."""


@dataclass(frozen=True, slots=True)
class TerminalNews:
    """What comes from a terminal: output, or the end of its shell."""

    output: str = ""
    """In base64, as clients want it."""
    exit_code: int | None = None
    """Of the shell, which has ended; 128 + number for a signal. None = it has not."""


class Terminal(Protocol):
    """A client's end of a session's terminal. Its methods raise `KernelNotReady` when the session has ended."""

    def news(self) -> AsyncGenerator[TerminalNews]:
        """Yields what there was, then what comes, until the session has ended. To be iterated by one task: what the
        others ask is answered while it is. Read at the pace of the caller, who holds up nobody for long.

        Raises:
            KernelNotReady: the terminal was lost, and the session goes on.
        """

    async def type(self, data: bytes) -> None:
        """Types; waits while nobody reads what was typed before."""

    async def resize(self, rows: int, cols: int) -> None:
        """Tells the size of the screen; the newest counts."""

    async def restart(self) -> None:
        """Ends the shell, where there is one, and starts another.

        Raises:
            LaunchFailed: with the reason.
        """

    async def busy(self) -> bool:
        """Whether the shell waits for a program in the foreground."""

    async def close(self) -> None:
        """Lets go of the terminal; its shell goes on."""


class Kernel(Protocol):
    """A session's processes, seen from the backend. Survives the backend."""

    session_id: str

    async def execute(self, run_id: str, request: ExecuteRequest) -> None:
        """Hands a run to the runner; returns when the runner has it (its `run-started` record is in the journal).

        Raises:
            KernelNotReady: the runner is gone.
            IllegalState: another run is going on.
        """

    async def send_input(self, run_id: str, text: str, prompt: int | None = None) -> bool:
        """Answers a `waiting-input` record; False when somebody else has answered it, or nobody waits any more.

        Args:
            prompt: number of the record, so that an answer that is given twice counts once; None = whatever asks.
        """

    async def interrupt(self) -> None:
        """Interrupts the run that is going on, as ctrl+c would; nothing happens when there is none."""

    async def complete(self, code: str, cursor: int) -> Completions:
        """Returns completions for `code` at character `cursor`; `busy`, at once, while a run is going on."""

    async def inspect(self, code: str, cursor: int, detail: int = 0) -> Inspection:
        """Returns what the name at character `cursor` stands for; `busy`, at once, while a run is going on.

        Args:
            detail: 1 = with the source.
        """

    async def restart(self) -> None:
        """Replaces the kernel process; the work folder and the journal stay.

        Raises:
            LaunchFailed: the new kernel died before it was ready.
            IllegalState: the image was removed, so that there can be none; the one before goes on.
        """

    async def terminal(self) -> Terminal:
        """Attaches to the session's terminal, whose shell is started when there is none.

        Raises:
            LaunchFailed: there is no starting it, and why.
            KernelNotReady: the runner is gone.
        """

    async def terminate(self, *, grace_s: float | None = None, why: str = "") -> None:
        """Ends every process of the session, double-forked ones too; returns when none is left. Idempotent.

        Args:
            why: what the reader of a run that is going on is told.
        """

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
        """When the last run ended, or the kernel was started, in the seconds of `time.monotonic`."""

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

    async def adopt(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> Kernel | Exit:
        """Takes over a session of an earlier daemon; how it ended when its runner is gone: `sweep` then.

        Args:
            runner: what `runner_info` returned; empty when the daemon was killed before it could store that.

        Raises:
            ServiceUnavailable: the daemon lacks file descriptors or memory; the session goes on.
        """

    async def sweep(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> None:
        """Ends every process that a session has left behind which was not adopted; returns when none is left.

        Process ids of an earlier start of the machine are not minded: they are somebody else's now.
        """

    def runner_info(self, kernel: Kernel) -> dict[str, Any]:
        """Returns what `adopt` needs, to be stored: pid, start time, start of the machine, interpreter."""

    def layers(self, kernel: Kernel) -> Sequence[Layer]:
        """Returns the layers that the engine put in force for a session: affinity, memory, framework caps."""

    async def close(self) -> None:
        """Lets go of everything without ending sessions."""
