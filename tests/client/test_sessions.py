"""Create, list, resolve, end; uploads; the machine; images. Recorded answers are those of a real manager."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.client.api import ApiClient
from bai_tui.app.model.errors import AmbiguousReference, BadRequest, NotImplementedHere, RemoteError, SessionNotFound
from bai_tui.app.model.inspection import Completions, Inspection
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.model.slots import ResourceSlots

from .conftest import ACCESS_KEY, FakeServer, recording

SID = "46f98ea2-63be-4987-bf8a-26eeb2d7c504"


def last_json(server: FakeServer) -> Any:
    return json.loads(server.bodies[-1])


async def test_create_sends_what_a_manager_needs(client: ApiClient, server: FakeServer) -> None:
    server.answers["POST /session"] = recording("create-pending")
    created = await client.create_session(
        "python:3.11",
        name="mysess",
        resources={"cpu": "1", "gpu": "0.5"},
        environ={"A": "b"},
        enqueue_only=True,
        priority=20,
        tag="t",
    )
    assert (created.id, created.name, created.status, created.created) == (SID, "recsess1", "PENDING", True)
    body = last_json(server)
    assert body["config"] == {
        "environ": {"A": "b"},
        "resources": {"cpu": "1", "cuda.shares": "0.5"},  # a cluster knows no slot `gpu`
        "resource_opts": {},
        "mounts": [],
    }
    assert {key: body[key] for key in ("name", "image", "type", "enqueueOnly", "maxWaitSeconds", "reuseIfExists")} == {
        "name": "mysess",
        "image": "python:3.11",
        "type": "interactive",
        "enqueueOnly": True,
        "maxWaitSeconds": 0,
        "reuseIfExists": True,
    }
    assert (body["domain"], body["group"], body["priority"], body["tag"]) == ("default", "default", 20, "t")


async def test_create_invents_a_name_and_leaves_out_what_old_managers_do_not_know(
    client: ApiClient, server: FakeServer
) -> None:
    server.handshake["version"] = "v7.20230615"
    server.answers["POST /session"] = {"sessionId": SID}
    created = await client.create_session("python", priority=5, reuse=False)
    body = last_json(server)
    assert "priority" not in body
    assert body["reuseIfExists"] is False
    assert created.name == body["name"] and 4 <= len(created.name) <= 64
    assert (created.status, created.created) == ("RUNNING", True)


async def test_gpu_goes_as_it_is_to_our_backend(client: ApiClient, server: FakeServer) -> None:
    server.handshake["bai-tui"] = {"capabilities": ["devices"]}
    server.answers["POST /session"] = {"sessionId": SID}
    await client.create_session("python", resources={"gpu": "0.5"})
    assert last_json(server)["config"]["resources"] == {"gpu": "0.5"}


async def test_gpu_and_its_other_name_together(client: ApiClient, server: FakeServer) -> None:
    with pytest.raises(BadRequest, match="not both") as caught:
        await client.create_session("python", resources={"gpu": "0.5", "cuda.shares": "0.5"})
    assert isinstance(caught.value, RemoteError)


async def test_the_list_of_a_real_manager(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: recording("session-list")
    (view,), total = await client.list_sessions(statuses=[SessionStatus.RUNNING], limit=10)
    assert total == 1
    assert (view.id, view.name, view.status, view.type) == (SID, "recsess1", SessionStatus.RUNNING, "interactive")
    assert view.image == "local/stable/python:3.11-debian12"
    assert view.occupying_slots == ResourceSlots({"cpu": 1, "mem": 268435456})
    assert view.created_at is not None and view.created_at.isoformat() == "2026-11-23T03:30:29.411217+00:00"
    assert view.idle_remaining_s is None
    assert (view.busy, view.allocation, view.image_notice) == (False, {}, None)
    assert last_json(server)["variables"]["status"] == "RUNNING"


async def test_what_our_backend_tells_beyond(client: ApiClient, server: FakeServer) -> None:
    row = {
        "id": SID,
        "name": "n",
        "status": "DEPRIORITIZING",
        "status_data": json.dumps(
            {"image_notice": "other", "allocation": {"cuda.shares": {"gpu0": "0.5"}}, "busy": True}
        ),
        "idle_checks": json.dumps({"network_timeout": {"remaining": 12.5}, "session_lifetime": {"remaining": None}}),
    }
    server.graphql = lambda query, variables: {"data": {"compute_session_list": {"items": [row], "total_count": 1}}}
    (view,), _ = await client.list_sessions()
    assert (view.status, view.status_text) == (None, "DEPRIORITIZING")
    assert (view.image_notice, view.busy, view.idle_remaining_s) == ("other", True, 12.5)
    assert view.allocation == {"cuda.shares": {"gpu0": "0.5"}}


async def test_fields_that_a_server_does_not_know_are_left_out_for_good(client: ApiClient, server: FakeServer) -> None:
    asked: list[str] = []

    def answer(query: str, variables: dict[str, Any]) -> Any:
        asked.append(query)
        for field in ("requested_slots", "idle_checks"):
            if field in query:
                message = f"Cannot query field '{field}' on type 'ComputeSession'."
                return {"data": None, "errors": [{"message": message}]}
        return {"data": {"compute_session_list": {"items": [{"id": SID, "name": "n"}], "total_count": 1}}}

    server.graphql = answer
    assert (await client.list_sessions())[1] == 1
    assert len(asked) == 3
    assert (await client.list_sessions())[1] == 1
    assert len(asked) == 4


async def test_other_graphql_errors_are_told(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: recording("unknown-field")
    with pytest.raises(RemoteError, match="Cannot query field 'nothing_like_this'") as caught:
        await client.list_sessions()
    assert caught.value.http_status == 400


async def test_old_managers_are_asked_in_their_way(client: ApiClient, server: FakeServer) -> None:
    server.handshake["version"] = "v6.20200815"
    server.answers["POST /admin/graphql"] = {"compute_session_list": {"items": [], "total_count": 0}}
    assert await client.list_sessions(statuses=[SessionStatus.CREATING, SessionStatus.RUNNING]) == ([], 0)
    body = last_json(server)
    assert "priority" not in body["query"]
    assert body["variables"]["status"] == "RUNNING"


async def test_raw_rows_have_exactly_the_fields_asked_for(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: {
        "data": {"compute_session_list": {"items": [{"name": "n"}], "total_count": 7}}
    }
    rows, total = await client.session_rows(["name"], statuses=None, limit=1, offset=3, order="-created_at")
    assert (rows, total) == ([{"name": "n"}], 7)
    body = last_json(server)
    assert "items{name}" in body["query"]
    assert body["variables"] == {
        "limit": 1,
        "offset": 3,
        "status": None,
        "access_key": None,
        "filter": None,
        "order": "-created_at",
    }


LIVE_ROWS = [
    {"id": "aaaa1111-0000-4000-8000-000000000001", "name": "train", "status": "RUNNING", "access_key": ACCESS_KEY},
    {"id": "aaaa2222-0000-4000-8000-000000000002", "name": "train-2", "status": "PENDING", "access_key": ACCESS_KEY},
    {"id": "bbbb3333-0000-4000-8000-000000000003", "name": "train", "status": "RUNNING", "access_key": "OTHER"},
    {"id": "cccc4444-0000-4000-8000-000000000004", "name": "serve", "status": "RUNNING", "access_key": ACCESS_KEY},
]


@pytest.fixture
def populated(server: FakeServer) -> FakeServer:
    """Answers two rows a page, so that whoever looks for a session must turn pages."""

    def answer(query: str, variables: dict[str, Any]) -> Any:
        offset = variables["offset"]
        return {
            "data": {"compute_session_list": {"items": LIVE_ROWS[offset : offset + 2], "total_count": len(LIVE_ROWS)}}
        }

    server.graphql = answer
    return server


@pytest.mark.parametrize(
    ("ref", "index"),
    [("train", 0), ("train-", 1), ("aaaa2", 1), ("AAAA2", 1), ("bbbb", 2), ("ser", 3), ("serve", 3)],
)
async def test_prefixes_and_names_lead_to_one_session(
    client: ApiClient, populated: FakeServer, ref: str, index: int
) -> None:
    assert await client.resolve(ref) == LIVE_ROWS[index]["id"]


async def test_a_full_id_is_not_asked_about(client: ApiClient, server: FakeServer) -> None:
    assert await client.resolve(SID.upper()) == SID
    assert not server.requests


async def test_an_ambiguous_prefix_names_the_candidates(client: ApiClient, populated: FakeServer) -> None:
    with pytest.raises(AmbiguousReference, match=r"train \(aaaa1111\), train-2 \(aaaa2222\)") as caught:
        await client.resolve("aaaa")
    assert caught.value.data is not None and len(caught.value.data["matches"]) == 2


@pytest.mark.parametrize(
    ("ref", "hint"), [("tarin", "did you mean 'train'"), ("zzz", "bai-tui ps"), ("", "bai-tui ps")]
)
async def test_what_leads_nowhere_says_so(client: ApiClient, populated: FakeServer, ref: str, hint: str) -> None:
    with pytest.raises(SessionNotFound, match=hint):
        await client.resolve(ref)


async def test_one_session_by_graphql(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: {"data": {"compute_session": {"id": variables["id"], "status": "ERROR"}}}
    assert (await client.session(SID)).status is SessionStatus.ERROR
    server.graphql = lambda query, variables: {"data": {"compute_session": None}}
    with pytest.raises(SessionNotFound):
        await client.session(SID)


@pytest.mark.parametrize(
    ("answer", "stats"),
    [
        (recording("terminated"), {"status": "terminated"}),
        ({"stats": {"version": 2}}, {"version": 2}),
        ({"stats": None}, {}),
        ({}, {}),
        (204, {}),
    ],
)
async def test_every_form_of_statistics(client: ApiClient, server: FakeServer, answer: Any, stats: Any) -> None:
    server.answers[f"DELETE /session/{SID}"] = answer
    assert await client.terminate(SID, forced=True, recursive=True) == stats
    assert server.targets()[-1] == f"DELETE /session/{SID}?forced=true&recursive=true"
    assert await client.terminate(SID) == stats
    assert server.targets()[-1] == f"DELETE /session/{SID}"


@pytest.mark.parametrize(
    "answer", [{"result": ["print"]}, {"result": {"suggestions": ["print"]}}, {"result": {"completions": ["print"]}}]
)
async def test_every_form_of_completions(client: ApiClient, server: FakeServer, answer: Any) -> None:
    server.answers[f"POST /session/{SID}/complete"] = answer
    assert await client.complete(SID, "x = 1\npri\ny", 1, 3) == Completions(("print",), ("",), 6)
    assert last_json(server)["options"] == {"row": 1, "col": 3, "line": "pri", "post": "y"}
    server.answers[f"POST /session/{SID}/complete"] = recording("complete")
    assert await client.complete(SID, "", 0, 0) == Completions()


@pytest.mark.parametrize(
    ("code", "matches", "start"),
    [
        ("os.pa", ["os.path"], 0),
        ("os.pa", ["path"], 3),
        ("x = os.", ["os.path"], 4),
        ("x = os.", ["path"], 7),
        ("", ["a"], 0),
    ],
)
async def test_what_a_completion_replaces_where_the_server_does_not_say(
    client: ApiClient, server: FakeServer, code: str, matches: list[str], start: int
) -> None:
    server.answers[f"POST /session/{SID}/complete"] = {"result": matches}
    assert (await client.complete(SID, code, 0, len(code))).start == start


async def test_completions_with_types(client: ApiClient, server: FakeServer) -> None:
    result: dict[str, Any] = {"suggestions": ["print"], "types": ["function"], "cursor_start": 1, "busy": False}
    server.answers[f"POST /session/{SID}/complete"] = {"result": result}
    assert await client.complete(SID, "(pri", 0, 4) == Completions(("print",), ("function",), 1)
    server.answers[f"POST /session/{SID}/complete"] = {"result": {"suggestions": [], "types": [], "busy": True}}
    assert (await client.complete(SID, "(pri", 0, 4)).busy


async def test_inspect(client: ApiClient, server: FakeServer) -> None:
    said = {"found": True, "busy": False, "name": "f", "type": "function", "signature": "()", "doc": "d", "text": "s"}
    server.answers[f"POST /session/{SID}/inspect"] = said
    with pytest.raises(NotImplementedHere, match="cannot tell"):
        await client.inspect(SID, "f", 1)
    server.handshake["bai-tui"] = {"capabilities": ["inspect"]}
    await client.handshake()
    assert await client.inspect(SID, "f(", 2, detail=1) == Inspection(True, False, "f", "function", "()", "d", "s")
    assert last_json(server) == {"code": "f(", "cursor": 2, "detail": 1}


async def test_journal(client: ApiClient, server: FakeServer) -> None:
    server.answers[f"GET /session/{SID}/journal"] = {
        "records": [
            {"seq": 5, "t": 1.5, "run": "r1", "rec": ["stdout", "x"]},
            {"seq": 6, "t": 2, "run": None, "rec": ["kernel-started", {"pid": 1}]},
        ]
    }
    lines = await client.journal(SID, after=4, limit=2, wait_s=1.5)
    assert [(line.seq, line.time_s, line.run_id, line.kind, line.data) for line in lines] == [
        (5, 1.5, "r1", "stdout", "x"),
        (6, 2.0, None, "kernel-started", {"pid": 1}),
    ]
    assert server.targets()[-1] == f"GET /session/{SID}/journal?after=4&limit=2&wait=1.5"


async def test_uploads_arrive_byte_for_byte(client: ApiClient, server: FakeServer, tmp_path: Path) -> None:
    got: dict[str, bytes] = {}
    counts: list[int] = []

    async def receive(request: web.Request) -> web.StreamResponse:
        reader = await request.multipart()
        count = 0
        async for part in reader:
            assert part.name == "src"  # type: ignore[union-attr]
            got[str(part.filename)] = bytes(await part.read())  # type: ignore[union-attr]
            count += 1
        counts.append(count)
        return web.Response(status=204)

    server.answers[f"POST /session/{SID}/upload"] = receive
    files: dict[str, Path] = {}
    for index in range(23):
        path = tmp_path / f"{index}.bin"
        path.write_bytes(bytes([index]) * (index * 50_001) + b"\r\n--")
        files[f"sub dir/ä{index}.bin"] = path
    await client.upload(SID, files)
    assert counts == [20, 3]  # a manager takes 20 at once
    # percent-encoded as the official client does it, decoded once by the server's multipart reader
    from urllib.parse import unquote

    assert {unquote(name): data for name, data in got.items()} == {n: p.read_bytes() for n, p in files.items()}


async def test_an_upload_of_what_is_not_there(client: ApiClient, server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        await client.upload(SID, {"x": tmp_path / "missing"})


async def test_an_upload_that_is_refused_midway_tells_the_refusal(
    client: ApiClient, server: FakeServer, tmp_path: Path
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        response = web.json_response(
            {"type": "https://api.backend.ai/probs/invalid-api-params", "title": "Too large file."},
            status=400,
            content_type="application/problem+json",
        )
        response.force_close()
        return response

    server.answers[f"POST /session/{SID}/upload"] = refuse
    big = tmp_path / "big"
    big.write_bytes(b"x" * 30_000_000)
    with pytest.raises(RemoteError):
        await client.upload(SID, {"big": big})


async def test_images_of_a_cluster_and_of_our_backend(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: recording("images")
    first, second = await client.images()
    assert first.reference == "local/stable/python:3.6-ubuntu18.04"
    assert (first.aliases, first.size_bytes, first.installed) == (("python:3.6-ubuntu18.04",), 100_000_000, False)
    assert first.labels["ai.backend.role"] == "COMPUTE"
    assert second.reference == "local/stable/python-tensorflow:1.12-py36"
    server.handshake["bai-tui"] = {"capabilities": ["journal"]}
    await client.handshake()
    assert (await client.images())[0].reference == "stable/python:3.6-ubuntu18.04"


async def test_images_of_a_server_that_does_not_know_all_fields(client: ApiClient, server: FakeServer) -> None:
    def answer(query: str, variables: dict[str, Any]) -> Any:
        if "installed" in query:
            return {"errors": [{"message": "Cannot query field 'installed' on type 'Image'. Did you mean 'labels'?"}]}
        return {"data": {"images": [{"registry": "r.example", "name": "a/python", "tag": "3"}]}}

    server.graphql = answer
    (image,) = await client.images()
    assert (image.reference, image.installed) == ("r.example/a/python:3", True)


async def test_the_machine_by_our_backend(client: ApiClient, server: FakeServer) -> None:
    server.handshake["bai-tui"] = {"capabilities": ["devices"]}
    gpu = {"id": "gpu0", "uuid": "U", "model": "Mock", "kind": "mock", "capacity": "1", "mem_bytes": 17179869184}
    server.answers["GET /machine"] = {
        "available": {"cpu": "2", "cuda.shares": "1"},
        "occupied": {"cpu": "1", "cuda.shares": "0.5"},
        "gpus": [{**gpu, "promised": {SID: "0.5"}}],
    }
    machine = await client.machine()
    assert machine.available == ResourceSlots({"cpu": 2, "cuda.shares": 1})
    assert machine.occupied == ResourceSlots({"cpu": 1, "cuda.shares": Decimal("0.5")})
    assert machine.gpus[0].promised == {SID: Decimal("0.5")}
    assert (machine.gpus[0].kind, machine.gpus[0].mem_bytes) == ("mock", 17179869184)


async def test_the_machine_by_agents(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: recording("agents")
    machine = await client.machine()
    assert machine.available == ResourceSlots({"cpu": 2, "mem": 25014829056, "cuda.shares": 2})
    assert machine.occupied == ResourceSlots({"cpu": 0, "mem": 0, "cuda.shares": 0})


async def test_the_machine_for_those_who_may_not_see_agents(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: recording("agents-forbidden")
    server.answers["POST /resource/check-presets"] = recording("check-presets")
    machine = await client.machine()
    assert machine.occupied == ResourceSlots({"cpu": 2, "mem": 536870912, "cuda.shares": Decimal("0.5")})
    assert set(machine.available) == {"cpu", "mem", "cuda.shares"}
    assert await client.machine() == machine
    assert server.targets().count("POST /admin/gql") == 1  # what was refused is not asked for again


async def test_the_beginning_of_an_id_finds_one_ended_session_or_tells_of_several(
    client: ApiClient, server: FakeServer
) -> None:
    ends = [f"{number:012x}" for number in range(120)]
    rows = [{"id": f"abcd{number:04x}-0000-4000-8000-{end}", "name": "old"} for number, end in enumerate(ends)]

    def graphql(query: str, variables: dict[str, Any]) -> Any:
        assert set(variables["status"].split(",")) == {"ERROR", "TERMINATED", "CANCELLED"}
        page = rows[variables["offset"] : variables["offset"] + variables["limit"]]
        items = [{**row, "status": "TERMINATED"} for row in page]
        return {"data": {"compute_session_list": {"items": items, "total_count": len(rows)}}}

    server.graphql = graphql
    found = await client.ended_by_id("ABCD0077")
    assert found is not None and found.id == rows[119]["id"]
    assert await client.ended_by_id("abcd9") is None
    assert await client.ended_by_id("abc") is None and await client.ended_by_id("%abcd") is None
    with pytest.raises(AmbiguousReference, match="could mean 16 sessions"):
        await client.ended_by_id("abcd001")
