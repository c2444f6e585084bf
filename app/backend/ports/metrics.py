"""What the service asks of the sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...model.metrics import Metrics
from ...model.sessions import Session
from .devices import GpuReading


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
    session_tasks: Mapping[str, int] = field(default_factory=dict)
    """Session id -> processes and threads that it runs, without those of the runner."""
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

    async def look(self, watched: Watched) -> None:
        """Measures a session once more, which is about to end. Takes milliseconds; never raises."""

    async def run(self, watched: Callable[[], Sequence[Watched]], on_sample: Callable[[Sampled], None]) -> None:
        """Samples until cancelled; `on_sample` is called in the event loop after each round."""
