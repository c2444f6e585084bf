"""Where the output of a run goes: raw into pipes and files, freed of dangerous escape sequences on a terminal."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import select
import threading
from collections.abc import Callable
from typing import Final

_HELD_LIMIT: Final = 128
"""A control sequence that has not ended by then is none; text behind it must not be swallowed."""
_STRING_LIMIT: Final = 64 * 1024
_CSI = re.compile(r"\x1b\[([0-?]*)([ -/]*)([@-~])")
_ESCAPE = re.compile(r"\x1b[ -/]+[0-~]")
"""Escapes with intermediates, such as the choice of a character set."""
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[ -/]*)\Z")
_KEPT_FINALS: Final = frozenset("mKA")
"""SGR colours, erase in line, cursor up: what progress bars and tracebacks need."""
_DROPPED = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
"""Control characters but backspace, tab, line feed, carriage return and escape."""


class TerminalFilter:
    """Lets text and harmless control sequences through; titles, clipboards, queries and cursor games are dropped.

    Sequences may be cut anywhere between calls of `feed`.
    """

    def __init__(self) -> None:
        self._held = ""
        self._in_string = 0
        """Characters swallowed of an OSC, DCS, APC, PM or SOS string; 0 = not within one."""

    def feed(self, text: str) -> str:
        """Returns what of `text` may be shown now."""
        text = self._held + text
        self._held = ""
        shown: list[str] = []
        at = 0
        while at < len(text):
            if self._in_string:
                at = self._skip_string(text, at)
                continue
            escape = text.find("\x1b", at)
            if escape < 0:
                shown.append(_DROPPED.sub("", text[at:]))
                break
            shown.append(_DROPPED.sub("", text[at:escape]))
            at = self._escape(text, escape, shown)
        return "".join(shown)

    def end(self) -> str:
        """Forgets an unfinished sequence; nothing of it is shown."""
        self._held, self._in_string = "", 0
        return ""

    def _escape(self, text: str, at: int, shown: list[str]) -> int:
        """Handles the escape character at `at`; returns where to go on."""
        match = _CSI.match(text, at)
        if match is not None:
            if match[3] in _KEPT_FINALS and not match[2] and not set(match[1]) & set("<=>?"):
                shown.append(match[0])
            return match.end()
        match = _ESCAPE.match(text, at)
        if match is not None:
            return match.end()
        if _UNFINISHED.match(text, at):
            if len(text) - at <= _HELD_LIMIT:
                self._held = text[at:]
                return len(text)
            return at + 1
        following = text[at + 1]
        if following in "]PX^_":
            self._in_string = 1
            return at + 2
        if following == "[":
            return at + 2  # malformed: the rest shows as text
        return at + 2 if "0" <= following <= "~" else at + 1

    def _skip_string(self, text: str, at: int) -> int:
        """Swallows a control string up to its terminator (BEL, ST, or an escape); returns where to go on."""
        while at < len(text):
            character = text[at]
            self._in_string += 1
            if character in "\x07\x9c\x18\x1a" or self._in_string > _STRING_LIMIT:
                self._in_string = 0
                return at + 1
            if character == "\x1b":
                if at + 1 == len(text):
                    self._held = "\x1b"
                    return len(text)
                self._in_string = 0
                return at + 2 if text[at + 1] == "\\" else at
            at += 1
        return at


class Sink:
    """Writes to a file descriptor without holding up the event loop: whoever reads a pipe slowly slows the run down,
    and nothing else.

    A thread of its own, a daemon, does what may block; so a reader that never reads cannot keep the program alive.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_terminal = os.isatty(fd)
        self._filter = TerminalFilter() if self._is_terminal else None
        self._jobs: queue.SimpleQueue[Callable[[], None]] | None = None
        self.at_line_start = True
        """Whether what was written last ended a line."""

    @property
    def is_terminal(self) -> bool:
        return self._is_terminal

    async def write(self, text: str) -> None:
        """Writes `text`; returns when the system has it.

        Raises:
            BrokenPipeError: nobody reads.
        """
        if self._filter is not None:
            text = self._filter.feed(text)
        if not text:
            return
        self.at_line_start = text.endswith("\n")
        try:
            # Bytes that are no UTF-8 travel as surrogates; they come out as what they were.
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            data = text.encode("utf-8", "replace")
        if len(data) <= select.PIPE_BUF and self._takes_now():
            os.write(self._fd, data)
            return
        await self._in_thread(data)

    def _takes_now(self) -> bool:
        """Whether PIPE_BUF bytes can be written at once."""
        poll = select.poll()
        try:
            poll.register(self._fd, select.POLLOUT)
            return any(event & select.POLLOUT for _, event in poll.poll(0))
        except (OSError, ValueError):
            return False

    async def _in_thread(self, data: bytes) -> None:
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(self._jobs,), name=f"write-{self._fd}", daemon=True).start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def settle(error: OSError | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def job() -> None:
            error = None
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError as exc:
                error = exc
            try:
                loop.call_soon_threadsafe(settle, error)
            except RuntimeError:
                pass  # the loop is closed: nobody waits any more

        self._jobs.put(job)
        await done

    @staticmethod
    def _serve(jobs: queue.SimpleQueue[Callable[[], None]]) -> None:
        while True:
            jobs.get()()
