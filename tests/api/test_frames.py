"""What the reader of a run is told of its end."""

from __future__ import annotations

from typing import Any

import pytest
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
