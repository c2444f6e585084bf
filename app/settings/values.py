"""Kinds of values in `config.toml`: how one is checked, how it is written, and what JSON Schema says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ..model.durations import parse_duration
from ..model.errors import ConfigError
from ..model.images import ImageReference
from ..model.slots import CUDA_DEVICE, CUDA_SHARES, GPU_ALIAS, KNOWN_SLOTS, MEM, ResourceSlots, parse_amount
from ..policies import ENGINES

_THOUSANDTH: Final = Decimal("0.001")
_UTILIZATIONS: Final = ("cpu_util", "mem", "cuda_util", "cuda_mem")
LEAST_TASKS: Final = 16
"""A kernel alone needs some."""
LEAST_JOURNAL_BYTES: Final = 1 << 20
LEAST_SCROLLBACK_LINES: Final = 1_000
_DURATION_TEXT: Final = r"^\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*[smhdSMHD]?\s*$"
_SIZES: Final = (("t", 1 << 40), ("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10))
_SPANS: Final = (("d", 86400), ("h", 3600), ("m", 60))


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value."""

    check: Callable[[Any], Any]
    """Returns the checked value of what is written, or raises a `BaiTuiError` that says what should be."""
    schema: Mapping[str, Any]
    """The same in JSON Schema, as far as it can say it."""
    written: Callable[[Any], Any] = _as_it_is
    """Returns how a checked value is written in the file."""


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


def _written_duration(seconds: float) -> int | float | str:
    for letter, span in _SPANS:
        if seconds and seconds % span == 0:
            return f"{seconds / span:.0f}{letter}"
    return int(seconds) if seconds == int(seconds) else seconds


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


def _written_size(size: int) -> int | str:
    for letter, unit in _SIZES:
        if size and size % unit == 0:
            return f"{size // unit}{letter}"
    return size


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


def _auto_or_flag(value: Any) -> bool | None:
    if value == "auto":
        return None
    if not isinstance(value, bool):
        raise ConfigError(f"{value!r} is not known: write 'auto', true or false")
    return value


def one_of(words: Sequence[str]) -> Kind:
    """Returns the kind of value that is one of `words`."""

    def check(value: Any) -> Any:
        if value not in words:
            raise ConfigError(f"{value!r} is not known: write one of {', '.join(words)}")
        return value

    return Kind(check, {"enum": list(words)})


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


def _written_number(value: float) -> int | float:
    return int(value) if value == int(value) else value


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


def _folders(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one and one.isprintable() for one in value):
        raise ConfigError(f"{value!r} is no list of folders: write it as ['~/project/.venv']")
    for one in value:
        if not one.startswith(("/", "~")):
            raise ConfigError(f"{one!r} is no absolute path: begin it with '/' or '~'")
    return tuple(value)


ENGINE: Final = one_of(ENGINES)


def _engines(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ConfigError('write a table of engines, such as {"python:3.11" = "container"}')
    engines = {}
    for name, engine in value.items():
        reference = ImageReference.parse(name)
        engines[str(reference) if name.rpartition("/")[2].count(":") else reference.name] = ENGINE.check(engine)
    return engines


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{value!r} is no name: write text")
    return value


def _given_text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ConfigError(f"{value!r} says nothing: write text")
    return value


def _key_names(value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{value!r} is no key: write text such as 'f5,ctrl+r' ('' = none)")
    return value


def _scrollback(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < LEAST_SCROLLBACK_LINES:
        raise ConfigError(f"{value!r} is no number of lines: write a whole number from {LEAST_SCROLLBACK_LINES} on")
    return value


def _url(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")) or not value.isprintable():
        raise ConfigError(f"{value!r} is no URL: write it as http://host:port or https://host")
    return value.rstrip("/")


_WHOLE: Final = {"type": "integer"}
_TEXT: Final = {"type": "string"}
_SIZE_SCHEMA: Final = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]}
_DURATION_SCHEMA: Final = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _DURATION_TEXT}],
}
_AMOUNT_SCHEMA: Final = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "minLength": 1}]}

FLAG: Final = Kind(_flag, {"type": "boolean"})
AUTO_OR_FLAG: Final = Kind(
    _auto_or_flag, {"enum": ["auto", True, False]}, lambda value: "auto" if value is None else value
)
NAME: Final = Kind(_name, _TEXT)
GIVEN_TEXT: Final = Kind(_given_text, {**_TEXT, "minLength": 1})
URL: Final = Kind(_url, {**_TEXT, "pattern": "^https?://"})
KEY_NAMES: Final = Kind(_key_names, _TEXT)
SCROLLBACK: Final = Kind(_scrollback, {**_WHOLE, "minimum": LEAST_SCROLLBACK_LINES})
HOST: Final = Kind(_host, {**_TEXT, "minLength": 1})
PORT: Final = Kind(_port, {**_WHOLE, "minimum": 0, "maximum": 65535})
DURATION: Final = Kind(_duration, _DURATION_SCHEMA, _written_duration)
SOME_TIME: Final = Kind(_some_time, _DURATION_SCHEMA, _written_duration)
MOCK_GPUS: Final = Kind(
    _mock_gpus,
    {"anyOf": [{**_WHOLE, "minimum": 0}, {**_TEXT, "pattern": "^([0-9]+(:.+)?)?$"}]},
)
CPU: Final = Kind(_cpu, {**_WHOLE, "minimum": 0})
MEMORY: Final = Kind(_mem, {"anyOf": [{**_WHOLE, "minimum": 0}, _TEXT]})
SIZE: Final = Kind(_size, _SIZE_SCHEMA, _written_size)
JOURNAL_SIZE: Final = Kind(_journal_size, _SIZE_SCHEMA, _written_size)
TASKS: Final = Kind(_tasks, {"anyOf": [{"const": 0}, {**_WHOLE, "minimum": LEAST_TASKS}]})
COUNT: Final = Kind(_count, {**_WHOLE, "minimum": 1})
PERCENT: Final = Kind(_percent, {"type": "number", "minimum": 1, "maximum": 1000}, _written_number)
QUANTUM: Final = Kind(_quantum, _AMOUNT_SCHEMA, str)
WEIGHTS: Final = Kind(
    _weights,
    {"type": "object", "additionalProperties": _AMOUNT_SCHEMA},
    lambda weights: {key: str(weight) for key, weight in weights.items()},
)
SLOTS: Final = Kind(_slots, {"type": "object"}, dict)
THRESHOLDS: Final = Kind(
    _thresholds,
    {
        "type": "object",
        "properties": {name: {"type": "number", "minimum": 0, "maximum": 100} for name in _UTILIZATIONS},
        "additionalProperties": False,
    },
    lambda limits: {name: _written_number(percent) for name, percent in limits.items()},
)
FOLDERS: Final = Kind(
    _folders, {"type": "array", "items": {"type": "string", "pattern": "^[/~]"}}, lambda folders: list(folders)
)
ENGINE_OF: Final = Kind(_engines, {"type": "object", "additionalProperties": {"enum": list(ENGINES)}}, dict)
