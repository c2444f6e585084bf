"""What a session takes of memory, beside the kernel's own PSS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.metrics.memory import MemoryMeter, taken_bytes
from bai_tui.app.backend.metrics.processes import Process, ProcessTable, Share

MIB = 1 << 20
_POOL = """
r, w = os.pipe()
data = bytearray(os.urandom(1 << 20) * 48)
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        os.write(w, b"x")
        asked()  # never answered
    children.append(child)
    os.read(r, 1)
tell(*children)
"""


def pss(*pids: int) -> int:
    total = 0
    for pid in pids:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        assert found is not None
        total += int(found[1]) * 1024
    return total


@pytest.fixture
def table() -> Iterator[ProcessTable]:
    table = ProcessTable()
    yield table
    table.close()


def reads_of(meter: MemoryMeter, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns the list that the processes measured from now on are written into."""
    reads: list[int] = []
    real = meter._read

    def read(process: Process) -> Share:
        reads.append(process.pid)
        return real(process)

    monkeypatch.setattr(meter, "_read", read)
    return reads


def of_session(table: ProcessTable, meter: MemoryMeter, runner: int) -> tuple[int, int]:
    """Returns (memory as measured, sum of the resident sizes) of a session."""
    group = table.scan({runner: "a"})["a"]
    meter.measure([group])
    return sum(map(taken_bytes, group.below)), sum(process.rss_pages * 4096 for process in group.below)


def test_forked_workers_do_not_count_what_they_share_again(table: ProcessTable, tree: Callable[[str], Any]) -> None:
    runner = tree(
        """
kernel = os.fork()
if kernel == 0:
"""
        + "".join(f"    {line}\n" for line in _POOL.strip().splitlines())
        + """
    time.sleep(60)
time.sleep(60)
"""
    )
    workers = runner.said()
    group = table.scan({runner.pid: "a"})["a"]
    kernel = next(process.pid for process in group.below if process.pid not in workers)
    meter = MemoryMeter(budget_s=5)
    taken, resident = of_session(table, meter, runner.pid)
    assert taken == pytest.approx(pss(kernel, *workers), rel=0.02)
    assert 48 * MIB < taken < 80 * MIB
    assert resident > 3 * taken, "the sum of the RSS would be this wrong"


def test_growth_between_two_measurements_is_seen_at_once(
    table: ProcessTable, tree: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = tree("""
child = os.fork()
if child == 0:
    tell(os.getpid())
    asked()
    keep = os.urandom(300 << 10)
    tell(1)
    asked()
    more = bytearray(os.urandom(1 << 20) * 64)
    tell(1)
    asked()
    del more
    tell(1)
    time.sleep(60)
time.sleep(60)
""")
    (child,) = runner.said()
    meter = MemoryMeter(budget_s=5)
    reads = reads_of(meter, monkeypatch)
    before, _ = of_session(table, meter, runner.pid)
    runner.go_on()
    runner.said()
    little, _ = of_session(table, meter, runner.pid)
    assert reads == [child], "too little to measure again: it is added up"
    assert little == pytest.approx(pss(child), abs=MIB)
    assert little > before
    for _ in range(2):
        runner.go_on()
        runner.said()
        taken, _ = of_session(table, meter, runner.pid)
        assert taken == pytest.approx(pss(child), rel=0.02)
    assert reads == [child] * 3
    for _ in range(50):
        of_session(table, meter, runner.pid)
    assert len(reads) == 4, "now and then it is measured anyway"


def test_all_are_measured_again_when_one_of_them_has_gone(table: ProcessTable, tree: Callable[[str], Any]) -> None:
    runner = tree("""
kernel = os.fork()
if kernel == 0:
    data = bytearray(os.urandom(1 << 20) * 32)
    child = os.fork()
    if child == 0:
        asked()
        os._exit(0)
    tell(child)
    os.wait()
    tell(os.getpid())
    time.sleep(60)
time.sleep(60)
""")
    runner.said()
    meter = MemoryMeter(budget_s=5)
    shared, _ = of_session(table, meter, runner.pid)
    runner.go_on()
    (kernel,) = runner.said()
    alone, _ = of_session(table, meter, runner.pid)
    assert alone == pytest.approx(pss(kernel), rel=0.02)
    assert alone == pytest.approx(shared, rel=0.2), "the session holds the same data: its owner has them alone now"


def test_a_round_has_its_limit_and_the_rest_comes_next(
    table: ProcessTable, tree: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = tree(_POOL + "asked()\n")
    workers = runner.said()
    meter = MemoryMeter(budget_s=0)
    reads = reads_of(meter, monkeypatch)
    first, _ = of_session(table, meter, runner.pid)
    assert len(reads) == 1
    assert first > 3 * 48 * MIB, "until they have had their turn, what is not from files counts for them"
    for _ in range(3):
        last, _ = of_session(table, meter, runner.pid)
    assert sorted(reads) == sorted(workers)
    assert last == pytest.approx(pss(*workers), rel=0.02)


def test_where_pss_cannot_be_read_files_are_left_out(tmp_path: Path) -> None:
    for pid, ppid in ((10, 1), (11, 10)):
        (tmp_path / str(pid)).mkdir()
        fields = ["S", ppid, *[0] * 17, 5, 0, 1000]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (x) {' '.join(map(str, fields))} 0 0\n")
    (tmp_path / "11" / "statm").write_text("5000 1000 400 1 0 300 0\n")
    table = ProcessTable(tmp_path)
    group = table.scan({10: "a"})["a"]
    MemoryMeter(tmp_path).measure([group])
    assert taken_bytes(group.below[0]) == 600 * 4096
    table.close()
