"""The record of a session beside its processes, when the disk does not take it."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.runner.files import SessionFiles
from bai_tui.app.backend.service.folders import Folders
from bai_tui.app.model.errors import LaunchFailed

FULL = OSError(28, "No space left on device")


@contextlib.contextmanager
def no_new_name() -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise FULL

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        yield


@contextlib.contextmanager
def room_for_three_bytes() -> Iterator[None]:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.parametrize(("full", "words"), [(room_for_three_bytes, "File too large"), (no_new_name, "No space left")])
def test_a_record_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path, full: Any, words: str) -> None:
    folders = Folders(tmp_path, 0)
    folders.make("one")
    folders.note("one", "earlier")
    with full(), pytest.raises(LaunchFailed, match=words):
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
