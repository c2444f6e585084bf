"""Who sees what: every route and every field of GraphQL, asked by an ordinary user beside whom others work.

The tables name all there is: a new route or field without an entry fails. The service is the real one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from bai_tui.app.backend.api import create_app, create_runner
from bai_tui.app.backend.api.gql_schema import make_schema
from bai_tui.app.backend.ports import GpuReading
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import SessionNotFound
from bai_tui.app.model.metrics import Metric
from bai_tui.tests.api.conftest import Answer, Api
from bai_tui.tests.service.conftest import ADMIN, OTHER, USER, World
from bai_tui.tests.waiting import until

NOBODY = "5e55104e-0000-4000-8000-000000000000"
"""The id of no session."""
SECRET = "hush-hush-value"
GIB = 1 << 30


@dataclass
class Both:
    """A user at work beside another one."""

    world: World
    app: web.Application
    user: Api
    other: Api
    admin: Api
    mine: str
    theirs: str
    ended: str
    """Of the other, as `waiting`."""
    waiting: str

    @property
    def marks(self) -> list[str]:
        """What must not reach the user."""
        ids = [self.theirs, self.ended, self.waiting]
        kernels = [self.world.service._register.get(sid) for sid in (self.theirs, self.waiting)]
        return [
            *ids,
            *(sid[:8] for sid in ids),
            *(entry.session.kernel_id for entry in kernels if entry is not None),
            *("their-train", "their-ended", "their-waiting", "their-tag", "their-output"),
            *(SECRET, OTHER.access_key, OTHER.user_id, OTHER.user_uuid),
        ]

    def betrays(self, text: str) -> list[str]:
        """Returns what of the other stands in a text; ids are written in many ways."""
        shown = text + _decoded(text)
        return [mark for mark in self.marks if mark in shown]


def _decoded(text: str) -> str:
    """Returns what global ids in a text hold."""
    found = []
    for word in re.findall(r"[A-Za-z0-9+/]{24,}={0,2}", text):
        try:
            found.append(base64.b64decode(word, validate=True).decode())
        except ValueError:
            continue
    return " ".join(found)


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    world = World(tmp_path)
    service = await world.start()
    of_other: dict[str, Any] = {"caller": OTHER, "tag": "their-tag", "environ": {"TOKEN": SECRET}}
    theirs = (await world.create("their-train", resources={"gpu": "0.75"}, **of_other)).session.id
    async with service.run(OTHER, theirs, ExecuteRequest(RunMode.QUERY, "print their-output"), "their-run") as run:
        assert [record.kind async for record in run.records()][-1] == "run-finished"
    ended = (await world.create("their-ended", **of_other)).session.id
    await service.terminate(OTHER, ended)
    mine = (await world.create("my-work", resources={"gpu": "0.25"})).session.id
    waiting = (await world.create("their-waiting", resources={"gpu": "1"}, enqueue_only=True, **of_other)).session.id
    for session_id in (mine, theirs):
        world.sampler.metrics[session_id] = {"cpu_util": Metric(50.0), "mem": Metric(GIB)}
        world.sampler.gpu_mem[session_id] = {"gpu0": GIB}
    world.sampler.gpus["gpu0"] = GpuReading(device_id="gpu0", mem_used_bytes=2 * GIB, mem_total_bytes=16 * GIB)
    world.sampler.round()
    app = create_app(service, version="0.1.0")
    runner = create_runner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        user = Api(session, f"http://127.0.0.1:{runner.addresses[0][1]}", USER)
        yield Both(world, app, user, user.acting(OTHER), user.acting(ADMIN), mine, theirs, ended, waiting)
    service.close_events()
    await runner.cleanup()
    await service.stop()
    await world.engine.close()


# --- routes ------------------------------------------------------------------------------------------------------

FORM = "multipart/form-data; boundary=b"
UPLOAD = b'--b\r\nContent-Disposition: form-data; name="src"; filename="a.txt"\r\n\r\nx\r\n--b--\r\n'
RUN = {"mode": "query", "code": "print 1", "runId": "r"}

OPEN: dict[str, Any] = {
    "GET /": None,
    "GET /openapi.json": None,
    "GET /auth": None,
    "POST /auth": {"echo": "hello"},
    "GET /manager/announcement": None,
    "GET /config/resource-slots": None,
    "GET /config/vfolder-types": None,
    "GET /folders": None,
    "GET /resource/presets": None,
    "POST /resource/check-presets": {"group": "default"},
    "GET /scaling-groups": None,
    "GET /machine": None,
    "GET /metrics": None,
    "GET /session/_/match": None,
}
"""What everybody may ask, with the body: nothing of the other's is in the answer."""
OF_SESSION: dict[str, Any] = {
    "GET /session/{ref}": None,
    "DELETE /session/{ref}": None,
    "PATCH /session/{ref}": None,
    "POST /session/{ref}": RUN,
    "GET /stream/session/{ref}/execute": None,
    "GET /stream/session/{ref}/journal": None,
    "GET /stream/session/{ref}/apps": None,
    "GET /stream/session/{ref}/tcpproxy": None,
    "GET /stream/session/{ref}/httpproxy": None,
    "GET /stream/session/{ref}/pty": None,
    "GET /session/{ref}/journal": None,
    "GET /session/{ref}/runs": None,
    "POST /session/{ref}/interrupt": None,
    "POST /session/{ref}/complete": {"code": "a"},
    "POST /session/{ref}/inspect": {"code": "a"},
    "POST /session/{ref}/rename": {"name": "taken-over"},
    "POST /session/{ref}/extend": {"seconds": 60},
    "GET /session/{ref}/logs": None,
    "GET /session/{ref}/status-history": None,
    "GET /session/{ref}/abusing-report": None,
    "GET /session/{ref}/dependency-graph": None,
    "GET /session/{ref}/files": None,
    "POST /session/{ref}/upload": UPLOAD,
    "POST /session/{ref}/delete-files": {"files": ["a.txt"]},
    "GET /session/{ref}/download": None,
    "POST /session/{ref}/download": {"files": ["a.txt"]},
    "GET /session/{ref}/commit": None,
    "GET /session/{ref}/direct-access-info": None,
    "POST /session/{ref}/commit": {},
    "POST /session/{ref}/imagify": {},
    "POST /session/{ref}/start-service": {},
    "POST /session/{ref}/shutdown-service": {},
}
"""What is asked of one session: of somebody else's the answer is that of one that does not exist."""
ELSEWHERE = {
    "POST /admin/gql": "the tables of fields below",
    "POST /admin/graphql": "the tables of fields below",
    "GET /events/session": "test_events_*",
    "POST /session": "test_names_*, test_nobody_depends_*",
    "POST /session/_/create": "as POST /session",
    "POST /keypair/{access_key}/rotate": "test_keypairs.py",
    **dict.fromkeys(["GET /events/background-task", "POST /image/tasks/{task_id}/cancel"], "test_images.py"),
    "GET /image/log": "of images, which are everybody's",
}
"""What has a test of its own, and where."""


def test_every_route_has_an_entry() -> None:
    app = create_app(World(Path()).engine, version="0")
    routes = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert routes == OPEN.keys() | OF_SESSION.keys() | ELSEWHERE.keys()


async def ask(api: Api, route: str, body: Any, **values: str) -> Answer:
    method, _, path = route.partition(" ")
    target = path.format(**{name: quote(value) for name, value in values.items()})
    if isinstance(body, bytes):
        return await api.send(method, target, raw=body, content_type=FORM)
    return await api.send(method, target, body)


@pytest.mark.parametrize("route", OPEN)
async def test_what_everybody_may_ask_tells_nothing_of_others(both: Both, route: str) -> None:
    answer = await ask(both.user, route, OPEN[route])
    assert both.betrays(answer.raw.decode()) == []
    assert answer.status in (200, 404)


@pytest.mark.parametrize("route", OF_SESSION)
async def test_a_session_of_somebody_else_does_not_exist(both: Both, route: str) -> None:
    before = (await both.world.service.get(OTHER, both.theirs)).status
    for ref, like in (
        (both.theirs, NOBODY),
        (both.waiting, NOBODY),
        (both.ended, NOBODY),
        (both.theirs.upper(), NOBODY.upper()),
        (both.theirs[:8], NOBODY[:8]),
        ("their-train", "nobody-here"),
        ("their-", "nobody-"),
    ):
        foreign, absent = [await ask(both.user, route, OF_SESSION[route], ref=r) for r in (ref, like)]
        assert foreign.status == absent.status == 404, (ref, foreign.raw)
        assert foreign.raw.decode().replace(ref, "REF") == absent.raw.decode().replace(like, "REF")
        assert sorted(foreign.headers) == sorted(absent.headers)
    acting = await ask(both.user, f"{route}?owner_access_key={OTHER.access_key}", OF_SESSION[route], ref=both.theirs)
    nobody = await ask(both.user, f"{route}?owner_access_key=AKIANOONE", OF_SESSION[route], ref=both.theirs)
    assert acting.status == nobody.status == 403
    assert acting.json["msg"].replace(OTHER.access_key, "KEY") == nobody.json["msg"].replace("AKIANOONE", "KEY")
    assert (await both.world.service.get(OTHER, both.theirs)).status is before
    assert (await both.world.service.get(OTHER, both.theirs)).name == "their-train"
    # the same, asked by its owner, does find it: else this test could not fail
    own = await ask(both.other, route, OF_SESSION[route], ref=both.theirs)
    assert own.status != 404 or "offers no app" in own.json["msg"] or "file" in own.json["msg"], own.raw


async def test_an_administrator_finds_every_session(both: Both) -> None:
    for ref in (both.theirs, both.ended, "their-train", both.mine):
        assert (await both.admin.send("GET", f"/session/{ref}")).status == 200
    acting = await both.admin.send("GET", f"/session/their-train?owner_access_key={OTHER.access_key}")
    assert acting.json["sessionId"] == both.theirs
    assert (await both.admin.send("GET", f"/session/my-work?owner_access_key={OTHER.access_key}")).status == 404


async def test_lists_and_measures_are_those_of_the_reader(both: Both) -> None:
    everything = OPEN.keys() - {"GET /session/_/match"}
    seen = {route: (await ask(both.admin, route, OPEN[route])).raw.decode() for route in everything}
    assert [route for route in sorted(seen) if both.theirs in seen[route]] == ["GET /machine", "GET /metrics"]
    assert both.mine in (await ask(both.user, "GET /metrics", None)).raw.decode()
    match = await both.user.send("GET", "/session/_/match?id=")
    assert [found["id"] for found in match.json["matches"]] == [both.mine]


async def test_a_share_is_seen_to_be_taken_but_not_by_whom(both: Both) -> None:
    (gpu,) = (await both.user.send("GET", "/machine")).json["gpus"]
    assert gpu["promised"] == {both.mine: "0.25", "": "0.75"}
    assert gpu["session_mem_bytes"] == {both.mine: GIB} and gpu["mem_used_bytes"] == 2 * GIB
    (gpu,) = (await both.admin.send("GET", "/machine")).json["gpus"]
    assert gpu["promised"] == {both.mine: "0.25", both.theirs: "0.75"}
    lines = (await both.user.send("GET", "/metrics")).raw.decode().splitlines()
    assert 'bai_gpu_promised_ratio{device="gpu0",uuid="",model="",kind="mock"} 1' in lines


# --- events and measures -----------------------------------------------------------------------------------------


async def listen(api: Api, query: str, until: Callable[[str], bool]) -> str:
    """Returns what a stream of events has said when `until` is content."""
    target = f"/events/session{query}"
    text = ""
    async with api.session.get(api.base + target, headers=api.headers("GET", target, None)) as answer:
        assert answer.status == 200, await answer.text()
        async with asyncio.timeout(10):
            while not until(text):
                piece = await answer.content.readany()
                if not piece:
                    break
                text += piece.decode()
    return text


async def test_events_are_those_of_the_reader(both: Both) -> None:
    texts = [
        asyncio.create_task(listen(api, "?stats=true", lambda text: "my-late" in text and "bai_stats" in text))
        for api in (both.user, both.admin)
    ]
    await until(lambda: len(both.world.service._bus._subscriptions) >= 2)
    await both.world.create("their-train-2", caller=OTHER)
    await both.world.service.rename(OTHER, "their-train", "their-train-3")
    await both.world.service.terminate(OTHER, both.theirs)
    both.world.sampler.round()
    await both.world.create("my-late")
    of_user, of_admin = await asyncio.gather(*texts)
    assert both.betrays(of_user) == []
    assert both.betrays(of_admin) != []
    measured = [json.loads(line[6:]) for line in of_user.splitlines() if line.startswith('data: {"time"')]
    assert measured and {*measured[-1]["sessions"]} <= {both.mine}


@pytest.mark.parametrize("query", ["sessionId={theirs}", "sessionName=their-train", "sessionId={ended}"])
async def test_events_of_a_foreign_session_are_those_of_none(both: Both, query: str) -> None:
    foreign = query.format(theirs=both.theirs, ended=both.ended)
    absent = "sessionId=" + NOBODY if "sessionId" in query else "sessionName=nobody-here"
    answers = [await both.user.send("GET", f"/events/session?{asked}") for asked in (foreign, absent)]
    told = [
        answer.raw.decode().replace(asked.partition("=")[2], "REF")
        for answer, asked in zip(answers, (foreign, absent), strict=True)
    ]
    assert answers[0].status == answers[1].status == 404 and told[0] == told[1]
    refused = await both.user.send("GET", f"/events/session?ownerAccessKey={OTHER.access_key}")
    assert refused.status == 403


# --- creation ----------------------------------------------------------------------------------------------------


async def test_names_are_per_owner(both: Both) -> None:
    own = await both.user.create("their-train")
    assert own not in (both.theirs, both.mine)
    assert (await both.user.send("GET", "/session/their-train")).json["sessionId"] == own
    assert (await both.other.send("GET", "/session/their-train")).json["sessionId"] == both.theirs
    refused = await both.admin.send("GET", "/session/their-train")
    assert refused.status == 404 and refused.problem == "too-many-sessions-matched", "an administrator sees both"
    await both.user.send("POST", f"/session/{own}/rename", {"name": "their-waiting"})
    assert (await both.user.send("GET", "/session/their-waiting")).json["sessionId"] == own


async def test_nobody_depends_on_sessions_of_others(both: Both) -> None:
    told = set()
    for ref, like in ((both.theirs, NOBODY), (both.ended, NOBODY), ("their-train", "nobody-here")):
        for asked in (ref, like):
            body = {"name": "after", "image": "python", "type": "batch", "startupCommand": "x", "dependencies": [asked]}
            answer = await both.user.send("POST", "/session", body)
            assert answer.status == 400
            told.add(answer.raw.decode().replace(asked, "REF"))
    assert len(told) == 1


async def test_ordinary_users_make_no_sessions_for_others(both: Both) -> None:
    body = {"name": "for-them", "image": "python", "owner_access_key": OTHER.access_key}
    assert (await both.user.send("POST", "/session", body)).status == 403
    for_them = await both.admin.send("POST", "/session", body)
    assert for_them.status == 201
    assert (await both.other.send("GET", "/session/for-them")).status == 200


async def test_why_a_session_waits_names_nobody_else(both: Both) -> None:
    body = {"name": "my-wait", "image": "python", "enqueueOnly": True, "config": {"resources": {"gpu": "0.5"}}}
    answer = await both.user.send("POST", "/session", body)
    ref = answer.json["sessionId"]
    info = await both.user.send("GET", f"/session/{ref}")
    assert "waits for 0.5 cuda.shares" in info.json["statusInfo"]
    assert both.betrays(info.raw.decode()) == []


# --- GraphQL -----------------------------------------------------------------------------------------------------

FIELDS: dict[str, str] = {
    "keypair": "keypair { access_key user_id compute_sessions { id } concurrency_used }",
    "keypairs": "keypairs { access_key user_id compute_sessions { id } }",
    "keypair_list": "keypair_list(limit: 100, offset: 0) { items { access_key secret_key } total_count }",
    "keypair_resource_policy": "keypair_resource_policy { name total_resource_slots }",
    "keypair_resource_policies": "keypair_resource_policies { name total_resource_slots }",
    "user": "user { email uuid main_access_key }",
    "groups": "groups { id name }",
    "image": 'image(reference: "python:3.11-debian12") { name }',
    "images": "images { name bai_progress { message } }",
    "customized_images": "customized_images { name }",
    "bai_image_aliases": "bai_image_aliases { name }",
    "agent_summary": 'agent_summary(agent_id: "i-local") { id live_stat compute_containers { session_id } }',
    "agent_summary_list": "agent_summary_list(limit: 9, offset: 0) { items { id compute_containers { id session_id "
    "live_stat } hardware_metadata live_stat occupied_slots } total_count }",
    "scaling_group": "scaling_group { name }",
    "scaling_groups": "scaling_groups { name }",
    "compute_session_list": "compute_session_list(limit: 100, offset: 0) { items { id name access_key user_email "
    "status_data containers { live_stat } dependencies { id } } total_count }",
    "compute_session_nodes": "compute_session_nodes { edges { node { id name access_key } cursor } count "
    "pageInfo { startCursor endCursor } }",
}
"""What everybody may ask: nothing of the other's is in the answer."""
OF_ONE: dict[str, str] = {
    "compute_session": 'compute_session(id: "ID") { id name }',
    "compute_session_node": 'compute_session_node(id: "ID") { id name }',
}
"""What is asked by the id of a session: null for somebody else's."""
ADMINS: dict[str, str] = {
    "agent": 'agent(agent_id: "i-local") { id }',
    "agents": "agents { id }",
    "agent_list": "agent_list(limit: 1, offset: 0) { total_count }",
}
"""What administrators alone may ask."""
MUTATIONS = {
    "modify_compute_session": "test_nobody_modifies_*",
    "create_keypair": "test_keypairs.py",
    "modify_keypair": "test_keypairs.py",
    "delete_keypair": "test_keypairs.py",
    **{f"{verb}_image": "test_images.py" for verb in ("preload", "unload", "forget", "alias", "dealias")},
    **dict.fromkeys(("rescan_images", "forget_image_by_id", "purge_image_by_id"), "test_images.py"),
}


def test_every_field_has_an_entry() -> None:
    schema = make_schema()
    assert schema.query_type is not None and schema.mutation_type is not None
    assert schema.query_type.fields.keys() == FIELDS.keys() | OF_ONE.keys() | ADMINS.keys()
    assert schema.mutation_type.fields.keys() == MUTATIONS.keys()


@pytest.mark.parametrize("name", FIELDS)
async def test_fields_tell_nothing_of_others(both: Both, name: str) -> None:
    answer = await both.user.gql(f"{{ {FIELDS[name]} }}")
    assert "errors" not in answer and answer["data"][name] is not None, answer
    assert both.betrays(json.dumps(answer)) == []
    if name.startswith(("compute_session", "agent_summary")):
        assert both.mine in json.dumps(answer) + _decoded(json.dumps(answer))
        seen = await both.admin.gql(f"{{ {FIELDS[name]} }}")
        assert both.betrays(json.dumps(seen)) != []


@pytest.mark.parametrize("name", OF_ONE)
async def test_fields_of_a_foreign_session_are_null(both: Both, name: str) -> None:
    for session_id in (both.theirs, both.ended, both.waiting, NOBODY):
        answer = await both.user.gql(f"{{ {OF_ONE[name].replace('ID', session_id)} }}")
        assert answer == {"data": {name: None}}
    for api, session_id in ((both.user, both.mine), (both.admin, both.theirs), (both.admin, both.ended)):
        answer = await api.gql(f"{{ {OF_ONE[name].replace('ID', session_id)} }}")
        assert answer["data"][name] is not None


@pytest.mark.parametrize("name", ADMINS)
async def test_fields_of_administrators(both: Both, name: str) -> None:
    answer = await both.user.gql(f"{{ {ADMINS[name]} }}")
    assert answer["data"][name] is None and "Forbidden" in answer["errors"][0]["message"]
    assert "errors" not in await both.admin.gql(f"{{ {ADMINS[name]} }}")


@pytest.mark.parametrize(
    "arguments",
    [
        'filter: "name == \\"their-train\\""',
        'filter: "name like \\"their%\\""',
        'filter: "access_key == \\"AKIAOTHER\\" | user_email == \\"other@localhost\\""',
        'filter: "tag == \\"their-tag\\""',
        'status: "PENDING"',
        'order: "-created_at"',
        "offset: 0",
    ],
)
async def test_no_filter_reaches_others(both: Both, arguments: str) -> None:
    offset = "" if "offset" in arguments else "offset: 0, "
    query = f"{{ compute_session_list(limit: 100, {offset}{arguments}) {{ items {{ name id }} total_count }} }}"
    answer = await both.user.gql(query)
    found = answer["data"]["compute_session_list"]
    wanted = 1 if "order" in arguments or arguments == "offset: 0" else 0
    assert found["total_count"] == len(found["items"]) == wanted
    seen = (await both.admin.gql(query))["data"]["compute_session_list"]
    assert seen["total_count"] > wanted


@pytest.mark.parametrize("key", [OTHER.access_key, ADMIN.access_key, "AKIANOONE"])
async def test_nobody_asks_in_the_name_of_others(both: Both, key: str) -> None:
    for field in (
        f'compute_session_list(limit: 9, offset: 0, access_key: "{key}") {{ total_count }}',
        f'keypair(access_key: "{key}") {{ user_id }}',
    ):
        answer = await both.user.gql(f"{{ {field} }}")
        (told,) = answer["errors"]
        assert set(answer["data"].values()) == {None}
        assert told["message"] == f"only an administrator may act for the access key {key!r}"
    unknown = await both.user.gql(f'{{ user(email: "{OTHER.user_id}") {{ uuid }} }}')
    assert unknown["data"]["user"] is None and OTHER.user_uuid not in json.dumps(unknown)
    known = await both.admin.gql(f'{{ user(email: "{OTHER.user_id}") {{ uuid role }} }}')
    assert known["data"]["user"] == {"uuid": OTHER.user_uuid, "role": "user"}


async def test_nobody_modifies_sessions_of_others(both: Both) -> None:
    told = set()
    for session_id in (both.theirs, both.ended, NOBODY):
        answer = await both.user.gql(
            "mutation($input: ModifyComputeSessionInput!) { modify_compute_session(input: $input) { item { id } } }",
            input={"id": session_id, "priority": 99, "name": "taken-over"},
        )
        assert answer["data"]["modify_compute_session"] is None
        told.add(answer["errors"][0]["message"].replace(session_id, "REF"))
    assert len(told) == 1
    session = await both.world.service.get(OTHER, both.theirs)
    assert (session.name, session.priority) == ("their-train", 10)


# --- the service, asked without the API -----------------------------------------------------------------------------


async def test_the_service_itself_refuses(both: Both) -> None:
    service = both.world.service
    with pytest.raises(SessionNotFound):
        service.run(USER, both.theirs, ExecuteRequest(RunMode.QUERY, "1"))
    with pytest.raises(SessionNotFound):
        service.events(USER, session_ref=both.theirs)
    with pytest.raises(SessionNotFound):
        async for _ in service.follow(USER, both.theirs, 0):
            pass
