from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bai_tui.app.backend.ports import GpuReading
from bai_tui.app.backend.service import Policies
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import LaunchFailed
from bai_tui.app.model.metrics import Metric
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.policies import GpuSettings, IdleSettings, MemorySettings, SandboxSettings, UtilizationSettings
from bai_tui.tests.waiting import turns

S = SessionStatus
GIB = 1 << 30


def gpu(present: bool = True, problem: str = "", device_id: str = "gpu0") -> GpuReading:
    return GpuReading(device_id=device_id, present=present, problem=problem)


async def events_until(events: Any, last: str) -> list[Any]:
    found = []
    async for event in events:
        found.append(event)
        if event.name == last:
            break
    return found


async def test_devices_are_made_ready_before_they_are_told_of_and_forgotten_at_the_end(world: Any) -> None:
    outcome = await world.create(resources={"mem": "2g"})
    assert world.devices.order == ["prepare", "environment"]
    assert world.devices.ready == {outcome.session.id}
    (spec,) = world.engine.specs
    assert (spec.cores, spec.mem_limit_bytes) == (frozenset({0}), 2 * GIB)
    await world.service.terminate(world.user, "sess-1")
    assert world.devices.ready == set()


async def test_devices_that_cannot_be_made_ready_are_a_failed_start(world: Any) -> None:
    world.devices.refuse = LaunchFailed("no MPS")
    session = (await world.create()).session
    assert (session.status, session.status_info) == (S.ERROR, "failed-to-start: no MPS")
    assert not any(world.service.slots()[1].values())


async def test_all_layers_are_listed_for_those_who_hold_something(world: Any) -> None:
    await world.restart(policies=Policies(gpu=GpuSettings(watch_mock=True, end_pct=120, end_samples=3)))
    outcome = await world.create(resources={"gpu": "0.5"})
    waiting = await world.create("second", resources={"gpu": "0.6"}, enqueue_only=True)
    layers = world.service.layers(outcome.session)
    assert [(layer.name, layer.applies_to) for layer in layers] == [
        ("environment", "gpu"),
        ("affinity", "cpu"),
        ("watcher", "mem"),
        ("watcher", "tasks"),
        ("watcher", "gpu"),
        ("accounting", "cpu"),
        ("accounting", "mem"),
        ("accounting", "gpu"),
    ]
    (of_gpu,) = [layer.detail for layer in layers if (layer.name, layer.applies_to) == ("watcher", "gpu")]
    assert "ends the session at 120 % in 3 samples" in of_gpu
    assert not world.service.layers(waiting.session)
    ended = await world.service.terminate(world.user, "sess-1")
    assert not world.service.layers(ended)


async def test_a_mock_gpu_is_not_said_to_be_watched_when_it_is_not(world: Any) -> None:
    outcome = await world.create(resources={"gpu": "0.5"})
    assert ("watcher", "gpu") not in [(item.name, item.applies_to) for item in world.service.layers(outcome.session)]


async def test_a_lost_gpu_kills_nobody_and_takes_nobody_new(world: Any) -> None:
    first = await world.create("first", resources={"gpu": "0.5"})
    other = await world.create("other")
    events = world.service.events(world.user)
    world.sampler.gpus["gpu0"] = gpu(present=False, problem="GPU is lost")
    world.sampler.round()
    world.sampler.round()
    assert (first.session.status, first.session.status_info) == (S.RUNNING_DEGRADED, "gpu0 is lost: GPU is lost")
    assert other.session.status is S.RUNNING
    assert [use.lost for use in world.service.devices(world.admin) if use.device.id == "gpu0"] == [True]
    waiting = await world.create("second", resources={"gpu": "0.25"}, enqueue_only=True)
    assert waiting.session.status is S.PENDING
    assert "lost" in (await world.service.get(world.user, waiting.session.id)).status_info
    async with world.service.run(world.user, "first", ExecuteRequest(RunMode.QUERY, "print on")) as run:
        assert [record.kind async for record in run.records()][-1] == "run-finished"
    world.sampler.gpus["gpu0"] = gpu()
    world.sampler.round()
    assert (first.session.status, first.session.status_info) == (S.RUNNING, None)
    assert (await world.create("second")).session.status is S.RUNNING
    seen = [event for event in await events_until(events, "bai_device_returned") if event.session_name == "first"]
    assert [event.name for event in seen] == ["bai_device_lost", "bai_device_returned"]
    assert seen[0].extra == {"device": "gpu0", "problem": "GPU is lost"}


async def test_a_session_whose_gpu_is_gone_after_a_restart_is_told_and_heals(world: Any) -> None:
    outcome = await world.create(resources={"gpu": "0.5"})
    world.sampler.gpus["gpu0"] = gpu(present=False)
    world.sampler.round()
    devices = world.devices._devices
    world.devices._devices, world.sampler.gpus = devices[:2], {}
    await world.restart()
    world.sampler.round()
    session = await world.service.get(world.user, "sess-1")
    assert session.status is S.RUNNING_DEGRADED
    assert session.status_info == "gpu0 is lost: this machine does not have it any more"
    world.devices._devices = devices
    await world.restart()
    world.sampler.round()
    session = await world.service.get(world.user, "sess-1")
    assert (session.status, session.status_info) == (S.RUNNING, None)
    assert session.allocation == outcome.session.allocation
    assert world.service.slots()[1].wire()["cuda.shares"] == "0.5"


async def test_a_lost_session_can_be_ended_and_restarted(world: Any) -> None:
    outcome = await world.create(resources={"gpu": "0.5"})
    world.sampler.gpus["gpu0"] = gpu(present=False)
    world.sampler.round()
    await world.service.restart(world.user, "sess-1")
    world.sampler.round()
    assert outcome.session.status is S.RUNNING_DEGRADED
    assert (await world.service.terminate(world.user, "sess-1")).status is S.TERMINATED


async def test_each_round_goes_to_readers_cut_down_to_their_sessions(world: Any) -> None:
    first = await world.create("first")
    second = await world.create("second", caller=world.other)
    both = {first.session.id, second.session.id}
    assert {item.session.id for item in world.sampler.watched()} == both
    for session_id in both:
        world.sampler.metrics[session_id] = {"mem": Metric(5.0)}
        world.sampler.gpu_mem[session_id] = {"gpu0": 7}
    mine, all_of_them = world.service.samples(world.user), world.service.samples(world.admin)
    waiting = [asyncio.ensure_future(anext(reader)) for reader in (mine, all_of_them)]
    await turns(1)  # they wait already
    world.sampler.round()
    newest = world.sampler.round()
    seen = await asyncio.gather(*waiting)
    assert list(seen[0].sessions) == list(seen[0].session_gpu_mem_bytes) == [first.session.id]
    assert seen[1] is newest and set(seen[1].sessions) == both
    assert world.service.sampled(world.admin) is newest
    world.sampler.round()
    assert set((await anext(all_of_them)).sessions) == both
    world.service.close_events()
    assert [item async for item in mine] == []


async def test_what_a_session_used_last_outlives_it(world: Any) -> None:
    outcome = await world.create()
    assert world.service.stat(outcome.session) == {}
    world.sampler.metrics[outcome.session.id] = {"mem": Metric(5.0, capacity=10.0, unit_hint="bytes")}
    world.sampler.round()
    assert world.service.stat(outcome.session)["mem"].pct == 50
    await world.service.terminate(world.user, "sess-1")
    session = await world.service.get(world.user, outcome.session.id)
    assert world.service.stat(session)["mem"].current == 5
    assert (await world.store.get(session.id)).last_stat["mem"]["capacity"] == "10"


async def test_the_figures_are_written_now_and_then_for_the_next_daemon(world: Any) -> None:
    outcome = await world.create()
    world.sampler.metrics[outcome.session.id] = {"mem": Metric(5.0)}
    world.sampler.round()
    assert outcome.session.last_stat == {}
    world.at(31)
    world.sampler.round()
    assert outcome.session.last_stat["mem"]["current"] == "5"


@pytest.mark.parametrize("resource", ["mem", "gpu"])
async def test_who_uses_more_than_promised_is_warned_then_ended(world: Any, resource: str) -> None:
    gpu_rules = GpuSettings(watch_mock=True, end_samples=2)
    await world.restart(policies=Policies(gpu=gpu_rules, memory=MemorySettings(end_samples=2)))
    outcome = await world.create(resources={"gpu": "0.25", "mem": "4g"})
    kernel = world.kernel(outcome)
    events = world.service.events(world.user)

    def use(size: float) -> None:
        key, amount = outcome.session.id, int(size * GIB)
        if resource == "gpu":
            world.sampler.gpu_mem[key] = {"gpu0": amount}
        else:
            world.sampler.metrics[key] = {"mem": Metric(float(amount))}
        world.sampler.round()

    for size in (3.9, 4.1, 4.2, 4.5):
        use(size)
        assert outcome.session.status is S.RUNNING
    use(4.5)
    session = await world.ended(outcome)
    device = "gpu0" if resource == "gpu" else "mem"
    assert session.status_info.startswith("overuse: uses 4.5g of its 4g")
    assert session.status_info.endswith(", or let the code take less")
    assert kernel.why == session.status_info, "who reads the output is told, too"
    seen = await events_until(events, "session_terminated")
    (warning,) = [event for event in seen if event.name == "bai_overuse_warning"]
    assert warning.extra == {
        "resource": resource,
        "device": device,
        "used_bytes": int(4.1 * GIB),
        "limit_bytes": 4 * GIB,
        "held": False,
    }


async def test_who_is_held_to_his_memory_is_warned_and_never_ended_by_the_watcher(world: Any) -> None:
    await world.restart(policies=Policies(memory=MemorySettings(end_samples=1)))
    world.engine.hard = ("mem",)
    outcome = await world.create(resources={"mem": "1g"})
    events = world.service.events(world.user)
    world.sampler.metrics[outcome.session.id] = {"mem": Metric(float(2 * GIB))}
    for _ in range(4):
        world.sampler.round()
        assert outcome.session.status is S.RUNNING, "the system lets him have no more, whatever we count"
    await world.service.terminate(world.user, outcome.session.name)
    seen = await events_until(events, "session_terminated")
    (warning,) = [event for event in seen if event.name == "bai_overuse_warning"]
    assert warning.extra["held"], "nobody is told that he will be ended"


async def test_who_runs_too_many_tasks_is_ended_at_once(world: Any) -> None:
    await world.restart(policies=Policies(sandbox=SandboxSettings(max_tasks=300)))
    outcome, neighbour = await world.create(), await world.create(name="neighbour")
    kernel = world.kernel(outcome)
    world.sampler.tasks = {outcome.session.id: 300, neighbour.session.id: 300}
    world.sampler.round()
    assert outcome.session.status is S.RUNNING
    world.sampler.tasks[outcome.session.id] = 301
    world.sampler.round()
    session = await world.ended(outcome)
    assert session.status is S.TERMINATED
    assert session.status_info.startswith("overuse: runs 301 processes and threads of its 300; ")
    assert kernel.why == session.status_info
    assert neighbour.session.status is S.RUNNING


async def test_who_is_held_to_his_tasks_by_the_system_is_not_ended_by_the_watcher(world: Any) -> None:
    await world.restart(policies=Policies(sandbox=SandboxSettings(max_tasks=300)))
    world.engine.hard = ("tasks",)
    outcome = await world.create()
    world.sampler.tasks = {outcome.session.id: 303}  # of which some hold its sandbox
    world.sampler.round()
    assert outcome.session.status is S.RUNNING


async def test_a_session_that_uses_little_is_ended(world: Any) -> None:
    rules = UtilizationSettings(thresholds={"cpu_util": 10.0}, time_window_s=60.0, initial_grace_s=30.0)
    await world.restart(policies=Policies(idle=IdleSettings(utilization=rules)))
    outcome = await world.create(resource_opts={"idle_timeout": "0"})
    for seconds in range(0, 80, 5):
        world.sampler.metrics[outcome.session.id] = {"cpu_util": Metric(1.0, capacity=100.0)}
        world.at(seconds)
        world.sampler.round()
        assert outcome.session.status is S.RUNNING
    (check,) = world.service.idle_checks(outcome.session)
    assert (check.name, check.extra["resources"]["cpu_util"][1]) == ("utilization", 10.0)
    world.at(100)
    assert (await world.ended(outcome)).status_info == "idle-utilization"


async def test_a_session_that_no_round_has_seen_is_measured_before_its_end(world: Any) -> None:
    outcome = await world.create()
    world.sampler.at_the_end = {"mem": Metric(7.0)}
    ended = await world.service.terminate(world.user, outcome.session.name)
    assert world.sampler.looked_at == [outcome.session.id]
    assert ended.last_stat["mem"]["current"] == "7"
