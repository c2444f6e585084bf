"""The statistics that our claims rest on."""

from __future__ import annotations

import platform

import pytest
from bai_tui.benchmarks.harness import Claim, Sample, interleave, machine, number, render


def claim(ours: tuple[float, ...], peer: tuple[float, ...]) -> Claim:
    return Claim("Speed", "ms", "Said how.", [Sample("ours", ours), Sample("peer", peer)], "ours")


def test_quantiles_are_interpolated() -> None:
    sample = Sample("x", (4.0, 1.0, 3.0, 2.0))
    assert sample.median == 2.5
    assert sample.quantile(0) == 1.0
    assert sample.quantile(1) == 4.0
    assert sample.quantile(0.5) == 2.5
    assert Sample("one", (7.0,)).quantile(0.9) == 7.0


async def test_cases_take_turns_and_the_first_rounds_do_not_count() -> None:
    calls: list[str] = []

    async def a() -> float:
        calls.append("a")
        return float(len(calls))

    async def b() -> float:
        calls.append("b")
        return float(len(calls))

    samples = await interleave({"a": a, "b": b}, rounds=3, warm_up=1)
    assert calls == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert [(sample.name, sample.values) for sample in samples] == [("a", (3.0, 6.0, 7.0)), ("b", (4.0, 5.0, 8.0))]


@pytest.mark.parametrize(("peer", "met"), [(50.0, True), (49.0, False)])
def test_a_factor_is_met_only_when_reached(peer: float, met: bool) -> None:
    found = claim((10.0,), (peer,))
    found.goal_factor("peer", 5)
    assert [goal[1] for goal in found.goals] == [met]
    assert found.ratio("peer") == peer / 10


@pytest.mark.parametrize(("ours", "met"), [(1.0, True), (1.01, False)])
def test_a_limit_is_met_only_when_kept(ours: float, met: bool) -> None:
    found = claim((ours,), (1.0,))
    found.goal_at_most(1)
    assert [goal[1] for goal in found.goals] == [met]


def test_a_missed_goal_is_shown_as_missed() -> None:
    found = claim((1.0, 2.0, 3.0), (8.0,))
    found.goal_factor("peer", 5)
    text = render(found)
    assert "**not met**" in text
    assert "| **ours** | 2.00 | 1.20 - 2.80 | 3 |  |" in text
    assert "| peer | 8.00 | 8.00 - 8.00 | 1 | 4.00 x |" in text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.01234, "0.0123"), (1.234, "1.23"), (45.67, "45.7"), (1234.5, "1234")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_the_machine_is_described_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    uname = platform.uname()._replace(node="name-of-this-machine")
    monkeypatch.setattr(platform, "uname", lambda: uname)
    text = "\n".join(machine())
    assert "cores" in text
    assert "name-of-this-machine" not in text
