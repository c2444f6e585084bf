"""The sampler over real processes, with devices that say what the test tells them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.metrics import ProcSampler
from bai_tui.app.backend.metrics.sampler import next_due_s
from bai_tui.app.backend.ports import Device, GpuReading, Sampled, Sampler, Watched
from bai_tui.app.model.metrics import Metric
from bai_tui.app.model.sessions import Session
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.tests.waiting import until

GIB = 1 << 30
_BUSY = """
child = os.fork()
if child == 0:
    while True:
        pass
tell(child)
time.sleep(60)
"""


async def rounds(sampler: Sampler, watched: Callable[[], list[Watched]], count: int) -> list[Sampled]:
    """Returns so many rounds, then stops the sampler."""
    found: list[Sampled] = []
    enough = asyncio.Event()

    def take(sampled: Sampled) -> None:
        found.append(sampled)
        if len(found) >= count:
            enough.set()

    running = asyncio.create_task(sampler.run(watched, take))
    waiting = asyncio.create_task(enough.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    running.cancel()
    await asyncio.wait([running, waiting])
    if not running.cancelled() and (failure := running.exception()) is not None:
        raise failure
    return found


async def test_a_busy_and_a_quiet_session(tree: Any, devices: Any, session: Any) -> None:
    slots = ResourceSlots({"cpu": 2, "mem": GIB})
    busy, quiet = session("busy", occupied_slots=slots), session("quiet", occupied_slots=slots)
    runners = tree(_BUSY), tree("tell(1)\ntime.sleep(60)\n")
    for runner in runners:
        runner.said()
    watched = [Watched(busy, runners[0].pid), Watched(quiet, runners[1].pid)]
    sampler = ProcSampler(devices, interval_s=0.15)
    assert (sampler.last, sampler.stat(busy.id)) == (None, {})
    found = await rounds(sampler, lambda: watched, 4)
    assert sampler.last is found[-1]
    stat = sampler.stat(busy.id)
    assert stat == found[-1].sessions[busy.id]
    assert stat["cpu_util"].current > 20 and stat["cpu_util"].capacity == 200
    assert stat["cpu_used"].current >= 100
    assert stat["mem"].current > 100_000 and stat["mem"].capacity == GIB
    assert stat["num_procs"].current == 1
    assert sampler.stat(quiet.id)["cpu_util"].current == 0
    assert sampler.stat(quiet.id)["num_procs"].current == 0
    assert found[-1].time_s > found[0].time_s
    assert found[-1].cpu_pct > 0 and found[-1].mem_used_bytes > 0
    assert sampler.forget(busy.id) == stat
    assert sampler.stat(busy.id) == {} == sampler.forget(busy.id)


async def test_threads_count_as_tasks_also_when_the_first_of_them_has_ended(
    tree: Any, devices: Any, session: Any
) -> None:
    threads = """
import ctypes, os, threading, time
child = os.fork()
if child == 0:
    for _ in range(3):
        threading.Thread(target=time.sleep, args=(60,)).start()
    tell(os.getpid())
    ctypes.CDLL(None).pthread_exit(0)
time.sleep(60)
"""
    mine, runner = session("mine"), tree(threads)
    (child,) = runner.said()
    await until(lambda: Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    found = await rounds(ProcSampler(devices, interval_s=0.02), lambda: [Watched(mine, runner.pid)], 1)
    assert found[0].session_tasks == {mine.id: 4}, "the first one counts until the process has ended"
    assert found[0].sessions[mine.id]["num_procs"].current == 1


async def test_what_a_session_used_last_stays_when_its_runner_has_gone(tree: Any, devices: Any, session: Any) -> None:
    runner, other = tree(_BUSY), tree("tell(1)\ntime.sleep(60)\n")
    runner.said()
    mine, its = session("mine"), session("other")
    watched = [Watched(mine, runner.pid), Watched(its, other.pid)]
    sampler = ProcSampler(devices, interval_s=0.02)
    await rounds(sampler, lambda: watched, 2)
    before = sampler.stat(mine.id)
    os.killpg(runner.pid, 9)
    runner._process.wait()
    (last,) = await rounds(sampler, lambda: watched, 1)
    assert mine.id not in last.sessions and its.id in last.sessions
    assert sampler.stat(mine.id) == before


async def test_gpus_by_process_and_by_name(tree: Any, devices: Any, session: Any) -> None:
    devices.devices = [
        Device(id=f"gpu{number}", slot="cuda.shares", capacity=Decimal(1), mem_bytes=16 * GIB, kind=kind)
        for number, kind in enumerate(("nvidia", "nvidia", "mock"))
    ]
    real = session("real", allocation={"cuda.shares": {"gpu0": "0.5"}, "cuda.device": {"gpu1": "1"}})
    pretended = session("pretended", allocation={"cuda.shares": {"gpu2": "0.25"}})
    runner, other = tree(_BUSY), tree("tell(1)\ntime.sleep(60)\n")
    (child,) = runner.said()
    devices.readings = [
        GpuReading(device_id="gpu0", process_mem_bytes={child: GIB, 1: 9}, process_util_pct={child: 30.0, 1: 5.0}),
        GpuReading(device_id="gpu1", process_mem_bytes={child: 2 * GIB}, process_util_pct={child: 60.0}),
        GpuReading(device_id="gpu2", session_mem_bytes={"pretended": 5}, session_util_pct={"pretended": 20.0}),
    ]
    sampler = ProcSampler(devices, interval_s=0.02)
    watched = [Watched(real, runner.pid), Watched(pretended, other.pid)]
    (found,) = await rounds(sampler, lambda: watched, 1)
    assert found.gpus == devices.readings
    assert found.session_gpu_mem_bytes == {real.id: {"gpu0": GIB, "gpu1": 2 * GIB}, pretended.id: {"gpu2": 5}}
    assert found.sessions[real.id]["cuda_mem"] == Metric(3 * GIB, 24 * GIB, "bytes", 3 * GIB, 3 * GIB)
    assert found.sessions[real.id]["cuda_util"] == Metric(90, 150, "percent", 90, 90)
    assert found.sessions[pretended.id]["cuda_mem"] == Metric(5, 4 * GIB, "bytes", 5, 5)
    assert found.sessions[pretended.id]["cuda_util"] == Metric(20, 25, "percent", 20, 20)


async def test_one_that_is_forgotten_while_it_is_measured_does_not_come_back(
    tree: Any, devices: Any, session: Any
) -> None:
    runner, mine = tree("tell(1)\ntime.sleep(60)\n"), session("mine")
    sampler = ProcSampler(devices, interval_s=0.02)
    devices.gate.clear()
    running = asyncio.create_task(rounds(sampler, lambda: [Watched(mine, runner.pid)], 1))
    await until(lambda: devices.reads)
    sampler.forget(mine.id)
    devices.gate.set()
    (found,) = await running
    assert mine.id in found.sessions
    assert sampler.stat(mine.id) == {}


@pytest.mark.parametrize(("now_s", "due_s"), [(100.0, 101.0), (100.3, 101.0), (101.0, 102.0), (103.5, 104.0)])
def test_rounds_keep_the_beat_and_missed_ones_are_left_out(now_s: float, due_s: float) -> None:
    assert next_due_s(100.0, now_s, 1.0) == due_s


async def test_a_late_round_is_not_overtaken(devices: Any) -> None:
    """A reading of GPUs that takes three and a half intervals costs the rounds that would have begun meanwhile."""
    loop = asyncio.get_running_loop()
    begun: list[float] = []

    class Slow(type(devices)):  # type: ignore[misc]
        async def read_gpus(self) -> list[GpuReading]:
            begun.append(loop.time())
            if len(begun) == 1:
                await asyncio.sleep(0.35)  # no synchronisation: so slow it is
            return []

    await rounds(ProcSampler(Slow(), interval_s=0.1), lambda: [], 2)
    assert begun[1] - begun[0] >= 0.38


async def test_stopping_leaves_no_thread_and_no_file(tree: Any, devices: Any, session: Any) -> None:
    runner = tree(_BUSY)
    runner.said()
    before = len(os.listdir("/proc/self/fd"))
    await rounds(ProcSampler(devices, interval_s=0.02), lambda: [Watched(session(), runner.pid)], 2)
    async with asyncio.timeout(5):
        await until(lambda: not any(thread.name.startswith("sampler") for thread in threading.enumerate()))
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_round_that_cannot_be_taken_is_left_out(
    devices: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = ProcSampler(devices, interval_s=0.01, proc=tmp_path / "none")
    running = asyncio.create_task(sampler.run(lambda: [], lambda _: None))
    async with asyncio.timeout(5):
        await until(lambda: devices.reads >= 3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sampler.last is None
    assert "a round of the sampler was left out" in caplog.text


async def test_a_failure_of_its_owner_is_not_swallowed(devices: Any) -> None:
    def fail() -> list[Watched]:
        raise RuntimeError("no register")

    with pytest.raises(RuntimeError, match="no register"):
        await rounds(ProcSampler(devices), fail, 1)


async def test_a_session_of_another_version_begins_anew(tree: Any, devices: Any, session: Any) -> None:
    odd: Session = session("odd", last_stat={"mem": {"current": "much"}})
    runner = tree("tell(1)\ntime.sleep(60)\n")
    (found,) = await rounds(ProcSampler(devices), lambda: [Watched(odd, runner.pid)], 1)
    assert found.sessions[odd.id]["mem"].max == 0


async def test_a_last_look_before_the_end_tells_of_a_session_that_no_round_has_seen(
    tree: Any, devices: Any, session: Any
) -> None:
    runner = tree(_BUSY)
    runner.said()
    short = session("short", occupied_slots=ResourceSlots({"cpu": 1, "mem": GIB}))
    sampler = ProcSampler(devices, interval_s=60)
    await sampler.look(Watched(short, runner.pid))
    assert sampler.stat(short.id) == {}, "nobody measures"
    first = asyncio.Event()
    running = asyncio.create_task(sampler.run(list, lambda _: first.set()))
    await first.wait()
    await sampler.look(Watched(short, runner.pid))
    before = sampler.stat(short.id)
    assert before["mem"].current > 100_000 and before["num_procs"].current == 1
    os.killpg(runner.pid, 9)
    runner._process.wait()
    await sampler.look(Watched(short, runner.pid))
    assert sampler.forget(short.id) == before, "what was known of it stays"
    running.cancel()
    await asyncio.wait([running])
