"""What the commands say about themselves: to stderr, one line at a time. stdout belongs to data."""

from __future__ import annotations

import os
import re
import sys

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # but tab and line feed
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # turn the order of what stands around them
    r"\ud800-\udfff]"  # of a file name that is no UTF-8; cannot be written
)


def harmless(text: str) -> str:
    """Returns `text` without what moves a cursor or turns text around: names and messages of a server are untrusted."""
    return _CONTROL.sub("?", text)


def say(text: str) -> None:
    """Writes one line to stderr; a closed stderr is not worth an error."""
    try:
        sys.stderr.write(f"bai-tui: {harmless(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass


class NobodyReads(Exception):
    """stdout is a pipe whose reader has gone. Not an OSError, since click would end the program for those."""


def emit(text: str) -> None:
    """Writes data to stdout.

    Raises:
        NobodyReads: the reader of the pipe has gone.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise NobodyReads from None


def exports(url: str, access_key: str, secret_key: str) -> str:
    """Returns lines for a shell that lead Backend.AI's clients, and ours, to an endpoint."""
    from shlex import quote

    variables = {
        "BACKEND_ENDPOINT": url,
        "BACKEND_ENDPOINT_TYPE": "api",
        "BACKEND_ACCESS_KEY": access_key,
        "BACKEND_SECRET_KEY": secret_key,
    }
    return "".join(f"export {name}={quote(value)}\n" for name, value in variables.items())


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get("BAI_TUI_DEBUG", "") not in ("", "0")
