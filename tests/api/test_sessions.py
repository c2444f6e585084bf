"""REST endpoints of sessions."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.app.model.sessions import SessionStatus


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
        ({"image": "python", "starts_at": "2030-01-01"}, 501, "not-implemented", "starts_at"),
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
    from_other = api.acting(service.keys["AKOTHER0000000000000"])
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
    assert (graph["session_name"], graph["status"], graph["depends_on"]) == ("small-01", "RUNNING", [])
    assert (await api.send("GET", f"/stream/session/{ref}/apps")).json == []
    assert (await api.send("GET", f"/stream/session/{ref}/tcpproxy?app=sshd")).problem == "object-not-found"
    assert (await api.send("POST", f"/session/{ref}/interrupt")).status == 204


@pytest.mark.parametrize("options", [{}, {"row": 1, "col": 3}])
async def test_complete(api: Any, options: dict[str, int]) -> None:
    ref = await api.create()
    code = "x = 1\npri" if options else "pri"
    answer = await api.send("POST", f"/session/{ref}/complete", {"code": code, "options": options})
    assert answer.json == {"result": {"status": "finished", "error": None, "suggestions": ["print"]}}
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


async def test_machine(api: Any) -> None:
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
