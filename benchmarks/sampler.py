"""Claim 6: what it costs to measure all sessions once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import psutil
from bai_tui.app.backend.metrics import ProcSampler
from bai_tui.app.backend.ports import Device, GpuReading, Sampled, Watched
from bai_tui.app.model.sessions import Session
from bai_tui.app.model.slots import ResourceSlots

from .harness import Claim, Sample

COUNTS = (100, 500, 1000)
PER_SESSION = 10
_TREE = f"""
import os, sys, time
for _ in range({PER_SESSION - 1}):
    if os.fork() == 0:
        os.write(1, b"x")
        time.sleep(600)
os.write(1, b"x")
time.sleep(600)
"""


def _ours(count: int) -> str:
    return f"bai-tui, {count:,} processes"


def _peer(count: int) -> str:
    return f"psutil, {count:,} processes"


@contextmanager
def _sessions(processes: int) -> Iterator[Sequence[Watched]]:
    """Starts process trees, each of a runner and its children, and ends them afterwards."""
    trees = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", _TREE], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(processes // PER_SESSION)
    ]
    try:
        for tree in trees:
            assert tree.stdout is not None
            tree.stdout.read(PER_SESSION)
        yield [Watched(_session(str(tree.pid)), tree.pid) for tree in trees]
    finally:
        for tree in trees:
            os.killpg(tree.pid, signal.SIGKILL)
            tree.communicate()


def _session(name: str) -> Session:
    return Session(
        id=name,
        kernel_id=name,
        name=name,
        access_key="",
        image="",
        image_asked="",
        created_at=datetime.now(UTC),
        requested_slots=ResourceSlots(),
        occupied_slots=ResourceSlots({"cpu": 1, "mem": 1 << 30}),
    )


class _NoGpus:
    def list(self) -> Sequence[Device]:
        return ()

    async def read_gpus(self) -> Sequence[GpuReading]:
        return ()


async def _rounds(watched: Sequence[Watched], rounds: int) -> list[float]:
    """Returns the CPU milliseconds of so many rounds of the sampler, once it has measured everybody's memory."""
    begun_s = 0.0
    values: list[float] = []
    enough = asyncio.Event()
    settling = 20

    def begin() -> Sequence[Watched]:
        nonlocal begun_s
        begun_s = time.process_time()
        return watched

    def end(sampled: Sampled) -> None:
        nonlocal settling
        assert sum(stat["num_procs"].current for stat in sampled.sessions.values()) >= len(watched) * (PER_SESSION - 1)
        if settling:
            settling -= 1
            return
        values.append((time.process_time() - begun_s) * 1e3)
        if len(values) >= rounds:
            enough.set()

    sampler = ProcSampler(_NoGpus(), interval_s=0.1)  # type: ignore[arg-type]
    running = asyncio.create_task(sampler.run(begin, end))
    await enough.wait()
    running.cancel()
    await asyncio.wait([running])
    return values


def _walk(watched: Sequence[Watched]) -> float:
    """Returns the CPU milliseconds in which psutil tells the same of the same sessions, but PSS: it takes RSS."""
    began = time.process_time()
    processes = {
        process.pid: process.info
        for process in psutil.process_iter(["ppid", "cpu_times", "memory_info", "io_counters", "status"])
    }
    children: dict[int, list[int]] = {}
    for pid, info in processes.items():
        children.setdefault(info["ppid"], []).append(pid)
    for item in watched:
        below = list(children.get(item.pid, ()))
        for pid in below:
            below += children.get(pid, ())
        cpu_s = sum(sum(processes[pid]["cpu_times"][:4]) for pid in below)
        mem_bytes = sum(processes[pid]["memory_info"].rss for pid in below)
        assert cpu_s >= 0 and mem_bytes > 0 and len(below) >= PER_SESSION - 1
    return (time.process_time() - began) * 1e3


async def measure(*, rounds: int) -> Claim:
    """Samples 100, 500 and 1,000 processes of sessions of ten."""
    ours, peers = [], []
    for count in COUNTS:
        with _sessions(count) as watched:
            ours.append(Sample(_ours(count), tuple(await _rounds(watched, rounds))))
            _walk(watched)
            peers.append(Sample(_peer(count), tuple(_walk(watched) for _ in range(rounds))))
    claim = Claim(
        title="6. One round of measuring all sessions",
        unit="ms of CPU",
        how=f"Sessions of {PER_SESSION} idle processes each. Ours: a round of the sampler as the daemon runs it, with "
        "CPU, PSS, storage and process counts of every session, after the first rounds. psutil: one `process_iter` "
        "with parents, times, RSS and storage, summed up by session.",
        samples=[*reversed(ours), *reversed(peers)],
        ours=_ours(COUNTS[-1]),
        notes=["Every session is measured once a second: 10 ms are 1 % of one core."],
    )
    few, many = claim.sample(_ours(COUNTS[0])).median, claim.sample(_ours(COUNTS[-1])).median
    times = COUNTS[-1] / COUNTS[0]
    growth = many / few
    claim.goals.append(
        (f"{times:g} times the processes, at most {times:g} times the cost: {growth:.1f} times", growth <= times)
    )
    claim.goal_factor(_peer(COUNTS[-1]), at_least=2)
    return claim
