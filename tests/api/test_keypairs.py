"""Keypairs as the official client asks for them, and what becomes of those who are in when theirs is changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from bai_tui.app.model.errors import ServiceUnavailable
from bai_tui.tests.api.fakes import ADMIN, OFF, OTHER, USER

ADD = """mutation($user_id: String!, $input: KeyPairInput!) {
  create_keypair(user_id: $user_id, props: $input) { ok msg keypair { access_key secret_key } } }"""
MODIFY = """mutation($access_key: String!, $input: ModifyKeyPairInput!) {
  modify_keypair(access_key: $access_key, props: $input) { ok msg } }"""
DELETE = "mutation($access_key: String!) { delete_keypair(access_key: $access_key) { ok msg } }"
FIELDS = (
    "user_id projects user_info { full_name } access_key secret_key is_active is_admin created_at last_used "
    "resource_policy rate_limit concurrency_used"
)
LIST = """query($limit:Int!, $offset:Int!, $is_active: Boolean, $domain_name: String, $filter: String, $order: String,
    $email: String) {
  keypair_list(limit:$limit, offset:$offset, is_active:$is_active, domain_name:$domain_name, filter:$filter,
    order:$order, email:$email) { items { FIELDS } total_count } }""".replace("FIELDS", FIELDS)
NEW = {"is_active": True, "is_admin": False, "resource_policy": "default", "rate_limit": 5000}


async def changed(api: Any, query: str, **variables: Any) -> dict[str, Any]:
    answer = await api.gql(query, **variables)
    assert "errors" not in answer, answer
    (payload,) = answer["data"].values()
    return dict(payload)


async def added(api: Any, user_id: str = "eve@here", **props: Any) -> Any:
    payload = await changed(api, ADD, user_id=user_id, input=NEW | props)
    assert payload["ok"] and payload["msg"] == "success", payload
    pair = payload["keypair"]
    return replace(USER, access_key=pair["access_key"], secret_key=pair["secret_key"], user_id=user_id)


async def listed(api: Any, **more: Any) -> list[dict[str, Any]]:
    answer = await api.gql(LIST, **({"limit": 20, "offset": 0} | more))
    assert "errors" not in answer, answer
    return list(answer["data"]["keypair_list"]["items"])


async def may(api: Any, pair: Any) -> int:
    return int((await api.acting(pair).send("GET", "/auth")).status)


async def test_a_keypair_opens_from_its_making_to_its_end(admin: Any) -> None:
    eve = await added(admin)
    assert len(eve.access_key) == 20 and len(eve.secret_key) == 40
    assert await may(admin, eve) == 200
    off = {"is_active": False, "is_admin": None, "resource_policy": None, "rate_limit": None}
    assert await changed(admin, MODIFY, access_key=eve.access_key, input=off) == {"ok": True, "msg": "success"}
    answer = await admin.acting(eve).send("GET", "/auth")
    assert answer.status == 401 and answer.problem == "auth-failed" and "switched off" in answer.json["msg"]
    # without the secret key nobody hears that it is switched off
    wrong = await admin.acting(replace(eve, secret_key="x")).send("GET", "/auth")
    assert wrong.status == 401 and "switched off" not in wrong.json["msg"]
    assert (await changed(admin, MODIFY, access_key=eve.access_key, input=off | {"is_active": True}))["ok"]
    assert await may(admin, eve) == 200
    assert await changed(admin, DELETE, access_key=eve.access_key) == {"ok": True, "msg": "success"}
    assert await may(admin, eve) == 401


async def test_the_list_is_that_of_the_official_client(admin: Any, api: Any) -> None:
    eve = await added(admin, "eve")
    items = await listed(admin)
    assert [item["user_id"] for item in items][-1] == "eve@localhost"
    (row,) = await listed(admin, email="eve@localhost")
    assert list(row) == FIELDS.replace("{ full_name } ", "").split()
    assert row["user_info"] == {"full_name": "eve"} and row["projects"] == ["default"]
    assert row["access_key"] == eve.access_key and row["concurrency_used"] == 0 and row["resource_policy"] == "default"
    assert row["secret_key"] is None, "it was told once, to who has made it"
    assert [item["access_key"] for item in await listed(admin, is_active=False)] == [OFF.access_key]
    found = await listed(admin, filter='email like "%@localhost" & is_admin == true', order="-access_key")
    assert [item["access_key"] for item in found] == [ADMIN.access_key]
    assert [item["access_key"] for item in await listed(admin, limit=1, offset=1, order="access_key")] != []
    await api.create("sess-01")
    of_user = {item["access_key"]: item for item in await listed(api)}
    assert of_user.keys() == {USER.access_key, OFF.access_key}, "those of one's own user"
    assert of_user[USER.access_key]["secret_key"] == USER.secret_key
    assert of_user[OFF.access_key]["secret_key"] is None and of_user[OFF.access_key]["concurrency_used"] is None
    refused = await api.gql('{ keypairs(email: "admin@localhost") { access_key } }')
    assert "administrator" in refused["errors"][0]["message"]


async def test_one_user_may_have_several_keypairs(admin: Any) -> None:
    await added(admin, "eve@here")
    await added(admin, "eve@here", is_admin=True)
    rows = (await admin.gql('{ keypairs(email: "eve@here") { user is_admin } }'))["data"]["keypairs"]
    assert len({row["user"] for row in rows}) == 1 and {row["is_admin"] for row in rows} == {True, False}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (ADD, {"user_id": "eve@here", "input": NEW}),
        (ADD, {"user_id": "user@localhost", "input": NEW | {"is_admin": True}}),
        (MODIFY, {"access_key": USER.access_key, "input": {"is_admin": True}}),
        (MODIFY, {"access_key": ADMIN.access_key, "input": {"is_active": False}}),
        (DELETE, {"access_key": OTHER.access_key}),
        (DELETE, {"access_key": "AKNOBODY"}),
    ],
)
async def test_ordinary_users_change_nothing(api: Any, service: Any, query: str, variables: dict[str, Any]) -> None:
    before = dict(service.keyring)
    payload = await changed(api, query, **variables)
    assert payload["ok"] is False and payload["msg"].startswith("no permission to execute "), payload
    assert "administrator" in payload["msg"]
    assert dict(service.keyring) == before


@pytest.mark.parametrize(
    ("query", "variables", "says"),
    [
        (ADD, {"user_id": "two words", "input": NEW}, "no name for a user"),
        (ADD, {"user_id": "", "input": NEW}, "no name for a user"),
        (ADD, {"user_id": "eve", "input": NEW | {"resource_policy": "small"}}, "no resource policy 'small'"),
        (MODIFY, {"access_key": "AKNOBODY", "input": {"is_active": False}}, "no access key 'AKNOBODY'"),
        (MODIFY, {"access_key": USER.access_key, "input": {"rate_limit": 5}}, "limits no rate"),
        (MODIFY, {"access_key": ADMIN.access_key, "input": {"is_active": False}}, "cannot be switched off"),
        (MODIFY, {"access_key": ADMIN.access_key, "input": {"is_admin": False}}, "stays an administrator's"),
        (DELETE, {"access_key": ADMIN.access_key}, "cannot be switched off or deleted"),
        (DELETE, {"access_key": "AKNOBODY"}, "no access key 'AKNOBODY'"),
    ],
)
async def test_what_cannot_be_is_refused_in_a_sentence(
    admin: Any, service: Any, query: str, variables: dict[str, Any], says: str
) -> None:
    before = dict(service.keyring)
    payload = await changed(admin, query, **variables)
    assert payload["ok"] is False and says in payload["msg"] and "\n" not in payload["msg"]
    assert dict(service.keyring) == before


async def test_a_keypair_with_live_sessions_stays(admin: Any, api: Any) -> None:
    ref = await api.create("sess-01")
    refused = await changed(admin, DELETE, access_key=USER.access_key)
    assert refused["ok"] is False and "a live session: end it first" in refused["msg"]
    assert (await changed(admin, MODIFY, access_key=USER.access_key, input={"is_active": False}))["ok"]
    # switched off, its sessions go on; administrators see them with their owner
    answer = await admin.gql(
        "query($id: UUID!, $key: String) { compute_session(id: $id) { status user_email access_key } "
        "keypair(access_key: $key) { is_active concurrency_used } }",
        id=ref,
        key=USER.access_key,
    )
    assert answer["data"]["compute_session"] == {
        "status": "RUNNING",
        "user_email": USER.user_id,
        "access_key": USER.access_key,
    }
    assert answer["data"]["keypair"] == {"is_active": False, "concurrency_used": 1}
    await admin.send("DELETE", f"/session/{ref}")
    assert (await changed(admin, DELETE, access_key=USER.access_key))["ok"]
    ended = await admin.gql("query($id: UUID!) { compute_session(id: $id) { user_email access_key } }", id=ref)
    assert ended["data"]["compute_session"] == {"user_email": None, "access_key": USER.access_key}


async def test_rotation_refuses_the_old_secret_at_once(admin: Any, api: Any) -> None:
    answer = await api.send("POST", f"/keypair/{USER.access_key}/rotate")
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    assert answer.json["access_key"] == USER.access_key and answer.json["secret_key"] != USER.secret_key
    assert await may(api, USER) == 401
    fresh = replace(USER, secret_key=answer.json["secret_key"])
    assert await may(api, fresh) == 200
    by_admin = await admin.send("POST", f"/keypair/{USER.access_key}/rotate")
    assert await may(api, fresh) == 401
    assert await may(api, replace(USER, secret_key=by_admin.json["secret_key"])) == 200


async def test_who_may_rotate_what(admin: Any, api: Any, service: Any) -> None:
    of_user = await added(admin, USER.user_id)
    of_admin = await added(admin, USER.user_id, is_admin=True)
    assert (await api.send("POST", f"/keypair/{of_user.access_key}/rotate")).status == 200
    before = dict(service.keyring)
    told = set()
    for foreign in (of_admin.access_key, OTHER.access_key, ADMIN.access_key, "AKNOBODY"):
        answer = await api.send("POST", f"/keypair/{foreign}/rotate")
        assert answer.status == 403 and answer.problem == "generic-forbidden"
        told.add(answer.json["msg"])
    assert len(told) == 1, "what there is and what there is not reads alike"
    assert dict(service.keyring) == before
    assert (await admin.send("POST", "/keypair/AKNOBODY/rotate")).status == 404


async def test_what_the_store_refuses_has_not_happened(admin: Any, service: Any) -> None:
    service.keyring._store.refuse = ServiceUnavailable("there is no space left")
    before = dict(service.keyring)
    assert (await admin.send("POST", f"/keypair/{USER.access_key}/rotate")).status == 503
    for query, variables in (
        (ADD, {"user_id": "eve", "input": NEW}),
        (MODIFY, {"access_key": USER.access_key, "input": {"is_active": False}}),
        (DELETE, {"access_key": USER.access_key}),
    ):
        answer = await admin.gql(query, **variables)
        assert "no space left" in answer["errors"][0]["message"]
    assert dict(service.keyring) == before


async def test_what_is_open_is_closed(admin: Any, api: Any, service: Any) -> None:
    """An execute stream, a stream of events, a long wait: none of them goes on with a keypair that was changed."""
    ref = await api.create("sess-01")
    async with api.execute(ref) as ws:
        await ws.send_json({"mode": "query", "code": "say on\nwait", "options": {}})
        assert (await ws.receive_json())["status"] == "continued"
        target = "/events/session?scope=*"
        async with api.session.get(api.base + target, headers=api.headers("GET", target, None)) as events:
            await service.listening()
            waiting = asyncio.create_task(api.send("GET", f"/session/{ref}/journal?after=99&wait=30"))
            await service.journal_waits.wait()
            others = asyncio.create_task(admin.send("GET", f"/session/{ref}/journal?after=99&wait=1"))
            await admin.send("POST", f"/keypair/{USER.access_key}/rotate")
            async with asyncio.timeout(5):
                message = await ws.receive()
                while message.type is WSMsgType.TEXT:
                    message = await ws.receive()
                assert message.type is WSMsgType.CLOSE and message.data == 1008 and "keypair" in message.extra
                with pytest.raises(aiohttp.ClientPayloadError):
                    await events.content.read()
                answer = await waiting
                assert answer.status == 401 and "changed meanwhile" in answer.json["msg"]
                assert (await others).status == 200, "somebody else's go on"
    assert service.sessions[ref].status.value == "RUNNING"


async def test_who_rotates_the_own_keypair_hears_of_it(api: Any, service: Any) -> None:
    target = "/events/session?scope=*"
    async with api.session.get(api.base + target, headers=api.headers("GET", target, None)) as events:
        await service.listening()
        assert (await api.send("POST", f"/keypair/{USER.access_key}/rotate")).status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await events.content.read()


async def test_an_administrator_no_more_sees_others_no_more(admin: Any, service: Any) -> None:
    eve = await added(admin, "eve", is_admin=True)
    target = "/events/session?scope=*"
    as_eve = admin.acting(eve)
    async with admin.session.get(admin.base + target, headers=as_eve.headers("GET", target, None)) as events:
        await service.listening()
        await changed(admin, MODIFY, access_key=eve.access_key, input={"is_admin": False})
        with pytest.raises(aiohttp.ClientPayloadError):
            await events.content.read()
    assert len(await listed(as_eve)) == 1
