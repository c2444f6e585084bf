"""How cells end: exit codes and tracebacks."""

import os
import sys
from typing import Any

_OURS = os.path.dirname(os.path.abspath(__file__))


def exit_code_of(stop: SystemExit) -> int:
    """Returns the exit code that `stop` asks for, as the interpreter would: a text goes to stderr and means 1."""
    code = stop.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write("%s\n" % (code,))
    return 1


def is_ours(trace: Any) -> bool:
    """Whether a frame of a traceback is the runner's own."""
    return bool(os.path.dirname(trace.tb_frame.f_code.co_filename) == _OURS)


def cut_our_tail(trace: Any) -> None:
    """Takes the runner's own frames off the end of a traceback: how `input()` waits is not the user's business."""
    last = None
    while trace is not None:
        if not is_ours(trace):
            last = trace
        trace = trace.tb_next
    if last is not None and last.tb_next is not None and sys.version_info >= (3, 7):
        last.tb_next = None
