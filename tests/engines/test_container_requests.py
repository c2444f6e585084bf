"""What engines are asked for, and what becomes of their refusals: with GPUs and engines that this machine lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from bai_tui.app.backend.containers import ContainerClient, ContainerError, EngineGone, EngineImage, EngineInfo
from bai_tui.app.backend.engines import container_keeper
from bai_tui.app.backend.engines.box import Box, Mount, lesser, said_to_docker, said_to_podman
from bai_tui.app.backend.engines.container import ContainerEngine
from bai_tui.app.backend.engines.container_environ import certificates, of_container, passed
from bai_tui.app.backend.engines.container_keeper import ContainerKeeper
from bai_tui.app.backend.ports import LaunchSpec
from bai_tui.app.model.errors import LaunchFailed
from bai_tui.app.model.images import Image, ImageKind, ImageReference
from bai_tui.app.policies import ContainerSettings

GPU = "GPU-5d1d5b0e-0b0f-4c52-9d0a-0f6d8e6d2c11"
BOX = Box(
    name="bai-tui-s",
    image="sha256:1",
    command=("python3", "-s", "x.py"),
    environ={"A": "b"},
    labels={"bai-tui.session": "s"},
    mounts=(Mount("/from", "/to"), Mount("/w", "/home/work", writable=True)),
    work_dir="/home/work",
    user="1000:1000",
    ulimits={"nofile": (20000, 20000), "core": (0, 0)},
    mem_bytes=1 << 30,
    cpu_cores=2,
    max_tasks=100,
    cores=frozenset({3, 1}),
    gpus=(GPU,),
)
INFO = EngineInfo(
    name="Podman", version="4.9.3", api_version="1.41", socket="/s", rootless=False, cgroup_version=2,
    default_runtime="crun",
)  # fmt: skip


def test_docker_is_asked_for_gpus_by_their_uuids_and_podman_by_their_names_of_cdi() -> None:
    docker, podman = said_to_docker(BOX)["HostConfig"], said_to_podman(BOX)
    assert docker["DeviceRequests"] == [{"Driver": "", "DeviceIDs": [GPU], "Capabilities": [["gpu"]]}]
    assert podman["devices"] == [{"path": f"nvidia.com/gpu={GPU}"}]
    without = replace(BOX, gpus=())
    assert "DeviceRequests" not in said_to_docker(without)["HostConfig"]
    assert said_to_podman(without)["devices"] == []


def test_no_more_memory_than_promised_by_way_of_swap() -> None:
    docker, podman = said_to_docker(BOX)["HostConfig"], said_to_podman(BOX)
    assert docker["Memory"] == docker["MemorySwap"] == 1 << 30
    assert podman["resource_limits"]["memory"] == {"limit": 1 << 30, "swap": 1 << 30}
    assert (docker["CpuQuota"] / docker["CpuPeriod"], docker["CpusetCpus"], docker["PidsLimit"]) == (2, "1,3", 100)
    assert podman["resource_limits"]["cpu"] == {"period": 100_000, "quota": 200_000, "cpus": "1,3"}
    assert podman["resource_limits"]["pids"] == {"limit": 100}


def test_networks_of_an_engine_by_their_names() -> None:
    assert said_to_podman(replace(BOX, network="lab"))["networks"] == {"lab": {}}
    assert said_to_podman(replace(BOX, network="none"))["netns"] == {"nsmode": "none"}
    assert said_to_docker(replace(BOX, network="lab"))["HostConfig"]["NetworkMode"] == "lab"


@pytest.mark.parametrize(
    ("refusal", "less"),
    [
        ("crun: the requested cgroup controller `cpuset` is not available: OCI runtime error", {"cores": None}),
        ("Requested CPUs are not available - requested 1,3, available: 0", {"cores": None}),
        ("crun: controller `pids` is not available under /sys/fs/cgroup/user.slice", {"max_tasks": 0}),
        ("runc: cannot set memory limit: container could not join or create cgroup", {"mem_bytes": 0}),
        (
            "runc: error setting rlimits for ready process: error setting rlimit type 6: operation not permitted",
            {"ulimits": {"nofile": (4096, 4096), "core": (0, 0)}},
        ),
        ("no space left on device", None),
        ("cgroup: something else", None),
    ],
)
def test_what_an_engine_cannot_limit_is_left_out_and_nothing_else(refusal: str, less: dict[str, Any] | None) -> None:
    assert lesser(BOX, refusal) == (replace(BOX, **less) if less is not None else None)


def test_a_container_hears_how_to_reach_the_network_and_of_no_file_of_the_machine() -> None:
    ours = {
        "https_proxy": "http://proxy:3128", "PIP_INDEX_URL": "http://mirror", "PIP_CERT": "/etc/ours.pem",
        "PIP_PASSWORD": "secret", "LD_LIBRARY_PATH": "/opt/cuda/lib64", "PATH": "/ours", "HOME": "/home/me",
    }  # fmt: skip
    told = passed(ours, session_id="s")
    assert told == {
        "https_proxy": "http://proxy:3128", "PIP_INDEX_URL": "http://mirror", "HOME": "/home/work", "TERM": "xterm",
        "USER": "work", "BACKENDAI_SESSION_ID": "s",
    }  # fmt: skip
    assert of_container(["PATH=/image/bin", "X=a=b", "odd"]) == {"PATH": "/image/bin", "X": "a=b", "LANG": "C.UTF-8"}


def test_the_authorities_of_this_network_are_handed_on_as_files(tmp_path: Path) -> None:
    (tmp_path / "ours.pem").touch()
    ours = {"SSL_CERT_FILE": str(tmp_path / "ours.pem"), "PIP_CERT": str(tmp_path / "gone.pem"), "CURL_CA_BUNDLE": ""}
    assert certificates(ours, "/c") == {"SSL_CERT_FILE": (str(tmp_path / "ours.pem"), "/c/SSL_CERT_FILE.pem")}


class Refusing:
    """An engine that starts nothing: what it was asked for, and its refusals one after the other."""

    def __init__(self, info: EngineInfo, *refusals: str) -> None:
        self._info = info
        self._refusals = list(refusals)
        self.asked: list[Mapping[str, Any]] = []
        self.removed: list[str] = []

    async def info(self) -> EngineInfo:
        return self._info

    async def image(self, name: str) -> EngineImage:
        return EngineImage(id="sha256:1", tags=(name,))

    async def create_by_podman(self, config: Mapping[str, Any]) -> str:
        self.asked.append(config)
        return "id"

    async def create(self, config: Mapping[str, Any], name: str = "") -> str:
        return await self.create_by_podman(config)

    async def start(self, container: str) -> None:
        raise ContainerError(self._refusals.pop(0), http_status=500)

    async def kill(self, container: str) -> None:
        raise ContainerError("it does not run", http_status=409)

    async def remove(self, container: str, *, force: bool) -> None:
        self.removed.append(container)


async def refused(engine: Refusing, folder: Path, settings: ContainerSettings | None = None, **changes: Any) -> str:
    """Returns with what sentence a launch fails."""
    (folder / "work").mkdir(exist_ok=True)
    made = ContainerEngine(folder / "state", cast(ContainerClient, engine), settings or ContainerSettings())
    spec: dict[str, Any] = {
        "session_id": "s",
        "session_dir": folder,
        "work_dir": folder / "work",
        "image": Image(id="i", reference=ImageReference("tool"), kind=ImageKind.CONTAINER, kernel="plain"),
        "environ": {},
    }
    with pytest.raises(LaunchFailed) as caught:
        await made.start(LaunchSpec(**(spec | changes)))
    await made.close()
    assert engine.removed[-1] == "bai-tui-s"
    assert not (folder / "inside/start.sock").exists()
    return caught.value.message


@pytest.mark.asyncio
async def test_a_refusal_of_gpus_says_what_to_install(tmp_path: Path) -> None:
    granted = {"CUDA_VISIBLE_DEVICES": GPU, "NVIDIA_VISIBLE_DEVICES": GPU}
    docker = Refusing(replace(INFO, name="Docker"), 'could not select device driver "" with capabilities: [[gpu]]')
    assert "install the NVIDIA Container Toolkit" in await refused(docker, tmp_path, granted=granted)
    assert docker.asked[0]["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == [GPU]
    podman = Refusing(INFO, f"setting up CDI devices: unresolvable CDI devices nvidia.com/gpu={GPU}")
    assert "nvidia-ctk cdi generate" in await refused(podman, tmp_path, granted=granted)
    assert podman.asked[0]["env"]["NVIDIA_VISIBLE_DEVICES"] == GPU


@pytest.mark.asyncio
async def test_a_container_is_asked_for_again_without_the_limit_that_cannot_be_set(tmp_path: Path) -> None:
    engine = Refusing(INFO, "cgroup controller `cpuset` is not available", "no space left on device")
    said = await refused(engine, tmp_path, cores=frozenset({0}), cpu_limit_cores=1)
    assert said == "the image tool:latest does not come up as a session: no space left on device"
    assert [one["resource_limits"]["cpu"].get("cpus") for one in engine.asked] == ["0", None]


@pytest.mark.asyncio
async def test_crun_gives_way_to_runc_where_groups_are_of_version_1_unless_a_runtime_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runc").write_text("#!/bin/sh\n")
    (tmp_path / "runc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    old = replace(INFO, cgroup_version=1)
    for info, settings, runtime in (
        (old, ContainerSettings(), "runc"),
        (INFO, ContainerSettings(), None),
        (replace(old, default_runtime="runc"), ContainerSettings(), None),
        (old, ContainerSettings(runtime="youki"), "youki"),
    ):
        engine = Refusing(info, "crun: cgroups in hybrid mode not supported")
        assert 'write runtime = "runc" below [engine]' in await refused(engine, tmp_path, settings)
        assert engine.asked[0].get("oci_runtime") == runtime


@pytest.mark.asyncio
async def test_an_engine_of_an_ordinary_user_leaves_files_of_that_user(tmp_path: Path) -> None:
    rootless = Refusing(replace(INFO, rootless=True), "no")
    await refused(rootless, tmp_path)
    assert rootless.asked[0]["userns"] == {"nsmode": "keep-id"}
    docker = Refusing(replace(INFO, name="Docker", rootless=True), "no")
    await refused(docker, tmp_path)
    assert docker.asked[0]["User"] == "0:0"


@pytest.mark.asyncio
async def test_without_an_engine_a_launch_says_so(tmp_path: Path) -> None:
    made = ContainerEngine(tmp_path, ContainerClient("/nowhere/podman.sock", {}), ContainerSettings())
    image = Image(id="i", reference=ImageReference("tool"), kind=ImageKind.CONTAINER)
    with pytest.raises(LaunchFailed, match=r"there is no container engine's socket /nowhere/podman\.sock"):
        await made.start(LaunchSpec(session_id="s", session_dir=tmp_path, work_dir=tmp_path, image=image, environ={}))
    await made.tidy()
    await made.close()


@pytest.mark.asyncio
async def test_the_end_of_a_container_is_told_as_far_as_the_engine_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Any] = {
        "killed for memory": SimpleNamespace(oom_killed=True, exit_code=137),
        "killed": SimpleNamespace(oom_killed=False, exit_code=137),
        "removed": ContainerError("no such container", http_status=404),
        "gone": EngineGone("nobody answers"),
    }

    class Client:
        async def inspect(self, name: str) -> Any:
            if name == "hangs":
                await asyncio.Event().wait()
            if isinstance(answers[name], Exception):
                raise answers[name]
            return answers[name]

    keeper = ContainerKeeper(cast(ContainerClient, Client()))
    assert await keeper.why_ended("killed for memory", "out of memory: 1g") == "out of memory: 1g"
    assert await keeper.why_ended("killed", "") == "the session's container was ended from outside (exit code 137)"
    assert await keeper.why_ended("removed", "") == "the session's container was removed from outside"
    assert "its engine does not answer" in await keeper.why_ended("gone", "")
    monkeypatch.setattr(container_keeper, "_WHY_S", 0.01)
    assert "its engine does not say why" in await keeper.why_ended("hangs", "")
