"""What a real manager (26.9.6) tells otherwise than our backend, as it was recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.client.api import ApiClient
from bai_tui.app.client.cluster import in_our_words, one_line
from bai_tui.app.client.parsing import event_view, session_view, stat_of
from bai_tui.app.model.errors import Forbidden, RemoteError
from bai_tui.app.model.metrics import CPU_UTIL, CUDA_MEM, CUDA_UTIL, MEM_USED
from bai_tui.app.model.sessions import LIVE

from .conftest import FakeServer, problem, recording

HISTORY = "POST /admin/gql/strawberry"


def cluster(server: FakeServer) -> None:
    """Lists what was recorded, of running and of waiting sessions."""
    server.graphql = lambda query, variables: recording("session-list-used")
    server.answers[HISTORY] = recording("scheduling-histories")


def histories(server: FakeServer) -> int:
    return server.targets().count(HISTORY)


async def test_use_is_told_in_our_units(client: ApiClient, server: FakeServer) -> None:
    cluster(server)
    views, _ = await client.list_sessions(stats=True)
    stat = {view.name: view.stat for view in views}
    plain, gpu = stat["wait-b"], stat["wait-e"]
    assert CUDA_MEM not in plain and CUDA_UTIL not in plain  # it holds no GPU, though the manager says 0 of 0
    assert plain[MEM_USED].capacity == 256 * 2**20
    assert plain["io_read"].capacity is None  # the manager writes 2^63 - 1
    assert plain[CPU_UTIL].capacity == 100.0
    assert gpu[CUDA_MEM].capacity == 2 * 40 * 2**30
    assert 0 < gpu[CUDA_UTIL].current <= 200


@pytest.mark.parametrize("unit", ["millicores", "percent"])
def test_cpu_use_is_percent_of_one_core(unit: str) -> None:
    util = {"current": "1500", "capacity": "1000", "unit_hint": unit, "stats.max": "1700.5", "stats.avg": "20"}
    stat = {CPU_UTIL: util, "cpu_used": {"current": "99000", "capacity": "0", "unit_hint": "msec"}}
    row = in_our_words({"occupying_slots": '{"cpu": "4"}', "containers": [{"live_stat": json.dumps(stat)}]})
    metric = stat_of(row["containers"])[CPU_UTIL]
    assert (metric.current, metric.capacity, metric.max, metric.avg) == (150.0, 400.0, 170.05, 2.0)
    assert metric.unit_hint == "percent"


def test_cpu_time_is_not_taken_for_cpu_use() -> None:
    """26.9 tells all the CPU time so far as `cpu_util`, until it has measured twice."""
    first = {"current": "2572.43", "capacity": "1000", "unit_hint": "millicores"}
    stat = {CPU_UTIL: first, "cpu_used": {"current": "2572.43", "capacity": "0", "unit_hint": "msec"}}
    row = in_our_words({"containers": [{"live_stat": json.dumps(stat)}]})
    assert set(stat_of(row["containers"])) == {"cpu_used"}


async def test_it_says_why_sessions_wait(client: ApiClient, server: FakeServer) -> None:
    cluster(server)
    views = {view.name: view for view in await client.all_sessions(sorted(LIVE))}
    first, later = views["wait-f"].waiting, views["wait-d"].waiting
    assert first is not None and later is not None
    assert first.text == "no agent has enough free: 1 cpu missing"
    assert first.failed == ("resource", "DispersedAgentSelector")
    assert later.text == "Not attempted: the resource group ran out of resources at the earlier session wait-f"
    assert views["wait-b"].waiting is None
    assert histories(server) == 1  # for all of them


def test_why_in_one_line() -> None:
    waits = (
        "Session dependencies not satisfied. (Waiting dependency sessions to finish as success. "
        "(wait-b (f9bea36d-41d4-4733-a6fb-78115e430ead), wait-a (39bdac95-7ca0-41e4-9abc-dfb2465c8acb)))"
    )
    assert one_line(waits, {}) == "Waiting dependency sessions to finish as success. (wait-b, wait-a)"
    reserved = "Reserved batch session is not yet ready to start. (Batch session is scheduled to start at 2026-11-23.)"
    assert one_line(reserved, {}) == "Batch session is scheduled to start at 2026-11-23."
    two = "could not be placed:\n  - cpu: missing=1.500000\n  - mem: missing=20.95 GiB)"
    assert one_line(two, {}) == "no agent has enough free: 1.5 cpu, 20.95 GiB mem missing"
    earlier = "Not attempted: out of resources at the earlier session 39bdac95-7ca0-41e4-9abc-dfb2465c8acb"
    assert one_line(earlier, {}) == "Not attempted: out of resources at an earlier session"  # it waits no more
    assert one_line("anything\n  else", {}) == "anything else"


async def refused(request: web.Request) -> web.StreamResponse:
    return problem(403, "generic-forbidden", "Forbidden operation.")


async def failed(request: web.Request) -> web.StreamResponse:
    return problem(503, "service-unavailable", "Service unavailable.")


@pytest.mark.parametrize(("answer", "asked"), [(refused, 1), ({"data": None, "errors": [{}]}, 1), (failed, 2)])
async def test_a_manager_that_does_not_say_is_not_asked_again(
    client: ApiClient, server: FakeServer, answer: Any, asked: int
) -> None:
    cluster(server)
    server.answers[HISTORY] = answer
    for _ in range(2):
        views, _ = await client.list_sessions()
        assert [view.waiting for view in views] == [None] * 4
    assert histories(server) == asked


async def test_nothing_more_is_asked_where_nothing_waits_or_nobody_knows(client: ApiClient, server: FakeServer) -> None:
    cluster(server)
    await client.session_rows(["id", "name", "status"], statuses=None, limit=10, offset=0)  # a plain `ps`
    running = recording("session-list-used")["data"]["compute_session_list"]["items"][1:2]
    server.graphql = lambda query, variables: {"data": {"compute_session_list": {"items": running, "total_count": 1}}}
    await client.list_sessions()
    server.graphql = lambda query, variables: recording("session-list-used")
    server.handshake["manager"] = "25.6.0"
    await client.handshake()
    await client.list_sessions()
    assert histories(server) == 0


async def test_what_managers_fail_to_tell_is_asked_for_by_name_only(client: ApiClient, server: FakeServer) -> None:
    asked: list[str] = []

    def answer(query: str, variables: dict[str, Any]) -> Any:
        asked.append(query)
        return recording("dependencies-failed" if "dependencies" in query else "session-list-used")

    server.graphql = answer
    assert len((await client.list_sessions())[0]) == len((await client.list_sessions())[0]) == 4
    assert len(asked) == 2
    with pytest.raises(RemoteError, match=r"^the server failed to tell dependencies: email$"):
        await client.session_rows(["dependencies{name id}"], statuses=None, limit=3, offset=0)


async def test_another_field_that_fails_is_left_out_for_good(client: ApiClient, server: FakeServer) -> None:
    asked: list[str] = []

    def answer(query: str, variables: dict[str, Any]) -> Any:
        asked.append(query)
        if "idle_checks" not in query:
            return recording("session-list-used")
        text = json.dumps(recording("dependencies-failed"))
        return json.loads(text.replace('"dependencies"', '"idle_checks"'))

    server.graphql = answer
    for _ in range(2):
        assert len((await client.list_sessions())[0]) == 4
    assert len(asked) == 3


async def test_one_session_has_its_project_and_what_it_depends_on(client: ApiClient, server: FakeServer) -> None:
    sid = "473aebfb-4ee2-4ab7-875e-3eabb892d9cb"
    one = {"id": sid, "name": "wait-c", "status": "RUNNING", "group_name": "d", "dependencies": None}

    def answer(query: str, variables: dict[str, Any]) -> Any:
        return recording("session-origin") if "dependees" in query else {"data": {"compute_session": one}}

    server.graphql = answer
    view = await client.session(sid, stats=True)
    assert (view.group_name, view.depends_on) == ("default", ("wait-b", "wait-a"))
    assert len([target for target in server.targets() if target == "POST /admin/gql"]) == 2
    # who does not show them pays nothing for them
    await client.session(sid)
    assert len([target for target in server.targets() if target == "POST /admin/gql"]) == 3


async def test_a_project_that_cannot_be_learned_is_not_told_wrong(client: ApiClient, server: FakeServer) -> None:
    sid = "473aebfb-4ee2-4ab7-875e-3eabb892d9cb"
    one = {"id": sid, "name": "wait-c", "status": "RUNNING", "group_name": "d", "dependencies": []}

    def answer(query: str, variables: dict[str, Any]) -> Any:
        if "dependees" in query:
            return {"data": None, "errors": [{"message": "no such field"}]}
        return {"data": {"compute_session": one}}

    server.graphql = answer
    assert (await client.session(sid, stats=True)).group_name is None


async def test_who_may_change_priorities(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: {
        "data": {"modify_compute_session": None},
        "errors": [{"message": "Permission Denied.", "path": ["modify_compute_session"]}],
    }
    with pytest.raises(Forbidden, match="lets only its admins change a priority"):
        await client.prioritize("473aebfb-4ee2-4ab7-875e-3eabb892d9cb", 20)


def test_nothing_ends_what_has_ended() -> None:
    row = {"id": "1", "status": "TERMINATED", "idle_checks": '{"network_timeout": {"remaining": 3540}}'}
    view = session_view(row)
    assert (view.idle_remaining_s, view.idle_checks) == (None, {})
    assert session_view({**row, "status": "RUNNING"}).idle_remaining_s == 3540


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("triggered-by-scheduler", ""),
        ("passed-preconditions", ""),
        ("user-requested", "user-requested"),
        (None, ""),
    ],
)
def test_what_only_says_that_the_scheduler_did_it_is_no_reason(told: str | None, reason: str) -> None:
    row = {"id": "1", "name": "py-1", "status": "TERMINATED", "status_info": told}
    assert session_view(row).status_info == (reason or None)
    assert event_view("session_terminated", {"sessionId": "1", "reason": told}).reason == reason
