"""The record of a session beside its processes, when the disk does not take it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from bai_tui.app.backend.runner.files import SessionFiles
from bai_tui.app.backend.service.folders import Folders
from bai_tui.app.model.errors import LaunchFailed

FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_a_record_that_cannot_be_written_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folders = Folders(tmp_path, 0)
    folders.make("one")
    folders.note("one", "earlier")

    def refuse(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(Path, step, refuse)
    with pytest.raises(LaunchFailed, match="No space left"):
        folders.note("one", "later")
    assert folders.noted("one") == "earlier"
    assert sorted(item.name for item in (tmp_path / "one").iterdir()) == ["session.json", "work"]


def test_what_a_runner_cannot_note_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = SessionFiles.__new__(SessionFiles)  # without its socket and journal
    files.session_dir = str(tmp_path)

    def refuse(*_: object) -> None:
        raise FULL

    monkeypatch.setattr("os.replace", refuse)
    files._write("exit.json", {"code": 0})
    assert list(tmp_path.iterdir()) == []
    assert "No space left" in capsys.readouterr().err
    done = False
    with contextlib.suppress(OSError), open("/dev/full", "w", buffering=1) as log:  # the log is on the same disk
        monkeypatch.setattr("sys.stderr", log)
        files._write("exit.json", {"code": 0})
        done = True
    assert done
    assert list(tmp_path.iterdir()) == []
