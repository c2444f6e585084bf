"""What the container of a session is made of, and how that is said to Docker and to Podman."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

LIMITS: Final = ("memory", "cpu", "pids", "cpuset")
"""What an engine may refuse to limit, by the names of the controllers of the system's control groups."""
_PERIOD_US: Final = 100_000
_FEW: Final = 1 << 12
_NO_SUCH_CPUS: Final = "cpus are not available"
_OF_GROUPS: Final = re.compile(rf"cgroup|controller|{_NO_SUCH_CPUS}", re.I)
_GPU: Final = "nvidia.com/gpu="
_NETWORKS_OF_PODMAN: Final = frozenset({"host", "none", "private", "bridge", "slirp4netns", "pasta"})


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the machine that is inside as well."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A container that is to be made."""

    name: str
    image: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    """Added to the image's own."""
    labels: Mapping[str, str]
    mounts: tuple[Mount, ...]
    work_dir: str
    user: str
    """`uid:gid` of its processes."""
    keep_id: bool = False
    """The user of the engine, which has no rights of root's, has the same id inside. Podman only."""
    network: str = "host"
    runtime: str = ""
    """Empty = the engine's own."""
    mem_bytes: int = 0
    """Swap included; 0 = no limit, as below."""
    cpu_cores: int = 0
    max_tasks: int = 0
    cores: frozenset[int] | None = None
    """None = any."""
    gpus: tuple[str, ...] = ()
    """UUIDs of NVIDIA GPUs."""
    shares_ipc: bool = False
    """With the machine, as clients of MPS must."""
    shm_bytes: int = 0
    """Size of /dev/shm, what is there counts as memory; 0 = the engine's default."""
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Name -> soft and hard limit of each process."""

    def without(self, limits: frozenset[str]) -> Box:
        """Returns the same without some of `LIMITS`."""
        return replace(
            self,
            mem_bytes=0 if "memory" in limits else self.mem_bytes,
            cpu_cores=0 if "cpu" in limits else self.cpu_cores,
            max_tasks=0 if "pids" in limits else self.max_tasks,
            cores=None if "cpuset" in limits else self.cores,
        )


def lesser(box: Box, refusal: str) -> Box | None:
    """Returns the container without what the engine refused in those words; None when it is nothing to do without.

    Limits of single processes become smaller: nobody can give what he has not. Other limits are left out, which is told
    of the session: where the groups of this machine lack a controller there is no having them.
    """
    if "rlimit" in refusal.lower():
        found = replace(
            box, ulimits={name: (min(soft, _FEW), min(hard, _FEW)) for name, (soft, hard) in box.ulimits.items()}
        )
    elif _OF_GROUPS.search(refusal):
        refused = frozenset(name for name in LIMITS if re.search(rf"\b{name}\b", refusal, re.I))
        if _NO_SUCH_CPUS in refusal.lower():
            refused |= {"cpuset"}
        found = box.without(refused)
    else:
        return None
    return found if found != box else None


def said_to_docker(box: Box) -> dict[str, Any]:
    """Returns the container as the Docker Engine API wants it; its name goes elsewhere."""
    host: dict[str, Any] = {
        "NetworkMode": box.network,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", "label=disable"],
        "Mounts": [
            {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": not mount.writable}
            for mount in box.mounts
        ],
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in box.ulimits.items()],
        "Init": False,
    }
    if box.runtime:
        host["Runtime"] = box.runtime
    if box.mem_bytes:
        host["Memory"] = host["MemorySwap"] = box.mem_bytes
    if box.cpu_cores:
        host["CpuPeriod"], host["CpuQuota"] = _PERIOD_US, box.cpu_cores * _PERIOD_US
    if box.max_tasks:
        host["PidsLimit"] = box.max_tasks
    if box.cores is not None:
        host["CpusetCpus"] = _cpus(box.cores)
    if box.shm_bytes:
        host["ShmSize"] = box.shm_bytes
    if box.shares_ipc:
        host["IpcMode"] = "host"
    if box.gpus:
        host["DeviceRequests"] = [{"Driver": "", "DeviceIDs": list(box.gpus), "Capabilities": [["gpu"]]}]
    return {
        "Image": box.image,
        "Entrypoint": list(box.command[:1]),
        "Cmd": list(box.command[1:]),
        "Env": [f"{name}={value}" for name, value in box.environ.items()],
        "Labels": dict(box.labels),
        "User": box.user,
        "WorkingDir": box.work_dir,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": host,
    }


def said_to_podman(box: Box) -> dict[str, Any]:
    """Returns the container as Podman's own API wants it."""
    limits: dict[str, Any] = {}
    if box.mem_bytes:
        limits["memory"] = {"limit": box.mem_bytes, "swap": box.mem_bytes}
    cpu: dict[str, Any] = {}
    if box.cpu_cores:
        cpu.update(period=_PERIOD_US, quota=box.cpu_cores * _PERIOD_US)
    if box.cores is not None:
        cpu["cpus"] = _cpus(box.cores)
    if cpu:
        limits["cpu"] = cpu
    # without one of ours there is none: the engine has a default, which counts threads of large programs out
    limits["pids"] = {"limit": box.max_tasks or -1}
    said: dict[str, Any] = {
        "name": box.name,
        "image": box.image,
        "entrypoint": list(box.command[:1]),
        "command": list(box.command[1:]),
        "env": dict(box.environ),
        "labels": dict(box.labels),
        "user": box.user,
        "work_dir": box.work_dir,
        "cap_drop": ["ALL"],
        "no_new_privileges": True,
        "selinux_opts": ["disable"],
        "healthconfig": {"Test": ["NONE"]},
        "resource_limits": limits,
        "r_limits": [{"type": name, "soft": soft, "hard": hard} for name, (soft, hard) in box.ulimits.items()],
        "mounts": [
            {
                "type": "bind",
                "source": mount.source,
                "destination": mount.target,
                "options": ["rbind", "rw" if mount.writable else "ro"],
            }
            for mount in box.mounts
        ],
        "devices": [{"path": _GPU + uuid} for uuid in box.gpus],
    }
    if box.network in _NETWORKS_OF_PODMAN:
        said["netns"] = {"nsmode": box.network}
    else:
        said["netns"], said["networks"] = {"nsmode": "bridge"}, {box.network: {}}
    if box.keep_id:
        said["userns"] = {"nsmode": "keep-id"}
    if box.runtime:
        said["oci_runtime"] = box.runtime
    if box.shm_bytes:
        said["shm_size"] = box.shm_bytes
    if box.shares_ipc:
        said["ipcns"] = {"nsmode": "host"}
    return said


def _cpus(cores: frozenset[int]) -> str:
    return ",".join(map(str, sorted(cores)))
