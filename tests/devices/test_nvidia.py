"""The thread that asks the NVIDIA driver: bounded waits, hangs, and what the daemon may see."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

import pynvml
import pytest
from bai_tui.app.backend.devices.nvidia import NvidiaGpus, visible_indexes
from bai_tui.app.backend.devices.nvml import FoundGpu, NoDriver, Nvml
from bai_tui.tests.devices.fake_nvml import GIB, Card, FakeLibrary

Driver = Callable[..., tuple[FakeLibrary, Nvml]]
MEMORY = "nvmlDeviceGetMemoryInfo"


def test_no_driver_is_said_once_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> None:
        raise NoDriver("no NVIDIA driver is installed")

    caplog.set_level(logging.INFO)
    gpus = NvidiaGpus(Nvml(load))
    assert gpus.find({}) == ()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "no NVIDIA GPU is offered: no NVIDIA driver is installed")
    ]


def test_a_broken_driver_is_a_warning(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    library, nvml = driver(Card("GPU-aa"))
    library.fails["nvmlInitWithFlags"] = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    assert NvidiaGpus(nvml).find({}) == ()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "restart the machine" in caplog.text


def test_a_binding_that_fails_in_its_own_way_offers_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> None:
        raise ValueError("odd")

    assert NvidiaGpus(Nvml(load)).find({}) == ()
    assert "could not be asked" in caplog.text


def test_gpus_in_mig_mode_are_left_out_and_said(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    _, nvml = driver(Card("GPU-aa", mig=1), Card("GPU-bb"))
    assert [gpu.id for gpu in NvidiaGpus(nvml).find({})] == ["gpu1"]
    assert "gpu0 (NVIDIA Fake 100) is left out: it is in MIG mode" in caplog.text
    assert "`nvidia-smi -i 0 -mig 0`" in caplog.text


def test_with_no_gpu_left_the_library_is_let_go(driver: Driver) -> None:
    library, nvml = driver(Card("GPU-aa"))
    before = set(threading.enumerate())
    assert NvidiaGpus(nvml).find({"CUDA_VISIBLE_DEVICES": ""}) == []
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert library.initialised == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("1", [1]),
        ("2,0", [2, 0]),
        ("0,7,1", [0]),
        ("-1", []),
        ("0,-1,1", [0]),
        ("NoDevFiles", []),
        ("GPU-bb", [1]),
        ("GPU-aa1,GPU-aa2", [0, 2]),
        ("GPU-a", []),
        ("GPU-", []),
        (" 1 , 1 ,0", [1, 0]),
        ("٢", []),
        ("MIG-aa/1/0", []),
    ],
)
def test_what_the_daemon_itself_may_see(text: str | None, expected: list[int]) -> None:
    found = [
        FoundGpu(index=index, uuid=uuid, model="A", mem_bytes=1)
        for index, uuid in enumerate(["GPU-aa1", "GPU-bb", "GPU-aa2"])
    ]
    assert visible_indexes(found, text) == expected


def test_hidden_gpus_are_not_offered(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    _, nvml = driver(Card("GPU-aa"), Card("GPU-bb"))
    assert [gpu.id for gpu in NvidiaGpus(nvml).find({"CUDA_VISIBLE_DEVICES": "1"})] == ["gpu1"]
    assert "gpu0 (NVIDIA Fake 100) is left out: CUDA_VISIBLE_DEVICES of the backend hides it" in caplog.text


def test_a_driver_that_hangs_delays_the_start_by_a_bounded_time(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    library, nvml = driver(Card("GPU-aa"))
    release = library.hangs["nvmlInitWithFlags"] = threading.Event()
    gpus = NvidiaGpus(nvml, start_timeout_s=0.05)
    began = time.monotonic()
    assert gpus.find({}) == ()
    assert time.monotonic() - began < 5
    assert "does not answer within 0.05 s" in caplog.text
    assert asyncio.run(gpus.read()) == []
    release.set()
    asyncio.run(gpus.close())
    assert "restart the backend to offer its GPUs" in caplog.text
    assert library.initialised == 0


async def test_a_reading_that_hangs_loses_the_gpus_until_the_driver_answers(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    library, nvml = driver(Card("GPU-aa", used=GIB))
    caplog.set_level(logging.INFO)
    gpus = NvidiaGpus(nvml, read_timeout_s=0.05)
    gpus.find({})
    release = library.hangs[MEMORY] = threading.Event()
    for _ in range(3):
        (reading,) = await gpus.read()
        assert not reading.present
        assert reading.problem == "the NVIDIA driver has not answered for 0 s"
        assert reading.mem_total_bytes == 16 * GIB
    assert library.calls.count(MEMORY) == 2, "found it, then one call that hangs: no other is made after it"
    assert caplog.text.count("does not answer") == 1
    answered = gpus._asked
    assert answered is not None
    release.set()
    await asyncio.wrap_future(answered)
    gpus._read_timeout_s = 10
    (reading,) = await gpus.read()
    assert (reading.present, reading.mem_used_bytes) == (True, GIB)
    assert caplog.text.count("answers again") == 1
    assert len(library.threads) == 1
    await gpus.close()


async def test_a_slow_answer_is_no_hang(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    library, nvml = driver(Card("GPU-aa", used=GIB))
    gpus = NvidiaGpus(nvml, read_timeout_s=10, hang_s=60)
    gpus.find({})
    before = await gpus.read()
    library.cards[0].used = 2 * GIB
    library.hangs[MEMORY] = threading.Event()
    gpus._read_timeout_s = 0.05
    assert await gpus.read() == before, "what it said last stands for a while"
    gpus._hang_s = 0
    assert not (await gpus.read())[0].present
    assert caplog.text.count("does not answer") == 1


async def test_readers_at_the_same_time_get_the_same_answer(driver: Driver) -> None:
    library, nvml = driver(Card("GPU-aa"))
    gpus = NvidiaGpus(nvml, read_timeout_s=10)
    gpus.find({})
    release = library.hangs[MEMORY] = threading.Event()
    readers = [asyncio.create_task(gpus.read()) for _ in range(3)]
    await asyncio.to_thread(library.entered.wait, 10)
    readers[0].cancel()
    release.set()
    results = await asyncio.gather(*readers, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1] == results[2]
    assert library.calls.count(MEMORY) == 2
    await gpus.close()


async def test_a_fault_of_our_own_reads_as_absent(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    _, nvml = driver(Card("GPU-aa"))
    gpus = NvidiaGpus(nvml, read_timeout_s=10)
    gpus.find({})
    nvml._nvml = None
    (reading,) = await gpus.read()
    assert not reading.present
    assert "it cannot be read (AttributeError" in reading.problem
    assert "the GPUs could not be read" in caplog.text
    await gpus.close()
    assert await gpus.read() == []


async def test_closing_does_not_wait_for_a_driver_that_hangs(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    library, nvml = driver(Card("GPU-aa"))
    monkeypatch.setattr("bai_tui.app.backend.devices.nvidia._CLOSE_TIMEOUT_S", 0.05)
    gpus = NvidiaGpus(nvml, read_timeout_s=0.05)
    gpus.find({})
    library.hangs[MEMORY] = threading.Event()
    await gpus.read()
    await asyncio.wait_for(gpus.close(), 5)
    await gpus.close()
