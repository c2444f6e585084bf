"""The console script. The workspace starts without the commands: reading them takes a tenth of its whole start."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Opens the workspace when there are no arguments and a terminal, else runs a command."""
    if len(sys.argv) == 1 and sys.stdin.isatty() and sys.stdout.isatty():
        sys.exit(_workspace())
    from .main import invoke

    sys.exit(invoke())


def _workspace() -> int:
    import gc

    # nothing that is made until the first frame is garbage: looking for some costs a tenth of the start
    gc.disable()
    try:
        from ..tui import head_start

        first = head_start.begin(None)
        from ..tui.app import run

        return run(None, first)
    except BaseException as exc:
        error = exc

        def fail() -> NoReturn:
            raise error

        from .main import guarded

        return guarded(fail)
