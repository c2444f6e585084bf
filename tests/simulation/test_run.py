"""Traces that are played: who starts when, and the figures of it, worked out by hand."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from bai_tui.app.backend.simulation import (
    SAMPLES,
    Figures,
    Machine,
    Outcome,
    Policy,
    Rules,
    Setting,
    Strategy,
    Trace,
    figures,
    read_trace,
    simulate,
)
from bai_tui.app.backend.simulation.figures import jain, rank, slowdown
from bai_tui.app.backend.simulation.fragmentation import Fragmentation
from bai_tui.app.backend.simulation.samples import generated
from bai_tui.app.backend.simulation.timeline import POINTS, Timeline
from bai_tui.app.model.errors import BadRequest


def trace(*lines: str) -> Trace:
    return read_trace(["arrival_s,duration_s,slots,user,priority,limit_s\n", *lines], "t.csv")


def play(lines: list[str], *, gpus: int = 1, policy: str = "fifo", backfill: bool = True) -> tuple[Outcome, Figures]:
    setting = Setting(rules=Rules(policy=Policy(policy), backfill=backfill))
    outcome = simulate(trace(*lines), Machine(gpus=gpus, cpus=4, mem_bytes=0), setting)
    return outcome, figures(outcome)


def test_by_hand() -> None:
    """One GPU: a holds 0.6 of it for 100 s, b waits for the whole, c fits beside a but not before b's time is over."""
    lines = ["0,100,gpu=0.6,a,,100\n", "10,50,gpu=1,b,,50\n", "20,40,gpu=0.4,c,,40\n", "30,90,gpu=0.4,c,,90\n"]
    outcome, found = play(lines)
    assert list(outcome.started_s) == [0, 100, 20, 150]
    assert (found.waits.mean_s, found.waits.max_s, found.makespan_s) == (52.5, 120, 240)
    assert (found.waits.median_s, found.waits.p95_s) == (0, 120)
    used = 100 * 0.6 + 40 * 0.4 + 50 + 90 * 0.4
    assert found.utilization["cuda.shares"] == pytest.approx(used / 240)
    assert found.slowdown == pytest.approx((1 + 140 / 50 + 1 + 210 / 90) / 4)
    by_user = {user.user: user for user in found.users}
    assert by_user["c"].sessions == 2
    assert by_user["c"].waits.mean_s == 60
    assert by_user["b"].gpu_hours == pytest.approx(50 / 3600)
    slowdowns = [1, 140 / 50, (1 + 210 / 90) / 2]
    assert found.fairness == pytest.approx(sum(slowdowns) ** 2 / (3 * sum(value**2 for value in slowdowns)))
    # needs: 0.6, 1, 0.4, 0.4. Free: 0.4 in 0-20 and 60-100, 0 in 20-60, 0 in 100-150, 0.6 in 150-240.
    # Of 0.4 free half the needs cannot use any, of 0.6 a quarter cannot.
    free = 60 * 0.4 + 90 * 0.6
    assert found.fragmentation == pytest.approx((60 * 0.4 * 0.5 + 90 * 0.6 * 0.25) / free)


def test_without_backfill_nobody_passes() -> None:
    lines = ["0,100,gpu=0.6,a,,100\n", "10,50,gpu=1,b,,50\n", "20,40,gpu=0.4,c,,40\n"]
    assert list(play(lines, backfill=False)[0].started_s) == [0, 100, 150]
    assert list(play(lines)[0].started_s) == [0, 100, 20]


@pytest.mark.parametrize(
    ("policy", "starts"),
    [
        ("fifo", [0, 0, 50, 100, 150]),
        ("lifo", [0, 0, 150, 100, 50]),
        ("drf", [0, 0, 150, 50, 100]),
        ("fair-share", [0, 0, 150, 50, 100]),
    ],
)
def test_policies_decide_who_is_next(policy: str, starts: list[float]) -> None:
    """a holds both GPUs; then a, b and c want one each. One comes free at 50, 100 and 150.

    Under DRF, c is first after 50 and keeps that place, so that a, who holds nothing at 100 either, goes after it.
    """
    lines = ["0,100,gpu=1,a,,\n", "0,50,gpu=1,a,,\n", "1,100,gpu=1,a,,\n", "2,100,gpu=1,b,,\n", "3,100,gpu=1,c,,\n"]
    outcome, _ = play(lines, gpus=2, policy=policy)
    assert list(outcome.started_s) == starts


def test_priority_goes_first() -> None:
    outcome, _ = play(["0,10,gpu=1,a,,\n", "1,10,gpu=1,b,5,\n", "2,10,gpu=1,c,50,\n"])
    assert list(outcome.started_s) == [0, 20, 10]


def test_what_the_machine_cannot_serve_is_refused_and_counts_nowhere() -> None:
    outcome, found = play(["0,10,gpu=2,a,,\n", "0,10,gpu=0.5,b,,\n", "0,10,gpu=0.333,c,,\n", "1,10,mem=1g,d,,\n"])
    assert set(outcome.refused) == {0, 2, 3}
    assert "this machine has 1 cuda.shares in all" in outcome.refused[0]
    assert "ask for 0.33 or 0.34" in outcome.refused[2]
    assert "has no mem" in outcome.refused[3]
    assert (found.requests, found.refused, [user.user for user in found.users]) == (4, 3, ["b"])
    assert found.makespan_s == 10


def test_nothing_runs_where_everything_is_refused() -> None:
    outcome, found = play(["0,10,gpu=2,a,,\n"])
    assert math.isnan(outcome.started_s[0])
    assert (found.waits.max_s, found.makespan_s, found.fairness, found.slowdown) == (0, 0, 1, 0)


def test_a_request_of_no_time_and_of_nothing_is_served() -> None:
    outcome, found = play(["5,0,gpu=1,a,,\n", "5,0,gpu=1,b,,\n", "5,1,cpu=0,c,,\n"])
    assert list(outcome.started_s) == [5, 5, 5]
    assert found.makespan_s == 1


def test_the_same_run_twice_is_the_same() -> None:
    made = generated(3_000, 40)
    machine = Machine.of(made.machine, gpus=None, cpus=None, mem=None)
    for policy in Policy:
        setting = Setting(rules=Rules(policy=policy))
        first, second = (simulate(made, machine, setting) for _ in range(2))
        assert first.started_s == second.started_s
        assert not any(map(math.isnan, first.started_s))
        found = figures(first)
        assert 0.5 < found.utilization["cuda.shares"] <= 1
        assert 0 <= found.fragmentation <= 1
        # what was used is what all of them asked for
        gpu_s = sum(job.runs_s * float(job.slots["cuda.shares"]) for job in made.jobs)
        assert found.utilization["cuda.shares"] * 40 * found.makespan_s == pytest.approx(gpu_s)


def test_spreading_fragments_more_than_packing() -> None:
    lines = [f"{n},1000,gpu=0.3,a,,\n" for n in range(8)] + ["10,10,gpu=1,b,,\n"]
    found = []
    for strategy in (Strategy.PACK, Strategy.SPREAD):
        outcome = simulate(trace(*lines), Machine(gpus=8, cpus=0, mem_bytes=0), Setting(strategy=strategy))
        found.append(figures(outcome))
    assert found[0].fragmentation < found[1].fragmentation
    assert found[0].waits.max_s == 0 < found[1].waits.max_s


def test_a_bad_setting_is_one_sentence() -> None:
    with pytest.raises(BadRequest, match=r"a quantum of 0\.3 makes no sense"):
        simulate(trace("0,1,cpu=1,a,,\n"), Machine(), Setting(quantum=Decimal("0.3")))


def test_the_machine_is_that_of_the_trace_unless_said_otherwise() -> None:
    proposed = {"cpu": "8", "gpu": "2"}
    assert Machine.of(proposed, gpus=None, cpus=None, mem=None) == Machine(gpus=2, cpus=8, mem_bytes=0)
    assert Machine.of(proposed, gpus=5, cpus=None, mem="1g") == Machine(gpus=5, cpus=8, mem_bytes=1 << 30)
    assert Machine.of({}, gpus=None, cpus=0, mem=None) == Machine(cpus=0)
    for bad in ({"gpu": "0.5"}, {"tpu": "1"}, {"cpu": "0"}):
        with pytest.raises(BadRequest):
            Machine.of(bad, gpus=None, cpus=None, mem=None)


def test_progress_is_told() -> None:
    told: list[int] = []
    simulate(generated(3_000, 40), Machine(gpus=40, cpus=320, mem_bytes=0), Setting(), told.append)
    assert told == [1024, 2048]


# --- the figures ---------------------------------------------------------------------------------------------


def test_jains_index() -> None:
    assert jain([1, 1, 1, 1]) == 1
    assert jain([1, 0, 0, 0]) == 0.25
    assert jain([]) == 1


def test_slowdown_is_bounded() -> None:
    assert slowdown(0, 1) == 1
    assert slowdown(60, 1) == 6.1
    assert slowdown(60, 60) == 2


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (rank(values, 0.5), rank(values, 0.95), rank([7.0], 0.95)) == (50, 95, 7)


def test_fragmentation_is_kept_up_to_date() -> None:
    jobs = trace("0,1,gpu=0.5,a,,\n", "0,1,gpu=1,a,,\n", "0,1,cpu=1,a,,\n").jobs
    fragmentation = Fragmentation(2, jobs)
    assert (fragmentation.free, fragmentation.fragmented) == (2000, 0)
    assert fragmentation.move({"gpu0": Decimal("0.4")}, -1) == 400
    assert (fragmentation.free, fragmentation.fragmented) == (1600, 300)  # 600 that the second half of them cannot use
    fragmentation.move({"gpu0": Decimal("0.2")}, -1)
    assert (fragmentation.free, fragmentation.fragmented) == (1400, 400)  # 400 that nobody can use
    fragmentation.move({"gpu0": Decimal("0.6")}, 1)
    assert (fragmentation.free, fragmentation.fragmented) == (2000, 0)


def test_a_timeline_keeps_its_integral_in_bounded_memory() -> None:
    timeline = Timeline(2, 10.0)
    total = 0.0
    now = 10.0
    for number in range(5_000):
        step = 0.1 * (number % 37) + 0.3
        now += step
        total += number % 11 * step
        timeline.advance(now, [number % 11, 1])
    assert timeline.totals[0] == pytest.approx(total)
    assert timeline.totals[1] == pytest.approx(now - 10)
    assert len(timeline.parts) <= POINTS
    assert sum(part[0] for part in timeline.parts) == pytest.approx(total)
    assert timeline.means(1) == pytest.approx([1.0] * len(timeline.parts))


def test_the_small_sample_does_what_its_comments_say() -> None:
    small = SAMPLES["small"].load()
    machine = Machine.of(small.machine, gpus=None, cpus=None, mem=None)
    starts = {
        job.line: started_s
        for job, started_s in zip(small.jobs, simulate(small, machine, Setting()).started_s, strict=True)
    }
    assert starts[9] == 120, "ben gets gpu1"
    assert (starts[11], starts[12]) == (20, 25), "short ones pass him"
    assert starts[14] >= 120, "the long one does not"
    assert starts[21] < starts[23], "a higher priority goes first"
    assert starts[24] == 210
