"""What a run says: console records and the frames in which they travel (wire contract 6).

A *record* is `(type, data)`. Text of `stdout` and `stderr` is untrusted: it may hold escape sequences and
may be cut anywhere between characters.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .errors import BadRequest

ConsoleRecord = tuple[str, Any]
"""`("stdout", text)`, `("stderr", text)`, `("media", [mime, text or data URI])`, `("html", text)`,
`("log", [level, iso_time, logger, text])`."""


def dropped_notice(data: Any) -> str:
    """Returns the sentence that stands where a record `dropped` says that output was given up; without a newline.

    Args:
        data: of the record: `first` and `last` number of what is missing, and `bytes`, None where not known.
    """
    size = data.get("bytes") if isinstance(data, dict) else None
    if not isinstance(size, int) or isinstance(size, bool):
        return "[output was dropped here: the journal of the session keeps no more]"
    unit = next((name, scale) for name, scale in _UNITS if size >= scale or scale == 1)
    amount = f"{size / unit[1]:.1f}".removesuffix(".0")
    return f"[{amount} {unit[0]} of output were dropped here: the journal of the session keeps no more]"


_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("bytes", 1))

END_OF_INPUT = "\x04"
"""As an answer to a prompt: there is no more (capability `end-of-input`; a terminal's ctrl+D)."""


class RunStatus(StrEnum):
    """What a frame announces."""

    CONTINUED = "continued"
    CLEAN_FINISHED = "clean-finished"
    BUILD_FINISHED = "build-finished"
    WAITING_INPUT = "waiting-input"
    FINISHED = "finished"
    EXEC_TIMEOUT = "exec-timeout"
    ERROR = "error"


class RunMode(StrEnum):
    QUERY = "query"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class ExecuteRequest:
    """The first frame of an execute stream."""

    mode: RunMode
    code: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    """Batch mode: `clean`, `build`, `exec` (shell commands; `*` = the image's default, empty or null = skip) and
    `buildLog`."""
    run_id: str | None = None
    """Chosen by the client, so that it can find the run again (capability `follow`); None = the server takes one."""

    @classmethod
    def parse(cls, text: str) -> ExecuteRequest:
        """Reads a first frame.

        Raises:
            BadRequest: no JSON object, an unknown mode, or fields of the wrong type.
        """
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise BadRequest(f"the first frame of an execute stream must be a JSON object: {exc}") from None
        if not isinstance(body, dict):
            raise BadRequest("the first frame of an execute stream must be a JSON object")
        mode, code, options = body.get("mode"), body.get("code") or "", body.get("options") or {}
        if mode not in ("query", "batch"):
            raise BadRequest(f"the mode {mode!r} of an execute stream is not known: use 'query' or 'batch'")
        run_id = body.get("runId")
        if not isinstance(run_id, str | None):
            raise BadRequest("in an execute stream 'runId' is a string")
        if not isinstance(code, str) or not isinstance(options, dict):
            raise BadRequest("in an execute stream 'code' is a string and 'options' an object")
        for step in ("clean", "build", "exec"):
            if not isinstance(options.get(step), str | None):
                raise BadRequest(f"in an execute stream the option {step!r} is a shell command, that is, a string")
        try:
            if "\\u" in text:  # nothing else in JSON makes half a pair
                json.dumps([code, options], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise BadRequest("the text of an execute stream holds half of a surrogate pair") from None
        return cls(RunMode(mode), code, options, run_id)

    def dump(self) -> str:
        body = {"code": self.code, "mode": self.mode.value, "options": self.options}
        return json.dumps(body if self.run_id is None else {**body, "runId": self.run_id})


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the server in an execute stream."""

    status: RunStatus
    console: list[ConsoleRecord] = field(default_factory=list)
    exit_code: int | None = None
    options: dict[str, Any] | None = None
    message: str | None = None
    """`msg` of an `error` frame."""
    seq: int | None = None
    """Journal number of the last record in the frame; None when the server keeps no journal."""
    run_id: str | None = None

    @classmethod
    def parse(cls, text: str | bytes) -> Frame:
        """Reads a server frame leniently: unknown statuses count as `continued`, absent parts as empty.

        Raises:
            BadRequest: no JSON object.
        """
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise BadRequest(f"the server sent a frame that is no JSON: {exc}") from None
        if not isinstance(body, dict):
            raise BadRequest("the server sent a frame that is no JSON object")
        status, console, options = body.get("status"), body.get("console"), body.get("options")
        exit_code, seq = body.get("exitCode"), body.get("seq")
        return cls(
            status=RunStatus(status) if status in _STATUSES else RunStatus.CONTINUED,
            console=[(str(item[0]), item[1]) for item in console if isinstance(item, list) and len(item) == 2]
            if isinstance(console, list)
            else [],
            exit_code=exit_code if isinstance(exit_code, int) else None,
            options=options if isinstance(options, dict) else None,
            message=_text(body.get("msg")),
            seq=seq if isinstance(seq, int) else None,
            run_id=_text(body.get("runId")),
        )


_STATUSES = [status.value for status in RunStatus]  # a list: what a server sends need not be hashable


def _text(value: object) -> str | None:
    return None if value is None else str(value)
