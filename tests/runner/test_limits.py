"""What the runner knows of limits, without a session."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bai_tui.app.backend.engines.limits import size_text
from bai_tui.app.backend.runner import limits
from bai_tui.app.backend.runner.limits import Births, EventCount


def counts(told: dict[str, str] | None) -> EventCount:
    return EventCount(told, "oom_kill")


def test_kills_are_told_once_each(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n")
    limit = counts({"events": str(events), "text": "out of memory"})
    assert limit.hit() is None, "what was before it is not this session's"
    events.write_text("oom 3\noom_kill 3\n")
    assert limit.hit() == "out of memory"
    assert limit.hit() is None


def test_version_1_counts_in_another_file(tmp_path: Path) -> None:
    events = tmp_path / "memory.oom_control"
    events.write_text("oom_kill_disable 7\nunder_oom 0\noom_kill 0\n")
    limit = counts({"events": str(events), "text": "1g"})
    events.write_text("oom_kill_disable 9\nunder_oom 1\noom_kill 0\n")
    assert limit.hit() is None
    events.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert limit.hit() is not None


def test_no_limit_and_a_kernel_that_does_not_count(tmp_path: Path) -> None:
    assert counts(None).hit() is None
    assert counts({"events": str(tmp_path / "none"), "text": "1g"}).hit() is None


def test_all_threads_are_pinned() -> None:
    code = "import threading, sys; threading.Thread(target=sys.stdin.read).start(); print('up', flush=True)"
    core = min(os.sched_getaffinity(0))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        limits.pin(process.pid, {core})
        tasks = [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
        assert [os.sched_getaffinity(task) for task in tasks] == [{core}] * 2
        limits.pin(process.pid, {10_000})
        assert os.sched_getaffinity(process.pid) == {core}, "no core is left: it stays where it is"
        process.communicate()
    limits.pin(process.pid, {core})


def test_a_session_goes_before_its_runner() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import limits; limits.yield_memory(); limits.yield_memory()\n"
        "print(open('/proc/self/oom_score_adj').read(), end='')"
    )
    folder = str(Path(limits.__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout == f"{limits.OOM_SCORE}\n"


@pytest.mark.parametrize(
    ("size", "text"), [(1 << 30, "1g"), (3 << 29, "1536m"), (1 << 40, "1t"), (1000, "1000"), (10 << 10, "10k")]
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_refused_tasks_are_counted_by_another_line(tmp_path: Path) -> None:
    events = tmp_path / "pids.events"
    events.write_text("max 0\n")
    limit = EventCount({"events": str(events), "text": "too many"}, "max")
    events.write_text("max 4\n")
    assert (limit.hit(), limit.hit()) == ("too many", None)


def test_births_are_forbidden_and_allowed_as_before(tmp_path: Path) -> None:
    path = tmp_path / "pids.max"
    path.write_text("201")
    births = Births(str(path))
    births.allow()
    assert path.read_text() == "201"
    births.forbid()
    births.forbid()
    assert path.read_text()[0] == "0"
    births.allow()
    assert path.read_text() == "201"
    for nothing in (Births(None), Births(str(tmp_path / "gone" / "pids.max"))):
        nothing.forbid()
        nothing.allow()


def test_a_time_that_is_over_is_known_to_the_runner() -> None:
    held = limits.SessionLimits()
    assert held.ends_s == float("inf")
    before = time.monotonic()
    held.put({"wall_time": {"s": 60.0, "text": "wall-time: enough"}, "cores": None}, os.getpid())
    assert before + 60 <= held.ends_s <= time.monotonic() + 60
    assert held.end_reason == "wall-time: enough"


@pytest.mark.parametrize("other", ["", limits.BACKEND_GROUP])
def test_the_last_process_removes_its_group(tmp_path: Path, other: str) -> None:
    group = tmp_path / "group"
    for folder in (group, tmp_path / limits.BACKEND_GROUP):
        folder.mkdir()
    if other:  # version 2: the parent takes no processes
        (tmp_path / "cgroup.procs").mkdir()
    limits.leave(str(group))
    assert not group.exists()
    assert (tmp_path / other / "cgroup.procs").read_text() == "0"
    limits.leave(str(tmp_path / "gone"))
