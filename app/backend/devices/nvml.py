"""The NVIDIA driver's library, asked for what this program wants to know. Every call may block for as long as the
driver likes: only `nvidia.DriverThread` makes them.

The binding is NVIDIA's own, `nvidia-ml-py` (module `pynvml`), a thin layer of ctypes over `libnvidia-ml.so.1`. What a
function returns and when it fails: NVML API Reference Guide, https://docs.nvidia.com/deploy/nvml-api/.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..ports import GpuReading

_LIBRARY: Final = "libnvidia-ml.so.1"
_KINDS: Final = ("Compute", "Graphics", "MPSCompute")
"""Lists of processes; one that is in several holds its memory once."""
_VERSIONS: Final = ("_v3", "_v2")
"""Newest first: a driver knows the functions up to its own age."""
_NOT_AVAILABLE: Final = (1 << 64) - 1
"""NVML_VALUE_NOT_AVAILABLE."""
_MOST_PID: Final = 1 << 22
"""PID_MAX_LIMIT of Linux. Drivers have been seen to answer with 4294967295 (github.com/XuehaiPan/nvitop/issues/75)."""
_WINDOW_US: Final = 2_000_000
"""Utilization of processes is taken of the last two seconds: the driver samples every sixth of a second to second."""
_PATIENCE: Final = 3
"""So many unexplained failures in a row make a GPU count as not present."""
_ANEW_EVERY: Final = 10
"""Every so many readings of a lost GPU the library is initialised anew: a GPU that was reset shows only then."""


class NoDriver(Exception):
    """There is nothing to ask."""

    def __init__(self, reason: str, *, expected: bool = True) -> None:
        super().__init__(reason)
        self.expected = expected
        """False: there is a driver, and something is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGpu:
    """A GPU as the driver describes it."""

    index: int
    """As nvidia-smi counts: in the order of the PCI bus."""
    uuid: str
    """`GPU-...`."""
    model: str
    mem_bytes: int
    """0 where the driver does not tell (GPUs that share the memory of the machine)."""
    mig: bool = False
    """It is cut into instances by the hardware."""
    compute: tuple[int, int] | None = None
    """CUDA compute capability; None when the driver does not tell."""

    @property
    def id(self) -> str:
        return f"gpu{self.index}"


def load_pynvml() -> Any:
    """Returns the module `pynvml`; imports it only where there is a driver, since that takes as long as a start.

    Raises:
        NoDriver: no library of a driver, or no binding.
    """
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        raise NoDriver(f"no NVIDIA driver is installed ({_LIBRARY} is not found)") from None
    try:
        import pynvml
    except ImportError as exc:
        raise NoDriver(f"the NVIDIA driver cannot be asked ({exc}): install nvidia-ml-py", expected=False) from None
    return pynvml


class _State:
    """What is remembered of a GPU between readings."""

    def __init__(self) -> None:
        self.handle: Any = None
        self.failures = 0
        self.last: GpuReading | None = None


class Nvml:
    """The driver's library. Not thread-safe: one thread only."""

    def __init__(self, load: Callable[[], Any] = load_pynvml, *, clock: Callable[[], float] = time.time) -> None:
        self._load = load
        self._clock = clock
        self._nvml: Any = None
        self._states: dict[str, _State] = {}
        self._version: dict[str, int] = {}

    def find(self) -> tuple[list[FoundGpu], list[str]]:
        """Returns the GPUs and, one line each, what is wrong with those that cannot be used.

        Raises:
            NoDriver: no driver, or one that refuses every answer.
        """
        nvml = self._load()
        try:
            nvml.nvmlInit()
            count = int(nvml.nvmlDeviceGetCount())
        except nvml.NVMLError as exc:
            raise self._no_driver(nvml, exc) from None
        self._nvml = nvml
        found, problems = [], []
        for index in range(count):
            try:
                found.append(self._describe(index, nvml.nvmlDeviceGetHandleByIndex(index)))
            except nvml.NVMLError as exc:
                problems.append(f"gpu{index} cannot be used: the NVIDIA driver says {_words(exc)}")
        return found, problems

    def _no_driver(self, nvml: Any, exc: Any) -> NoDriver:
        absent = self._codes("DRIVER_NOT_LOADED", "LIBRARY_NOT_FOUND", nvml=nvml)
        if exc.value in absent:
            return NoDriver(f"no NVIDIA driver is loaded ({_words(exc)})")
        if exc.value in self._codes("LIB_RM_VERSION_MISMATCH", nvml=nvml):
            return NoDriver(
                "the NVIDIA driver was updated and the old one is still loaded: restart the machine", expected=False
            )
        return NoDriver(f"the NVIDIA driver cannot be used: it says {_words(exc)}; see nvidia-smi", expected=False)

    def _describe(self, index: int, handle: Any) -> FoundGpu:
        nvml = self._nvml
        memory = self._optional(nvml.nvmlDeviceGetMemoryInfo, handle)
        mode = self._optional(nvml.nvmlDeviceGetMigMode, handle)
        compute = self._optional(nvml.nvmlDeviceGetCudaComputeCapability, handle)
        return FoundGpu(
            index=index,
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            model=_text(nvml.nvmlDeviceGetName(handle)),
            mem_bytes=int(memory.total) if memory is not None else 0,
            mig=bool(mode and mode[0]),
            compute=(int(compute[0]), int(compute[1])) if compute is not None else None,
        )

    def read(self, gpus: Sequence[FoundGpu]) -> list[GpuReading]:
        """Returns a reading of each; never raises for what a driver may say."""
        return [self._read_one(gpu) for gpu in gpus]

    def _read_one(self, gpu: FoundGpu) -> GpuReading:
        state = self._states.setdefault(gpu.uuid, _State())
        try:
            if state.handle is None:
                if state.failures and state.failures % _ANEW_EVERY == 0:
                    self._initialise_anew()
                state.handle = self._nvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
            reading = self._measure(gpu, state.handle)
        except self._nvml.NVMLError as exc:
            state.handle = None
            state.failures += 1
            if exc.value in self._codes("UNINITIALIZED"):
                state.failures = -(-state.failures // _ANEW_EVERY) * _ANEW_EVERY  # the next reading begins anew
            elif exc.value not in self._gone() and state.failures < _PATIENCE and state.last is not None:
                return state.last
            return GpuReading(
                device_id=gpu.id,
                present=False,
                problem=f"the NVIDIA driver says {_words(exc)}",
                mem_total_bytes=gpu.mem_bytes,
            )
        state.failures = 0
        state.last = reading
        return reading

    def _measure(self, gpu: FoundGpu, handle: Any) -> GpuReading:
        nvml = self._nvml
        memory = self._optional(nvml.nvmlDeviceGetMemoryInfo, handle)
        rates = self._optional(nvml.nvmlDeviceGetUtilizationRates, handle)
        heat = self._optional(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        power_mw = self._optional(nvml.nvmlDeviceGetPowerUsage, handle)
        reading = GpuReading(
            device_id=gpu.id,
            mem_used_bytes=int(memory.used) if memory is not None else 0,
            mem_total_bytes=int(memory.total) if memory is not None else gpu.mem_bytes,
            util_pct=_percent(rates.gpu) if rates is not None else None,
            temperature_c=float(heat) if heat is not None else None,
            power_w=power_mw / 1000 if power_mw is not None else None,
        )
        return replace(
            reading, process_mem_bytes=self._process_memory(handle), process_util_pct=self._process_utilization(handle)
        )

    def _process_memory(self, handle: Any) -> dict[int, int]:
        """Returns what is known of each process; one whose memory the driver does not tell is left out: not zero."""
        held: dict[int, int] = {}
        for kind in _KINDS:
            for process in self._processes(kind, handle):
                used = process.usedGpuMemory
                if used is None or used >= _NOT_AVAILABLE or not 0 < process.pid <= _MOST_PID:
                    continue
                held[int(process.pid)] = max(held.get(int(process.pid), 0), int(used))
        return held

    def _processes(self, kind: str, handle: Any) -> Iterator[Any]:
        """Yields the processes of one list, by the newest function that both the binding and the driver have."""
        nvml = self._nvml
        for place in range(self._version.get(kind, 0), len(_VERSIONS)):
            function = getattr(nvml, f"nvmlDeviceGet{kind}RunningProcesses{_VERSIONS[place]}", None)
            if function is None:
                continue
            try:
                processes = function(handle)
            except nvml.NVMLError as exc:
                if exc.value in self._codes("FUNCTION_NOT_FOUND", "ARGUMENT_VERSION_MISMATCH"):
                    continue
                if exc.value in self._untold():
                    return
                raise
            self._version[kind] = place
            yield from processes
            return
        self._version[kind] = len(_VERSIONS)

    def _process_utilization(self, handle: Any) -> dict[int, float]:
        nvml = self._nvml
        since_us = int(self._clock() * 1e6) - _WINDOW_US
        try:
            samples = nvml.nvmlDeviceGetProcessUtilization(handle, since_us)
        except nvml.NVMLError as exc:
            # "not found" = nothing ran since then; the binding takes a success without samples for an error, too
            if exc.value in self._untold() | self._codes("NOT_FOUND") | {nvml.NVML_SUCCESS}:
                return {}
            raise
        newest: dict[int, tuple[int, float]] = {}
        for sample in samples:
            pid, at = int(sample.pid), int(sample.timeStamp)
            if 0 < pid <= _MOST_PID and at >= newest.get(pid, (since_us, 0.0))[0]:
                newest[pid] = (at, _percent(sample.smUtil))
        return {pid: share for pid, (_, share) in newest.items()}

    def _initialise_anew(self) -> None:
        nvml = self._nvml
        for state in self._states.values():
            state.handle = None
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError:
            pass  # it was not initialised any more
        nvml.nvmlInit()

    def close(self) -> None:
        """Lets go of the library; nothing happens when it was not used."""
        nvml, self._nvml = self._nvml, None
        if nvml is not None:
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                pass  # it is going away in any case

    def _optional(self, function: Callable[..., Any], *args: Any) -> Any:
        """Returns what `function` says, None where this GPU or this driver has no such thing."""
        try:
            return function(*args)
        except self._nvml.NVMLError as exc:
            if exc.value in self._untold():
                return None
            raise

    def _untold(self) -> set[int]:
        return self._codes(
            "NOT_SUPPORTED", "FUNCTION_NOT_FOUND", "NO_PERMISSION", "NO_DATA", "NOT_READY", "ARGUMENT_VERSION_MISMATCH"
        )

    def _gone(self) -> set[int]:
        return self._codes("GPU_IS_LOST", "NOT_FOUND", "GPU_NOT_FOUND", "RESET_REQUIRED", "DRIVER_NOT_LOADED")

    def _codes(self, *names: str, nvml: Any = None) -> set[int]:
        """Returns the numbers of errors; older bindings lack some."""
        module = nvml or self._nvml
        codes = (getattr(module, f"NVML_ERROR_{name}", None) for name in names)
        return {code for code in codes if code is not None}


def _words(exc: Any) -> str:
    return repr(str(exc).strip().rstrip("."))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _percent(value: Any) -> float:
    return float(min(max(value, 0), 100))
