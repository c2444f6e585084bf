"""From counters to metrics; every expected number is worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bai_tui.app.backend.metrics.history import History, Promise, Reading
from bai_tui.app.model.metrics import Metric

FIRST = Reading(cpu_s=3.0, age_s=6.0, mem_bytes=100, read_bytes=10, written_bytes=20, processes=2)


def test_the_first_round_tells_the_mean_since_the_start() -> None:
    metrics = History(Promise(cpu_util=200, mem=400)).take(FIRST, 50.0)
    assert metrics["cpu_util"] == Metric(50, 200, "percent", 50, 50)
    assert metrics["cpu_util"].pct == 25
    assert metrics["cpu_used"] == Metric(3000, unit_hint="msec")
    assert metrics["mem"] == Metric(100, 400, "bytes", 100, 100)
    assert (metrics["io_read"], metrics["io_write"]) == (Metric(10, unit_hint="bytes"), Metric(20, unit_hint="bytes"))
    assert metrics["num_procs"] == Metric(2, None, "count", 2, 2)
    assert "cuda_mem" not in metrics and "cuda_util" not in metrics


def test_a_session_that_is_younger_than_a_second_has_no_absurd_rate() -> None:
    assert History().take(replace(FIRST, cpu_s=0.1, age_s=0.02), 50.0)["cpu_util"].current == pytest.approx(10)


def test_means_are_weighted_by_time() -> None:
    history = History()
    history.take(FIRST, 50.0)
    history.take(replace(FIRST, cpu_s=4.0, mem_bytes=400), 51.0)  # one core for a second
    metrics = history.take(replace(FIRST, cpu_s=4.0, mem_bytes=100), 54.0)  # nothing for three
    assert (metrics["cpu_util"].current, metrics["cpu_util"].max, metrics["cpu_util"].avg) == (0, 100, 25)
    assert (metrics["mem"].max, metrics["mem"].avg) == (400, 175)


def test_counters_never_go_back_when_a_process_takes_its_part_along() -> None:
    history = History()
    history.take(replace(FIRST, cpu_s=10.0, written_bytes=1000), 1.0)
    lost = history.take(replace(FIRST, cpu_s=4.0, written_bytes=200), 2.0)
    assert (lost["cpu_used"].current, lost["cpu_util"].current, lost["io_write"].current) == (10_000, 0, 1000)
    after = history.take(replace(FIRST, cpu_s=5.0, written_bytes=300), 3.0)
    assert (after["cpu_used"].current, after["cpu_util"].current, after["io_write"].current) == (11_000, 100, 1100)


def test_gpu_metrics_come_with_a_promise_or_with_use() -> None:
    promised = History(Promise(cuda_mem=8000, cuda_util=50)).take(FIRST, 1.0)
    assert promised["cuda_mem"] == Metric(0, 8000, "bytes", 0, 0)
    assert promised["cuda_util"] == Metric(0, 50, "percent", 0, 0)
    used = History().take(replace(FIRST, gpu_mem_bytes=70, gpu_util_pct=30), 1.0)
    assert used["cuda_mem"] == Metric(70, None, "bytes", 70, 70) and used["cuda_mem"].pct == 0


def test_the_history_of_an_earlier_backend_is_gone_on_with() -> None:
    prior = {"mem": Metric(1, 400, "bytes", max=900, avg=300), "cpu_util": Metric(7, unit_hint="percent")}
    history = History(prior=prior)
    first = history.take(replace(FIRST, age_s=10.0), 50.0)
    assert (first["mem"].max, first["mem"].avg) == (900, 300)
    later = history.take(replace(FIRST, age_s=20.0), 60.0)  # 100 bytes for ten more seconds
    assert (later["mem"].max, later["mem"].avg) == (900, 200)
