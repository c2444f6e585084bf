"""Exit statuses of the commands, in one place. `bai-tui run` ends with the status of the code that it ran."""

from __future__ import annotations

import signal

from ..model.errors import (
    AuthFailed,
    BaiTuiError,
    ConfigError,
    Forbidden,
    InvalidAuth,
    NotFound,
    Unreachable,
)

OK = 0
FAILED = 1
"""Something that was asked for could not be done, such as one of several `rm`."""
USAGE = 2
REFUSED = 65
NOT_FOUND = 66
UNREACHABLE = 69
INTERNAL = 70
STILL_QUEUED = 75
DENIED = 77
CONFIG = 78
SIGNALLED = 128
INTERRUPTED = SIGNALLED + signal.SIGINT
BROKEN_PIPE = SIGNALLED + signal.SIGPIPE

HELP = """\b
Exit status: that of the code (query: 0, 1, or that of SystemExit; batch: that
of --exec, or of a --build that failed; 128 + N when signal N ended it), or one
of
    2  wrong usage                 65  the server refused the request
   66  no such image or session    69  no answer, or the connection was lost
   70  a defect of bai-tui         75  still queued after --max-wait
   77  not allowed                 78  the configuration of this machine
  130  interrupted by ctrl+c      143  ended by SIGTERM
In these cases a line on stderr begins with "bai-tui:"."""


def of_error(error: BaiTuiError) -> int:
    """Returns the exit status that stands for `error`."""
    if isinstance(error, Unreachable):
        return UNREACHABLE
    if isinstance(error, ConfigError):
        return CONFIG
    if isinstance(error, AuthFailed | InvalidAuth | Forbidden):
        return DENIED
    if isinstance(error, NotFound):
        return NOT_FOUND
    return REFUSED


def of_code(code: int) -> int:
    """Returns the exit status for that of the user's code: 128 + N for a signal, never 0 for what was not 0."""
    if code < 0:
        return min(SIGNALLED - code, 255)
    return min(code, 255)
