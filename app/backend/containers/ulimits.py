"""Limits of single processes that any engine can set."""

from __future__ import annotations

import resource

_MOST_FILES = 1 << 20
_MOST_PROCESSES = 1 << 15
"""Podman's service allows itself no more on some machines."""


def own_ulimits() -> dict[str, tuple[int, int]]:
    """Returns name -> soft and hard limit, never above those that hold here.

    What engines set by default may be more than they are allowed to, and no container would start. No core is dumped:
    where it would go to is for the machine to say, not for the container.
    """
    files = _hard(resource.RLIMIT_NOFILE, _MOST_FILES)
    processes = _hard(resource.RLIMIT_NPROC, _MOST_PROCESSES)
    return {"nofile": (files, files), "nproc": (processes, processes), "core": (0, 0)}


def _hard(kind: int, most: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return most if hard == resource.RLIM_INFINITY else min(hard, most)
