"""What sessions use, why they wait, when they end: of our backend, of a cluster, of one that talks nonsense."""

from __future__ import annotations

import json
import math
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.client import measuring
from bai_tui.app.client.api import ApiClient
from bai_tui.app.client.parsing import current, metrics, session_view, stat_of
from bai_tui.app.client.views import IdleCheckView, LayerView
from bai_tui.app.model.errors import AmbiguousReference, IllegalState, NotImplementedHere, RemoteError, SessionNotFound
from bai_tui.app.model.metrics import Metric
from bai_tui.app.model.sessions import LIVE

from .conftest import ACCESS_KEY, FakeServer, problem, recording

SID = "46f98ea2-63be-4987-bf8a-26eeb2d7c504"
OTHER = "5e05ad83-0d9b-4bfc-8f4b-0b7bd9b7a001"
MEM = {"current": "314572800", "capacity": "1073741824", "unit_hint": "bytes", "stats.max": "419430400"}


def rows(*items: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"compute_session_list": {"items": list(items), "total_count": len(items)}}}


def last_json(server: FakeServer) -> Any:
    return json.loads(server.bodies[-1])


def test_all_that_our_backend_tells_of_a_session() -> None:
    view = session_view(
        {
            "id": SID,
            "name": "n",
            "status": "PENDING",
            "startup_command": "make",
            "status_data": json.dumps(
                {
                    "scheduler": {
                        "msg": "waits for 0.5 cuda.shares; 2nd in the queue",
                        "failed_predicates": [{"name": "resources", "msg": "waits for 0.5 cuda.shares"}],
                        "passed_predicates": [{"name": "dependencies"}],
                        "position": 2,
                        "expected_start": "2026-11-23T04:00:00+00:00",
                    },
                    "enforcement": [{"name": "mps", "applies_to": "gpu", "guarantee": "hard", "detail": "d"}],
                }
            ),
            "idle_checks": json.dumps(
                {
                    "network_timeout": {"remaining": 1800.0, "remaining_time_type": "grace_period", "extra": None},
                    "utilization": {
                        "remaining": 60,
                        "remaining_time_type": "expire_after",
                        "extra": {"resources": {"cpu_util": [1.5, 10.0]}},
                    },
                    "session_lifetime": {"remaining": None, "remaining_time_type": "expire_after", "extra": None},
                }
            ),
            "containers": [{"live_stat": json.dumps({"mem": MEM, "version": 2}), "last_stat": None}],
            "dependencies": [{"name": "train", "id": OTHER}, {"id": OTHER}],
        }
    )
    assert view.waiting is not None
    assert (view.waiting.text, view.waiting.position) == ("waits for 0.5 cuda.shares; 2nd in the queue", 2)
    assert view.waiting.expected_start == datetime(2026, 11, 23, 4, tzinfo=UTC)
    assert view.waiting.failed == ("resources",)
    assert view.layers == (LayerView("mps", "gpu", "hard", "d"),)
    assert view.idle_checks == {
        "network_timeout": IdleCheckView(1800.0, True, None),
        "utilization": IdleCheckView(60.0, False, {"resources": {"cpu_util": [1.5, 10.0]}}),
        "session_lifetime": IdleCheckView(None, False, None),
    }
    assert view.idle_remaining_s == 60.0
    assert view.stat == {"mem": Metric(314572800.0, 1073741824.0, "bytes", max=419430400.0)}
    assert (view.depends_on, view.startup_command) == (("train", OTHER), "make")


async def test_a_real_manager_tells_less_and_nothing_breaks(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: recording("session-list")
    (view,), _ = await client.list_sessions(stats=True)
    assert (view.stat, view.waiting, view.layers, view.depends_on) == ({}, None, (), ())
    assert set(view.idle_checks) == {"session_lifetime", "network_timeout"}
    assert view.idle_remaining_s is None


def test_a_cluster_says_why_a_session_waits_by_predicates() -> None:
    scheduler = {
        "retries": 5,
        "failed_predicates": [{"name": "concurrency", "msg": "You cannot run more than 30 concurrent sessions."}],
        "passed_predicates": [{"name": "reserved_time"}],
    }
    row = {"id": SID, "status": "PENDING", "status_data": json.dumps({"scheduler": scheduler})}
    view = session_view(row)
    assert view.waiting is not None
    assert (view.waiting.text, view.waiting.failed, view.waiting.position) == (
        "You cannot run more than 30 concurrent sessions.",
        ("concurrency",),
        None,
    )
    # the manager leaves what its scheduler said where it was: a session that runs waits for nothing
    assert session_view({**row, "status": "RUNNING"}).waiting is None


@pytest.mark.parametrize(
    "row",
    [
        {"idle_checks": "[]", "status_data": '{"scheduler": [], "enforcement": {}}', "containers": {}},
        {"idle_checks": '{"a": 1}', "status_data": '{"scheduler": {"failed_predicates": 3}}', "containers": [3]},
        {"idle_checks": '{"a": {"remaining": "x", "extra": 3}}', "dependencies": 3, "containers": [{"live_stat": "3"}]},
        {"status_data": '{"scheduler": {"msg": "", "position": "1"}, "enforcement": [1]}', "dependencies": [1]},
        {"containers": [{"live_stat": '{"mem": {"current": "many"}, "cpu_util": 3}'}]},
    ],
)
def test_nonsense_counts_as_nothing(row: dict[str, Any]) -> None:
    view = session_view({"id": SID, "status": "PENDING", **row})
    assert (view.stat, view.waiting, view.layers, view.depends_on) == ({}, None, (), ())
    assert view.idle_remaining_s is None


def test_the_kernels_of_a_session_are_added_up() -> None:
    live, last = {"live_stat": json.dumps({"mem": MEM})}, {"live_stat": None, "last_stat": json.dumps({"mem": MEM})}
    assert stat_of([live, last]) == {"mem": Metric(629145600.0, 2147483648.0, "bytes")}
    assert stat_of([last])["mem"].max == 419430400.0


async def test_only_who_wants_stats_asks_for_them(client: ApiClient, server: FakeServer) -> None:
    queries: list[str] = []

    def answer(query: str, variables: dict[str, Any]) -> Any:
        queries.append(query)
        return {"data": {"compute_session": {"id": SID}}} if "compute_session(" in query else rows()

    server.graphql = answer
    await client.list_sessions()
    await client.session(SID)
    assert not any("containers" in query for query in queries)
    await client.list_sessions(stats=True)
    await client.session(SID, stats=True)
    assert all("containers{live_stat last_stat}" in query for query in queries[2:4])


async def test_all_sessions_turns_the_pages(client: ApiClient, server: FakeServer) -> None:
    found = [{"id": str(number), "name": f"s{number}", "status": "RUNNING"} for number in range(250)]

    def answer(query: str, variables: dict[str, Any]) -> Any:
        page = found[variables["offset"] : variables["offset"] + variables["limit"]]
        return {"data": {"compute_session_list": {"items": page, "total_count": len(found)}}}

    server.graphql = answer
    assert [view.name for view in await client.all_sessions(sorted(LIVE))] == [f"s{number}" for number in range(250)]


GPU = {
    "id": "gpu0",
    "model": "Mock",
    "kind": "mock",
    "capacity": "1",
    "mem_bytes": 17179869184,
    "promised": {SID: "0.5"},
    "lost": False,
    "mem_used_bytes": 4294967296,
    "util_pct": 35,
    "temperature_c": 60,
    "power_w": 120,
    "session_mem_bytes": {SID: 2147483648},
}


def pushed(*events: tuple[str, Any], targets: list[str]) -> Any:
    async def handler(request: web.Request) -> web.StreamResponse:
        targets.append(request.raw_path)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for name, data in events:
            await response.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        return response

    return handler


async def test_rounds_of_our_backend(client: ApiClient, server: FakeServer) -> None:
    server.handshake["bai-tui"] = {"capabilities": ["devices", "stats"]}
    server.graphql = lambda query, variables: rows(
        {"id": SID, "status": "RUNNING", "containers": [{"live_stat": json.dumps({"mem": MEM})}]}
    )
    server.answers["GET /machine"] = {"available": {}, "occupied": {}, "gpus": [GPU]}
    targets: list[str] = []
    told = {
        "time": 1763870000.5,
        "cpu_pct": 12.5,
        "mem_used_bytes": 3221225472,
        "sessions": {SID: {"mem": MEM}},
        "gpus": [{**GPU, "lost": True}],
    }
    server.answers["GET /events/session"] = pushed(
        ("session_started", {}), ("bai_stats", told), ("bai_stats", {"gpus": 3}), ("server_close", {}), targets=targets
    )
    first, second, broken = [found async for found in client.stats()]
    # what is known already does not wait for the next round
    assert (first.sessions[SID]["mem"].current, first.mem_used_bytes) == (314572800.0, 0)
    gpu = first.gpus[0]
    assert (gpu.lost, gpu.mem_used_bytes, gpu.util_pct, gpu.temperature_c, gpu.power_w) == (
        False,
        4294967296,
        35.0,
        60.0,
        120.0,
    )
    assert (gpu.promised, gpu.session_mem_bytes) == ({SID: Decimal("0.5")}, {SID: 2147483648})
    assert (second.time_s, second.cpu_pct, second.mem_used_bytes) == (1763870000.5, 12.5, 3221225472)
    assert (round(second.sessions[SID]["mem"].pct, 1), second.gpus[0].lost) == (29.3, True)
    assert (broken.sessions, broken.gpus) == ({}, ())
    assert targets == ["/events/session?scope=*&stats=true"]


async def test_a_cluster_is_asked_again_and_again(
    client: ApiClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_POLL_S", 0.0)
    used = iter(["10", "20", "30"])
    asked: list[str] = []

    def answer(query: str, variables: dict[str, Any]) -> Any:
        asked.append(variables["status"])
        stat = json.dumps({"cpu_util": {"current": next(used), "capacity": "1000", "unit_hint": "millicores"}})
        return rows({"id": SID, "status": "RUNNING", "containers": [{"live_stat": stat}]})

    server.graphql = answer
    found = []
    async with aclosing(client.stats()) as rounds:
        async for one in rounds:
            found.append(one.sessions[SID]["cpu_util"].current)
            if len(found) == 3:
                break
    assert found == [1.0, 2.0, 3.0]
    assert set(asked) == {"RUNNING,RUNNING_DEGRADED"}
    assert not any("/machine" in target or "/events" in target for target in server.targets())


async def test_extend(client: ApiClient, server: FakeServer) -> None:
    server.handshake["bai-tui"] = {"capabilities": ["extend"]}
    server.answers[f"POST /session/{SID}/extend"] = {"kept_until": "2026-11-23T05:00:00+00:00", "remaining": 3600}
    granted = await client.extend(SID, 3600)
    assert last_json(server) == {"seconds": 3600}
    assert (granted.kept_until, granted.remaining_s) == (datetime(2026, 11, 23, 5, tzinfo=UTC), 3600.0)
    server.answers[f"POST /session/{SID}/extend"] = {"kept_until": None, "remaining": None}
    granted = await client.extend(SID, 0)
    assert (granted.kept_until, granted.remaining_s) == (None, None)

    async def refuse(request: web.Request) -> web.Response:
        return problem(409, "invalid-kernel-status", IllegalState.title, msg="the session has ended")

    server.answers[f"POST /session/{SID}/extend"] = refuse
    with pytest.raises(IllegalState, match="the session has ended"):
        await client.extend(SID, 60)


async def test_a_cluster_cannot_extend(client: ApiClient, server: FakeServer) -> None:
    with pytest.raises(NotImplementedHere, match="has no such request") as caught:
        await client.extend(SID, 60)
    assert isinstance(caught.value, RemoteError)
    assert server.targets() == ["GET /"]


async def test_prioritize(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: {
        "data": {"modify_compute_session": {"item": {"name": "n", "priority": 50}}}
    }
    assert await client.prioritize(SID, 90) == 50  # the server may cut it
    body = last_json(server)
    assert body["variables"] == {"input": {"id": SID, "priority": 90}}
    assert body["query"].startswith("mutation($input:ModifyComputeSessionInput!)")


async def test_an_old_cluster_has_no_priorities_and_no_time_limits(client: ApiClient, server: FakeServer) -> None:
    server.handshake["version"] = "v7.20230615"
    with pytest.raises(NotImplementedHere, match="knows no priorities"):
        await client.prioritize(SID, 1)
    with pytest.raises(NotImplementedHere, match="cannot limit the time"):
        await client.create_session("python", type="batch", startup_command="x", batch_timeout_s=60)
    assert server.targets() == ["GET /"]


async def test_create_names_what_it_depends_on_by_id(client: ApiClient, server: FakeServer) -> None:
    live = {"id": OTHER, "name": "train", "status": "RUNNING", "access_key": ACCESS_KEY}
    server.graphql = lambda query, variables: rows(live)
    server.answers["POST /session"] = {"sessionId": SID}
    starts_at = datetime(2026, 11, 23, 18, 30, tzinfo=timezone(timedelta(hours=9)))
    await client.create_session(
        "python",
        type="batch",
        startup_command="make",
        depends_on=["tra", SID.upper(), "tra"],
        starts_at=starts_at,
        batch_timeout_s=90.5,
    )
    body = last_json(server)
    assert body["dependencies"] == [OTHER, SID]
    assert body["starts_at"] == "2026-11-23T18:30:00+09:00"
    assert body["batch_timeout"] == 91  # whole seconds, and never short
    with pytest.raises(SessionNotFound, match="'gone'"):
        await client.create_session("python", depends_on=["gone"])
    await client.create_session("python")
    assert not {"dependencies", "starts_at", "batch_timeout"} & set(last_json(server))


async def test_many_references_are_resolved_with_one_look(client: ApiClient, server: FakeServer) -> None:
    asked: list[str] = []

    def graphql(query: str, variables: dict[str, Any]) -> dict[str, Any]:
        asked.append(query)
        names = ("train", "test-a", "test-b")
        return rows(*({"id": f"{SID[:-1]}{n}", "name": name, "status": "RUNNING"} for n, name in enumerate(names)))

    server.graphql = graphql
    found = await client.resolve_all(["tr", "test", "test-b", "gone", "", OTHER.upper()])
    assert {ref: one for ref, one in found.items() if isinstance(one, str)} == {
        "tr": f"{SID[:-1]}0",
        "test-b": f"{SID[:-1]}2",
        OTHER.upper(): OTHER,
    }
    assert isinstance(found["test"], AmbiguousReference)
    assert isinstance(found["gone"], SessionNotFound) and isinstance(found[""], SessionNotFound)
    assert len(asked) == 1
    assert await client.resolve_all([OTHER]) == {OTHER: OTHER}
    assert len(asked) == 1, "a whole id says all"


async def test_create_may_depend_on_the_last_ended_one_of_a_name(client: ApiClient, server: FakeServer) -> None:
    asked: list[dict[str, Any]] = []

    def graphql(query: str, variables: dict[str, Any]) -> dict[str, Any]:
        asked.append(variables)
        return rows(*([{"id": OTHER, "name": "train"}] if "TERMINATED" in variables["status"] else []))

    server.graphql = graphql
    server.answers["POST /session"] = {"sessionId": SID}
    await client.create_session("python", type="batch", startup_command="make", depends_on=["train"])
    assert last_json(server)["dependencies"] == [OTHER]
    last = asked[-1]
    assert (last["filter"], last["order"], last["limit"]) == ('name == "train"', "-created_at", 1)
    for ref in ("tra", 'x" | name != "'):
        with pytest.raises(SessionNotFound):
            await client.create_session("python", type="batch", startup_command="make", depends_on=[ref])


def test_metrics_are_read_when_they_are_asked_for_and_what_is_none_is_left_out() -> None:
    wire = {"mem": {"current": "5", "capacity": "10"}, "cpu_util": {"current": "x"}, "version": 2, "cuda_mem": {}}
    read = metrics(wire)
    wire["mem"] = {"current": "6", "capacity": "10"}
    assert read["mem"] == Metric(6.0, 10.0), "read only now"
    wire["mem"] = {"current": "7"}
    assert read["mem"].current == 6.0, "and once"
    assert dict(read) == {"mem": Metric(6.0, 10.0), "cuda_mem": Metric(0.0)} and len(read) == 2
    assert "cpu_util" not in read and read.get("version") is None and not metrics({}) and not metrics(None)
    assert [current(found, "mem") for found in (metrics({"mem": {"current": "7.5"}}), {"mem": Metric(7.5)})] == [
        7.5
    ] * 2
    broken: list[dict[str, Any]] = [{"mem": {}}, {"mem": 3}, {"mem": {"current": "x"}}, {}]
    for damaged in broken:
        assert math.isnan(current(metrics(damaged), "mem"))
