"""The journal on disk: numbering, segments, torn lines, full disks; and readers that follow it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.engines.journal import JournalFollower, last_seq, parse
from bai_tui.app.backend.runner.journal import Journal, segment_name
from hypothesis import given
from hypothesis import strategies as st


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_bytes().splitlines()]


def test_records_are_numbered_lines_with_rec_last(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    assert journal.append("run", ["stdout", "한글 \ud800\n"]) == 1
    assert journal.append(None, ["kernel-started", {"pid": 1}]) == 2
    assert lines(tmp_path) == [], "nothing is written before flush"
    assert journal.flush()
    journal.close()
    first, second = (tmp_path / segment_name(1)).read_bytes().splitlines()
    assert first.endswith(b'"rec":["stdout","\\ud55c\\uae00 \\ud800\\n"]}')
    assert second.endswith(b',"run":null,"rec":["kernel-started",{"pid":1}]}')


def test_a_new_segment_is_named_after_its_first_record(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), segment_bytes=200)
    for number in range(10):
        journal.append("r", ["stdout", "x" * 60 + str(number)])
    journal.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) > 2
    for name in names:
        assert json.loads((tmp_path / name).read_text().splitlines()[0])["seq"] == int(name.partition(".")[0])
    assert [line["seq"] for line in lines(tmp_path)] == list(range(1, 11))


def test_a_torn_last_line_is_cut_off_and_its_number_used_again(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    journal.append("r", ["stdout", "whole"])
    journal.close()
    with (tmp_path / segment_name(1)).open("ab") as file:
        file.write(b'{"seq":2,"t":1.0,"run":"r","rec":["std')
    again = Journal(str(tmp_path))
    assert again.append("r", ["stdout", "next"]) == 2
    again.close()
    assert [(line["seq"], line["rec"][1]) for line in lines(tmp_path)] == [(1, "whole"), (2, "next")]


def test_links_and_pipes_that_a_session_has_put_there_are_not_read(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"))
    journal.append(None, ["stdout", "one"])
    journal.flush()
    journal.close()
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_bytes((tmp_path / "journal" / segment_name(1)).read_bytes().replace(b'"seq":1', b'"seq":2'))
    (tmp_path / "journal" / segment_name(2)).symlink_to(elsewhere)
    os.mkfifo(tmp_path / "journal" / segment_name(3))
    assert last_seq(tmp_path / "journal") == 1


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(str(tmp_path))
    write, room = os.write, [10]

    def cramped(fd: int, data: bytes) -> int:
        if not room:
            return write(fd, data)
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "no space")
        count = write(fd, data[: room[0]])
        room[0] -= count
        return count

    monkeypatch.setattr(os, "write", cramped)
    journal.append("r", ["stdout", "one"])
    assert not journal.flush()
    journal.append("r", ["stdout", "two"])
    assert (journal.written_seq, journal.waiting_bytes > 0) == (0, True)
    room.clear()
    assert journal.flush()
    assert (journal.written_seq, journal.waiting_bytes) == (2, 0)
    journal.close()
    assert [line["rec"][1] for line in lines(tmp_path)] == ["one", "two"]


async def read_all(follower: JournalFollower) -> list[int]:
    found = []
    while records := await follower.read():
        found += [record.seq for record in records]
    return found


@pytest.mark.parametrize("segment_bytes", [1, 5_000, 1 << 30])
async def test_a_follower_finds_its_place(tmp_path: Path, segment_bytes: int) -> None:
    journal = Journal(str(tmp_path), segment_bytes=segment_bytes)
    for number in range(200):
        journal.append("r", ["stdout", "y" * (number * 37 % 9000)])
    journal.flush()
    for after in (0, 1, 77, 198, 199, 200, 500):
        follower = JournalFollower(tmp_path, after)
        last = journal.last_seq
        assert await read_all(follower) == list(range(after + 1, last + 1))
        if after <= last:
            assert follower.after == last
            journal.append("r", ["stdout", "more"])
            journal.flush()
            assert await read_all(follower) == [journal.last_seq]
        follower.close()
    journal.close()


async def test_a_follower_waits_for_the_rest_of_a_line(tmp_path: Path) -> None:
    line = b'{"seq":1,"t":1.0,"run":"r","rec":["stdout","all of it"]}\n'
    path = tmp_path / segment_name(1)
    follower = JournalFollower(tmp_path, 0)
    assert await follower.read() == []
    path.write_bytes(line[:30])
    assert await follower.read() == []
    path.write_bytes(line)
    (record,) = await follower.read()
    assert (record.kind, record.data, record.run_id) == ("stdout", "all of it", "r")
    follower.close()


@given(st.text(), st.none() | st.uuids().map(str), st.sampled_from(["stdout", "stderr", "html", "run-finished"]))
def test_whatever_is_written_is_parsed(text: str, run_id: str | None, kind: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(folder)
        journal.append(run_id, [kind, text])
        journal.close()
        record = parse((Path(folder) / segment_name(1)).read_bytes()[:-1])
    assert record is not None
    assert (record.run_id, record.kind, record.data) == (run_id, kind, text)
    assert json.loads(record.raw) == [kind, text]
