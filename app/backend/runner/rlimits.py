"""Limits of single processes, which they hand on to what they start and cannot raise again."""

import resource
from typing import Dict

_KINDS = {"fsize": resource.RLIMIT_FSIZE, "data": resource.RLIMIT_DATA, "nproc": resource.RLIMIT_NPROC}


def hold(pid: int, held: Dict[str, int]) -> None:
    """Sets limits for a process, 0 being this one, never above what holds for it already.

    `fsize`: bytes of a file that it writes. `data`: bytes of private memory. `nproc`: tasks of its user (in its user
    namespace). A process that has ended is no error.
    """
    for name, most in held.items():
        kind = _KINDS[name]
        try:
            _soft, hard = resource.prlimit(pid, kind)
            if hard == resource.RLIM_INFINITY or most < hard:
                resource.prlimit(pid, kind, (most, most))
        except OSError:
            pass
