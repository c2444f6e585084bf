"""What holds a session in a container: what its container limits, and how that is told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from ..ports import Guarantee, LaunchSpec, Layer
from .container_notes import ContainerNote
from .fences import Fences
from .hierarchies import groups_of
from .limits import Limits

_MEMORY_EVENTS: Final = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_TASK_EVENTS: Final = ("/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events")
"""Inside, by version 2 and version 1 of the system's control groups."""


def limits_of(spec: LaunchSpec, pid: int) -> Limits:
    """Returns the limits that really hold the container whose first process is `pid`. Reads small files.

    Not what the engine was asked for: some leave out, without a word, what they cannot do.
    """
    limits = Limits(
        spec.cores,
        spec.mem_limit_bytes,
        spec.cpu_limit_cores,
        spec.max_tasks,
        spec.wall_time_s,
        groups_of(pid),
        ends_at=time.time() + spec.wall_time_s if spec.wall_time_s else 0.0,
        fences=Fences(held={"fsize": spec.work_quota_bytes} if spec.work_quota_bytes else {}),
    )
    group = limits.group
    in_force: tuple[tuple[str, float, float], ...] = (
        ("memory", spec.mem_limit_bytes, group.memory_bytes()),
        ("pids", tasks_of(spec), group.tasks()),
        ("cpu", spec.cpu_limit_cores, group.cpu_cores()),
    )
    # where nothing is limited, version 1 tells of more memory than there can be
    limits.held = frozenset(name for name, asked, held in in_force if asked and 0 < held <= asked)
    return limits


def tasks_of(spec: LaunchSpec) -> int:
    """Returns how many tasks a container may have: the session's, and its runner; 0 = no limit."""
    return spec.max_tasks and spec.max_tasks + 1


def told_inside(limits: Limits) -> dict[str, Any]:
    """Returns what the runner must know, with the paths that are true inside."""
    told = limits.told()
    for name, events in (("memory", _MEMORY_EVENTS), ("tasks", _TASK_EVENTS)):
        if name in told:
            told[name]["events"] = events
    return told


def layers_of(note: ContainerNote) -> Sequence[Layer]:
    """Returns the layers that a container is by itself, each with its hole."""
    unused = "; the isolation that was asked for is another way to the same and not used" if note.isolation else ""
    found = [
        Layer(
            "container",
            "files",
            Guarantee.HARD,
            "sees the files of its image, its work folder and what its own runner keeps of this session, its journal "
            f"included; what it writes elsewhere is kept with the container, and no quota counts it{unused}",
        ),
        Layer(
            "container",
            "processes",
            Guarantee.HARD,
            "sees, signals and traces its own processes only, holds no right of root's; shares the system's kernel",
        ),
    ]
    if note.network == "none":
        detail = "none: not even the machine's own 127.0.0.1"
        found.append(Layer("container", "network", Guarantee.HARD, detail))
    if note.gpus:
        detail = f"the engine has put {note.gpus} of the machine's GPUs inside and no other; of these, it has the whole"
        found.append(Layer("container", "gpu", Guarantee.HARD, detail))
    elif note.hides_gpus:
        found.append(Layer("container", "gpu", Guarantee.HARD, "the engine has put no GPU inside"))
    return found
