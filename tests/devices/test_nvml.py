"""What is asked of the NVIDIA driver, and what is made of its answers and of its errors."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pynvml
import pytest
from bai_tui.app.backend.devices.nvml import NoDriver, Nvml, load_pynvml
from bai_tui.tests.devices.fake_nvml import GIB, NOT_AVAILABLE, Card, FakeLibrary

NOW_US = 1_000_000_000_000
Driver = Callable[..., tuple[FakeLibrary, Nvml]]


def test_gpus_are_described(driver: Driver) -> None:
    _, nvml = driver(Card("GPU-aa", "NVIDIA A", 8 * GIB), Card("GPU-bb", "NVIDIA B", 80 * GIB, mig=1, compute=(8, 0)))
    found, problems = nvml.find()
    assert not problems
    assert [(gpu.id, gpu.uuid, gpu.model, gpu.mem_bytes, gpu.mig, gpu.compute) for gpu in found] == [
        ("gpu0", "GPU-aa", "NVIDIA A", 8 * GIB, False, (9, 0)),
        ("gpu1", "GPU-bb", "NVIDIA B", 80 * GIB, True, (8, 0)),
    ]


def test_a_gpu_that_cannot_be_used_leaves_the_numbers_of_the_others(driver: Driver) -> None:
    _, nvml = driver(Card("GPU-aa", present=False), Card("GPU-bb"))
    found, problems = nvml.find()
    assert [gpu.id for gpu in found] == ["gpu1"]
    assert problems == ["gpu0 cannot be used: the NVIDIA driver says 'GPU is lost'"]


def test_what_a_driver_does_not_tell_is_not_made_up(driver: Driver) -> None:
    unsupported = pynvml.NVML_ERROR_NOT_SUPPORTED
    names = ("MemoryInfo", "MigMode", "CudaComputeCapability", "UtilizationRates", "Temperature", "PowerUsage")
    _, nvml = driver(Card("GPU-aa", fails={f"nvmlDeviceGet{name}": unsupported for name in names}))
    found, problems = nvml.find()
    assert not problems
    assert (found[0].mem_bytes, found[0].mig, found[0].compute) == (0, False, None)
    (reading,) = nvml.read(found)
    assert reading.present
    assert (reading.util_pct, reading.temperature_c, reading.power_w) == (None, None, None)
    assert (reading.mem_used_bytes, reading.mem_total_bytes) == (0, 0)


def test_a_reading(driver: Driver) -> None:
    card = Card("GPU-aa", used=3 * GIB, gpu=37, temperature=61, power_mw=123_400)
    card.processes = {"Compute": [(100, GIB), (101, 2 * GIB)], "Graphics": [(100, GIB), (7, 5)], "MPSCompute": [(9, 6)]}
    card.samples = [(100, NOW_US - 100, 30), (100, NOW_US - 900, 99), (101, NOW_US - 50, 5)]
    _, nvml = driver(card)
    (reading,) = nvml.read(nvml.find()[0])
    assert reading.device_id == "gpu0"
    assert reading.present
    assert (reading.mem_used_bytes, reading.mem_total_bytes) == (3 * GIB, 16 * GIB)
    assert (reading.util_pct, reading.temperature_c, reading.power_w) == (37.0, 61.0, 123.4)
    assert reading.process_mem_bytes == {100: GIB, 101: 2 * GIB, 7: 5, 9: 6}, "who is in two lists holds memory once"
    assert reading.process_util_pct == {100: 30.0, 101: 5.0}, "the newest sample of each"
    assert reading.session_mem_bytes == {}


def test_memory_that_is_not_told_is_not_zero(driver: Driver) -> None:
    card = Card("GPU-aa")
    card.processes = {"Compute": [(100, NOT_AVAILABLE), (101, GIB), (0, 5), (4294967295, 5)]}
    card.samples = [(4294967295, NOW_US, 5), (101, NOW_US, 4_000_000_000), (102, NOW_US - 3_000_000, 5)]
    _, nvml = driver(card)
    (reading,) = nvml.read(nvml.find()[0])
    assert reading.process_mem_bytes == {101: GIB}
    assert reading.process_util_pct == {101: 100.0}


@pytest.mark.parametrize(("lacks", "expected"), [(["_v3"], {100: GIB}), (["_v3", "_v2"], {})])
def test_drivers_older_than_the_binding(driver: Driver, lacks: list[str], expected: dict[int, int]) -> None:
    library, nvml = driver(Card("GPU-aa", processes={"Compute": [(100, GIB)]}))
    library.lacks = {
        f"nvmlDeviceGet{kind}RunningProcesses{version}"
        for kind in ("Compute", "Graphics", "MPSCompute")
        for version in lacks
    }
    found, _ = nvml.find()
    assert nvml.read(found)[0].process_mem_bytes == expected
    assert nvml.read(found)[0].process_mem_bytes == expected, "the age of the driver is known now"


@pytest.mark.parametrize("error", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NO_PERMISSION, 0])
def test_processes_that_the_driver_does_not_list(driver: Driver, error: int) -> None:
    fails = {"nvmlDeviceGetProcessUtilization": error}
    if error:
        fails |= {f"nvmlDeviceGet{kind}RunningProcesses_v3": error for kind in ("Compute", "Graphics", "MPSCompute")}
    _, nvml = driver(Card("GPU-aa", used=5, fails=fails))
    (reading,) = nvml.read(nvml.find()[0])
    assert (reading.present, reading.mem_used_bytes) == (True, 5)
    assert reading.process_mem_bytes == reading.process_util_pct == {}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (pynvml.NVML_ERROR_GPU_IS_LOST, "the NVIDIA driver says 'GPU is lost'"),
        (pynvml.NVML_ERROR_NOT_FOUND, "the NVIDIA driver says 'Not Found'"),
        (pynvml.NVML_ERROR_RESET_REQUIRED, "the NVIDIA driver says 'GPU requires restart'"),
    ],
)
def test_a_gpu_is_lost_and_comes_back(driver: Driver, error: int, words: str) -> None:
    library, nvml = driver(Card("GPU-aa", used=1), Card("GPU-bb", used=2))
    found, _ = nvml.find()
    library.cards[0].fails = {"*": error}
    lost, other = nvml.read(found)
    assert (lost.device_id, lost.present, lost.problem, lost.mem_total_bytes) == ("gpu0", False, words, 16 * GIB)
    assert other.present
    library.cards[0].fails = {}
    assert [reading.mem_used_bytes for reading in nvml.read(found)] == [1, 2]


def test_a_gpu_off_the_bus_is_looked_for_anew_now_and_then(driver: Driver) -> None:
    library, nvml = driver(Card("GPU-aa"))
    found, _ = nvml.find()
    library.cards[0].present = False
    library.cards[0].fails = {"*": pynvml.NVML_ERROR_GPU_IS_LOST}
    before = library.calls.count("nvmlInitWithFlags")
    assert not any(nvml.read(found)[0].present for _ in range(25))
    assert library.calls.count("nvmlInitWithFlags") - before == 2
    assert library.initialised == 1
    library.cards[0].present, library.cards[0].fails = True, {}
    assert nvml.read(found)[0].present


def test_a_library_that_has_forgotten_us_is_initialised_anew(driver: Driver) -> None:
    library, nvml = driver(Card("GPU-aa"))
    found, _ = nvml.find()
    library.cards[0].fails = {"*": pynvml.NVML_ERROR_UNINITIALIZED}
    library.fails["nvmlShutdown"] = pynvml.NVML_ERROR_UNINITIALIZED
    assert not nvml.read(found)[0].present
    library.cards[0].fails = {}
    assert nvml.read(found)[0].present
    assert library.initialised == 2


def test_one_failure_without_a_reason_loses_no_gpu(driver: Driver) -> None:
    library, nvml = driver(Card("GPU-aa", used=7))
    found, _ = nvml.find()
    good = nvml.read(found)[0]
    library.cards[0].fails = {"*": pynvml.NVML_ERROR_UNKNOWN}
    assert [nvml.read(found)[0] for _ in range(2)] == [good, good]
    assert nvml.read(found)[0].problem == "the NVIDIA driver says 'Unknown Error'"


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, True, "no NVIDIA driver is loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, False, "restart the machine"),
        (pynvml.NVML_ERROR_UNKNOWN, False, "'Unknown Error'; see nvidia-smi"),
    ],
)
def test_drivers_that_cannot_be_used(driver: Driver, error: int, expected: bool, words: str) -> None:
    library, nvml = driver(Card("GPU-aa"))
    library.fails["nvmlInitWithFlags"] = error
    with pytest.raises(NoDriver, match=words) as raised:
        nvml.find()
    assert raised.value.expected is expected
    nvml.close()


def test_closing_lets_go_of_the_library(driver: Driver) -> None:
    library, nvml = driver(Card("GPU-aa"))
    nvml.find()
    nvml.close()
    nvml.close()
    assert library.initialised == 0


def test_without_a_driver_the_binding_is_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    with pytest.raises(NoDriver, match="no NVIDIA driver is installed") as raised:
        load_pynvml()
    assert raised.value.expected


def test_a_driver_without_the_binding_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    with pytest.raises(NoDriver, match="install nvidia-ml-py") as raised:
        load_pynvml()
    assert not raised.value.expected
