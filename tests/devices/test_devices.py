"""What the machine has, and what sessions are told of it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from bai_tui.app.backend.devices import discover
from bai_tui.app.backend.devices.host import MIB, usable_cores, usable_mem_bytes
from bai_tui.app.backend.devices.mps import Mps
from bai_tui.app.backend.devices.nvml import Nvml
from bai_tui.app.model.errors import ConfigError
from bai_tui.app.model.sessions import Session
from bai_tui.app.policies import GpuSettings
from bai_tui.tests.devices.fake_nvml import GIB, Card, FakeLibrary

Tree = Callable[[dict[str, str]], Path]
MakeSession = Callable[..., Session]
Driver = Callable[..., tuple[FakeLibrary, Nvml]]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes files below a folder that stands for `/`."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def meminfo(total_bytes: int) -> dict[str, str]:
    return {"proc/meminfo": f"MemFree: 1 kB\nMemTotal:       {total_bytes // 1024} kB\n"}


def test_this_machine() -> None:
    found = discover().list()
    assert [device.id for device in found if device.slot == "cpu"] == [
        f"cpu{core}" for core in sorted(os.sched_getaffinity(0))
    ][: sum(device.slot == "cpu" for device in found)]
    (memory,) = (device for device in found if device.slot == "mem")
    assert 64 * MIB <= memory.capacity <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory.capacity % MIB == 0
    assert all(device.kind == "host" for device in found), "no GPU unless asked for"


@pytest.mark.parametrize(
    ("total", "offered"),
    [
        (64 * GIB, 64 * GIB * 19 // 20 // MIB * MIB),
        (4 * GIB, 4 * GIB - 512 * MIB),
        (512 * MIB, 256 * MIB),
    ],
)
def test_memory_keeps_a_reserve(tree: Tree, total: int, offered: int) -> None:
    assert usable_mem_bytes(tree(meminfo(total))) == offered


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": f"{2 * GIB}\n",
         "sys/fs/cgroup/a/b/memory.max": "max\n"},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": f"{2 * GIB}\n"},
        {"proc/self/cgroup": "4:memory:/x/y\n0::/\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": f"{2 * GIB}\n"},
        # in a container the path is that of the host: what is mounted is the group itself
        {"proc/self/cgroup": "4:memory:/docker/123\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n"},
        {"proc/self/cgroup": "2:cpu,memory:/x\n", "sys/fs/cgroup/cpu,memory/x/memory.limit_in_bytes": f"{2 * GIB}\n"},
    ],
)  # fmt: skip
def test_a_control_group_lowers_memory(tree: Tree, files: dict[str, str]) -> None:
    assert usable_mem_bytes(tree({**meminfo(64 * GIB), **files})) == 2 * GIB - 512 * MIB


@pytest.mark.parametrize("limit", ["max", "9223372036854771712", "junk", "", "-1", "0"])
def test_no_limit_is_no_limit(tree: Tree, limit: str) -> None:
    files = {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": limit}
    assert usable_mem_bytes(tree({**meminfo(4 * GIB), **files})) == 4 * GIB - 512 * MIB


def test_without_proc_the_system_is_asked(tmp_path: Path) -> None:
    assert usable_mem_bytes(tmp_path) > 64 * MIB
    assert usable_cores(tmp_path) == sorted(os.sched_getaffinity(0))


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7, 3, 5})
    assert usable_cores(tmp_path) == [3, 5, 7]


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, [0, 1]),
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "10000 100000\n"}, [0]),
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"}, [0, 1, 2, 3]),
        ({"proc/self/cgroup": "1:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, [0, 1, 2]),
        ({"proc/self/cgroup": "1:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, [0, 1, 2, 3]),
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "junk\n"}, [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_a_quota_counts_as_cores(
    monkeypatch: pytest.MonkeyPatch, tree: Tree, files: dict[str, str], cores: list[int]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert usable_cores(tree(files)) == cores


@pytest.mark.parametrize(
    ("offered", "capacities"), [(1, {"cpu4": 1}), (2, {"cpu4": 1, "cpu6": 1}), (5, {"cpu4": 3, "cpu6": 2})]
)
def test_offered_cores(monkeypatch: pytest.MonkeyPatch, offered: int, capacities: dict[str, int]) -> None:
    monkeypatch.setattr("bai_tui.app.backend.devices.local.usable_cores", lambda: [4, 6])
    found = {device.id: device.capacity for device in discover(cpu=offered).list() if device.slot == "cpu"}
    assert found == capacities


def test_offered_memory() -> None:
    (memory,) = (device for device in discover(mem="1.5g").list() if device.slot == "mem")
    assert memory.capacity == 3 * GIB // 2


@pytest.mark.parametrize(
    ("spec", "count", "memory"), [("2", 2, 16 * GIB), ("3:512m", 3, GIB // 2), (" 1:8g ", 1, 8 * GIB)]
)
def test_mock_gpus(spec: str, count: int, memory: int) -> None:
    gpus = [device for device in discover(mock_gpus=spec).list() if device.slot == "cuda.shares"]
    assert [gpu.id for gpu in gpus] == [f"gpu{number}" for number in range(count)]
    for gpu in gpus:
        assert gpu.kind == "mock"
        assert gpu.model.startswith("Mock ")
        assert gpu.mem_bytes == memory
        assert gpu.capacity == 1
        uuid.UUID(gpu.uuid)
    assert len({gpu.uuid for gpu in gpus}) == count


def test_mock_gpus_are_the_same_after_a_restart() -> None:
    assert discover(mock_gpus="2").list() == discover(mock_gpus="2").list()


@pytest.mark.parametrize("spec", ["", "0"])
def test_no_mock_gpus(spec: str) -> None:
    assert not [device for device in discover(mock_gpus=spec).list() if device.kind == "mock"]


@pytest.mark.parametrize(
    "spec", ["x", "-1", "1.5", "2:", "2:x", "2:-1g", "2:0", ":16g", "2;16g", "1025", "99999", "2:1g:1g", "٢"]
)
def test_bad_mock_gpus(spec: str) -> None:
    with pytest.raises(ConfigError) as error:
        discover(mock_gpus=spec)
    assert repr(spec) in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize(("cpu", "mem"), [(-1, ""), (65537, ""), (0, "x"), (0, "-1g"), (0, "0"), (0, "63m")])
def test_bad_offers(cpu: int, mem: str) -> None:
    with pytest.raises(ConfigError, match="cannot be offered"):
        discover(cpu=cpu, mem=mem)


def test_real_gpus_come_first_and_keep_the_numbers_of_nvidia_smi(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    _, nvml = driver(Card("GPU-aa", "NVIDIA A"), Card("GPU-bb", "NVIDIA B", 80 * GIB))
    found = discover(mock_gpus="2:4g", nvml=nvml, environ={"CUDA_VISIBLE_DEVICES": "1"}).list()
    gpus = [(gpu.id, gpu.kind, gpu.uuid, gpu.model, gpu.mem_bytes) for gpu in found if gpu.slot == "cuda.shares"]
    assert gpus[0] == ("gpu1", "nvidia", "GPU-bb", "NVIDIA B", 80 * GIB)
    assert [(id, kind, model) for id, kind, _, model, _ in gpus[1:]] == [
        ("gpu2", "mock", "Mock GPU 0"),
        ("gpu3", "mock", "Mock GPU 1"),
    ]
    assert "a session may be put on either" in caplog.text


def test_without_sharing_gpus_are_whole_devices(driver: Driver) -> None:
    _, nvml = driver(Card("GPU-aa"))
    gpus = discover(mock_gpus="1", nvml=nvml, gpu=GpuSettings(sharing=False), environ={}).list()[-2:]
    assert [(gpu.id, gpu.slot, gpu.shareable, int(gpu.capacity)) for gpu in gpus] == [
        ("gpu0", "cuda.device", False, 1),
        ("gpu1", "cuda.device", False, 1),
    ]


async def test_readings_are_in_the_order_of_the_list(driver: Driver, tmp_path: Path) -> None:
    _, nvml = driver(Card("GPU-aa", used=5), Card("GPU-bb", used=6))
    (tmp_path / "mock-gpus.json").write_text(json.dumps({"gpu2": {"mem_used": 7}}))
    devices = discover(mock_gpus="2", nvml=nvml, state=tmp_path, environ={})
    readings = await devices.read_gpus()
    assert [reading.device_id for reading in readings] == [gpu.id for gpu in devices.list() if gpu.kind != "host"]
    assert [reading.mem_used_bytes for reading in readings] == [5, 6, 7, 0]
    await devices.close()
    assert [reading.device_id for reading in await devices.read_gpus()] == ["gpu2", "gpu3"]


async def test_a_machine_without_gpus_reads_none() -> None:
    devices = discover()
    assert await devices.read_gpus() == []
    await devices.close()


@pytest.mark.parametrize(
    ("held", "cores"),
    [
        ({"cpu0": "1", "cpu3": "1"}, {0, 3}),
        ({"cpu12": "1"}, {12}),
        ({}, None),
        # more slots than cores: pinned, it would get less than it was promised
        ({"cpu0": "2", "cpu1": "1"}, None),
    ],
)
def test_sessions_are_pinned_to_the_cores_they_were_promised(
    session: MakeSession, held: dict[str, str], cores: set[int] | None
) -> None:
    assert discover().cores(session({"cpu": held} if held else {})) == cores


async def test_mps_is_for_those_who_switch_it_on(
    driver: Driver, session: MakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []

    async def take(self: Mps, one: Session) -> None:
        taken.append(one.id)

    monkeypatch.setattr(Mps, "take", take)
    one = session({"cuda.shares": {"gpu0": "0.5"}})
    for switched_on, expected in ((False, []), (True, ["i"])):
        _, nvml = driver(Card("GPU-aa"))
        devices = discover(nvml=nvml, state=tmp_path, gpu=GpuSettings(mps=switched_on), environ={})
        await devices.prepare(one)
        await devices.forget(one.id)
        assert taken == expected
        await devices.close()


@pytest.mark.parametrize(("compute", "able"), [((6, 1), False), ((7, 0), True), ((9, 0), True)])
async def test_mps_limits_nobody_on_gpus_older_than_volta(
    driver: Driver, session: MakeSession, tmp_path: Path, compute: tuple[int, int], able: bool
) -> None:
    _, nvml = driver(Card("GPU-aa", compute=compute))
    devices = discover(nvml=nvml, state=tmp_path, environ={})
    assert (devices._mps is not None) is able
    await devices.forget("nobody")
    await devices.close()
