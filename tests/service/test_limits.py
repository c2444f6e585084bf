from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from bai_tui.app.backend.service import Defaults, Policies
from bai_tui.app.model.errors import BadRequest, IllegalState, QuotaExceeded
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.policies import KeypairLimits, LimitSettings, SchedulerSettings

S = SessionStatus


def limited(**fields: Any) -> Policies:
    return Policies(limits=KeypairLimits(general=LimitSettings(**fields)))


async def test_a_request_beyond_what_its_owner_may_hold_is_refused(world: Any) -> None:
    slots = {"cpu": "2", "mem": str(2 << 30), "cuda.shares": "0.5"}
    await world.restart(policies=limited(total_resource_slots=slots))
    assert world.service.limits(world.user) == ResourceSlots.parse(slots)
    for resources, text in (({"cpu": "3"}, "3 cpu .* the 2 cpu"), ({"mem": "3g"}, "3g mem .* the 2g mem")):
        with pytest.raises(QuotaExceeded, match=text):
            await world.create(resources=resources)
    assert (await world.create(resources={"cpu": "2"})).session.status is S.RUNNING


async def test_what_is_not_limited_has_no_limit(world: Any) -> None:
    assert world.service.limits(world.user) is None


async def test_slots_and_sessions_beyond_the_limit_wait_and_hold_up_nobody_else(world: Any) -> None:
    await world.restart(policies=limited(total_resource_slots={"cpu": "2"}, max_concurrent_sessions=2))
    await world.create("first", resources={"cpu": "2"})
    second = await world.create("second", resources={"cpu": "1"}, enqueue_only=True)
    told = world.service.waiting(second.session)
    assert told["failed_predicates"][0]["name"] == "keypair_resource_limit"
    assert (await world.create("other", caller=world.other)).session.status is S.RUNNING
    await world.service.terminate(world.user, "first")
    assert (await world.create("second")).session.status is S.RUNNING
    await world.create("third", resources={"cpu": "1"})
    fourth = await world.create("fourth", resources={"cpu": "1"}, enqueue_only=True)
    told = world.service.waiting(fourth.session)
    assert told["failed_predicates"][0]["name"] == "concurrency"


async def test_more_waiting_sessions_than_allowed_are_refused_and_leave_nothing(world: Any) -> None:
    await world.restart(policies=limited(max_pending_session_count=1))
    for name in ("first", "second"):
        assert (await world.create(name, enqueue_only=True, resources={"cpu": "2"})).session.status is not S.PENDING
    third = await world.create("third", enqueue_only=True)
    assert third.session.status is S.PENDING
    with pytest.raises(QuotaExceeded, match="no more than 1 may"):
        await world.create("fourth", enqueue_only=True)
    assert [item.name for item in await world.service.match(world.user, "")] == ["first", "second", "third"]
    assert (await world.create("other", caller=world.other, enqueue_only=True)).session.status is S.PENDING
    await world.service.terminate(world.user, "third")
    assert (await world.create("fourth", enqueue_only=True)).session.status is S.PENDING


async def test_limits_count_what_an_earlier_daemon_has_let_in(world: Any) -> None:
    await world.create("first")
    await world.create("second", resources={"cpu": "4"}, enqueue_only=True)
    await world.restart(policies=limited(max_pending_session_count=1, max_concurrent_sessions=1))
    with pytest.raises(QuotaExceeded):
        await world.create("third", enqueue_only=True)
    second = await world.service.get(world.user, "second")
    assert (second.status, second.priority) == (S.PENDING, 10)


async def test_a_session_ends_with_its_lifetime_whatever_it_does(world: Any) -> None:
    await world.restart(policies=limited(max_session_lifetime_s=3600.0))
    outcome = await world.create(resource_opts={"idle_timeout": "0"})
    batch = await world.create("batch", type="batch", startup_command="wait")
    (check,) = world.service.idle_checks(outcome.session)
    assert check.name == "session_lifetime" and 3590 < check.remaining_s <= 3600
    with world.service.attached(outcome.session.id):
        world.at(3590)
        assert outcome.session.status is S.RUNNING
        world.at(3602)
        for each in (outcome, batch):
            session = await world.ended(each)
            assert (session.status, session.status_info) == (S.TERMINATED, "idle-session-lifetime")


async def test_only_an_admin_can_extend_beyond_the_lifetime(world: Any) -> None:
    await world.restart(policies=limited(max_session_lifetime_s=3600.0))
    outcome = await world.create(resource_opts={"idle_timeout": "0"})
    with pytest.raises(BadRequest, match="only an admin"):
        await world.service.extend(world.user, "sess-1", 4000.0)
    assert (await world.service.extend(world.user, "sess-1", 3000.0)).kept_until is not None
    await world.service.extend(world.admin, "sess-1", 7200.0)
    world.at(3700)
    assert outcome.session.status is S.RUNNING
    world.at(7202)
    assert (await world.ended(outcome)).status_info == "idle-session-lifetime"


async def test_an_extended_session_is_kept_and_that_can_be_taken_back(world: Any) -> None:
    events = world.service.events(world.user)
    outcome = await world.create()
    await world.service.extend(world.user, "sess-1", 7200.0)
    assert 7190 < world.service.idle_remaining_s(outcome.session) <= 7200
    world.at(1900)
    assert outcome.session.status is S.RUNNING
    assert (await world.store.get(outcome.session.id)).kept_until is not None
    await world.restart()
    world.at(7000)
    session = await world.service.get(world.user, "sess-1")
    assert session.status is S.RUNNING
    await world.service.extend(world.user, "sess-1", 0.0)
    assert (await world.ended(outcome)).status_info == "idle-timeout"
    async for event in events:
        if event.name == "bai_session_extended":
            assert event.extra["kept_until"].endswith("+00:00")
            break


@pytest.mark.parametrize("by_s", [-1.0, float("nan"), float("inf"), 1e12])
async def test_an_extension_must_be_a_duration(world: Any, by_s: float) -> None:
    await world.create()
    with pytest.raises(BadRequest, match="ten years"):
        await world.service.extend(world.user, "sess-1", by_s)


async def test_what_does_not_run_cannot_be_extended(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    await world.create("second", enqueue_only=True)
    with pytest.raises(IllegalState, match="second is PENDING"):
        await world.service.extend(world.user, "second", 60.0)


async def test_a_warning_goes_out_once_before_an_idle_session_ends(world: Any) -> None:
    outcome = await world.create()
    events = world.service.events(world.user)
    for seconds in (1000, 1690, 1700, 1750, 1802):
        world.at(seconds)
    session = await world.ended(outcome)
    warnings = []
    async for event in events:
        if event.name == "bai_idle_warning":
            warnings.append(event)
        if event.name == "session_terminated":
            break
    (warning,) = warnings
    assert warning.extra["check"] == "network_timeout" and 100 < warning.extra["remaining"] <= 120
    assert "idle-timeout in 1" in warning.reason
    assert session.status_info == "idle-timeout"


async def test_the_priority_of_a_waiting_session_can_be_changed_at_once(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    second = await world.create("second", resources={"cpu": "4"}, enqueue_only=True)
    third = await world.create("third", resources={"cpu": "4"}, enqueue_only=True)
    assert [world.service.waiting(item.session)["position"] for item in (second, third)] == [1, 2]
    assert (await world.service.modify(world.user, "third", priority=60)).priority == 60
    assert [world.service.waiting(item.session)["position"] for item in (second, third)] == [2, 1]
    await world.restart()
    assert (await world.store.get(third.session.id)).priority == 60
    await world.service.terminate(world.user, "first")
    assert (await world.create("third")).session.status is S.RUNNING
    assert (await world.service.get(world.user, "second")).status is S.PENDING
    for priority in (-1, 101):
        with pytest.raises(BadRequest, match="0 to 100"):
            await world.service.modify(world.user, "second", priority=priority)


async def test_waiting_is_told_in_the_form_of_the_manager(world: Any) -> None:
    await world.create("first", resources={"gpu": "0.75"})
    second = await world.create("second", resources={"gpu": "0.5"}, enqueue_only=True)
    told = world.service.waiting(second.session)
    assert set(told) == {
        "msg", "failed_predicates", "passed_predicates", "retries", "last_try", "position", "expected_start"
    }  # fmt: skip
    assert told["failed_predicates"] == [{"name": "resources", "msg": told["msg"]}]
    assert {"name": "concurrency"} in told["passed_predicates"]
    assert (told["position"], told["expected_start"]) == (1, None)
    assert "0.5 cuda.shares" in told["msg"]
    assert (await world.service.get(world.user, "second")).status_info == told["msg"]
    await world.create("third", resources={"gpu": "0.5"}, enqueue_only=True)
    assert world.service.waiting(second.session)["retries"] > told["retries"]


async def test_a_batch_with_a_known_end_tells_when_the_next_can_start(world: Any) -> None:
    await world.create("first", type="batch", startup_command="wait", batch_timeout_s=600.0, resources={"cpu": "4"})
    second = await world.create("second", enqueue_only=True)
    assert world.service.waiting(second.session)["expected_start"].endswith("+00:00")


async def test_defaults_of_the_configuration_hold_for_those_who_say_nothing(world: Any) -> None:
    await world.restart(policies=Policies(defaults=Defaults(idle_timeout_s=60.0, pending_timeout_s=30.0)))
    outcome = await world.create()
    assert (outcome.session.idle_timeout_s, outcome.session.pending_timeout_s) == (60.0, 30.0)


async def test_other_settings_keep_what_runs_and_what_waits(world: Any) -> None:
    first = await world.create("first", resources={"gpu": "0.25"})
    second = await world.create("second", resources={"gpu": "0.75", "cpu": "2"})
    waiting = await world.create("third", resources={"gpu": "0.5"}, enqueue_only=True)
    odd = await world.create("fourth", resources={"gpu": "0.05"}, enqueue_only=True)
    promised = world.scheduler.promised()
    await world.restart(
        scheduling=SchedulerSettings(quantum=Decimal("0.1"), policy="drf", backfill=False),
        policies=limited(max_concurrent_sessions=1, total_resource_slots={"cuda.shares": "0.5"}),
    )
    assert world.scheduler.promised() == promised
    for outcome in (first, second):
        session = await world.service.get(world.user, outcome.session.id)
        assert (session.status, session.status_info) == (S.RUNNING, None)
        assert session.allocation == outcome.session.allocation
    for outcome in (waiting, odd):
        assert (await world.service.get(world.user, outcome.session.id)).status is S.PENDING
    await world.service.terminate(world.user, "first")
    await world.service.terminate(world.user, "second")
    assert (await world.create("third")).session.status is S.RUNNING
    await world.service.terminate(world.user, "third")
    session = (await world.create("fourth")).session
    assert session.allocation["cuda.shares"] == {"gpu0": "0.05"}, "as was asked for, whatever the quantum is now"


async def test_more_promises_than_the_machine_has_are_kept_and_told(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("first", "second", "third"):
        await world.create(name, resources={"cpu": "1", "mem": "2g"})
    world.devices._devices = type(world.devices)(cpu=2).list()
    await world.restart()
    told = [item.status_info for item in await world.service.match(world.user, "")]
    assert told[:2] == [None, None]
    assert told[2].startswith("goes on without a promise of 1 cpu")
    assert "goes on without a promise of 1 cpu" in caplog.text
    occupied = world.service.slots()[1]
    assert (occupied["cpu"], occupied["mem"]) == (Decimal(2), Decimal(6 << 30))
    await world.service.terminate(world.user, "third")
    await world.create("fourth", enqueue_only=True)
    assert (await world.service.get(world.user, "fourth")).status is S.PENDING
