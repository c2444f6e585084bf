"""The model and the reading of output find what they are there to find."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.tests.chaos.model import REMOVED, RUNNER_DIED, Model, Row, Tracked, Violation
from bai_tui.tests.chaos.programs import Channel, faults, program

S = SessionStatus
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHANNELS = {"a": Channel("stdout", 3), "b": Channel("stderr", 2, 4)}
WHOLE = {"stdout": "T|a|0|\nT|a|1|\nnoise\nT|a|2|\n", "stderr": "T|b|0|xxxx\nT|b|1|xxxx\n"}


def changed(stream: str, old: str, new: str) -> dict[str, str]:
    assert old in WHOLE[stream]
    return {**WHOLE, stream: WHOLE[stream].replace(old, new)}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (changed("stdout", "T|a|1|\n", ""), "lost"),
        (changed("stdout", "T|a|1|\n", "T|a|1|\nT|a|1|\n"), "doubled"),
        (changed("stdout", "T|a|1|\nnoise\nT|a|2|\n", "T|a|2|\nT|a|1|\n"), "moved"),
        (changed("stdout", "T|a|2|\n", ""), "ends with line 1"),
        (changed("stdout", "T|a|2|\n", "T|a|2|\nT|a|3|\n"), "never printed"),
        (changed("stderr", "T|b|0|xxxx", "T|b|0|xx"), "torn"),
        ({"stdout": WHOLE["stdout"] + WHOLE["stderr"], "stderr": ""}, "came through stdout"),
    ],
)
def test_what_is_wrong_with_output_is_seen(text: dict[str, str], fault: str) -> None:
    assert fault in "; ".join(faults("T", CHANNELS, text, whole=True))


def test_output_that_is_right_has_no_fault() -> None:
    assert faults("T", CHANNELS, WHOLE, whole=True) == []


def test_what_was_cut_off_may_end_anywhere_but_has_no_holes() -> None:
    cut = {"stdout": "T|a|0|\nT|a|", "stderr": ""}
    assert faults("T", CHANNELS, cut, whole=False) == []
    assert "lost" in faults("T", CHANNELS, {"stdout": "T|a|0|\nT|a|2|\n"}, whole=False)[0]
    assert "doubled" in faults("T", CHANNELS, {"stdout": "T|a|0|\nT|a|0|\n"}, whole=False, gaps=True)[0]
    assert faults("T", CHANNELS, {"stdout": "T|a|0|\nT|a|2|\n"}, whole=True, gaps=True) == []


def test_programs_are_valid_code_and_differ_by_seed() -> None:
    made = [program("T", random.Random(seed)) for seed in range(60)]
    for one in made:
        if one.request.code:
            compile(one.request.code, "cell", "exec")
    kinds = {"steady", "both", "burst", "wide", "threads", "children", "deserting", "asking", "batch"}
    assert {one.kind for one in made} == kinds
    assert any(one.dies for one in made) and any(one.exit_code == 1 for one in made)


@pytest.fixture
def model() -> Model:
    made = Model({"gpu0": Decimal(1)})
    for name in ("first", "second"):
        one = Tracked(name, "half", Decimal("0.5"), asked_at=len(made.sessions), names={name})
        one.id, one.acked_at = name, len(made.sessions)
        made.sessions.append(one)
    return made


def row(
    session_id: str, status: SessionStatus = S.RUNNING, info: str = "", gpu: str = "0.5", **more: Any
) -> dict[str, Any]:
    held = {"gpu0": Decimal(gpu)} if gpu != "0" else {}
    return {"id": session_id, "name": session_id, "status": status, "info": info, "gpu": held, "changed": NOW} | more


def waiting(name: str) -> Row:
    return row(name, S.PENDING, gpu="0")


def observe(model: Model, *rows: Row) -> None:
    model.observe(rows, model.acknowledged())


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([row("first")], "lost"),
        ([row("first"), row("second"), row("first")], "listed twice"),
        ([row("first"), row("second"), row("third")], "nobody has asked"),
        ([row("first"), row("second", name="first")], "suddenly named"),
        ([row("first"), row("second", S.TERMINATED, "idle-timeout", gpu="0")], "ended as TERMINATED"),
        ([row("first"), row("second", S.PENDING)], "holds"),
        ([row("first"), row("second", gpu="0.25")], "asked for 0.5"),
    ],
)
def test_a_list_that_cannot_be_is_refused(model: Model, rows: list[Row], what: str) -> None:
    observe(model, row("first"), waiting("second"))
    with pytest.raises(Violation, match=what):
        observe(model, *rows)


def test_who_has_ended_stays_so_and_only_for_a_reason(model: Model) -> None:
    first, second = model.sessions
    first.allow(REMOVED)
    second.allow(RUNNER_DIED)
    observe(model, row("first"), row("second"))
    dead = row("second", S.ERROR, "runner-died: killed", gpu="0")
    observe(model, row("first", S.TERMINATED, "user-requested", gpu="0"), dead)
    with pytest.raises(Violation, match="had ended"):
        observe(model, row("first"), dead)


def test_an_acknowledged_end_is_one(model: Model) -> None:
    model.sessions[0].must_end = True
    with pytest.raises(Violation, match="acknowledged"):
        observe(model, row("first"), row("second"))


def test_who_ran_does_not_wait_again(model: Model) -> None:
    observe(model, row("first"), row("second"))
    with pytest.raises(Violation, match="was running"):
        observe(model, row("first"), waiting("second"))


def test_a_request_whose_answer_was_cut_off_is_known_by_its_name(model: Model) -> None:
    model.sessions.append(Tracked("third", "none", Decimal(0), 2, {"third"}))
    observe(model, row("first"), row("second"), row("third", id="new", gpu="0"))
    assert model.sessions[2].id == "new"


@pytest.mark.parametrize(
    ("promised", "what"),
    [
        ({"first": Decimal("0.5"), "second": Decimal("0.75")}, "double-booked"),
        ({"first": Decimal("0.5")}, "but is promised"),
    ],
)
def test_what_gpus_are_promised_agrees_with_the_list(model: Model, promised: dict[str, Decimal], what: str) -> None:
    rows, told = [row("first"), row("second")], model.acknowledged()
    model.observe_machine(rows, {"gpu0": {"first": Decimal("0.5"), "second": Decimal("0.5")}}, rows, told)
    with pytest.raises(Violation, match=what):
        model.observe_machine(rows, {"gpu0": promised}, rows, told)


@pytest.mark.parametrize("rows", [[row("first")], [row("first"), row("second", S.CANCELLED, gpu="0")]])
def test_who_has_ended_is_promised_nothing(model: Model, rows: list[Row]) -> None:
    promised = {"gpu0": {"first": Decimal("0.5"), "second": Decimal("0.5")}}
    with pytest.raises(Violation, match="leaks"):
        model.observe_machine(rows, promised, rows, model.acknowledged())


def test_equal_requests_start_in_order(model: Model) -> None:
    def at(seconds: int) -> datetime:
        return NOW + timedelta(seconds=seconds)

    right = {"first": {"SCHEDULED": at(1)}, "second": {"SCHEDULED": at(2)}}
    wrong = {"first": {"SCHEDULED": at(2)}, "second": {"SCHEDULED": at(1)}}
    model.check_order(right)
    with pytest.raises(Violation, match="started before it"):
        model.check_order(wrong)
    with pytest.raises(Violation, match="started before it"):
        model.check_order({"first": {}, "second": {"SCHEDULED": at(1)}})
    model.check_order({"first": {"CANCELLED": at(0)}, "second": {"SCHEDULED": at(1)}})
    model.crashes.append(at(1))  # the first start of `first` was cut off by the end of the daemon
    model.check_order(wrong)
