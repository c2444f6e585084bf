"""Real process trees to measure, and devices that say what a test tells them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from bai_tui.app.backend.ports import Device, GpuReading
from bai_tui.app.model.sessions import Session, SessionStatus
from bai_tui.app.model.slots import ResourceSlots

_PRELUDE = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, as runners do

def tell(*what):
    os.write(1, (" ".join(map(str, what)) + "\\n").encode())

def asked():
    line = sys.stdin.buffer.raw.readline()
    if not line:
        os._exit(0)
    return line
"""


class Tree:
    """A process that stands for a runner, with what a script has it do. It says a line when a step is done, and waits
    for one before the next."""

    def __init__(self, script: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _PRELUDE + script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._process.pid

    def said(self) -> list[int]:
        """Returns the numbers of the next line."""
        assert self._process.stdout is not None
        return [int(word) for word in self._process.stdout.readline().split()]

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def tree() -> Iterator[Callable[[str], Tree]]:
    trees: list[Tree] = []

    def start(script: str) -> Tree:
        trees.append(Tree(script))
        return trees[-1]

    yield start
    for one in trees:
        one.kill()


class FakeDevices:
    """Fulfils what the sampler asks of `Devices`."""

    def __init__(self) -> None:
        self.devices: list[Device] = []
        self.readings: list[GpuReading] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads = 0

    async def read_gpus(self) -> list[GpuReading]:
        self.reads += 1
        await self.gate.wait()
        return self.readings

    def list(self) -> Sequence[Device]:
        return self.devices


@pytest.fixture
def devices() -> Any:
    return FakeDevices()


@pytest.fixture
def session() -> Callable[..., Session]:
    def make(name: str = "sess-01", **more: Any) -> Session:
        return Session(
            id=f"id of {name}",
            kernel_id="k",
            name=name,
            access_key="AK",
            image="python:3.11",
            image_asked="python",
            status=SessionStatus.RUNNING,
            created_at=datetime.now(UTC),
            requested_slots=ResourceSlots(),
            **more,
        )

    return make
