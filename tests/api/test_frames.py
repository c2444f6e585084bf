"""What the reader of a run is told of its end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bai_tui.app.backend.api.frames import frames_of
from bai_tui.app.backend.ports import JournalRecord
from bai_tui.app.model.console import RunStatus
from bai_tui.app.model.notices import death_notice


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"reason": "out of memory", "signal": "SIGKILL"}, "The kernel died: out of memory (SIGKILL)."),
        (
            {"reason": "the kernel was killed by SIGSEGV", "signal": "SIGSEGV"},
            "The kernel died: the kernel was killed by SIGSEGV.",
        ),
        ({"exitCode": 3}, "The kernel died with exit code 3."),
        ({"reason": "the session was ended", "signal": "SIGTERM"}, "The session was ended."),
        (
            {"reason": "the session was ended: idle-timeout", "signal": "SIGTERM"},
            "The session was ended: idle-timeout.",
        ),
    ],
)
def test_a_death_is_told_in_one_sentence(data: dict[str, Any], sentence: str) -> None:
    assert death_notice(data) == sentence


def records(*found: tuple[str, Any]) -> list[JournalRecord]:
    return [
        JournalRecord(seq, 1.0, "r", kind, json.dumps([kind, data]).encode())
        for seq, (kind, data) in enumerate(found, 1)
    ]


def test_what_was_dropped_is_a_line_of_error_output() -> None:
    gap = {"first": 2, "last": 9, "bytes": 1288490189}
    (frame,) = frames_of(records(("stdout", "half a line"), ("dropped", gap), ("dropped", {**gap, "bytes": None})))
    assert [json.loads(part) for part in frame.console] == [
        ["stdout", "half a line"],
        ["stderr", "\n[1.2 GiB of output were dropped here: the journal of the session keeps no more]\n"],
        ["stderr", "[output was dropped here: the journal of the session keeps no more]\n"],
    ]


def test_an_end_that_nobody_knows_is_no_success() -> None:
    (frame,) = frames_of(records(("run-finished", {"exitCode": None, "reason": "how the run ended was dropped"})))
    assert (frame.status, frame.exit_code) == (RunStatus.FINISHED, 1)
    assert frame.message == "How the run ended was dropped."
