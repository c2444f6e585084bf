"""Exit codes of cells."""

import sys


def exit_code_of(stop: SystemExit) -> int:
    """Returns the exit code that `stop` asks for, as the interpreter would: a text goes to stderr and means 1."""
    code = stop.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write("%s\n" % (code,))
    return 1
