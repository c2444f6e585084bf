"""Turns frames of a run and records of a journal into a transcript: nothing missing, nothing twice.

Both carry the journal's sequence number, so that what came over the websocket is not shown again when the journal
is read after a lost connection. Pure: no Textual, no clock, no client.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any, Final

from ...widgets.html_blocks import html_text
from ...widgets.picture import amount_bytes
from ...widgets.text import one_line, size
from ...widgets.transcript import Media, Run, RunState, Transcript
from ..client.views import JournalLine
from ..model.console import ConsoleRecord, Frame, RunStatus, dropped_notice
from ..model.notices import death_notice

_SAME_AS: Final = re.compile(r"<!-- as text above: lines=(\d{1,6}) crc32=([0-9a-f]{8}) -->\s*\Z")
"""Ends HTML of our runner whose plain text went out before it, see `backend/runner/display.py`."""
_INTERRUPTED: Final = frozenset({130, -2})
_MAX_MIME_CHARS: Final = 80
_ALT_CHARS: Final = 20_000
"""Of rich text, for search and copies."""


class Feed:
    """One session's transcript and how far it has been read."""

    def __init__(self, transcript: Transcript | None = None) -> None:
        self.transcript = transcript or Transcript()
        self.last_seq = 0
        """Journal number of the newest record in the transcript."""
        self._by_id: dict[str, Run] = {}
        self._interrupting: Run | None = None

    @property
    def current(self) -> Run | None:
        """The run that is going on, as far as we know."""
        return self.transcript.current

    def begin(self, code: str, now_s: float) -> Run:
        """Begins a run of ours."""
        return self.transcript.begin(code, now_s)

    def interrupting(self) -> None:
        """Takes that the run that is going on was interrupted by the user."""
        self._interrupting = self.current

    def frame(self, run: Run, frame: Frame, now_s: float) -> None:
        """Takes a frame of a run of ours."""
        self.transcript.now_s = now_s
        if frame.run_id is not None:
            run.run_id = frame.run_id
            self._by_id[frame.run_id] = run
        if run.going and run.state is RunState.STARTING:
            run.state, run.note = RunState.RUNNING, ""
            self.transcript.touch(run)
        if frame.seq is None or frame.seq > self.last_seq:
            self._records(frame.console)
            self.last_seq = frame.seq if frame.seq is not None else self.last_seq
        waiting = frame.status is RunStatus.WAITING_INPUT
        if waiting or (run.waiting and (frame.console or frame.status is not RunStatus.CONTINUED)):
            run.prompt = (frame.seq or 0) if waiting else run.prompt
            self._waits(run, waiting, bool((frame.options or {}).get("is_password")))
        if frame.status is RunStatus.FINISHED:
            self._finish(run, frame.exit_code, now_s)
        elif frame.status is RunStatus.EXEC_TIMEOUT:
            self.transcript.note("the run was cut off: it took longer than the server allows", "error")
            self.transcript.finish(run, RunState.FAILED, now_s, frame.exit_code)

    def answered(self, run: Run, text: str) -> None:
        """Takes that the user answered a prompt; what was typed is shown unless it is secret."""
        self.transcript.write("\n" if run.is_password else text + "\n")
        self._waits(run, False, False)

    def asks_again(self, run: Run, is_password: bool) -> None:
        """Takes that an answer did not arrive."""
        if run.going:
            self._waits(run, True, is_password)

    def fail(self, run: Run, reason: str, now_s: float, *, state: RunState = RunState.FAILED) -> None:
        """Ends a run that the server refused or gave up."""
        if run.going:
            self.transcript.finish(run, state, now_s)
            self.transcript.note(reason, "error")

    def journal(self, lines: Sequence[JournalLine]) -> None:
        """Takes journal records; those that are known already change nothing."""
        for line in lines:
            if line.seq > self.last_seq:
                self.last_seq = line.seq
                self._journal_line(line)

    def begun_before(self, run_id: str, code: str, started_s: float) -> None:
        """Takes that the records which follow are of a run that began before the first of them."""
        if run_id not in self._by_id:
            run = self.transcript.begin(code, started_s, run_id=run_id, ours=False, state=RunState.RUNNING)
            self._by_id[run_id] = run

    def _journal_line(self, line: JournalLine) -> None:
        self.transcript.now_s = line.time_s
        kind, data, current = line.kind, line.data if isinstance(line.data, dict) else {}, self.current
        run = self._by_id.get(line.run_id or "")
        if kind == "run-started":
            if run is not None:
                return
            code = str(data.get("code") or "") or str((data.get("options") or {}).get("exec") or "")
            if current is not None and current.ours and current.run_id is None and current.code == code:
                run = current
            else:
                if current is not None:
                    self.transcript.finish(current, RunState.LOST, line.time_s)
                run = self.transcript.begin(code, line.time_s, ours=False)
            run.state, run.run_id, run.note = RunState.RUNNING, line.run_id, ""
            self.transcript.touch(run)
            if line.run_id is not None:
                self._by_id[line.run_id] = run
        elif kind == "run-finished":
            if (run := run or current) is not None:
                self._finish(run, _exit_code(data), line.time_s)
        elif kind == "waiting-input":
            if run is not None and run.going:
                run.prompt = line.seq
                self._waits(run, True, bool(data.get("is_password")))
        elif kind == "dropped":
            self.transcript.note(dropped_notice(data), "alarm")
        elif kind == "kernel-died":
            # one that dies beside a shell command ends no run: its record names none
            if run is not None:
                self.transcript.finish(run, RunState.FAILED, line.time_s, _exit_code(data))
            self.transcript.note(death_notice(data), "error")
        elif kind in ("kernel-started", "clean-finished", "build-finished"):
            return
        else:
            if run is not None and run.waiting:
                self._waits(run, False, False)
            self._records([(kind, line.data)])

    def _records(self, records: Sequence[ConsoleRecord]) -> None:
        for kind, data in records:
            if kind in ("stdout", "stderr"):
                self.transcript.write(str(data), error=kind == "stderr")
            elif kind == "media" and isinstance(data, list | tuple) and len(data) == 2:
                self._media(str(data[0]), str(data[1]))
            elif kind == "html":
                self._html(str(data))
            elif kind == "log" and isinstance(data, list | tuple) and len(data) == 4:
                level, _, logger, text = (str(part) for part in data)
                self.transcript.note(f"{level} {logger}: {text}", "quiet")
            else:
                self.transcript.note(f"[{kind}] {_short(data)}", "media")

    def _media(self, mime: str, data: str) -> None:
        mime = one_line(mime[:_MAX_MIME_CHARS])
        if mime == "text/plain" and not data.startswith("data:"):
            self.transcript.write(data if data.endswith("\n") else data + "\n")
        elif mime == "text/html":
            self._html(data)
        else:
            is_text = mime.startswith("text/") or mime.endswith("json")
            alt = data[:_ALT_CHARS] if is_text else f"[{mime} {size(amount_bytes(data))}]"
            self.transcript.media(Media(mime, data, alt))

    def _html(self, text: str) -> None:
        same = _SAME_AS.search(text[-80:])
        said = None
        if same is not None:
            # the table stands in place of its text, which is kept for copies and the search
            said = self.transcript.take_back(int(same[1]), lambda found: _checksum(found) == int(same[2], 16))
        self.transcript.media(Media("text/html", text, said or html_text(text[:_ALT_CHARS]) or "[text/html]"))

    def _waits(self, run: Run, waiting: bool, is_password: bool) -> None:
        run.waiting, run.is_password = waiting, is_password
        self.transcript.touch(run)

    def _finish(self, run: Run, exit_code: int | None, now_s: float) -> None:
        state = RunState.OK if not exit_code else RunState.FAILED
        if exit_code in _INTERRUPTED or (exit_code and self._interrupting is run):
            state = RunState.INTERRUPTED
        self.transcript.finish(run, state, now_s, exit_code)


def _exit_code(data: dict[str, Any]) -> int | None:
    code = data.get("exitCode")
    return code if isinstance(code, int) else None


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "replace"))


def _short(data: object) -> str:
    text = str(data)
    return text if len(text) <= 200 else text[:199] + "…"
