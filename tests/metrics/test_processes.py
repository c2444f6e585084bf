"""Whose a process is, and what it has used: on real trees, and on a written /proc for what cannot be made to happen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.metrics import processes
from bai_tui.app.backend.metrics.processes import Group, Process, ProcessTable, group_of


@pytest.fixture
def table() -> Iterator[ProcessTable]:
    table = ProcessTable()
    yield table
    table.close()


def pids(group: Group) -> set[int]:
    return {process.pid for process in group.below}


def runner_of(group: Group) -> Process:
    assert group.runner is not None
    return group.runner


def test_double_forked_children_hang_below_their_runner(table: ProcessTable, tree: Callable[[str], Any]) -> None:
    script = """
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(w, str(os.getpid()).encode())
        time.sleep(60)
    os._exit(0)
os.wait()
tell(int(os.read(r, 20)))
asked()
"""
    first, second = tree(script), tree(script)
    orphans = first.said(), second.said()
    groups = table.scan({first.pid: "a", second.pid: "b", 2**30: "gone"})
    for session_id, runner, (orphan,) in (("a", first, orphans[0]), ("b", second, orphans[1])):
        assert runner_of(groups[session_id]).pid == runner.pid
        assert pids(groups[session_id]) == {orphan}
        assert groups[session_id].changed
    assert not table.scan({first.pid: "a", second.pid: "b"})["a"].changed
    for (orphan,) in orphans:
        os.kill(orphan, signal.SIGKILL)


def test_a_process_below_two_runners_is_of_the_nearer_one(table: ProcessTable, tree: Callable[[str], Any]) -> None:
    outer = tree("""
inner = os.fork()
if inner == 0:
    if os.fork() == 0:
        time.sleep(60)
    time.sleep(60)
tell(inner)
asked()
""")
    (inner,) = outer.said()
    groups = table.scan({outer.pid: "outer", inner: "inner"})
    assert pids(groups["outer"]) == set()
    assert runner_of(groups["inner"]).pid == inner


def test_children_that_ended_are_counted_by_who_waited_for_them(
    table: ProcessTable, tree: Callable[[str], Any]
) -> None:
    runner = tree("""
if os.fork() == 0:
    while time.process_time() < 0.2:
        pass
    with open("/dev/null", "wb") as file:
        file.write(b"x")
    os._exit(0)
os.wait()
tell(1)
asked()
""")
    runner.said()
    group = table.scan({runner.pid: "a"})["a"]
    assert group.below == []
    assert runner_of(group).waited_ticks >= 0.2 * os.sysconf("SC_CLK_TCK") - 1


def test_what_went_to_storage(table: ProcessTable, tree: Callable[[str], Any], tmp_path: Path) -> None:
    runner = tree(f"""
if os.fork() == 0:
    with open({str(tmp_path / "file")!r}, "wb") as file:
        file.write(bytes(4 << 20))
        file.flush()
        os.fsync(file.fileno())
    tell(1)
    time.sleep(60)
time.sleep(60)
""")
    runner.said()
    (child,) = table.scan({runner.pid: "a"})["a"].below
    told = dict(line.split(": ") for line in Path(f"/proc/{child.pid}/io").read_text().splitlines())
    # a memory file system writes nothing to storage: the system's own number is what counts
    assert child.written_bytes == int(told["write_bytes"])


def test_ends_between_two_rounds_and_in_one(table: ProcessTable, tree: Callable[[str], Any]) -> None:
    runner = tree("""
child = os.fork()
if child == 0:
    time.sleep(60)
tell(child)
asked()
tell(1)
asked()
os.wait()
tell(1)
asked()
""")
    (child,) = runner.said()
    assert pids(table.scan({runner.pid: "a"})["a"]) == {child}
    os.kill(child, signal.SIGKILL)
    runner.go_on()
    runner.said()
    while True:  # the kernel makes it a zombie in its own time
        (zombie,) = table.scan({runner.pid: "a"})["a"].below
        if zombie.ended:
            break
    runner.go_on()
    runner.said()
    group = table.scan({runner.pid: "a"})["a"]
    assert group.below == [] and group.changed


def write(proc: Path, pid: int, ppid: int, *, started: int = 5, name: str = "x", utime: int = 7) -> None:
    (proc / str(pid)).mkdir(parents=True, exist_ok=True)
    fields = ["S", ppid, 0, 0, 0, -1, 0, 0, 0, 0, 0, utime, 1, 2, 3, 20, 0, 1, 0, started, 4096, 10, 99]
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(map(str, fields))} 0 0\n")


def test_a_name_may_hold_anything(tmp_path: Path) -> None:
    write(tmp_path, 10, 1)
    write(tmp_path, 11, 10, name=") S 99 (\n) 7")
    table = ProcessTable(tmp_path)
    (process,) = table.scan({10: "a"})["a"].below
    assert (process.pid, process.ppid, process.own_ticks, process.waited_ticks) == (11, 10, 8, 5)
    table.close()


def test_a_number_that_was_given_again_is_another_process(tmp_path: Path) -> None:
    write(tmp_path, 10, 1, started=5)
    write(tmp_path, 11, 10)
    table = ProcessTable(tmp_path)
    assert pids(table.scan({10: "a"})["a"]) == {11}
    write(tmp_path, 10, 1, started=6)  # the runner has ended; somebody else bears its number and has a child
    group = table.scan({10: "a"}).get("a")
    assert group is None or (group.runner is None and group.below == [])
    # and once nobody asks for it any more, it may be a runner again
    table.scan({})
    assert pids(table.scan({10: "a"})["a"]) == {11}
    table.close()


def test_strangers_are_not_read_every_round_but_found_when_a_session_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1, 0)
    for pid in range(20, 60):
        write(tmp_path, pid, 1)
    write(tmp_path, 70, 20)  # the child of a runner that is not watched yet
    table = ProcessTable(tmp_path)
    table.scan({})
    opened: list[int] = []
    real = processes._opened

    def count(proc: str, pid: int) -> Process | None:
        opened.append(pid)
        return real(proc, pid)

    monkeypatch.setattr(processes, "_opened", count)
    table.scan({})
    assert len(opened) <= 6
    assert pids(table.scan({20: "a"})["a"]) == {70}
    write(tmp_path, 71, 70)
    assert pids(table.scan({20: "a"})["a"]) == {70, 71}
    # a number of a stranger that came to be one of ours is found within ten rounds
    write(tmp_path, 30, 70)
    assert any(30 in pids(table.scan({20: "a"})["a"]) for _ in range(10))
    table.close()


def test_vanishing_and_damaged_processes_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 10, 1)
    (tmp_path / "11").mkdir()  # gone between the list and the reading
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "stat").write_text("")
    (tmp_path / "self").mkdir()
    table = ProcessTable(tmp_path)
    group = table.scan({10: "a"})["a"]
    assert runner_of(group).pid == 10 and group.below == []
    table.close()


def test_files_of_ended_processes_are_closed(table: ProcessTable, tree: Callable[[str], Any]) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = count()
    runner = tree("""
children = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        time.sleep(60)
    children.append(child)
tell(*children)
asked()
for _ in children:
    os.wait()
tell(1)
asked()
""")
    pipes = count() - before
    children = runner.said()
    assert len(table.scan({runner.pid: "a"})["a"].below) == 20
    assert count() == before + pipes + 2 * 21
    for child in children:
        os.kill(child, signal.SIGKILL)
    runner.go_on()
    runner.said()
    table.scan({runner.pid: "a"})
    assert count() == before + pipes + 2
    table.close()
    assert count() == before + pipes


def test_one_session_is_looked_at_without_the_others(tree: Any) -> None:
    runner = tree("child = os.fork()\nif not child:\n    os.fork()\n    time.sleep(60)\ntell(child)\ntime.sleep(60)\n")
    (child,) = runner.said()
    group = group_of(runner.pid, Path("/proc"))
    while len(group.below) < 2:  # the grandchild is born after the child
        group = group_of(runner.pid, Path("/proc"))
    assert runner_of(group).pid == runner.pid
    assert child in pids(group) and len(group.below) == 2
    assert group_of(2**22 + 1, Path("/proc")).runner is None
