"""Notices about runs that ended: of which, in what words, and for which terminals."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bai_tui.app.tui.run_notices import RunNotices, by_program, sentence, sequence
from bai_tui.widgets.lines import Run, RunState


def ended(took_s: float, state: RunState = RunState.OK, exit_code: int | None = None) -> Run:
    return Run(3, "fit()", 100.0, state=state, ended_s=100.0 + took_s, exit_code=exit_code)


def looked(run: Run, *, after_s: float = 10.0, now_s: float | None = None) -> Run | None:
    """Looks at a run while it goes on and when it has ended."""
    notices = RunNotices(after_s)
    end, run.ended_s = run.ended_s, None
    assert notices.look("s", run, 100.0) is None
    run.ended_s = end
    found = notices.look("s", run, (end or 0.0) if now_s is None else now_s)
    assert notices.look("s", run, 1e9) is None
    return found


def test_long_runs_are_told_of_once() -> None:
    assert looked(run := ended(11.0)) is run
    assert looked(ended(9.0)) is None
    assert looked(ended(100.0), after_s=0) is None
    # read late from a journal
    assert looked(ended(11.0), now_s=10_000.0) is None
    assert RunNotices(1.0).look("s", ended(11.0), 111.0) is None
    assert RunNotices(1.0).look("s", None, 111.0) is None


def test_the_next_run_may_have_begun_already() -> None:
    notices = RunNotices(10.0)
    run = ended(20.0)
    end, run.ended_s = run.ended_s, None
    notices.look("s", run, 100.0)
    run.ended_s = end
    assert notices.look("s", Run(4, "next()", 120.0), 120.0) is run


def test_sentences() -> None:
    assert sentence("py-1", ended(61.0)) == "py-1: [3] fit() is done after 1m 01s"
    assert sentence("py-1", ended(61.0, RunState.FAILED, 2)) == "py-1: [3] fit() failed (exit 2) after 1m 01s"
    assert "\x1b" not in sentence("a\x1b]0;x\x07", ended(61.0))


@pytest.mark.parametrize(
    ("environ", "made"),
    [
        ({"TERM_PROGRAM": "WezTerm"}, "\x1b]9;a, b c\x1b\\"),
        ({"TERM": "xterm-kitty"}, "\x1b]9;a, b c\x1b\\"),
        ({"TERM": "foot"}, "\x1b]777;notify;bai-tui;a, b c\x1b\\"),
        ({"TERM_PROGRAM": "WezTerm", "TMUX": "x"}, "\x1bPtmux;\x1b\x1b]9;a, b c\x1b\x1b\\\x1b\\"),
        ({"TERM": "xterm-256color"}, ""),
    ],
)
def test_sequences(environ: dict[str, str], made: str) -> None:
    assert sequence("a; b\x07c", environ) == made


async def test_a_program_of_the_desktop_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "note"
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\nprintf "%s" "$last" > {note}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not await by_program("done", {}, "linux")
    assert await by_program("-done", {"DISPLAY": ":0"}, "linux")
    assert note.read_text() == "-done"
    assert not await by_program("done", {"DISPLAY": ":0"}, "darwin") or sys.platform == "darwin"
