"""The keys of `config.toml`. Reading, schema, template, `config show` and docs/configuration.md go by this table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..policies import (
    DISTRIBUTIONS,
    ISOLATIONS,
    OPERATORS,
    OVERFLOWS,
    POLICIES,
    STRATEGIES,
    BackendSettings,
    ContainerSettings,
    ContextSettings,
    GpuSettings,
    IdleSettings,
    ImageSettings,
    JournalSettings,
    KeypairLimits,
    LimitSettings,
    MemorySettings,
    SandboxSettings,
    SchedulerSettings,
    UtilizationSettings,
)
from ..tui_settings import IMAGES, TuiSettings
from . import values as v
from .reading import Entry, Key, Named, Table, keys_of

_WEIGHED: Final = ("drf", "fair-share")
Written = Mapping[str, Any]


# --- what contradicts ------------------------------------------------------------------------------------------------


def _in_scheduler(settings: SchedulerSettings, written: Written) -> Iterator[str]:
    if "half_life" in written and settings.policy != "fair-share":
        yield (
            f"scheduler.half_life contradicts scheduler.policy = {settings.policy!r}: only fair-share looks at earlier "
            "use; remove one or write policy = 'fair-share'"
        )
    if settings.weights and settings.policy not in _WEIGHED:
        yield (
            f"scheduler.weights contradicts scheduler.policy = {settings.policy!r}, which knows no owners: remove one "
            f"or write policy = {' or '.join(map(repr, _WEIGHED))}"
        )


def _in_utilization(settings: UtilizationSettings, written: Written) -> Iterator[str]:
    if not settings.thresholds:
        yield (
            "idle.utilization names no thresholds, so it would never end anything: write thresholds = {cpu_util = 5} "
            "or remove the table"
        )


def _order(settings: GpuSettings | MemorySettings, where: str) -> Iterator[str]:
    if settings.end_pct < settings.warn_pct:
        yield (
            f"{where}.end_pct = {settings.end_pct:g} contradicts {where}.warn_pct = {settings.warn_pct:g}: a session "
            "would be ended before it is warned; write an end_pct that is not lower"
        )


def _in_gpu(settings: GpuSettings, written: Written) -> Iterator[str]:
    yield from _order(settings, "gpu")
    if settings.watch_mock and not settings.watch:
        yield "gpu.watch_mock contradicts gpu.watch = false: remove one of them"
    if settings.mps and not settings.sharing:
        yield "gpu.mps contradicts gpu.sharing = false: MPS limits shares, and whole GPUs have none; remove one"


def _in_memory(settings: MemorySettings, written: Written) -> Iterator[str]:
    yield from _order(settings, "memory")


def _in_sandbox(settings: SandboxSettings, written: Written) -> Iterator[str]:
    if not settings.network and settings.isolation == "none":
        yield (
            "sandbox.network = false contradicts sandbox.isolation = 'none', which fences nothing off: write "
            "isolation = 'bwrap' or remove network"
        )


# --- the backend's ---------------------------------------------------------------------------------------------------

_SCHEDULER: Final = Table(
    "scheduler",
    SchedulerSettings,
    keys_of(
        SchedulerSettings,
        policy=(
            v.one_of(POLICIES),
            'among requests of the same priority: `"fifo"` (first come), `"lifo"` (last come), `"drf"` (the owner '
            'whose largest fraction of any slot is the smallest), `"fair-share"` (the owner who has used least lately)',
        ),
        backfill=(
            v.FLAG,
            "a later request may pass one that waits for resources when it cannot delay it; `false` = strictly one "
            "after the other",
        ),
        quantum=(
            v.QUANTUM,
            "smallest part of a GPU that may be asked for; it divides 1 and is a multiple of 0.001",
        ),
        gpu_strategy=(
            v.one_of(STRATEGIES),
            'a fraction goes to the fullest GPU that has room (`"pack"`) or to the emptiest (`"spread"`)',
        ),
        distribution=(
            v.one_of(DISTRIBUTIONS),
            "what comes from several devices (cores, a share that may be split) is taken evenly, or one device after "
            'the other to its end (`"fill"`)',
        ),
        pending_timeout=(v.DURATION, "a request that has waited so long is cancelled; 0 = never"),
        half_life=(v.SOME_TIME, 'of earlier use; only with `policy = "fair-share"`'),
        weights=(
            v.WEIGHTS,
            'table of access key to weight, such as `{alice = 2, bob = 1}`; only with `"drf"` and `"fair-share"`; '
            "1 for who is not named",
        ),
    ),
    "who is next",
    _in_scheduler,
)
_LIMIT_KEYS: Final = keys_of(
    LimitSettings,
    max_concurrent_sessions=(
        v.COUNT,
        "sessions that hold resources at a time; more of them wait and hold nobody up",
    ),
    max_pending_session_count=(
        v.COUNT,
        "sessions that wait at a time; one more that would have to wait is refused",
    ),
    total_resource_slots=(
        v.SLOTS,
        'slots held at a time by all sessions together, such as `{cpu = 8, "cuda.shares" = "1.5"}`; a request that '
        "alone is more is refused, others wait",
    ),
    max_session_lifetime=(v.DURATION, "a session is ended so long after its start; 0 = never"),
)


def _limits(own: Mapping[str, Mapping[str, Any]] | None = None, **general: Any) -> KeypairLimits:
    """Returns the limits of all keypairs. One that is named takes from the general limits what it does not say."""
    return KeypairLimits(
        general=LimitSettings(**general),
        own={key: LimitSettings(**{**general, **limits}) for key, limits in (own or {}).items()},
    )


_LIMITS: Final = Table(
    "limits",
    _limits,
    {
        **_LIMIT_KEYS,
        "keypair": Named("own", Table("own", dict, _LIMIT_KEYS), "the same for one access key", "KEY"),
    },
    "what one keypair may have",
)
_UTILIZATION: Final = Table(
    "utilization",
    UtilizationSettings,
    keys_of(
        UtilizationSettings,
        thresholds=(
            v.THRESHOLDS,
            "table of `cpu_util`, `mem`, `cuda_util`, `cuda_mem` to percent of what was asked for, such as "
            "`{cpu_util = 5, cuda_util = 2}`: a session below them is ended",
        ),
        operator=(
            v.one_of(OPERATORS),
            'it is ended when it is below all of them (`"and"`) or any of them (`"or"`)',
        ),
        time_window=(v.SOME_TIME, "the mean over so long counts"),
        initial_grace=(v.DURATION, "a session is left alone for so long from its start on"),
    ),
    "sessions that use little",
    _in_utilization,
)
_IDLE: Final = Table(
    "idle",
    IdleSettings,
    {
        **keys_of(
            IdleSettings,
            warn_before=(v.DURATION, "a warning goes out so long before a session is ended; 0 = none"),
        ),
        "utilization": _UTILIZATION,
    },
    "sessions that nobody uses",
)
_GPU: Final = Table(
    "gpu",
    GpuSettings,
    keys_of(
        GpuSettings,
        sharing=(v.FLAG, "`false`: GPUs are only given away whole, as `cuda.device`"),
        framework_caps=(
            v.FLAG,
            "PyTorch, JAX and TensorFlow are told to stay within the share of the GPU's memory",
        ),
        mps=(v.FLAG, "limits per session by an MPS daemon, where one can be run"),
        watch=(v.FLAG, "a session that uses more GPU memory than its share is warned, then ended"),
        watch_mock=(v.FLAG, "mock GPUs are watched too"),
        warn_pct=(v.PERCENT, "percent of the share of memory at which a session is warned"),
        end_pct=(v.PERCENT, "percent above which it is ended"),
        end_samples=(v.COUNT, "so many samples in a row (one a second)"),
    ),
    "keeping to the shares of GPUs",
    _in_gpu,
)
_MEMORY: Final = Table(
    "memory",
    MemorySettings,
    keys_of(
        MemorySettings,
        watch=(v.FLAG, "the same for the memory of the machine"),
        warn_pct=(v.PERCENT, "percent of the session's `mem`"),
        end_pct=(v.PERCENT, "percent above which it is ended"),
        end_samples=(v.COUNT, "so many samples in a row"),
    ),
    "keeping to the memory",
    _in_memory,
)
_SANDBOX: Final = Table(
    "sandbox",
    SandboxSettings,
    keys_of(
        SandboxSettings,
        isolation=(
            v.one_of(ISOLATIONS),
            '`"bwrap"`: every session gets a read-only system, a `/tmp`, a HOME and process ids of its own (bubblewrap '
            "must be installed)",
        ),
        network=(
            v.FLAG,
            '`false`: sessions reach nothing but themselves; only with `isolation = "bwrap"`',
        ),
        max_tasks=(v.TASKS, "processes and threads of one session; 0 = no limit"),
        wall_time=(v.DURATION, "a session is ended so long after its start, whatever it does; 0 = never"),
        work_quota=(v.SIZE, 'size of a session\'s work folder, such as `"10g"`; 0 = no limit'),
    ),
    "what fences a session in",
    _in_sandbox,
)
_JOURNAL: Final = Table(
    "journal",
    JournalSettings,
    keys_of(
        JournalSettings,
        max_size=(
            v.JOURNAL_SIZE,
            "of one session on disk; the oldest runs are dropped first, and a mark in the output says so",
        ),
        overflow=(
            v.one_of(OVERFLOWS),
            'of one run that alone is larger, the beginning and the end are kept; `"slow-down"`: moreover its output '
            "is taken in no faster than readers can follow",
        ),
        retention=(v.DURATION, "the journal of an ended session is kept so long"),
    ),
    "what is kept of the output",
)
_IMAGES: Final = Table(
    "images",
    ImageSettings,
    keys_of(
        ImageSettings,
        venvs=(v.FOLDERS, 'virtual environments that are images, too, such as `["~/project/.venv"]`'),
        exact=(v.FLAG, "`true`: nothing runs in place of an image that is not here"),
        engine=(
            v.ENGINE,
            '`"process"`: sessions are processes of this machine; `"container"`: all run in containers, or not at all; '
            '`"auto"`: as the image is, and as a process where one name stands for both',
        ),
        engines=(
            v.ENGINE_OF,
            'the same for some: table of references, or names for all their tags, such as `{"python:3.11" = '
            '"container", deno = "process"}`',
        ),
    ),
    "what may run",
)
_CONTAINERS: Final = Table(
    "containers",
    ContainerSettings,
    keys_of(
        ContainerSettings,
        socket=(
            v.NAME,
            "path of the socket of Docker or Podman; empty = `DOCKER_HOST`, `CONTAINER_HOST`, or the usual places",
        ),
        network=(
            v.GIVEN_TEXT,
            'of sessions in containers: `"host"` (that of the machine), `"none"`, or a network that the engine knows, '
            'such as `"bridge"`',
        ),
        runtime=(
            v.NAME,
            "OCI runtime; empty = the engine's own, but runc in place of crun where control groups are of version 1 "
            "(Podman heeds it from version 6 on)",
        ),
    ),
    "sessions in containers",
)


_BACKEND: Final[Mapping[str, Entry]] = {
    **keys_of(
        BackendSettings,
        host=(v.HOST, "loopback address that the backend listens on"),
        port=(
            v.PORT,
            "port; when it is taken a free one is chosen and told to the clients; 0 = always any free one",
        ),
        idle_timeout=(
            v.DURATION,
            'seconds, or text such as `"10m"`, `"2h"`, after which an idle session is ended; 0 = never',
        ),
        mock_gpus=(v.MOCK_GPUS, '`"N"` or `"N:MEMORY"`, for example `"2:16g"`: GPUs to pretend'),
        cpu=(v.CPU, "cpu slots to offer; 0 = as many as the backend may use"),
        mem=(v.MEMORY, 'memory to offer, for example `"8g"`; empty = all but a reserve for the system'),
    ),
    "scheduler": _SCHEDULER,
    "limits": _LIMITS,
    "idle": _IDLE,
    "gpu": _GPU,
    "memory": _MEMORY,
    "sandbox": _SANDBOX,
    "journal": _JOURNAL,
    "images": _IMAGES,
    "containers": _CONTAINERS,
}

# --- the screen's, and where to go -----------------------------------------------------------------------------------

_TUI: Final = Table(
    "tui",
    dict,
    keys_of(
        TuiSettings,
        theme=(v.NAME, "name of a theme; empty = the one that was used last"),
        ascii=(
            v.AUTO_OR_FLAG,
            '`true`: plain ASCII shapes; `"auto"`: where the locale is not UTF-8, or `BAI_TUI_ASCII` is set',
        ),
        vim=(v.FLAG, "the editor has vim's keys"),
        read_only=(v.FLAG, "nothing can be started, changed or ended"),
        notify_after=(v.DURATION, "a run that took longer is told when it ends; 0 = none is"),
        bell=(v.FLAG, "such a notice rings the bell of the terminal"),
        desktop_notice=(v.FLAG, "it is shown by the desktop, too, where there is one"),
        images=(
            v.one_of(IMAGES),
            'how pictures are painted: `"kitty"` or `"sixel"` graphics, `"blocks"` of characters, `"none"`; `"auto"` '
            "asks the terminal",
        ),
        wrap=(v.FLAG, "long lines of the console are wrapped"),
        timestamps=(v.FLAG, "lines of the console begin with their time"),
        scrollback=(v.SCROLLBACK, "lines that the console keeps of one session"),
    ),
    "the screen",
)
_KEYS: Final = Named(
    "keys",
    Key("", v.KEY_NAMES, 'keys of an action in place of its own, such as `kill = "x,delete"`; `""` = none'),
    "keys of the screen",
    "ACTION",
)
CONTEXT: Final = Table(
    "",
    ContextSettings,
    keys_of(
        ContextSettings,
        endpoint=(v.URL, "URL of a Backend.AI manager, or of another backend of bai-tui"),
        access_key=(v.GIVEN_TEXT, "the access key of a keypair there"),
        secret_key_file=(
            v.GIVEN_TEXT,
            "file of mode 0600 that holds the secret key; a relative one is in the folder of `config.toml`; without it "
            "`secrets/NAME` there, where `bai-tui context add` puts it",
        ),
        domain=(v.GIVEN_TEXT, "domain of a cluster"),
        group=(v.GIVEN_TEXT, "project (group) in which sessions are made"),
        verify_tls=(v.FLAG, "`false`: any certificate of an https endpoint is taken"),
    ),
    "servers by name",
    needed=("endpoint", "access_key"),
)


def wrong_name(name: str) -> str | None:
    """Returns what is wrong with the name of a context."""
    if name == "local":
        return "this name is that of the local backend: choose another"
    if name == "environment":
        return "this name is that of the server of BACKEND_ENDPOINT: choose another"
    if not name or not all(char.isascii() and (char.isalnum() or char in "-_.") for char in name) or name[0] in "-.":
        return "the name of a context is made of letters, digits, '-', '_' and '.': choose another"
    return None


_CONTEXTS: Final = Named("contexts", CONTEXT, "servers by name", check_name=wrong_name)

FACES: Final[Mapping[str, Entry]] = {"tui": _TUI, "keys": _KEYS, "contexts": _CONTEXTS}
"""What is wrong in these keeps no backend from starting."""
TOP: Final = Table("", dict, {**_BACKEND, **FACES})
