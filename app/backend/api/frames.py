"""From journal records to frames: the records' bytes are spliced in as they are, never decoded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...model.console import RunStatus, dropped_notice
from ...model.notices import death_notice
from ..ports import JournalRecord

MAX_FRAME_BYTES: Final = 256 * 1024
"""A frame takes no further record once it holds this much."""
SILENT_KINDS: Final = frozenset({"run-started", "kernel-started"})
"""Records that a watcher of a run is not shown."""
_ENDINGS: Final = frozenset({"run-finished", "kernel-died"})
_STATUS_OF: Final = {
    "waiting-input": RunStatus.WAITING_INPUT,
    "clean-finished": RunStatus.CLEAN_FINISHED,
    "build-finished": RunStatus.BUILD_FINISHED,
    "run-finished": RunStatus.FINISHED,
    "kernel-died": RunStatus.FINISHED,
}
"""Control records -> the status of the frame that they close."""


@dataclass(slots=True)
class FrameParts:
    """One frame before it is written out."""

    status: RunStatus
    console: list[bytes]
    """Records as JSON bytes."""
    exit_code: int | None = None
    options: dict[str, Any] | None = None
    seq: int | None = None
    """Journal number of the last record that went in."""
    message: str | None = None

    def dump(self, run_id: str) -> bytes:
        """Returns the frame as JSON bytes."""
        tail: dict[str, Any] = {
            "exitCode": self.exit_code,
            "options": self.options,
            "files": [],
            "seq": self.seq,
            "runId": run_id,
        }
        if self.message is not None:
            tail["msg"] = self.message
        return b'{"status":"%s","console":[%s],%s' % (
            self.status.value.encode(),
            b",".join(self.console),
            json.dumps(tail).encode()[1:],
        )


def text_record(kind: str, text: str) -> bytes:
    return json.dumps([kind, text]).encode()


def failure(message: str) -> FrameParts:
    """Returns the frame that tells a failure so that every client shows it: as error output and an end."""
    return FrameParts(
        RunStatus.FINISHED, [text_record("stderr", message + "\n")], exit_code=1, options=None, message=message
    )


def is_end(record: JournalRecord) -> bool:
    """Whether `record` is the last of its run."""
    return record.kind in _ENDINGS


def tells(record: JournalRecord) -> bool:
    """Whether `record` closes a frame with a status of its own."""
    return record.kind in _STATUS_OF


def frames_of(records: Iterable[JournalRecord], *, max_bytes: int = MAX_FRAME_BYTES) -> list[FrameParts]:
    """Returns the frames for `records`: joined up to `max_bytes`, split where a status has to be told."""
    frames: list[FrameParts] = []
    parts = FrameParts(RunStatus.CONTINUED, [])
    size = 0
    for record in records:
        kind = record.kind
        if kind in SILENT_KINDS:
            continue
        status = _STATUS_OF.get(kind)
        parts.seq = record.seq
        if status is None:
            parts.console.append(record.raw if kind != "dropped" else _dropped(record, parts.console))
            size += len(parts.console[-1])
            if size < max_bytes:
                continue
        else:
            _close(parts, status, record)
        frames.append(parts)
        parts, size = FrameParts(RunStatus.CONTINUED, []), 0
    if parts.console:
        frames.append(parts)
    return frames


def _dropped(record: JournalRecord, console: Sequence[bytes]) -> bytes:
    """Returns a line of error output: the public protocol has no word for it."""
    begins_line = bool(console) and console[-1].endswith(b'\\n"]')
    return text_record("stderr", ("" if begins_line else "\n") + dropped_notice(record.told) + "\n")


def _close(parts: FrameParts, status: RunStatus, record: JournalRecord) -> None:
    parts.status = status
    if record.kind == "waiting-input":
        parts.options = {"is_password": bool(record.told.get("is_password"))}
        return
    parts.exit_code, died = record.exit_code, record.kind == "kernel-died"
    if died or (parts.exit_code is None and record.reason):
        notice = death_notice(record.told) if died else f"{record.reason.capitalize()}."
        parts.console.append(text_record("stderr", notice + "\n"))
        parts.message = notice
        if parts.exit_code is None:
            parts.exit_code = 1
