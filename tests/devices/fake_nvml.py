"""A driver's library that tests command: the C functions that NVIDIA's own binding calls, as NVML's reference says.

The binding is the real one, so that its structures and its error classes are tried as well.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml

GIB = 1 << 30
NOT_AVAILABLE = (1 << 64) - 1


@dataclass
class Card:
    """What the driver knows of a GPU."""

    uuid: str
    name: str = "NVIDIA Fake 100"
    total: int = 16 * GIB
    used: int = 0
    gpu: int = 0
    temperature: int = 40
    power_mw: int = 70_500
    mig: int = 0
    compute: tuple[int, int] = (9, 0)
    processes: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """`Compute`, `Graphics` or `MPSCompute` -> (process id, bytes)."""
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    """(process id, time in us, percent)."""
    fails: dict[str, int] = field(default_factory=dict)
    """Function -> error; `*` = all functions but those that look for the device."""
    present: bool = True


class FakeLibrary:
    """Stands for `libnvidia-ml.so.1`."""

    def __init__(self, *cards: Card) -> None:
        self.cards = list(cards)
        self.fails: dict[str, int] = {}
        self.hangs: dict[str, threading.Event] = {}
        """Function -> what it waits for."""
        self.entered = threading.Event()
        """Set when a function that hangs is called."""
        self.lacks: set[str] = set()
        """Functions that a driver of this age does not have."""
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self.initialised = 0

    def __getattr__(self, name: str) -> Callable[..., int]:
        if not name.startswith("nvml") or name in self.lacks:
            raise AttributeError(name)
        implementation = getattr(type(self), "_" + name.removesuffix("_v2").removesuffix("_v3"), None)

        def call(*args: Any) -> int:
            self.calls.append(name)
            self.threads.add(threading.get_ident())
            if name in self.hangs:
                self.entered.set()
                self.hangs[name].wait(30)
            if name in self.fails:
                return self.fails[name]
            if name.startswith("nvmlDeviceGet") and "Handle" not in name and name != "nvmlDeviceGetCount_v2":
                card = self.cards[(ctypes.cast(args[0], ctypes.c_void_p).value or 0) - 1]
                for key in (name, "*"):
                    if key in card.fails:
                        return card.fails[key]
                args = (card, *args[1:])
            if implementation is None:
                return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
            return int(implementation(self, *args) or 0)

        return call

    def _nvmlInitWithFlags(self, flags: int) -> None:
        self.initialised += 1

    def _nvmlShutdown(self) -> None:
        self.initialised -= 1

    def _nvmlDeviceGetCount(self, count: Any) -> None:
        count._obj.value = len(self.cards)

    def _nvmlDeviceGetHandleByIndex(self, index: Any, handle: Any) -> int:
        return self._handle(self.cards[index.value], handle)

    def _nvmlDeviceGetHandleByUUID(self, uuid: Any, handle: Any) -> int:
        cards = [card for card in self.cards if card.uuid.encode() == uuid.value]
        return self._handle(cards[0], handle) if cards else int(pynvml.NVML_ERROR_NOT_FOUND)

    def _handle(self, card: Card, handle: Any) -> int:
        if not card.present:
            return int(pynvml.NVML_ERROR_GPU_IS_LOST)
        ctypes.cast(ctypes.pointer(handle._obj), ctypes.POINTER(ctypes.c_void_p))[0] = self.cards.index(card) + 1
        return 0

    def _nvmlDeviceGetUUID(self, card: Card, text: Any, length: Any) -> None:
        text.value = card.uuid.encode()

    def _nvmlDeviceGetName(self, card: Card, text: Any, length: Any) -> None:
        text.value = card.name.encode()

    def _nvmlDeviceGetMemoryInfo(self, card: Card, memory: Any) -> None:
        memory._obj.total, memory._obj.used, memory._obj.free = card.total, card.used, card.total - card.used

    def _nvmlDeviceGetMigMode(self, card: Card, current: Any, pending: Any) -> None:
        current._obj.value = pending._obj.value = card.mig

    def _nvmlDeviceGetCudaComputeCapability(self, card: Card, major: Any, minor: Any) -> None:
        major._obj.value, minor._obj.value = card.compute

    def _nvmlDeviceGetUtilizationRates(self, card: Card, rates: Any) -> None:
        rates._obj.gpu = card.gpu

    def _nvmlDeviceGetTemperature(self, card: Card, sensor: Any, degrees: Any) -> None:
        degrees._obj.value = card.temperature

    def _nvmlDeviceGetPowerUsage(self, card: Card, milliwatts: Any) -> None:
        milliwatts._obj.value = card.power_mw

    def _nvmlDeviceGetComputeRunningProcesses(self, card: Card, count: Any, array: Any) -> int:
        return self._processes(card.processes.get("Compute", []), count, array)

    def _nvmlDeviceGetGraphicsRunningProcesses(self, card: Card, count: Any, array: Any) -> int:
        return self._processes(card.processes.get("Graphics", []), count, array)

    def _nvmlDeviceGetMPSComputeRunningProcesses(self, card: Card, count: Any, array: Any) -> int:
        return self._processes(card.processes.get("MPSCompute", []), count, array)

    def _processes(self, processes: list[tuple[int, int]], count: Any, array: Any) -> int:
        held = count._obj.value
        count._obj.value = len(processes)
        if held < len(processes):
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        for place, (pid, used) in enumerate(processes):
            array[place].pid, array[place].usedGpuMemory = pid, used
        return 0

    def _nvmlDeviceGetProcessUtilization(self, card: Card, array: Any, count: Any, since: Any) -> int:
        samples = [sample for sample in card.samples if sample[1] > since.value]
        if not samples:
            return int(pynvml.NVML_ERROR_NOT_FOUND)
        held = count._obj.value
        count._obj.value = len(samples)
        if held < len(samples):
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        for place, (pid, time_us, percent) in enumerate(samples):
            array[place].pid, array[place].timeStamp, array[place].smUtil = pid, time_us, percent
        return 0
