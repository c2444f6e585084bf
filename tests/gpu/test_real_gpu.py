"""Each layer of GPU enforcement, tried on a real card: `pytest -m gpu`. Skipped, loudly, where there is none.

What is expected here is what docs/gpu-shares.md says, holes included. The GPUs should be idle: 2 GiB and more of each
are used for some seconds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.devices import LocalDevices, discover
from bai_tui.app.backend.devices.layers import sees_all_processes
from bai_tui.app.backend.devices.mps import CONTROL
from bai_tui.app.backend.engines.environment import add_caps
from bai_tui.app.backend.ports import Device, GpuReading
from bai_tui.app.config import Paths
from bai_tui.app.model.sessions import Session
from bai_tui.app.model.shares import share_mem_bytes
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.policies import GpuSettings
from bai_tui.tests.gpu.conftest import NOTICE

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(180)]
MIB = 1 << 20
OUT_OF_MEMORY = 2
"""CUDA_ERROR_OUT_OF_MEMORY."""
CHILD = Path(__file__).with_name("cuda_child.py")
SHARE = "0.1"
Make = Callable[..., LocalDevices]


@pytest.fixture
async def make(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Looks at this machine, with settings."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    # paths of sockets are short
    state = Path(tempfile.mkdtemp(prefix="g", dir=os.environ["BAI_TUI_TEST_ROOT"]))
    made: list[LocalDevices] = []

    def discovered(**settings: Any) -> LocalDevices:
        devices = discover(gpu=GpuSettings(**settings), state=state)
        made.append(devices)
        if not real(devices):
            pytest.skip(NOTICE)
        return devices

    yield discovered
    for devices in made:
        await devices.close()
    shutil.rmtree(state, ignore_errors=True)


def real(devices: LocalDevices) -> list[Device]:
    return [device for device in devices.list() if device.kind == "nvidia"]


def holder(shares: Mapping[str, str], name: str = "gpu-test") -> Session:
    return Session(
        id=name,
        kernel_id="k",
        name=name,
        access_key="a",
        image="python",
        image_asked="python",
        created_at=datetime.now(UTC),
        requested_slots=ResourceSlots(),
        allocation={"cuda.shares": dict(shares)} if shares else {"cpu": {"cpu0": "1"}},
    )


@contextmanager
def child(environ: Mapping[str, str], *sizes_mib: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """A process with an environment that allocates on its GPUs: its id, and what it said."""
    command = [sys.executable, str(CHILD), *map(str, sizes_mib)]
    with subprocess.Popen(
        command, env={**os.environ, **environ}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield process.pid, json.loads(line)
        finally:
            process.kill()


async def test_readings(make: Make) -> None:
    devices = make()
    readings = await devices.read_gpus()
    assert [reading.device_id for reading in readings] == [gpu.id for gpu in real(devices)]
    for reading, gpu in zip(readings, real(devices), strict=True):
        assert reading.present, reading.problem
        assert gpu.uuid.startswith("GPU-")
        assert gpu.model
        assert 0 <= reading.mem_used_bytes <= reading.mem_total_bytes == gpu.mem_bytes
        assert reading.util_pct is None or 0 <= reading.util_pct <= 100
        assert reading.temperature_c is None or 0 < reading.temperature_c < 120
        assert reading.power_w is None or 0 <= reading.power_w < 3000


def test_a_session_sees_its_gpus_and_no_others(make: Make) -> None:
    devices = make()
    for gpu in real(devices):
        with child(devices.environment(holder({gpu.id: "0.5"}))) as (_, said):
            assert said["gpus"] == [gpu.uuid]
    with child(devices.environment(holder({}))) as (_, said):
        assert said["gpus"] == [], "no GPU was promised"


def test_the_hole_code_that_resets_the_variable_sees_all(make: Make) -> None:
    devices = make()
    every = ",".join(gpu.uuid for gpu in real(devices))
    with child({**devices.environment(holder({})), "CUDA_VISIBLE_DEVICES": every}) as (_, said):
        assert said["gpus"] == [gpu.uuid for gpu in real(devices)]


async def reading_of(devices: LocalDevices, gpu: Device) -> GpuReading:
    (reading,) = [reading for reading in await devices.read_gpus() if reading.device_id == gpu.id]
    return reading


async def test_memory_is_told_for_each_process(make: Make) -> None:
    devices = make()
    gpu = real(devices)[0]
    before = await reading_of(devices, gpu)
    with child(devices.environment(holder({gpu.id: "0.5"})), 1024) as (pid, said):
        assert said["codes"] == [0]
        after = await reading_of(devices, gpu)
        assert after.mem_used_bytes - before.mem_used_bytes >= 1024 * MIB
        if not sees_all_processes() and pid not in after.process_mem_bytes:
            pytest.skip("in a container the driver's process ids are not ours: as docs/gpu-shares.md says")
        assert after.process_mem_bytes[pid] >= 1024 * MIB


async def test_without_mps_the_driver_gives_more_than_the_share(make: Make) -> None:
    """The hole that the watcher is for."""
    devices = make()
    gpu = real(devices)[0]
    beyond = share_mem_bytes(gpu.mem_bytes, SHARE) // MIB + 512
    with child(devices.environment(holder({gpu.id: SHARE})), beyond) as (_, said):
        assert said["codes"] == [0]


def servers(environ: Mapping[str, str]) -> list[str] | None:
    """The process ids of the MPS servers; None when there is no daemon."""
    done = subprocess.run(
        [CONTROL], input="get_server_list\n", env={**os.environ, **environ}, capture_output=True, text=True, timeout=20
    )
    return done.stdout.split() if done.returncode == 0 else None


async def test_mps_refuses_what_is_beyond_the_share(make: Make) -> None:
    devices = make(mps=True)
    if shutil.which(CONTROL) is None:
        pytest.skip(f"{CONTROL} is not installed")
    gpu = real(devices)[0]
    session = holder({gpu.id: SHARE})
    await devices.prepare(session)
    environ = devices.environment(session)
    assert "mps" in {layer.name for layer in devices.layers(session)}, (
        "the MPS daemon could not be started: see the log"
    )
    share_mib = share_mem_bytes(gpu.mem_bytes, SHARE) // MIB
    try:
        with child(environ, share_mib // 2) as (_, said):
            assert said["codes"] == [0], "half of the share is granted"
            assert servers(environ), "the process is a client of our server"
        with child(environ, share_mib + 256) as (_, said):
            assert said["codes"] == [OUT_OF_MEMORY], "more than the share is refused"
        free = {name: value for name, value in environ.items() if not name.startswith("CUDA_MPS_")}
        with child(free, share_mib + 256) as (_, said):
            assert said["codes"] == [0], "the hole: code that resets the variables is not held"
    finally:
        await devices.forget(session.id)
    assert servers(environ) is None, "it ends with its last client"


async def test_mps_counts_gpus_as_the_client_does(make: Make) -> None:
    """NVIDIA's documents do not say whose numbers the variable means when a client sees a part of the GPUs."""
    devices = make(mps=True)
    if len(real(devices)) < 2 or shutil.which(CONTROL) is None:
        pytest.skip("takes two GPUs and MPS")
    gpu = real(devices)[1]
    session = holder({gpu.id: SHARE})
    await devices.prepare(session)
    try:
        share_mib = share_mem_bytes(gpu.mem_bytes, SHARE) // MIB
        with child(devices.environment(session), share_mib + 256) as (_, said):
            assert said["codes"] == [OUT_OF_MEMORY]
    finally:
        await devices.forget(session.id)


def framework(code: str, environ: Mapping[str, str], folder: Path) -> str:
    """Runs code as a session's process would run it, import hook included; returns what it printed."""
    variables = {**os.environ, **environ}
    add_caps(variables, folder)
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed here")
def test_pytorch_stays_within_its_cap(make: Make, tmp_path: Path) -> None:
    devices = make()
    gpu = real(devices)[0]
    mib = share_mem_bytes(gpu.mem_bytes, SHARE) // MIB
    code = f"""
import torch
held = torch.empty({mib // 2} << 20, dtype=torch.uint8, device="cuda")
try:
    more = torch.empty({mib} << 20, dtype=torch.uint8, device="cuda")
except torch.cuda.OutOfMemoryError:
    print("refused")
else:
    print("granted")
"""
    environ = devices.environment(holder({gpu.id: SHARE}))
    assert framework(code, environ, tmp_path) == "refused"
    whole = devices.environment(holder({gpu.id: "1"}))
    assert framework(code, whole, tmp_path) == "granted", "who has the whole GPU may take it"


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed here")
def test_jax_takes_no_more_than_its_cap(make: Make, tmp_path: Path) -> None:
    devices = make()
    gpu = real(devices)[0]
    code = """
import jax
jax.numpy.ones(10).block_until_ready()
print(jax.local_devices()[0].memory_stats()["bytes_limit"])
"""
    limit = int(framework(code, devices.environment(holder({gpu.id: SHARE})), tmp_path))
    assert limit <= share_mem_bytes(gpu.mem_bytes, SHARE)


def test_the_watcher_ends_a_session_that_takes_too_much(make: Make, home: Path) -> None:
    """The whole way: daemon, session, CUDA memory beyond the share, warning, end."""
    devices = make()
    if not sees_all_processes():
        pytest.skip("in a container the driver's process ids are not ours: as docs/gpu-shares.md says")
    gpu = real(devices)[0]
    config = Paths.of_user().config
    config.mkdir(parents=True, mode=0o700)
    (config / "config.toml").write_text("[gpu]\nend_samples = 2\n")
    # PyTorch and the like would stay below their caps, so the driver is asked directly
    beyond = int(share_mem_bytes(gpu.mem_bytes, SHARE) * Decimal("1.25")) // MIB
    code = f"import runpy, time; runpy.run_path({str(CHILD)!r})['main']([{beyond}], wait=False); time.sleep(60)"

    def ours(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "bai_tui", *arguments], capture_output=True, text=True, timeout=120
        )

    try:
        assert ours("serve", "--detach", "--port", "0").returncode == 0
        made = ours("run", "--enqueue-only", "-t", "greedy", "-r", f"gpu={SHARE}", "python")
        assert made.returncode == 0, made.stderr
        done = ours("run", "-t", "greedy", "-c", code, "python")
        assert done.returncode != 0
        told = ours("info", made.stdout.strip(), "--output", "json")
        assert "overuse" in told.stdout, told.stdout + told.stderr
    finally:
        ours("serve", "--stop", "--kill-sessions")
