"""The size of a journal: what is given up for it, and what its readers are told, whenever they come and lag."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.engines.journal import JournalFollower
from bai_tui.app.backend.ports import JournalRecord
from bai_tui.app.backend.runner.journal import Journal, segment_names
from bai_tui.app.backend.service.journal import find_start, log_text, page, read
from hypothesis import given, settings
from hypothesis import strategies as st

LIMIT = 8 << 10


def on_disk(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in segment_names(str(folder)))


def flood(journal: Journal, run_id: str | None, count: int, width: int = 100) -> None:
    for number in range(count):
        journal.append(run_id, ["stdout", f"{number:0{width}d}\n"])
        journal.flush()


def begin(journal: Journal, run_id: str) -> int:
    return journal.append(run_id, ["run-started", {"mode": "query", "code": "", "options": {}}])


def end(journal: Journal, run_id: str) -> int:
    seq = journal.append(run_id, ["run-finished", {"exitCode": 0}])
    journal.flush()
    return seq


def kinds(folder: Path, after: int = 0) -> list[tuple[str | None, str]]:
    """(run, kind) of all records, neighbours that are equal joined."""
    found: list[tuple[str | None, str]] = []
    for record in read(folder, after):
        if not found or found[-1] != (record.run_id, record.kind):
            found.append((record.run_id, record.kind))
    return found


def test_the_oldest_runs_go_first_and_a_marker_says_so(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), LIMIT)
    for run in range(40):
        begin(journal, f"r{run}")
        flood(journal, f"r{run}", 5)
        end(journal, f"r{run}")
        assert on_disk(tmp_path) <= LIMIT
    first, *others = read(tmp_path)
    assert first.kind == "dropped" and first.run_id is None
    assert first.data["first"] == 1 and first.data["last"] == first.seq == others[0].seq - 1
    assert [record.seq for record in others] == list(range(first.seq + 1, journal.last_seq + 1))
    assert first.data["bytes"] + on_disk(tmp_path) == journal._given_up_bytes + journal.size_bytes
    assert first.data["bytes"] > LIMIT
    assert others[-1].run_id == "r39"
    journal.close()


def test_of_a_run_that_is_too_large_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), LIMIT)
    begin(journal, "old")
    flood(journal, "old", 5)
    end(journal, "old")
    started = begin(journal, "big")
    flood(journal, "big", 500)
    assert kinds(tmp_path, started - 1) == [
        ("big", "run-started"), ("big", "stdout"), ("big", "dropped"), ("big", "stdout")
    ]  # fmt: skip
    records = list(read(tmp_path, started - 1))
    (gap,) = [record for record in records if record.kind == "dropped"]
    head = [record for record in records if record.seq < gap.data["first"]]
    assert sum(len(record.raw) for record in head) >= LIMIT // 8 - 200
    assert [int(record.data) for record in head[1:]] == list(range(len(head) - 1))
    assert int(records[-1].data) == 499
    lost = gap.data["last"] - gap.data["first"] + 1
    assert lost * 100 < gap.data["bytes"] < lost * 200
    # Who begins inside of the gap is told of the rest of it; how many bytes that is, nobody knows.
    rest = next(iter(read(tmp_path, gap.data["first"] + 4)))
    assert rest.data == {"first": gap.data["first"] + 5, "last": gap.seq, "bytes": None}
    assert (rest.run_id, gap.run_id) == ("big", "big")
    end(journal, "big")
    # A later run takes the room of the earlier ones, the kept beginning first.
    begin(journal, "next")
    flood(journal, "next", 500)
    left = kinds(tmp_path)
    assert left[0] == (None, "dropped") and left[-1] == ("next", "stdout")
    assert ("big", "run-started") not in left and ("next", "run-started") in left
    journal.close()


def test_a_run_whose_beginning_is_gone_is_found_with_its_gap(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), LIMIT)
    begin(journal, "one")
    flood(journal, "one", 30)
    end(journal, "one")
    begin(journal, "two")
    flood(journal, "two", 25)
    start = find_start(tmp_path, "one")
    assert start == 0
    assert kinds(tmp_path, start) == [
        (None, "dropped"), ("one", "stdout"), ("one", "run-finished"), ("two", "run-started"), ("two", "stdout")
    ]  # fmt: skip
    flood(journal, "two", 100)
    assert find_start(tmp_path, "one") is None
    start = find_start(tmp_path, "two")
    assert start is not None and next(iter(read(tmp_path, start))).kind == "run-started"
    journal.close()


def test_the_log_says_where_something_is_missing(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), LIMIT)
    begin(journal, "big")
    flood(journal, "big", 20, 100)
    journal.append("big", ["stdout", "no end of a line"])
    flood(journal, "big", 200, 100)
    end(journal, "big")
    text = log_text(tmp_path)
    (mark,) = [line for line in text.splitlines() if line.startswith("[")]
    assert mark.endswith("KiB of output were dropped here: the journal of the session keeps no more]")
    assert text.splitlines()[0] == "0" * 100 and text.splitlines()[-1] == f"{199:0100d}"
    short = log_text(tmp_path, 1000)
    assert short.startswith("[earlier output is left out]\n") and len(short) < 1100
    assert short.endswith(text[-900:])
    journal.close()


def test_pages_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bai_tui.app.backend.service.journal.PAGE_BYTES", 1000)
    journal = Journal(str(tmp_path))
    flood(journal, None, 50)
    assert 9 <= len(page(tmp_path, 0, 1000)) <= 11
    journal.close()


def test_a_record_that_is_too_long_is_cut_or_told(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), LIMIT)
    begin(journal, "r")
    journal.append("r", ["stdout", "\x01é" * 3000])
    journal.append("r", ["html", "<p>" * 2000])
    journal.append("r", ["media", ["image/png", "x" * 5000]])
    journal.append("r", ["run-started", {"mode": "query", "code": "y" * 50_000, "options": {"exec": "z" * 50_000}}])
    assert journal.flush()
    *texts, html, media, control = list(read(tmp_path))[1:]
    assert all(len(record.raw) <= LIMIT // 8 for record in [*texts, html, media, control])
    kept = "".join(record.data for record in texts if record.kind == "stdout")
    assert kept and kept in "\x01é" * 3000
    assert (html.kind, html.data.startswith("[html output of 0.0 MiB was left out")) == ("stderr", True)
    assert media.kind == "stderr" and "media" in media.data
    assert control.kind == "run-started"
    assert on_disk(tmp_path) <= LIMIT
    journal.close()


def test_control_records_keep_what_counts_when_code_is_long(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), 1 << 20)
    journal.append("r", ["run-started", {"mode": "batch", "code": "", "options": {"exec": "z" * 500_000}}])
    journal.flush()
    (record,) = read(tmp_path)
    assert record.data["mode"] == "batch" and record.data["options"]["exec"].startswith("zzz")
    assert len(record.raw) < 10_000
    journal.close()


def test_a_smaller_limit_holds_at_once(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), 1 << 20)
    flood(journal, "r", 1000)
    journal.close()
    before = list(read(tmp_path))
    assert on_disk(tmp_path) > 2 * LIMIT
    again = Journal(str(tmp_path), LIMIT)
    again.append("r", ["stdout", "next"])
    again.flush()
    records = list(read(tmp_path))
    assert records[0].kind == "dropped" or on_disk(tmp_path) > LIMIT
    assert records[-1].seq == before[-1].seq + 1
    again.close()


def test_files_that_cannot_be_removed_hold_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(str(tmp_path), LIMIT)
    unlink = os.unlink

    def refuse(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(os, "unlink", refuse)
    flood(journal, "r", 200)
    assert journal.written_seq == 200 and on_disk(tmp_path) > LIMIT
    monkeypatch.setattr(os, "unlink", unlink)
    flood(journal, "r", 1)
    assert on_disk(tmp_path) <= LIMIT
    journal.close()


async def test_a_reader_of_a_segment_that_is_removed_goes_on_behind_the_gap(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), LIMIT)
    flood(journal, "r", 2)
    follower = JournalFollower(tmp_path, 0)
    assert [record.seq for record in await follower.read()] == [1, 2]
    flood(journal, "r", 200)
    seen: list[JournalRecord] = []
    while found := await follower.read():
        seen += found
    gap = next(record for record in seen if record.kind == "dropped")
    assert gap.run_id == "r"
    # The descriptor was open: what its segment held came, although the file had gone.
    assert [record.seq for record in seen[: seen.index(gap)]] == list(range(3, gap.data["first"]))
    assert [record.seq for record in seen[seen.index(gap) + 1 :]] == list(range(gap.seq + 1, 203))
    assert gap.data["bytes"] > 0
    flood(journal, "r", 1)
    assert [record.seq for record in await follower.read()] == [203]
    follower.close()
    journal.close()


# --- anything may happen


@dataclass
class Reader:
    """Follows, and checks that every number comes exactly once."""

    follower: JournalFollower
    last: int
    records: int = 0

    def take(self, found: list[JournalRecord], world: World) -> None:
        for record in found:
            if record.kind == "dropped":
                data = record.data
                assert data["first"] == self.last + 1 <= data["last"] == record.seq
                runs = {world.runs[seq] for seq in range(data["first"], data["last"] + 1)}
                if record.run_id is not None:
                    assert runs == {record.run_id}, "a gap is said to lie inside of a run only where it does"
                if data["bytes"] is not None:
                    assert data["bytes"] == sum(world.sizes[seq] for seq in range(data["first"], data["last"] + 1))
            else:
                assert record.seq == self.last + 1
                assert (record.run_id, json.loads(record.raw)) == (world.runs[record.seq], world.written[record.seq])
                self.records += 1
            self.last = record.seq


@dataclass
class World:
    folder: Path
    max_bytes: int
    segment_bytes: int | None
    runs: dict[int, str | None] = field(default_factory=dict)
    written: dict[int, list[Any]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    readers: list[Reader] = field(default_factory=list)
    run: str | None = None
    run_first: int = 1
    known_head: bool = True
    bound: int = 0

    def __post_init__(self) -> None:
        self.journal = Journal(str(self.folder), self.max_bytes, self.segment_bytes)

    def append(self, record: list[Any]) -> None:
        before = self.journal._given_up_bytes + self.journal._old_bytes + self.journal._size
        seq = self.journal.append(self.run, record)
        self.runs[seq], self.written[seq] = self.run, record
        self.sizes[seq] = self.journal._given_up_bytes + self.journal._old_bytes + self.journal._size - before

    def flush(self) -> None:
        assert self.journal.flush()
        assert on_disk(self.folder) == self.journal.size_bytes <= self.max_bytes
        if self.known_head:
            # Of what the run that is going on has written, its beginning is there.
            first = next((record for record in read(self.folder, self.run_first - 1)), None)
            assert first is None or (first.seq, first.kind) == (
                self.run_first,
                "run-started" if self.run else first.kind,
            )

    def reopen(self, max_bytes: int) -> None:
        self.journal.close()
        self.known_head = False  # where the run began is not on disk in so many words
        self.max_bytes = max_bytes
        self.journal = Journal(str(self.folder), max_bytes, self.segment_bytes)
        assert self.journal.last_seq == max(self.runs, default=0)
        self.flush_or_shrink()

    def flush_or_shrink(self) -> None:
        # A segment that was made for a larger journal may alone be too large until the next one begins.
        self.journal.flush()


operation = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 400)),
    st.tuples(st.just("burst"), st.integers(0, 400)),
    st.tuples(st.just("run"), st.integers(0, 3)),
    st.tuples(st.just("flush"), st.just(0)),
    st.tuples(st.just("reader"), st.integers(0, 120)),
    st.tuples(st.just("read"), st.integers(0, 7)),
    st.tuples(st.just("close"), st.integers(0, 7)),
    st.tuples(st.just("reopen"), st.just(0)),
)


@settings(max_examples=500, deadline=None)
@given(
    st.integers(8 << 10, 10 << 10),
    st.sampled_from([None, 1, 300, 2000]),
    st.booleans(),
    st.lists(operation, min_size=20, max_size=80),
)
def test_every_number_comes_once_as_a_record_or_in_a_gap(
    max_bytes: int, segment_bytes: int | None, reopens: bool, operations: list[tuple[str, int]]
) -> None:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    world = World(folder, max_bytes, segment_bytes)
    try:
        for name, value in operations:
            if name == "append":
                world.append(["stdout", "x" * value])
            elif name == "burst":
                for _ in range(10):
                    world.append(["stdout", "y" * value])
            elif name == "run":
                world.run, world.known_head = f"run-{len(world.runs)}", True
                world.append(["run-started", {"n": value}])
                world.run_first = world.journal.last_seq
            elif name == "flush":
                world.flush()
            elif name == "reader":
                after = min(value, world.journal.written_seq)
                world.readers.append(Reader(JournalFollower(folder, after), after))
            elif name == "reopen" and reopens:
                world.flush()
                world.reopen(max_bytes)
            elif world.readers:
                reader = world.readers[value % len(world.readers)]
                if name == "read":
                    reader.take(reader.follower.read_now(), world)
                elif name == "close":
                    reader.follower.close()
        world.flush()
        for reader in world.readers:
            while found := reader.follower.read_now():
                reader.take(found, world)
            assert reader.last == world.journal.last_seq
    finally:
        for reader in world.readers:
            reader.follower.close()
        world.journal.close()
        shutil.rmtree(folder)


async def test_readers_in_a_loop_miss_nothing_while_a_thread_writes(tmp_path: Path) -> None:
    """The same with true concurrency: files come and go between any two looks of a reader."""
    journal = Journal(str(tmp_path), 32 << 10, 1 << 10)
    done = False

    def write() -> None:
        nonlocal done
        for number in range(6000):
            journal.append("r", ["stdout", f"{number}"])
            if number % 3 == 0:
                journal.flush()
        journal.close()
        done = True

    async def follow(after: int) -> None:
        follower, last, gaps = JournalFollower(tmp_path, after), after, 0
        while True:
            ended = done
            found = await follower.read()
            for record in found:
                if record.kind == "dropped":
                    assert record.data["first"] == last + 1
                    gaps += 1
                else:
                    assert record.seq == last + 1 and record.data == f"{record.seq - 1}"
                last = record.seq
            if not found and ended:
                break
            await asyncio.sleep(0)
        follower.close()
        assert last == 6000

    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(write))
        for after in (0, 1, 500, 3000):
            group.create_task(follow(after))
