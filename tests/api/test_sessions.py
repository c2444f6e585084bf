"""REST endpoints of sessions."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.policies import LimitSettings


async def test_create_as_the_client_of_2023_asks(api: Any, service: Any) -> None:
    body: dict[str, Any] = {
        "tag": None,
        "clientSessionToken": "pysdk-0001",
        "lang": "python",
        "architecture": "x86_64",
        "type": "interactive",
        "enqueueOnly": False,
        "maxWaitSeconds": 0,
        "reuseIfExists": True,
        "startupCommand": None,
        "starts_at": None,
        "dependencies": None,
        "callback_url": None,
        "bootstrap_script": None,
        "owner_access_key": None,
        "domain": "default",
        "group": "default",
        "clusterSize": 1,
        "clusterMode": "single-node",
        "config": {
            "environ": {"A": "1"},
            "mounts": [],
            "mount_map": {},
            "resources": {"gpu": "0.5", "mem": "512m"},
            "resource_opts": {"shmem": "64m"},
            "scalingGroup": None,
            "preopen_ports": [],
        },
    }
    answer = await api.send("POST", "/session", body)
    assert answer.status == 201
    assert answer.json | {"sessionId": ""} == {
        "sessionId": "",
        "sessionName": "pysdk-0001",
        "status": "RUNNING",
        "servicePorts": [],
        "created": True,
        "image": "python:3.11-debian12",
        "imageNotice": "runs python:3.11-debian12",
    }
    request = service.created[0]
    assert (request.image, request.environ, request.resource_opts) == ("python", {"A": "1"}, {"shmem": "64m"})
    assert request.resources == {"gpu": "0.5", "mem": "512m"}
    again = (await api.send("POST", "/session/_/create", body)).json
    assert (again["sessionId"], again["created"]) == (answer.json["sessionId"], False)


async def test_create_says_only_what_run_understands(api: Any, service: Any) -> None:
    waiting = await api.send(
        "POST",
        "/session",
        {"name": "waiting", "image": "python", "maxWaitSeconds": 1, "config": {"resources": {"cpu": "9"}}},
    )
    assert (waiting.status, waiting.json["status"], waiting.json["statusInfo"]) == (201, "TIMEOUT", "waits for 1 cpu")
    queued = await api.send("POST", "/session", {"name": "queued", "image": "python", "enqueueOnly": True})
    assert queued.json["status"] == "PENDING"
    service.sessions[queued.json["sessionId"]].status = SessionStatus.CREATING
    again = await api.send("POST", "/session", {"name": "queued", "image": "python"})
    assert again.json["status"] == "PENDING"


@pytest.mark.parametrize(
    ("body", "status", "problem", "says"),
    [
        ({}, 400, "invalid-api-params", "'image' is missing"),
        ({"image": 5}, 400, "invalid-api-params", "'image' must be a string"),
        ({"image": "python", "config": []}, 400, "invalid-api-params", "'config' must be an object"),
        ({"image": "python", "config": {"environ": {"A": [1]}}}, 400, "invalid-api-params", "environ.A"),
        ({"image": "python", "enqueueOnly": "yes"}, 400, "invalid-api-params", "true or false"),
        ({"image": "python", "maxWaitSeconds": -1}, 400, "invalid-api-params", "negative"),
        ({"image": "python", "maxWaitSeconds": 10**400}, 400, "invalid-api-params", "1e+12 is the most"),
        ({"image": "python", "maxWaitSeconds": math.nan}, 400, "invalid-api-params", "1e+12 is the most"),
        ({"image": "python", "starts_at": "9999-12-31T23:59:59-23:59"}, 400, "invalid-api-params", "starts_at"),
        ({"image": "python", "clusterSize": True}, 400, "invalid-api-params", "an integer"),
        ({"image": "nothing:1.0"}, 404, "object-not-found", "python:3.11-debian12"),
        ({"image": "python", "name": "abc"}, 400, "invalid-api-params", "4 to 64"),
        ({"image": "python", "config": {"resources": {"tpu": 1}}}, 400, "unknown-resource-slot-type", "'tpu'"),
        ({"image": "python", "config": {"resources": {"cpu": "-1"}}}, 400, "invalid-resource-slot-quantity", "-1"),
        (
            {"image": "python", "config": {"resources": {"gpu": "1", "cuda.shares": "1"}}},
            400,
            "invalid-api-params",
            "both",
        ),
        ({"image": "python", "starts_at": "soon"}, 400, "invalid-api-params", "write a time such as"),
        ({"image": "python", "starts_at": "in 3 hours"}, 400, "invalid-api-params", "or from now, such as 2h30m"),
        ({"image": "python", "starts_at": "5 parsecs"}, 400, "invalid-api-params", "or from now"),
        ({"image": "python", "starts_at": "9999999d"}, 400, "invalid-api-params", "or from now"),
        ({"image": "python", "starts_at": "2030-01-01T10:00"}, 400, "invalid-api-params", "add an offset"),
        ({"image": "python", "batch_timeout": "long"}, 400, "invalid-api-params", "no duration"),
        ({"image": "python", "batch_timeout": True}, 400, "invalid-api-params", "'batch_timeout'"),
        ({"image": "python", "dependencies": "a"}, 400, "invalid-api-params", "list of strings"),
        ({"image": "python", "dependencies": [5]}, 400, "invalid-api-params", "list of strings"),
        ({"image": "python", "priority": "high"}, 400, "invalid-api-params", "'priority' must be an integer"),
    ],
)
async def test_create_refuses(api: Any, service: Any, body: Any, status: int, problem: str, says: str) -> None:
    answer = await api.send("POST", "/session", body)
    assert (answer.status, answer.problem) == (status, problem)
    assert says in answer.json["msg"]
    assert not service.sessions


async def test_create_refuses_a_live_name(api: Any) -> None:
    ref = await api.create("taken-name")
    answer = await api.send("POST", "/session", {"name": "taken-name", "image": "python", "reuseIfExists": False})
    assert (answer.status, answer.problem) == (400, "session-already-exists")
    assert answer.json["data"] == {"existingSessionId": ref}


async def test_info(api: Any, service: Any) -> None:
    ref = await api.create("info-01", image="python", config={"resources": {"cuda.shares": "0.5"}})
    by_name, by_id = (await api.send("GET", "/session/info-01")).json, (await api.send("GET", f"/session/{ref}")).json
    assert by_name | {"age": 0} == by_id | {"age": 0}
    assert by_name["status"] == "RUNNING"
    assert by_name["occupiedSlots"] == '{"cpu": "1", "mem": "67108864", "cuda.shares": "0.5"}'
    assert by_name["statusData"] == {
        "image_notice": "runs python:3.11-debian12",
        "allocation": {"cuda.shares": {"gpu0": "0.5"}},
        "busy": False,
        "idle_remaining": 1750.25,
    }
    assert by_name["idleChecks"]["network_timeout"]["remaining"] == 1750.25


async def test_others_see_nothing_but_admins_all(api: Any, admin: Any, service: Any) -> None:
    from_other = api.acting(service.keyring["AKOTHER0000000000000"])
    ref = await api.create("mine-only")
    assert (await from_other.send("GET", f"/session/{ref}")).problem == "object-not-found"
    assert (await from_other.send("DELETE", "/session/mine-only")).status == 404
    assert (await admin.send("GET", f"/session/{ref}")).status == 200
    asked = f"/session/{ref}?owner_access_key={api.keypair.access_key}"
    assert (await from_other.send("GET", asked)).status == 403
    assert (await admin.send("GET", asked)).status == 200


async def test_delete(api: Any) -> None:
    await api.create("ends-01")
    answer = await api.send("DELETE", "/session/ends-01?forced=true&recursive=true")
    assert (answer.status, answer.json) == (200, {"stats": {"version": 2, "status": "terminated"}})
    assert (await api.send("DELETE", "/session/ends-01")).problem == "object-not-found"
    await api.create("queued-01", enqueueOnly=True)
    assert (await api.send("DELETE", "/session/queued-01")).json["stats"]["status"] == "cancelled"
    await api.create("ends-02")
    assert (await api.send("DELETE", "/session/ends-02?forced=maybe")).problem == "invalid-api-params"


async def test_ambiguous_prefix(api: Any) -> None:
    await api.create("twin-aa")
    await api.create("twin-bb")
    answer = await api.send("GET", "/session/twin")
    assert (answer.status, answer.problem) == (404, "too-many-sessions-matched")
    assert {match["name"] for match in answer.json["data"]["matches"]} == {"twin-aa", "twin-bb"}
    matches = (await api.send("GET", "/session/_/match?id=twin")).json["matches"]
    assert [set(match) for match in matches] == [{"id", "name", "status"}] * 2


async def test_rename(api: Any) -> None:
    ref = await api.create("old-name")
    assert (await api.send("POST", "/session/old-name/rename?name=new-name")).status == 204
    assert (await api.send("POST", f"/session/{ref}/rename", {"name": "newer-name"})).status == 204
    assert (await api.send("GET", "/session/newer-name")).status == 200
    assert (await api.send("POST", f"/session/{ref}/rename", {})).status == 400
    assert (await api.send("POST", f"/session/{ref}/rename?name=x")).status == 400


async def test_small_ones(api: Any) -> None:
    ref = await api.create("small-01")
    history = (await api.send("GET", f"/session/{ref}/status-history")).json
    assert history["RUNNING"] == history["result"]["running"]
    assert (await api.send("GET", f"/session/{ref}/abusing-report")).json["abuse_report"] is None
    graph = (await api.send("GET", f"/session/{ref}/dependency-graph")).json
    assert (graph["session_name"], graph["status"], graph["depends_on"]) == ("small-01", "KernelStatus.RUNNING", [])
    assert (await api.send("GET", f"/stream/session/{ref}/apps")).json == []
    assert (await api.send("GET", f"/stream/session/{ref}/tcpproxy?app=sshd")).problem == "object-not-found"
    assert (await api.send("POST", f"/session/{ref}/interrupt")).status == 204


async def test_inspect(api: Any) -> None:
    ref = await api.create()
    said = {"found": True, "busy": False, "name": "print", "type": "function", "signature": "(*args)", "doc": "Prints."}
    for body, text in (
        ({"code": "print"}, ""),
        ({"code": "print(1)", "cursor": 5}, ""),
        ({"code": "print", "detail": 1}, "def print"),
    ):
        answer = await api.send("POST", f"/session/{ref}/inspect", body)
        assert answer.json == {**said, "text": text}
    assert not (await api.send("POST", f"/session/{ref}/inspect", {})).json["found"]
    for wrong in ({"code": "a", "cursor": 2}, {"code": "a", "cursor": -1}, {"code": "a", "detail": 2}):
        assert (await api.send("POST", f"/session/{ref}/inspect", wrong)).problem == "invalid-api-params"


@pytest.mark.parametrize("options", [{}, {"row": 1, "col": 3}])
async def test_complete(api: Any, options: dict[str, int]) -> None:
    ref = await api.create()
    code = "x = 1\npri" if options else "pri"
    answer = await api.send("POST", f"/session/{ref}/complete", {"code": code, "options": options})
    assert answer.json == {
        "result": {
            "status": "finished",
            "error": None,
            "suggestions": ["print"],
            "types": ["function"],
            "cursor_start": len(code) - 3,
            "cursor_end": len(code),
            "busy": False,
        }
    }
    bad = await api.send("POST", f"/session/{ref}/complete", {"code": code, "options": {"row": 9, "col": 0}})
    assert bad.status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/commit"),
        ("GET", "/commit"),
        ("POST", "/imagify?image_name=x"),
        ("POST", "/start-service"),
        ("POST", "/shutdown-service"),
        ("PATCH", ""),
    ],
)
async def test_what_only_a_cluster_offers(api: Any, method: str, path: str) -> None:
    ref = await api.create()
    answer = await api.send(method, f"/session/{ref}{path}")
    assert (answer.status, answer.problem) == (501, "not-implemented")
    assert (await api.send(method, f"/session/nothing{path}")).status == 404


async def test_machine(api: Any, service: Any) -> None:
    ref = await api.create("gpu-01", config={"resources": {"gpu": "0.5"}})
    machine = (await api.send("GET", "/machine")).json
    assert machine["available"] == {"cpu": "2", "mem": "8589934592", "cuda.shares": "1"}
    assert machine["occupied"] == {"cpu": "1", "mem": "67108864", "cuda.shares": "0.5"}
    assert machine["gpus"] == [
        {
            "id": "gpu0",
            "uuid": "GPU-0",
            "model": "Mock GPU",
            "kind": "mock",
            "capacity": "1",
            "mem_bytes": 2**34,
            "promised": {ref: "0.5"},
            "lost": False,
            "mem_used_bytes": None,
            "util_pct": None,
            "temperature_c": None,
            "power_w": None,
            "session_mem_bytes": {},
        }
    ]
    presets = (await api.send("POST", "/resource/check-presets", {})).json
    assert presets["keypair_using"] == machine["occupied"]
    assert presets["scaling_group_remaining"]["cuda.shares"] == "0.5"
    assert presets["scaling_groups"]["default"]["using"] == machine["occupied"]
    assert (await api.send("GET", "/config/resource-slots")).json == {
        "cpu": "count",
        "mem": "bytes",
        "cuda.shares": "count",
    }
    assert (await api.send("GET", "/manager/announcement")).json == {"enabled": False, "message": ""}
    service.wrong = ["the disk is full", "the database was removed"]
    told = {"enabled": True, "message": "the disk is full\nthe database was removed"}
    assert (await api.send("GET", "/manager/announcement")).json == told


async def test_limits_of_a_keypair(api: Any, service: Any) -> None:
    service.own_policy = LimitSettings(total_resource_slots={"cpu": "2", "cuda.shares": "0.25"})
    await api.create("over-01", config={"resources": {"gpu": "0.5"}})
    presets = (await api.send("POST", "/resource/check-presets", {})).json
    assert presets["keypair_limits"] == {"cpu": "2", "mem": "Infinity", "cuda.shares": "0.25"}
    # lowered while a session held more: nothing is left, and never less than nothing
    assert presets["keypair_remaining"] == {"cpu": "1", "mem": "Infinity", "cuda.shares": "0"}
    assert presets["group_limits"] == {"cpu": "Infinity", "mem": "Infinity", "cuda.shares": "Infinity"}


async def test_batch_sessions_in_order(api: Any, service: Any) -> None:
    first = await api.create("first-1")
    more = {
        "type": "batch",
        "startupCommand": "true",
        "dependencies": [first, "first-1"],
        "starts_at": "2030-01-31T10:00:00+09:00",
        "batch_timeout": "10m",
        "priority": 70,
        "config": {"resource_opts": {"allow_fractional_resource_fragmentation": True, "idle_timeout": 60}},
    }
    await api.create("second-1", **more)
    asked = service.created[-1]
    assert asked.dependencies == [first, "first-1"]
    assert asked.starts_at == datetime(2030, 1, 31, 1, tzinfo=UTC)
    assert (asked.batch_timeout_s, asked.priority) == (600.0, 70)
    assert asked.resource_opts == {"allow_fractional_resource_fragmentation": "true", "idle_timeout": "60"}
    await api.create("third-1", dependencies=None, starts_at="", batch_timeout=90)
    asked = service.created[-1]
    assert (asked.dependencies, asked.starts_at, asked.batch_timeout_s) == ([], None, 90.0)


async def _diamond(api: Any) -> dict[str, str]:
    refs = {"top-1": await api.create("top-1")}
    for name, above in (("left-1", ["top-1"]), ("right-1", ["top-1"]), ("last-1", ["left-1", "right-1"])):
        refs[name] = await api.create(name, dependencies=above, enqueueOnly=True)
    return refs


@pytest.mark.parametrize(
    ("text", "minutes"), [("30min", 30), ("1d1hr", 1500), ("+2hours 15min", 135), ("90 sec", 1.5), ("+ 0.5h", 30)]
)
async def test_a_start_may_be_told_from_now(api: Any, service: Any, text: str, minutes: float) -> None:
    before = datetime.now(UTC)
    await api.create("later-1", type="batch", startupCommand="true", starts_at=text, enqueueOnly=True)
    wanted = service.created[-1].starts_at - timedelta(minutes=minutes)
    assert before <= wanted <= datetime.now(UTC)


async def test_dependency_graph(api: Any, service: Any) -> None:
    refs = await _diamond(api)
    service.sessions[refs["last-1"]].depends_on.append("f0000000-0000-4000-8000-000000000000")
    graph = (await api.send("GET", "/session/last-1/dependency-graph")).json
    assert (graph["session_id"], graph["status"]) == (refs["last-1"], "KernelStatus.PENDING")
    changed = datetime.strptime(graph["status_changed"].split(".")[0], "%Y-%m-%d %H:%M:%S")
    assert changed.replace(tzinfo=UTC) == service.sessions[refs["last-1"]].status_changed.replace(microsecond=0)
    assert graph["status_changed"].endswith("+00:00")
    left, right = graph["depends_on"]
    assert [left["session_name"], right["session_name"]] == ["left-1", "right-1"]
    (top,) = left["depends_on"]
    assert (top["session_name"], top["status"], top["depends_on"]) == ("top-1", "KernelStatus.RUNNING", [])
    assert top.keys() == graph.keys()


async def test_dependency_graph_of_a_crossing_road_stays_small(api: Any, service: Any) -> None:
    """Twenty crossings are a million ways: each session is told in full once."""
    before: list[str] = [await api.create("way-00")]
    for number in range(1, 21):
        before = [await api.create(f"way-{number:02}-{side}", dependencies=before) for side in "ab"]
    answer = await api.send("GET", f"/session/{before[0]}/dependency-graph")
    assert answer.status == 200 and len(answer.raw) < 50_000
    chain = [await api.create("chain-000")]
    for number in range(1, 150):
        chain.append(await api.create(f"chain-{number:03}", dependencies=chain[-1:]))
    assert (await api.send("GET", f"/session/{chain[-1]}/dependency-graph")).status == 200


async def test_recursive_end_takes_those_that_wait_for_it(api: Any, service: Any) -> None:
    refs = await _diamond(api)
    await api.create("other-1")
    assert (await api.send("DELETE", "/session/top-1?recursive=true")).json["stats"]["status"] == "terminated"
    statuses = {name: service.sessions[ref].status.value for name, ref in refs.items()}
    assert statuses == {"top-1": "TERMINATED", "left-1": "CANCELLED", "right-1": "CANCELLED", "last-1": "CANCELLED"}
    assert (await api.send("GET", "/session/other-1")).json["status"] == "RUNNING"


async def test_extend(api: Any, service: Any) -> None:
    ref = await api.create("kept-01")
    answer = await api.send("POST", "/session/kept-01/extend", {"seconds": 3600})
    assert answer.status == 200
    assert answer.json == {"kept_until": service.sessions[ref].kept_until.isoformat(), "remaining": 3600.0}
    assert (await api.send("GET", f"/session/{ref}")).json["statusData"]["kept_until"] == answer.json["kept_until"]
    back = await api.send("POST", f"/session/{ref}/extend", {"seconds": 0})
    assert back.json == {"kept_until": None, "remaining": 1750.25}
    assert (await api.send("POST", f"/session/{ref}/extend", {"seconds": "2h"})).status == 200
    for wrong in ({}, {"seconds": None}, {"seconds": True}, {"seconds": -5}, {"seconds": [1]}, {"seconds": "x"}):
        assert (await api.send("POST", f"/session/{ref}/extend", wrong)).problem == "invalid-api-params"
    await api.create("waits-01", enqueueOnly=True)
    assert (await api.send("POST", "/session/waits-01/extend", {"seconds": 60})).problem == "invalid-kernel-status"
    assert (await api.send("POST", "/session/nobody/extend", {"seconds": 60})).status == 404


async def test_a_stop_waits_for_no_long_poll(api: Any, service: Any, runner: Any) -> None:
    ref = await api.create("read-01")
    async with asyncio.timeout(10):
        polling = asyncio.create_task(api.send("GET", f"/session/{ref}/journal?after=1000&wait=60"))
        await service.journal_waits.wait()
        await runner.shutdown()
        answer = await polling
    assert (answer.status, answer.problem) == (503, "service-unavailable")
