"""Answers beside those that a real manager gave (26.9.6): the same status, the same members, the same types."""

from __future__ import annotations

from typing import Any

import pytest

# Types of members as recorded; None where the manager answered null.
PROBLEM = {"type": str, "title": str, "error_code": str}
INFO = {
    "age": int,
    "domainName": str,
    "groupId": str,
    "userId": str,
    "lang": str,
    "image": str,
    "architecture": str,
    "registry": str,
    "tag": str,
    "containerId": str,
    "occupiedSlots": str,
    "occupyingSlots": str,
    "requestedSlots": str,
    "occupiedShares": str,
    "environ": str,
    "resourceOpts": str,
    "status": str,
    "statusInfo": (str, type(None)),
    "statusData": (dict, type(None)),
    "creationTime": str,
    "terminationTime": type(None),
    "numQueriesExecuted": int,
    "lastStat": type(None),
    "idleChecks": dict,
}
CREATED = {"sessionId": str, "sessionName": str, "status": str, "servicePorts": list, "created": bool}
RESULT = {"runId": str, "status": str, "console": list, "files": list, "exitCode": int, "options": type(None)}
COMPLETION = {"status": str, "error": type(None), "suggestions": list}
SLOTS = {"keypair_limits", "keypair_using", "keypair_remaining", "group_limits", "group_using", "group_remaining"}
LIST = """query($limit:Int!, $offset:Int!, $ak:String, $status:String){ compute_session_list(limit:$limit,
 offset:$offset, access_key:$ak, status:$status){ items{ session_id id name type image
 architecture status status_info status_data
 status_changed created_at terminated_at starts_at occupied_slots occupying_slots requested_slots access_key user_email
 group_name domain_name scaling_group cluster_mode cluster_size service_ports result idle_checks
 containers{ id status agent container_id live_stat last_stat } } total_count } }"""


def check(body: dict[str, Any], shape: dict[str, Any]) -> None:
    missing = shape.keys() - body.keys()
    assert not missing
    wrong = {name: body[name] for name, kind in shape.items() if not isinstance(body[name], kind)}
    assert not wrong


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "problem"),
    [
        ("GET", "/nothing-here", None, 404, "url-not-found"),
        ("PUT", "/session", {}, 405, "method-not-allowed"),
        ("POST", "/session", {"clientSessionToken": "recbad01", "config": {}}, 400, None),
        ("POST", "/session", {"image": "local/stable/nothing:1.0", "name": "recbad02"}, 404, "object-not-found"),
        (
            "POST",
            "/session",
            {"image": "python", "name": "recbad03", "config": {"resources": {"nothing.shares": "1"}}},
            400,
            "unknown-resource-slot-type",
        ),
        (
            "POST",
            "/session",
            {"image": "python", "name": "recbad05", "config": {"resources": {"cpu": "-1"}}},
            400,
            "invalid-resource-slot-quantity",
        ),
        ("GET", "/events/session?sessionName=nothing-here&scope=*", None, 404, None),
        ("DELETE", "/session/nothing-here", None, 404, None),
    ],
)
async def test_errors(api: Any, method: str, target: str, body: Any, status: int, problem: str | None) -> None:
    answer = await api.send(method, target, body)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    check(answer.json, PROBLEM)
    if problem is not None:
        assert answer.problem == problem


async def test_life_of_a_session(api: Any) -> None:
    made = await api.send(
        "POST",
        "/session",
        {
            "image": "python:3.11-debian12",
            "clientSessionToken": "recsess1",
            "type": "interactive",
            "enqueueOnly": False,
            "maxWaitSeconds": 30,
            "reuseIfExists": True,
            "clusterSize": 1,
            "clusterMode": "single-node",
            "config": {"resources": {"cpu": "1", "mem": "268435456"}, "environ": {}, "mounts": []},
        },
    )
    assert made.status == 201
    check(made.json, CREATED)
    info = await api.send("GET", "/session/recsess1")
    check(info.json, INFO)
    history = (await api.send("GET", "/session/recsess1/status-history")).json
    assert isinstance(history["PENDING"], str) and isinstance(history["RUNNING"], str)
    ran = await api.send("POST", "/session/recsess1", {"mode": "query", "code": "say 1", "runId": "r", "options": {}})
    check(ran.json["result"], RESULT)
    completed = await api.send("POST", "/session/recsess1/complete", {"code": "pri", "options": {"row": 0, "col": 3}})
    check(completed.json["result"], COMPLETION)
    listed = await api.gql(LIST, limit=10, offset=0, ak=None, status=None)
    (item,) = listed["data"]["compute_session_list"]["items"]
    nullable = {"status_info", "status_data", "terminated_at", "service_ports"}
    assert not [name for name, value in item.items() if value is None and name not in nullable]
    assert item["type"] == "INTERACTIVE" and item["cluster_mode"] == "single-node" and item["cluster_size"] == 1
    assert item["containers"][0].keys() == {"id", "status", "agent", "container_id", "live_stat", "last_stat"}
    ended = await api.send("DELETE", "/session/recsess1")
    assert (ended.status, ended.json["stats"]["status"]) == (200, "terminated")
    assert (await api.send("DELETE", "/session/recsess1")).status == 404


async def test_resources(api: Any) -> None:
    presets = (await api.send("POST", "/resource/check-presets", {"scaling_group": "default", "group": "default"})).json
    assert SLOTS | {"presets", "scaling_group_remaining", "scaling_groups"} == presets.keys()
    assert all(isinstance(value, str) for name in SLOTS for value in presets[name].values())
    assert presets["scaling_groups"]["default"].keys() == {"using", "remaining"}
    assert (await api.send("GET", "/scaling-groups?group=default")).json == {"scaling_groups": [{"name": "default"}]}
    assert (await api.send("GET", "/auth?echo=hi")).json == {"authorized": "yes", "echo": ""}
    assert (await api.send("GET", "/folders")).json == []
