"""How a session is fenced in beside its control groups: by a sandbox, and by limits of each process."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..ports import Guarantee, LaunchSpec, Layer
from .devicefiles import fences_gpus
from .sizes import size_text

_TASKS_OF_ITS_OWN: Final = 4
"""Processes of bubblewrap's in a sandbox, and one that enters."""


@dataclass(slots=True)
class Fences:
    """How one session is fenced in. Survives the backend in what `stored` returns."""

    isolation: str = ""
    network: bool = True
    held: dict[str, int] = field(default_factory=dict)
    """Limits of each process, see `runner.rlimits`."""
    gpus: bool = False
    """There are GPUs here, and of their device files only those are inside that belong to the session's own."""

    @classmethod
    def put(cls, launch: LaunchSpec, *, memory_in_group: bool) -> Fences:
        """Fences a session in that has not begun.

        In a sandbox an ordinary user's tasks are counted by themselves (since Linux 5.14), so that they can be limited
        without regard to what else the user runs; root's are not counted. RLIMIT_DATA stands in for a control group:
        unlike RLIMIT_AS it leaves alone what CUDA reserves.

        Args:
            memory_in_group: a control group limits the memory already.
        """
        limits: dict[str, int] = {}
        if launch.work_quota_bytes:
            limits["fsize"] = launch.work_quota_bytes
        if launch.isolation and launch.max_tasks and os.geteuid() != 0 and counts_tasks_by_namespace():
            limits["nproc"] = launch.max_tasks + _TASKS_OF_ITS_OWN
        if launch.isolation and launch.mem_limit_bytes and not memory_in_group:
            limits["data"] = launch.mem_limit_bytes
        return cls(launch.isolation, launch.network, limits, bool(launch.isolation) and fences_gpus(launch.granted))

    def stored(self) -> dict[str, Any]:
        """Returns the fences as JSON."""
        return {"isolation": self.isolation, "network": self.network, "held": self.held, "gpus": self.gpus}

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Fences:
        """Reads what `stored` returned; of an earlier version's session nothing is known."""
        return cls(
            isolation=str(stored.get("isolation", "")),
            network=bool(stored.get("network", True)),
            held={str(name): int(most) for name, most in (stored.get("held") or {}).items()},
            gpus=bool(stored.get("gpus")),
        )

    def layers(self) -> Sequence[Layer]:
        """Returns the layers that are in force, each with its hole."""
        found = []
        if size := self.held.get("fsize"):
            detail = f"no single file grows beyond {size_text(size)}; many files can, which only the watcher sees"
            found.append(Layer("file-size", "disk", Guarantee.HARD, detail))
        if self.isolation != "bwrap":
            return found
        reach = "" if not self.network else "; abstract unix sockets of the machine can be reached while it has network"
        detail = (
            "read-only system, own /tmp and HOME, other homes and the backend's folders are not there; what else the "
            f"backend's user may read can be read{reach}"
        )
        found.append(Layer("bwrap", "files", Guarantee.HARD, detail))
        detail = "sees, signals and traces its own processes only, holds no right of root's; shares the system's kernel"
        found.append(Layer("bwrap", "processes", Guarantee.HARD, detail))
        if not self.network:
            detail = "none: not even the machine's own 127.0.0.1; only unix sockets in folders that it sees"
            found.append(Layer("bwrap", "network", Guarantee.HARD, detail))
        if tasks := self.held.get("nproc"):
            detail = f"{tasks - _TASKS_OF_ITS_OWN} processes and threads, counted in its own user namespace"
            found.append(Layer("bwrap-nproc", "tasks", Guarantee.HARD, detail))
        if size := self.held.get("data"):
            detail = (
                f"no process gets more than {size_text(size)} of private memory, untouched memory included; several "
                "processes have that each, and shared memory is not counted"
            )
            found.append(Layer("bwrap-data", "mem", Guarantee.COOPERATIVE, detail))
        if self.gpus:
            detail = "the device files of GPUs that it does not hold are not there; of its own, it has the whole"
            found.append(Layer("bwrap", "gpu", Guarantee.HARD, detail))
        return found


def counts_tasks_by_namespace(release: str = "") -> bool:
    """Whether Linux counts the tasks of a user in each user namespace by themselves; `release`: empty = this one."""
    numbers = re.findall(r"\d+", release or os.uname().release)
    return tuple(map(int, numbers[:2])) >= (5, 14)
