"""What is kept of the rounds of measuring."""

from __future__ import annotations

from bai_tui.app.client.views import StatsView
from bai_tui.app.model.metrics import CPU_UTIL, MEM_USED, Metric
from bai_tui.app.tui.live import ROUNDS, LiveStats


def taken(live: LiveStats, *rounds: dict[str, float]) -> LiveStats:
    for cpu in rounds:
        live.take(
            StatsView(
                time_s=0.0,
                sessions={session: {CPU_UTIL: Metric(value, 100.0)} for session, value in cpu.items()},
                cpu_pct=7.0,
                mem_used_bytes=1,
            )
        )
    return live


def known(live: LiveStats, session: str) -> list[float]:
    return [value for value in live.history(session, CPU_UTIL) if value is not None]


def test_the_last_minute_is_kept_in_order() -> None:
    live = taken(LiveStats(), *({"a": float(number)} for number in range(ROUNDS + 25)))
    assert live.history("a", CPU_UTIL) == tuple(float(number) for number in range(25, ROUNDS + 25))
    assert set(live.history("a", MEM_USED)) == {None}
    assert live.metrics("a")[CPU_UTIL].current == ROUNDS + 24
    assert live.history("b", CPU_UTIL) == () and live.metrics("b") == {}


def test_what_was_not_measured_is_a_gap() -> None:
    live = taken(LiveStats(), {"a": 1.0}, {"a": 2.0}, {}, {}, {"a": 5.0}, {})
    assert live.history("a", CPU_UTIL)[-6:] == (1.0, 2.0, None, None, 5.0, None)
    assert live.history("a", CPU_UTIL)[:-6] == (None,) * (ROUNDS - 6)


def test_a_session_that_pauses_for_more_than_the_ring_has_no_past() -> None:
    live = taken(LiveStats(), *([{"a": 1.0, "b": 1.0}] * ROUNDS), *([{"b": 2.0}] * (ROUNDS - 1)), {"a": 9.0})
    assert known(live, "a") == [9.0]


def test_sessions_that_ended_are_forgotten() -> None:
    live = taken(LiveStats(), {"a": 1.0}, *([{"b": 2.0}] * (3 * ROUNDS)))
    assert live.history("a", CPU_UTIL) == () and len(known(live, "b")) == ROUNDS


def test_nothing_is_shown_as_now_when_rounds_stop() -> None:
    live = taken(LiveStats(), {"a": 1.0})
    assert (live.fresh, live.cpu_pct) == (True, 7.0)
    live.lost()
    assert (live.fresh, live.cpu_pct, live.metrics("a")) == (False, None, {})
    assert live.history("a", CPU_UTIL) == ()
    assert known(taken(live, {"a": 3.0}), "a") == [3.0]


def test_a_server_that_does_not_measure_the_machine_says_nothing_of_it() -> None:
    live = LiveStats()
    live.take(StatsView(time_s=0.0, sessions={}))
    assert live.fresh and live.cpu_pct is None and live.mem_used_bytes is None
