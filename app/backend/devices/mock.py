"""Mock GPUs: devices that can be promised and shown, and compute nothing. Always labelled as mock.

What they seem to use is never made up: it is what the file `mock-gpus.json` says, zero without one.

    {"gpu0": {"mem_used": "4g", "util": 35, "temperature": 60, "power": 120, "present": true,
              "sessions": {"<name or id of a session>": {"mem": "2g", "util": 20}}}}

Everything may be left out. `present: false` pretends that the GPU is lost. Without `mem_used` the memory of its
sessions is added up.
"""

from __future__ import annotations

import json
import logging
import re
import stat
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ...model.errors import ConfigError, InvalidAmount
from ...model.slots import CUDA_SHARES, MEM, parse_amount
from ..ports import Device, GpuReading

log = logging.getLogger(__name__)
_SPEC = re.compile(r"([0-9]{1,4})(?::(.+))?")
_MOST = 1024
_DEFAULT_MEMORY = "16g"
_NAMESPACE = uuid.UUID("6d0c1f3e-8f0b-5d0c-9f55-3b1f6f0c2a77")
_MOST_BYTES: Final = 4 << 20
_GPU_KEYS: Final = ("mem_used", "util", "temperature", "power", "present", "sessions")
_SESSION_KEYS: Final = ("mem", "util")
_MOST_OF: Final = {"util": 100, "temperature": 200, "power": 10_000}


def mock_gpus(spec: str, first: int = 0) -> list[Device]:
    """Returns the mock GPUs of `N` or `N:MEMORY` (memory of each, 16g by default); none for an empty spec.

    Their UUIDs are the same at every start, so that a session keeps its device over a restart.

    Args:
        first: number of the first one: after the real GPUs.

    Raises:
        ConfigError: another form, or more than 1024.
    """
    text = spec.strip()
    if not text:
        return []
    match = _SPEC.fullmatch(text)
    if match is None:
        raise ConfigError(f"mock GPUs cannot be {spec!r}: write N or N:MEMORY, for example 2 or 2:16g")
    if int(match[1]) > _MOST:
        raise ConfigError(f"mock GPUs cannot be {spec!r}: {_MOST} are the most")
    try:
        memory = int(parse_amount(MEM, match[2] or _DEFAULT_MEMORY))
    except InvalidAmount as exc:
        raise ConfigError(f"mock GPUs cannot be {spec!r}: {exc}") from None
    if not memory:
        raise ConfigError(f"mock GPUs cannot be {spec!r}: give each some memory, for example {match[1]}:16g")
    return [
        Device(
            id=f"gpu{first + number}",
            slot=CUDA_SHARES,
            capacity=Decimal(1),
            uuid=str(uuid.uuid5(_NAMESPACE, f"mock-gpu-{number}")),
            model=f"Mock GPU {number}",
            mem_bytes=memory,
            kind="mock",
        )
        for number in range(int(match[1]))
    ]


class MockReadings:
    """Reads what mock GPUs seem to use."""

    def __init__(self, gpus: Sequence[Device], file: Path | None) -> None:
        self._gpus = tuple(gpus)
        self._file = file
        self._said = ""
        self._stamp: tuple[int, int, int] | None = None
        self._readings = [GpuReading(device_id=gpu.id, mem_total_bytes=gpu.mem_bytes) for gpu in gpus]
        self._idle = tuple(self._readings)

    def read(self) -> Sequence[GpuReading]:
        """Returns a reading of each; a file that cannot be used leaves the last good ones in force.

        What is wrong with it is said once in the log. Blocks as long as reading a small file does; never raises.
        """
        if self._file is None or not self._gpus:
            return self._readings
        try:
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return self._readings
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("it is no file")  # opening a pipe would wait for a writer
            if status.st_size > _MOST_BYTES:
                raise ValueError(f"it has {status.st_size} bytes, {_MOST_BYTES} are the most")
            self._readings = self._parse(json.loads(self._file.read_bytes()))
        except FileNotFoundError:
            self._readings, self._stamp, self._said = list(self._idle), None, ""
        except RecursionError:
            self._complain("it is nested too deep")
        except (OSError, ValueError, InvalidAmount) as exc:
            self._complain(str(exc))
        else:
            self._stamp, self._said = stamp, ""
        return self._readings

    def _complain(self, problem: str) -> None:
        if problem != self._said:
            self._said = problem
            log.warning("%s cannot be used: %s; what mock GPUs seem to use stays as it was", self._file, problem)

    def _parse(self, table: Any) -> list[GpuReading]:
        known = {gpu.id for gpu in self._gpus}
        for name in _object(table, "it"):
            if name not in known:
                raise ValueError(f"{name!r} is no mock GPU of this machine: {', '.join(sorted(known))}")
        return [
            _reading(gpu, table[gpu.id]) if gpu.id in table else idle
            for gpu, idle in zip(self._gpus, self._idle, strict=True)
        ]


def _reading(gpu: Device, value: Any) -> GpuReading:
    entry = _object(value, gpu.id, _GPU_KEYS)
    if not isinstance(present := entry.get("present", True), bool):
        raise ValueError(f"{gpu.id}.present is {present!r}: write true or false")
    memory: dict[str, int] = {}
    utilization: dict[str, float] = {}
    for name, use in _object(entry.get("sessions", {}), f"{gpu.id}.sessions").items():
        where = f"{gpu.id}.sessions.{name}"
        share = _object(use, where, _SESSION_KEYS)
        memory[name] = _bytes(share.get("mem", 0), f"{where}.mem")
        utilization[name] = _number(share.get("util", 0), f"{where}.util", 100)
    used = _bytes(entry["mem_used"], f"{gpu.id}.mem_used") if "mem_used" in entry else sum(memory.values())
    utilized, heat, power = (
        _number(entry[word], f"{gpu.id}.{word}", most) if word in entry else None for word, most in _MOST_OF.items()
    )
    if not present:
        return GpuReading(
            device_id=gpu.id, present=False, problem="mock-gpus.json says so", mem_total_bytes=gpu.mem_bytes
        )
    return GpuReading(
        device_id=gpu.id,
        mem_used_bytes=used,
        mem_total_bytes=gpu.mem_bytes,
        session_mem_bytes=memory,
        session_util_pct=utilization,
        util_pct=utilized,
        temperature_c=heat,
        power_w=power,
    )


def _object(value: Any, where: str, keys: Sequence[str] = ()) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {_short(value)}: write an object")
    for key in value:
        if keys and key not in keys:
            raise ValueError(f"{where} has the unknown key {key!r}: it knows {', '.join(keys)}")
    return value


def _bytes(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f'{where} is {_short(value)}: write a size such as "4g"')
    try:
        return int(parse_amount(MEM, value))
    except InvalidAmount as exc:
        raise ValueError(f"{where}: {exc.message}") from None


def _number(value: Any, where: str, most: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{where} is {_short(value)}: write a number from 0 to {most}")
    return float(value)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
