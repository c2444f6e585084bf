"""Reads `config.toml` key by key: every value is checked where it is written, and what contradicts is refused.

Loaded by `config.Settings.load` when there is a file.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any, Final, TypeVar

from .model.durations import parse_duration
from .model.errors import BaiTuiError, ConfigError
from .model.slots import CUDA_DEVICE, CUDA_SHARES, GPU_ALIAS, KNOWN_SLOTS, MEM, ResourceSlots, parse_amount
from .policies import (
    DISTRIBUTIONS,
    ISOLATIONS,
    OPERATORS,
    OVERFLOWS,
    POLICIES,
    STRATEGIES,
    GpuSettings,
    IdleSettings,
    JournalSettings,
    KeypairLimits,
    LimitSettings,
    MemorySettings,
    SandboxSettings,
    SchedulerSettings,
    UtilizationSettings,
)
from .tui_settings import IMAGES, LEAST_SCROLLBACK_LINES, TuiSettings

T = TypeVar("T")
Check = Callable[[Any], Any]
Keys = Mapping[str, tuple[str, Check]]
"""Key in the file -> (field, function that returns the checked value or raises)."""

_THOUSANDTH: Final = Decimal("0.001")
_UTILIZATIONS: Final = ("cpu_util", "mem", "cuda_util", "cuda_mem")
LEAST_TASKS: Final = 16
"""A kernel alone needs some."""
LEAST_JOURNAL_BYTES: Final = 1 << 20
_WEIGHED: Final = ("drf", "fair-share")


def read_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    """Returns field of `config.Settings` -> value for what `table` says.

    Raises:
        ConfigError: an unknown key (the nearest valid one is named), a wrong value, or a contradiction; the message
            begins with the key.
    """
    return _read(table, _TOP, "")


def _read(table: Any, keys: Keys, where: str) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise _Placed(f"{where.rstrip('.')} must be a table: write [{where.rstrip('.')}] and its keys below")
    values = {}
    for key, value in table.items():
        if keys is _TOP and key in _OTHERS:
            continue
        if key not in keys:
            raise _Placed(f"unknown key {where + key!r}{_nearest(key, where, keys)}")
        field, check = keys[key]
        try:
            values[field] = check(value)
        except _Placed:
            raise
        except BaiTuiError as exc:
            raise _Placed(f"{where}{key}: {exc.message}") from None
    return values


def read_tui_settings(table: Mapping[str, Any]) -> TuiSettings:
    """Returns what `[tui]` and `[keys]` say.

    Raises:
        ConfigError: as `read_settings`.
    """
    return TuiSettings(**_read(table.get("tui", {}), _TUI, "tui."), keys=_bindings(table.get("keys", {})))


class _Placed(ConfigError):
    """Names its key already."""


def _nearest(key: str, where: str, keys: Keys) -> str:
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    return f": did you mean {where + near[0]!r}?" if near else f"; it knows {', '.join(keys)}"


# --- single values -------------------------------------------------------------------------------------------


def _host(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{value!r} is no host: write a loopback address such as 127.0.0.1")
    return value


def _port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ConfigError(f"{value!r} is no port: write a number from 0 to 65535 (0 = any free port)")
    return value


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"{value!r} is no duration: write seconds or text such as '10m'")
    return parse_duration(value)


def _some_time(value: Any) -> float:
    seconds = _duration(value)
    if seconds <= 0:
        raise ConfigError(f"{value!r} is too short: write more than no time at all")
    return seconds


def _mock_gpus(value: Any) -> str:
    if value == "":
        return ""
    text = str(value)
    count, colon, memory = text.partition(":")
    if isinstance(value, bool) or not (count.isascii() and count.isdecimal()) or (colon and not memory):
        raise ConfigError(f"{value!r} is no mock GPU set: write N or N:MEMORY, such as 2 or '2:16g'")
    if colon:
        parse_amount(MEM, memory)
    return text


def _cpu(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{value!r} is no number of cpu slots: write a whole number (0 = all that may be used)")
    return value


def _mem(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ConfigError(f"{value!r} is no size: write text such as '8g'")
    if value != "":
        parse_amount(MEM, value)
    return str(value)


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ConfigError(f"{value!r} is no size: write text such as '10g' (0 = no limit)")
    return int(parse_amount(MEM, value))


def _journal_size(value: Any) -> int:
    size = _size(value)
    if size < LEAST_JOURNAL_BYTES:
        raise ConfigError(f"{value!r} is too little for a journal: write at least '1m'")
    return size


def _tasks(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or (value != 0 and value < LEAST_TASKS):
        raise ConfigError(f"{value!r} is no number of tasks: write a whole number from {LEAST_TASKS} on (0 = no limit)")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{value!r} is neither true nor false")
    return value


def _one_of(words: Sequence[str]) -> Check:
    def check(value: Any) -> Any:
        if value not in words:
            raise ConfigError(f"{value!r} is not known: write one of {', '.join(words)}")
        return value

    return check


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{value!r} is no count: write a whole number from 1 on, or leave the key out for no limit")
    return value


def _number(value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ConfigError(f"{value!r} is no number from {least:g} to {most:g}")
    return float(value)


def _percent(value: Any) -> float:
    return _number(value, 1, 1000)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"{value!r} is no number")
    return parse_amount(CUDA_SHARES, str(value))


def _quantum(value: Any) -> Decimal:
    quantum = _decimal(value)
    if quantum <= 0 or quantum % _THOUSANDTH or 1 % quantum:
        raise ConfigError(f"{value!r} does not divide a GPU: write a part of 1 such as 0.01, 0.05, 0.1, 0.25 or 1")
    return quantum


def _weights(value: Any) -> Mapping[str, Decimal]:
    if not isinstance(value, Mapping):
        raise ConfigError("write a table of access keys with their weights, such as {alice = 2, bob = 1}")
    weights = {key: _decimal(weight) for key, weight in value.items()}
    for key, weight in weights.items():
        if weight <= 0:
            raise ConfigError(f"the weight of {key!r} must be more than 0")
    return weights


def _slots(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ConfigError("write a table of slots, such as {cpu = 8, mem = '16g', 'cuda.shares' = '1.5'}")
    # TOML reads a bare cuda.shares as a table of its own
    flat: dict[str, object] = {}
    for name, amount in value.items():
        if isinstance(amount, Mapping):
            flat |= {f"{name}.{part}": inner for part, inner in amount.items()}
        else:
            flat[name] = amount
    known = {**KNOWN_SLOTS, GPU_ALIAS: "count", CUDA_DEVICE: "count"}
    return ResourceSlots.parse(flat, known=known).wire()


def _thresholds(value: Any) -> Mapping[str, float]:
    if not isinstance(value, Mapping):
        raise ConfigError("write a table of percentages, such as {cpu_util = 5, cuda_util = 2}")
    for name in value:
        if name not in _UTILIZATIONS:
            raise ConfigError(f"{name!r} is not measured so: write some of {', '.join(_UTILIZATIONS)}")
    return {name: _number(percent, 0, 100) for name, percent in value.items()}


def _auto_or_flag(value: Any) -> bool | None:
    if value == "auto":
        return None
    if not isinstance(value, bool):
        raise ConfigError(f"{value!r} is not known: write 'auto', true or false")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{value!r} is no name: write text")
    return value


def _scrollback(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < LEAST_SCROLLBACK_LINES:
        raise ConfigError(f"{value!r} is no number of lines: write a whole number from {LEAST_SCROLLBACK_LINES} on")
    return value


def _bindings(table: Any) -> Mapping[str, str]:
    if not isinstance(table, Mapping):
        raise _Placed("keys must be a table: write [keys] and its keys below, such as kill = 'x'")
    for action, keys in table.items():
        if not isinstance(keys, str):
            raise _Placed(f"keys.{action}: {keys!r} is no key: write text such as 'f5,ctrl+r' ('' = none)")
    return dict(table)


# --- tables --------------------------------------------------------------------------------------------------


def _own_names(kind: type, **checks: Check) -> Keys:
    """Returns keys that are called as the fields are, without the unit: `half_life` is `half_life_s`."""
    names = [item.name for item in fields(kind)]
    keys = {name.removesuffix("_s").removesuffix("_bytes").removesuffix("_lines"): name for name in names}
    return {key: (keys[key], check) for key, check in checks.items()}


_SCHEDULER: Final = _own_names(
    SchedulerSettings,
    policy=_one_of(POLICIES),
    backfill=_flag,
    quantum=_quantum,
    gpu_strategy=_one_of(STRATEGIES),
    distribution=_one_of(DISTRIBUTIONS),
    pending_timeout=_duration,
    half_life=_some_time,
    weights=_weights,
)
_LIMITS: Final = _own_names(
    LimitSettings,
    max_concurrent_sessions=_count,
    max_pending_session_count=_count,
    total_resource_slots=_slots,
    max_session_lifetime=_duration,
)
_UTILIZATION: Final = _own_names(
    UtilizationSettings,
    thresholds=_thresholds,
    operator=_one_of(OPERATORS),
    time_window=_some_time,
    initial_grace=_duration,
)
_GPU: Final = _own_names(
    GpuSettings,
    sharing=_flag,
    framework_caps=_flag,
    mps=_flag,
    watch=_flag,
    watch_mock=_flag,
    warn_pct=_percent,
    end_pct=_percent,
    end_samples=_count,
)
_MEMORY: Final = _own_names(MemorySettings, watch=_flag, warn_pct=_percent, end_pct=_percent, end_samples=_count)

_SANDBOX: Final = _own_names(
    SandboxSettings,
    isolation=_one_of(ISOLATIONS),
    network=_flag,
    max_tasks=_tasks,
    wall_time=_duration,
    work_quota=_size,
)
_JOURNAL: Final = _own_names(JournalSettings, max_size=_journal_size, overflow=_one_of(OVERFLOWS), retention=_duration)

_TUI: Final = _own_names(
    TuiSettings,
    theme=_name,
    ascii=_auto_or_flag,
    vim=_flag,
    read_only=_flag,
    notify_after=_duration,
    bell=_flag,
    desktop_notice=_flag,
    images=_one_of(IMAGES),
    wrap=_flag,
    timestamps=_flag,
    scrollback=_scrollback,
)


def _scheduler(table: Any) -> SchedulerSettings:
    settings = SchedulerSettings(**_read(table, _SCHEDULER, "scheduler."))
    if "half_life" in table and settings.policy != "fair-share":
        raise _Placed(
            f"scheduler.half_life contradicts scheduler.policy = {settings.policy!r}: only fair-share looks at earlier "
            "use; remove one or write policy = 'fair-share'"
        )
    if settings.weights and settings.policy not in _WEIGHED:
        raise _Placed(
            f"scheduler.weights contradicts scheduler.policy = {settings.policy!r}, which knows no owners: remove one "
            f"or write policy = {' or '.join(map(repr, _WEIGHED))}"
        )
    return settings


def _limit(table: Any, where: str) -> LimitSettings:
    return LimitSettings(**_read(table, _LIMITS, where))


def _limits(table: Any) -> KeypairLimits:
    """Returns the limits of all keypairs.

    A keypair that is named takes from the general limits what its own table does not say.
    """
    if not isinstance(table, Mapping):
        return KeypairLimits(general=_limit(table, "limits."))
    general = {key: value for key, value in table.items() if key != "keypair"}
    named = table.get("keypair", {})
    if not isinstance(named, Mapping):
        raise _Placed("limits.keypair must be a table: write [limits.keypair.KEY] for an access key")
    own = {}
    for key, limits in named.items():
        if not isinstance(limits, Mapping):
            raise _Placed(f"limits.keypair.{key} must be a table: write [limits.keypair.{key}] and its keys below")
        own[key] = _limit({**general, **limits}, f"limits.keypair.{key}.")
    return KeypairLimits(general=_limit(general, "limits."), own=own)


def _idle(table: Any) -> IdleSettings:
    return IdleSettings(**_read(table, _IDLE, "idle."))


def _utilization(table: Any) -> UtilizationSettings:
    settings = UtilizationSettings(**_read(table, _UTILIZATION, "idle.utilization."))
    if not settings.thresholds:
        raise _Placed(
            "idle.utilization names no thresholds, so it would never end anything: write thresholds = {cpu_util = 5} "
            "or remove the table"
        )
    return settings


_IDLE: Final = _own_names(IdleSettings, warn_before=_duration, utilization=_utilization)


def _watch_order(settings: GpuSettings | MemorySettings, where: str) -> None:
    if settings.end_pct < settings.warn_pct:
        raise _Placed(
            f"{where}.end_pct = {settings.end_pct:g} contradicts {where}.warn_pct = {settings.warn_pct:g}: a session "
            "would be ended before it is warned; write an end_pct that is not lower"
        )


def _gpu(table: Any) -> GpuSettings:
    settings = GpuSettings(**_read(table, _GPU, "gpu."))
    _watch_order(settings, "gpu")
    if settings.watch_mock and not settings.watch:
        raise _Placed("gpu.watch_mock contradicts gpu.watch = false: remove one of them")
    if settings.mps and not settings.sharing:
        raise _Placed(
            "gpu.mps contradicts gpu.sharing = false: MPS limits shares, and whole GPUs have none; remove one"
        )
    return settings


def _memory(table: Any) -> MemorySettings:
    settings = MemorySettings(**_read(table, _MEMORY, "memory."))
    _watch_order(settings, "memory")
    return settings


def _sandbox(table: Any) -> SandboxSettings:
    settings = SandboxSettings(**_read(table, _SANDBOX, "sandbox."))
    if not settings.network and settings.isolation == "none":
        raise _Placed(
            "sandbox.network = false contradicts sandbox.isolation = 'none', which fences nothing off: write "
            "isolation = 'bwrap' or remove network"
        )
    return settings


def _journal(table: Any) -> JournalSettings:
    return JournalSettings(**_read(table, _JOURNAL, "journal."))


_TOP: Final[Keys] = {
    "host": ("host", _host),
    "port": ("port", _port),
    "idle_timeout": ("idle_timeout_s", _duration),
    "mock_gpus": ("mock_gpus", _mock_gpus),
    "cpu": ("cpu", _cpu),
    "mem": ("mem", _mem),
    "scheduler": ("scheduler", _scheduler),
    "limits": ("limits", _limits),
    "idle": ("idle", _idle),
    "gpu": ("gpu", _gpu),
    "memory": ("memory", _memory),
    "sandbox": ("sandbox", _sandbox),
    "journal": ("journal", _journal),
}
_OTHERS: Final = ("tui", "keys", "contexts")
"""Tables that are read elsewhere: what is wrong in them keeps no backend from starting."""
