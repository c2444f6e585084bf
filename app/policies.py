"""What `config.toml` says about the queue, limits, idling, sharing and watching, and of servers: plain values, checked.

Only values: what they mean is the business of others. Read by `config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

POLICIES: Final = ("fifo", "lifo", "drf", "fair-share")
STRATEGIES: Final = ("pack", "spread")
DISTRIBUTIONS: Final = ("evenly", "fill")
OPERATORS: Final = ("and", "or")
ISOLATIONS: Final = ("none", "bwrap")
ENGINES: Final = ("auto", "process", "container")
OVERFLOWS: Final = ("head-and-tail", "slow-down")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    """`[scheduler]`."""

    policy: str = "fifo"
    """One of `POLICIES`."""
    backfill: bool = True
    quantum: Decimal = Decimal("0.01")
    """The smallest part of a `cuda.shares` that may be asked for; divides 1 and is a multiple of 0.001."""
    gpu_strategy: str = "pack"
    """One of `STRATEGIES`: which GPU a fraction goes to."""
    distribution: str = "evenly"
    """One of `DISTRIBUTIONS`: how cores are taken from several devices."""
    pending_timeout_s: float = 0.0
    """0 = never."""
    half_life_s: float = 7 * 86400.0
    """Of use, for `fair-share`."""
    weights: Mapping[str, Decimal] = field(default_factory=dict)
    """Access key -> weight, for `drf` and `fair-share`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """`[limits]`, or `[limits.keypair.KEY]` of one access key, in the names of Backend.AI's resource policies."""

    max_concurrent_sessions: int | None = None
    max_pending_session_count: int | None = None
    total_resource_slots: Mapping[str, str] = field(default_factory=dict)
    """Slot -> amount as written; slots that are not named are not limited."""
    max_session_lifetime_s: float = 0.0
    """0 = never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypairLimits:
    """`[limits]` with all of its `[limits.keypair.KEY]`."""

    general: LimitSettings = field(default_factory=LimitSettings)
    own: Mapping[str, LimitSettings] = field(default_factory=dict)
    """Access key -> limits that stand in place of `general`."""

    def of(self, access_key: str) -> LimitSettings:
        """Returns the limits of a keypair."""
        return self.own.get(access_key, self.general)


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilizationSettings:
    """`[idle.utilization]`: a session that uses less than every (`and`) or any (`or`) threshold is ended."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """`cpu_util`, `mem`, `cuda_util`, `cuda_mem` -> percent of the promise; empty = the check is off."""
    operator: str = "and"
    """One of `OPERATORS`."""
    time_window_s: float = 600.0
    """The mean over so long counts."""
    initial_grace_s: float = 300.0
    """From the start of a session on it is left alone for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleSettings:
    """`[idle]`. The network timeout is `idle_timeout` at the top of the file."""

    warn_before_s: float = 120.0
    """An event goes out so long before a session is ended; 0 = none."""
    utilization: UtilizationSettings = field(default_factory=UtilizationSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSettings:
    """`[gpu]`."""

    sharing: bool = True
    """False: GPUs are only given away whole."""
    framework_caps: bool = True
    """PyTorch, JAX and TensorFlow are told to stay within the share of memory."""
    mps: bool = False
    """Per-client limits of an MPS daemon, where one can be run."""
    watch: bool = True
    """Sessions that use more GPU memory than their share are warned, then ended."""
    watch_mock: bool = False
    """Mock GPUs too."""
    warn_pct: float = 100.0
    """Of the share of memory."""
    end_pct: float = 110.0
    end_samples: int = 5
    """So many samples in a row above `end_pct` end a session; one sample is a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """`[memory]`: the same for the memory of the machine."""

    watch: bool = True
    warn_pct: float = 100.0
    end_pct: float = 110.0
    end_samples: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """`[sandbox]`: what fences the processes of every session. A session may ask for less, never for more."""

    isolation: str = "none"
    """One of `ISOLATIONS`; `bwrap`: read-only system, own /tmp and HOME, own process ids."""
    network: bool = True
    """False: only with `isolation = "bwrap"`; sessions reach nothing but themselves."""
    max_tasks: int = 4096
    """Processes and threads of one session; 0 = no limit."""
    wall_time_s: float = 0.0
    """A session is ended so long after its start, whatever it does; 0 = never."""
    work_quota_bytes: int = 0
    """What the work folder of a session may hold; 0 = no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """`[journal]`: what is kept of the output of a session."""

    max_size_bytes: int = 256 << 20
    """Of one session on disk; the oldest runs go first."""
    overflow: str = "head-and-tail"
    """One of `OVERFLOWS`: of one run that alone is larger, beginning and end are kept; with `slow-down` it is also
    taken in no faster than readers can follow."""
    retention_s: float = 7 * 86400.0
    """After the end of a session its journal is kept so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSettings:
    """`[containers]`: the container engine, and what its containers are made with."""

    socket: str = ""
    """Path of the engine's socket; empty = looked for in the usual places."""
    network: str = "host"
    """`host`, `none`, or a network that the engine knows."""
    runtime: str = ""
    """Name of the OCI runtime; empty = the engine's own, but runc in place of crun where control groups are of version
    1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """`[images]`: what may run, and where."""

    venvs: tuple[str, ...] = ()
    """Folders of virtual environments that are images, too; `~` stands for HOME."""
    exact: bool = False
    """Whether nothing may run in place of an image that is not here."""
    engine: str = "auto"
    """One of `ENGINES`: whether sessions run as processes or in containers; `auto`: as processes where one name stands
    for both."""
    engines: Mapping[str, str] = field(default_factory=dict)
    """Canonical reference, or name for every tag of it -> one of `ENGINES`."""


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """What `config.toml` says to the backend, defaults filled in."""

    host: str = "127.0.0.1"
    port: int = 8091
    """0 = any free port."""
    idle_timeout_s: float = 1800.0
    """0 = never."""
    mock_gpus: str = ""
    """`N` or `N:MEMORY`, e.g. `2:16g`; empty = none."""
    cpu: int = 0
    """cpu slots to offer; 0 = as many as this process may use."""
    mem: str = ""
    """mem to offer, e.g. `8g`; empty = all but a reserve for the system."""
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    limits: KeypairLimits = field(default_factory=KeypairLimits)
    idle: IdleSettings = field(default_factory=IdleSettings)
    gpu: GpuSettings = field(default_factory=GpuSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    images: ImageSettings = field(default_factory=ImageSettings)
    containers: ContainerSettings = field(default_factory=ContainerSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings:
    """`[contexts.NAME]`: a server, and who we are to it."""

    endpoint: str = field(default_factory=str)
    access_key: str = field(default_factory=str)
    """These two are always given; empty only while a file that lacks them is checked."""
    secret_key_file: str = ""
    """Relative to the folder of `config.toml`; empty = `secrets/NAME` there."""
    domain: str = "default"
    group: str = "default"
    verify_tls: bool = True
