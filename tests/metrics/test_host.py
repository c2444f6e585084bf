"""The load of the machine out of a written /proc."""

from __future__ import annotations

from pathlib import Path

from bai_tui.app.backend.metrics.host import HostMeter


def test_load_since_the_last_look(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    # user nice system idle iowait irq softirq steal, guest times (part of user) not counted twice
    stat.write_text("cpu  10 0 10 70 10 0 0 0 9 9\ncpu0 10 0 0 40 0 0 0 0 0 0\ncpu1 0 0 10 30 10 0 0 0 0 0\nintr 5\n")
    meter = HostMeter(tmp_path)
    assert meter.cpu_pct() == (20.0, (20.0, 20.0))
    assert meter.cpu_pct() == (0.0, (0.0, 0.0)), "no time has passed"
    stat.write_text("cpu  90 0 10 90 10 0 0 0 9 9\ncpu0 50 0 0 50 0 0 0 0 0 0\ncpu1 40 0 10 40 10 0 0 0 0 0\n")
    assert meter.cpu_pct() == (80.0, (80.0, 80.0))


def test_memory_in_use(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  400 kB\n")
    assert HostMeter(tmp_path).mem_used_bytes() == 600 * 1024


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    meter = HostMeter(tmp_path)
    assert (meter.cpu_pct(), meter.mem_used_bytes()) == ((0.0, ()), 0)
    (tmp_path / "stat").write_text("cpu x\n")
    assert meter.cpu_pct() == (0.0, ())


def test_the_real_one() -> None:
    meter = HostMeter()
    total, cores = meter.cpu_pct()
    assert 0 <= total <= 100 and len(cores) >= 1
    assert meter.mem_used_bytes() > 1 << 20
