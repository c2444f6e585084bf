from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from bai_tui.app.backend.service.idlechecks import IdleChecks, Standing, Verdict
from bai_tui.app.model.metrics import Metric
from bai_tui.app.model.sessions import Session, SessionType
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.policies import IdleSettings, UtilizationSettings
from hypothesis import given
from hypothesis import strategies as st

BEGAN = 1_000_000.0


def session(**fields: Any) -> Session:
    began = datetime.fromtimestamp(BEGAN, UTC)
    values: dict[str, Any] = {
        "id": "s",
        "kernel_id": "k",
        "name": "test",
        "access_key": "alice",
        "image": "python:3.11",
        "image_asked": "python",
        "created_at": began,
        "starts_at": began,
        "requested_slots": ResourceSlots({"cpu": 1}),
        "idle_timeout_s": 0.0,
    }
    return Session(**(values | fields))


def using(**percent: float) -> dict[str, Metric]:
    return {name: Metric(value, 100.0, "percent") for name, value in percent.items()}


def checks(lifetime_s: float = 0.0, warn_s: float = 120.0, **rules: Any) -> IdleChecks:
    return IdleChecks(
        IdleSettings(warn_before_s=warn_s, utilization=UtilizationSettings(**rules)), lambda key: lifetime_s
    )


def verdict(
    book: IdleChecks,
    of: Session,
    after_s: float,
    *,
    used_s: float = 0.0,
    active: bool = False,
    kept_s: float = -math.inf,
) -> Verdict:
    return book.verdict(of, Standing(BEGAN, BEGAN + used_s, active=active, kept_s=BEGAN + kept_s), BEGAN + after_s)


def test_without_any_check_nothing_is_looked_at() -> None:
    assert verdict(checks(), session(), 10**9) == Verdict(None, None, math.inf)


def test_the_network_timeout_is_warned_of_once_and_ends() -> None:
    book, idle = checks(), session(idle_timeout_s=1800.0)
    first = verdict(book, idle, 0)
    assert (first.ends, first.warns, first.look_at_s) == (None, None, BEGAN + 1680)
    warned = verdict(book, idle, 1680)
    assert warned.warns is not None
    assert (warned.warns.name, warned.warns.remaining_s) == ("network_timeout", 120)
    assert warned.look_at_s == BEGAN + 1800
    assert verdict(book, idle, 1700).warns is None, "it is told once"
    assert verdict(book, idle, 1750, used_s=1740).warns is None
    assert verdict(book, idle, 1740 + 1700, used_s=1740).warns is not None, "and again after it was used"
    ended = verdict(book, idle, 1740 + 1800, used_s=1740)
    assert ended.ends is not None
    assert ended.ends.name == "network_timeout"


def test_a_session_in_use_does_not_idle() -> None:
    found = verdict(checks(), session(idle_timeout_s=60.0), 10_000, active=True)
    assert found.ends is None
    assert found.look_at_s == BEGAN + 10_000 + 60 - 30


def test_a_short_timeout_is_warned_of_halfway() -> None:
    book, idle = checks(), session(idle_timeout_s=60.0)
    assert verdict(book, idle, 29).warns is None
    assert verdict(book, idle, 30).warns is not None


def test_no_warning_where_none_is_wanted() -> None:
    book, idle = checks(warn_s=0.0), session(idle_timeout_s=60.0)
    assert verdict(book, idle, 59).warns is None
    assert verdict(book, idle, 59).look_at_s == BEGAN + 60
    assert verdict(book, idle, 60).ends is not None


@pytest.mark.parametrize("kind", SessionType)
def test_the_lifetime_ends_every_session_in_use_or_not(kind: SessionType) -> None:
    book, old = checks(lifetime_s=3600.0), session(type=kind)
    assert verdict(book, old, 3599, active=True).ends is None
    found = verdict(book, old, 3600, active=True)
    assert found.ends is not None
    assert found.ends.name == "session_lifetime"


def test_an_extension_keeps_every_check_away() -> None:
    book = checks(lifetime_s=100.0, thresholds={"cpu_util": 5}, time_window_s=60.0, initial_grace_s=0.0)
    kept = session(idle_timeout_s=60.0)
    book.sample("s", using(cpu_util=0), BEGAN)
    book.sample("s", using(cpu_util=0), BEGAN + 300)
    for check in book.checks(kept, Standing(BEGAN, BEGAN, kept_s=BEGAN + 500), BEGAN + 300):
        assert check.remaining_s == 200, check.name
    assert verdict(book, kept, 499, kept_s=500).ends is None
    assert verdict(book, kept, 500, kept_s=500).ends is not None


def sampled(book: IdleChecks, seconds: range, **percent: float) -> None:
    for second in seconds:
        book.sample("s", using(**percent), BEGAN + second)


def test_low_utilization_ends_after_grace_and_window() -> None:
    book, lazy = checks(thresholds={"cpu_util": 5}, time_window_s=600.0, initial_grace_s=300.0), session()
    sampled(book, range(901), cpu_util=1)
    (check,) = book.checks(lazy, Standing(BEGAN, BEGAN, active=True), BEGAN + 100)
    assert (check.name, check.in_grace, check.remaining_s) == ("utilization", True, 800)
    (check,) = book.checks(lazy, Standing(BEGAN, BEGAN, active=True), BEGAN + 400)
    assert (check.in_grace, check.remaining_s) == (False, 500)
    assert check.extra == {"resources": {"cpu_util": [1.0, 5]}}
    assert verdict(book, lazy, 899).ends is None
    found = verdict(book, lazy, 900, active=True)
    assert found.ends is not None, "being connected is no use"
    assert found.ends.name == "utilization"


def test_use_keeps_a_session_as_long_as_the_mean_is_high() -> None:
    book, worker = checks(thresholds={"cpu_util": 5}, time_window_s=600.0, initial_grace_s=0.0), session()
    sampled(book, range(1001), cpu_util=50)
    (check,) = book.checks(worker, Standing(BEGAN, BEGAN, active=False), BEGAN + 1000)
    # a tenth of the window's use is enough for the mean: nine tenths of the window pass until it falls below
    assert check.remaining_s == pytest.approx(540, abs=21)
    sampled(book, range(1001, 1500), cpu_util=0)
    assert verdict(book, worker, 1499).ends is None
    sampled(book, range(1500, 1565), cpu_util=0)
    assert verdict(book, worker, 1564).ends is not None


@pytest.mark.parametrize(("operator", "ends"), [("and", False), ("or", True)])
def test_all_or_any_of_the_thresholds(operator: str, ends: bool) -> None:
    book = checks(thresholds={"cpu_util": 5, "mem": 5}, operator=operator, time_window_s=60.0, initial_grace_s=0.0)
    sampled(book, range(200), cpu_util=50, mem=1)
    assert (verdict(book, session(), 199).ends is not None) is ends


def test_thresholds_of_gpus_are_for_those_who_hold_one() -> None:
    book = checks(thresholds={"cuda_util": 5}, time_window_s=60.0, initial_grace_s=0.0)
    sampled(book, range(100), cpu_util=0)
    assert verdict(book, session(), 100) == Verdict(None, None, math.inf)
    holder = session(allocation={"cuda.shares": {"gpu0": "0.5"}})
    assert verdict(book, holder, 100).ends is not None


def test_a_new_backend_does_not_judge_what_it_has_not_seen() -> None:
    book = checks(thresholds={"cpu_util": 5}, time_window_s=600.0, initial_grace_s=0.0)
    old = session()
    assert verdict(book, old, 10_000).ends is None
    sampled(book, range(10_000, 10_002), cpu_util=0)
    assert verdict(book, old, 10_599).ends is None
    assert verdict(book, old, 10_600).ends is not None


def test_what_is_forgotten_is_gone() -> None:
    book, idle = checks(), session(idle_timeout_s=60.0)
    assert verdict(book, idle, 50).warns is not None
    book.forget("s")
    assert verdict(book, idle, 51).warns is not None


@given(st.lists(st.floats(0, 100), min_size=1, max_size=400), st.sampled_from([30.0, 60.0, 600.0]))
def test_the_remaining_time_is_true_when_nothing_happens(percents: list[float], window_s: float) -> None:
    """What is told as the time left comes true: not over before it, over after it and one part of the window."""
    book = checks(thresholds={"cpu_util": 5}, time_window_s=window_s, initial_grace_s=0.0)
    now = 0
    for now, percent in enumerate(percents):
        book.sample("s", using(cpu_util=percent), BEGAN + now)
    (check,) = book.checks(session(), Standing(BEGAN, BEGAN, active=False), BEGAN + now)
    left = check.remaining_s
    assert left is not None
    for later in range(now + 1, now + math.ceil(left) + 1):
        if later < now + left:
            book.sample("s", using(cpu_util=0), BEGAN + later)
            assert verdict(book, session(), later).ends is None
    assert verdict(book, session(), now + left + window_s / 60).ends is not None
