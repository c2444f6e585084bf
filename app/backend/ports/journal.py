"""What a session has written: the records of its journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One line of a session's journal.

    On disk: `{"seq":12,"t":1763870000.123,"run":"<run id>","rec":["stdout","..."]}` and a newline; `rec` is always
    last, so that its bytes can be handed on without being decoded. The first of a segment says before `rec` how many
    bytes of journal came before it (`"at":123456`). Besides the console records of
    `model.console` there are control records:

    `["run-started", {"mode", "code", "options"}]`, `["waiting-input", {"is_password": bool}]`,
    `["clean-finished", {"exitCode"}]`, `["build-finished", {"exitCode"}]`,
    `["run-finished", {"exitCode", "signal"?}]`, `["kernel-started", {"pid"}]`,
    `["kernel-died", {"exitCode", "signal"?, "reason"}]`.

    Readers are also given `["dropped", {"first": 12, "last": 4711, "bytes": 123456}]`, which is on no disk: these
    records were there and were given up to keep the journal within its size. Its own number is `last`.
    """

    seq: int
    """1, 2, 3, ... without gaps within one session."""
    time_s: float
    """Unix time at which the runner wrote it."""
    run_id: str | None
    """None for records that belong to no run (a kernel that starts, late output of a background process)."""
    kind: str
    """First element of `rec`."""
    raw: bytes
    """`rec` as JSON bytes."""

    @property
    def data(self) -> Any:
        """Second element of `rec`, decoded; None where it is no JSON.

        The code of a session without isolation can write into the files of its own journal, so that nothing of it may
        be taken for granted.
        """
        try:
            return json.loads(self.raw)[1]
        except (ValueError, LookupError, RecursionError):
            return None

    @property
    def told(self) -> Mapping[str, Any]:
        """What a control record says; empty where it says nothing that can be read."""
        data = self.data
        return data if isinstance(data, dict) else {}

    @property
    def exit_code(self) -> int | None:
        """Exit code that a control record tells, as a shell shows it; None = none that is known."""
        code = self.told.get("exitCode")
        return code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 31 else None

    @property
    def reason(self) -> str:
        """Why, where a control record tells it; else empty."""
        return str(self.told.get("reason") or "")


@dataclass(slots=True)
class RunSummary:
    """What the journal of a session tells of one of its runs."""

    run_id: str
    after: int
    """Journal number before its first record."""
    started_s: float
    """Unix time."""
    mode: str
    """`query` or `batch`."""
    code: str
    """Its beginning; in batch mode the command."""
    last_seq: int | None = None
    """Journal number of its end; None while it goes on, or when nobody has seen its end."""
    ended_s: float | None = None
    exit_code: int | None = None
    died: bool = False
    """It ended with its kernel."""
    reason: str = ""
    """Why it died or failed, where that is known."""


UPLOAD_PREFIX: Final = ".upload-"
"""Folders of a work folder whose name begins so hold an upload under way: half a file is never seen as a whole one."""
