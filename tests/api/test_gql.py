"""GraphQL as the official clients ask it."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from bai_tui.app.backend.api.gql import GraphQLEngine
from bai_tui.app.backend.api.gql_root import Root
from bai_tui.app.policies import LimitSettings

LIST = """query($limit:Int!, $offset:Int!, $status:String, $access_key:String, $filter:String, $order:String) {
  compute_session_list(limit:$limit, offset:$offset, status:$status, access_key:$access_key, filter:$filter,
    order:$order) { items { FIELDS } total_count } }"""
NAMES = LIST.replace("FIELDS", "name")
PS = "name id group_name main_kernel_id image type status status_info status_changed result"
ALL = (
    "id main_kernel_id tag name type priority image registry cluster_template cluster_mode cluster_size domain_name "
    "group_name group_id agent_ids user_email user_id access_key created_user_email created_user_id status status_info "
    "status_data status_changed created_at terminated_at starts_at scheduled_at startup_command result resource_opts "
    "scaling_group service_ports mounts vfolder_mounts occupying_slots dependencies { name id } abusing_reports "
    "idle_checks containers { id cluster_role cluster_idx cluster_hostname session_id image registry status "
    "status_info status_data status_changed agent container_id resource_opts occupied_slots preopen_ports live_stat "
    "last_stat id }"
)


async def ps(api: Any, fields: str = PS, **more: Any) -> dict[str, Any]:
    answer = await api.gql(LIST.replace("FIELDS", fields), **({"limit": 20, "offset": 0} | more))
    assert "errors" not in answer, answer
    return dict(answer["data"]["compute_session_list"])


async def names(api: Any, **more: Any) -> list[str]:
    return [item["name"] for item in (await ps(api, "name", **more))["items"]]


async def test_keys_come_in_the_order_of_the_selection(api: Any) -> None:
    await api.create("order-01")
    for fields in (PS, " ".join(reversed(PS.split()))):
        found = await ps(api, fields)
        assert found["total_count"] == 1
        assert list(found["items"][0]) == fields.split()


async def test_every_field_of_the_clients(api: Any) -> None:
    ref = await api.create("fields-1", config={"resources": {"gpu": "0.5"}, "environ": {}}, image="python")
    (item,) = (await ps(api, ALL))["items"]
    assert item["id"] == ref and item["type"] == "INTERACTIVE" and item["result"] == "UNDEFINED"
    for slots in (item["occupying_slots"], item["containers"][0]["occupied_slots"]):
        assert json.loads(slots) == {"cpu": "1", "mem": "67108864", "cuda.shares": "0.5"}
    assert json.loads(item["idle_checks"])["network_timeout"] == {
        "remaining": 1750.25,
        "remaining_time_type": "expire_after",
        "extra": None,
    }
    assert json.loads(item["status_data"]) == {
        "image_notice": "runs python:3.11-debian12",
        "allocation": {"cuda.shares": {"gpu0": "0.5"}},
        "busy": False,
        "idle_remaining": 1750.25,
    }
    assert next(iter(item["containers"][0])) == "id" and list(item["containers"][0]).count("id") == 1
    assert item["agent_ids"] == ["i-local"] and item["user_email"] == "user@localhost"
    assert item["created_at"].endswith("+00:00")
    one = await api.gql(f"query($id: UUID!) {{ compute_session(id: $id) {{ {ALL} }} }}", id=ref)
    assert one["data"]["compute_session"] == item


async def test_ended_sessions_hold_nothing(api: Any) -> None:
    ref = await api.create("ended-01")
    await api.send("DELETE", f"/session/{ref}")
    (item,) = (await ps(api, "occupying_slots service_ports agent_ids", status="TERMINATED,CANCELLED"))["items"]
    assert item == {"occupying_slots": "{}", "service_ports": None, "agent_ids": []}


async def test_status_list_paging_and_owner(api: Any, admin: Any) -> None:
    for number in range(5):
        await api.create(f"page-0{number}")
    await admin.create("of-admin")
    await api.send("DELETE", "/session/page-00")
    assert await names(api, status="PENDING,RUNNING, TERMINATING ,PREEMPTED") == [f"page-0{n}" for n in (4, 3, 2, 1)]
    assert await names(api, limit=2, offset=1) == ["page-03", "page-02"]
    assert (await ps(api, limit=2))["total_count"] == 5
    assert await names(api, status="PREEMPTED") == []
    assert "of-admin" in await names(admin) and "page-01" in await names(admin)
    assert await names(admin, access_key=api.keypair.access_key) == [f"page-0{n}" for n in (4, 3, 2, 1, 0)]
    refused = await api.gql(NAMES, limit=1, offset=0, access_key=admin.keypair.access_key)
    assert "only an administrator" in refused["errors"][0]["message"]
    wrong = await api.gql(NAMES, limit=1, offset=0, status="RUNING")
    assert wrong["errors"][0]["message"] == "there is no session status 'RUNING': did you mean RUNNING?"
    negative = await api.gql(NAMES, limit=-1, offset=0)
    assert "negative" in negative["errors"][0]["message"]


async def test_filter_and_order(api: Any) -> None:
    for name, priority in (("alpha-1", 5), ("beta-22", 20), ("alpha-2", 10)):
        await api.create(name, priority=priority)
    assert await names(api, filter='name like "alpha%"', order="name") == ["alpha-1", "alpha-2"]
    assert await names(api, order="-priority") == ["beta-22", "alpha-2", "alpha-1"]
    assert (await ps(api, filter="priority >= 10", limit=1))["total_count"] == 2
    unknown = await api.gql(NAMES, limit=1, offset=0, filter='nme == "x"')
    assert unknown["errors"][0]["message"] == "the filter names an unknown field 'nme': did you mean 'name'?"
    assert unknown["data"] == {"compute_session_list": None}


async def test_keypair_and_user(api: Any, admin: Any) -> None:
    await api.create("counted-1")
    query = "query { keypair { user_id access_key secret_key is_active is_admin concurrency_used resource_policy } }"
    assert (await api.gql(query))["data"]["keypair"] == {
        "user_id": "user@localhost",
        "access_key": api.keypair.access_key,
        "secret_key": "sk-user",
        "is_active": True,
        "is_admin": False,
        "concurrency_used": 1,
        "resource_policy": "default",
    }
    assert (await admin.gql("{ keypair { is_admin } }"))["data"]["keypair"] == {"is_admin": True}
    user = (await api.gql("{ user { uuid email username domain_name role groups { id name } } }"))["data"]["user"]
    assert user["groups"][0]["name"] == "default" and user["role"] == "user"


async def test_limits_of_a_keypair(api: Any, service: Any) -> None:
    await api.create("counted-1")
    query = """{ keypair { concurrency_used concurrency_limit resource_policy }
        keypair_resource_policy(name: "default") { name total_resource_slots max_concurrent_sessions
            max_pending_session_count max_session_lifetime max_vfolder_size }
        keypair_resource_policies { name } other: keypair_resource_policy(name: "x") { name } }"""
    unlimited = (await api.gql(query))["data"]
    assert unlimited["keypair"] == {"concurrency_used": 1, "concurrency_limit": None, "resource_policy": "default"}
    assert unlimited["keypair_resource_policy"]["total_resource_slots"] == "{}"
    service.own_policy = LimitSettings(
        max_concurrent_sessions=3,
        max_pending_session_count=7,
        total_resource_slots={"cpu": "2"},
        max_session_lifetime_s=3600,
    )
    limited = (await api.gql(query))["data"]
    assert limited["keypair"]["concurrency_limit"] == 3
    assert limited["keypair_resource_policy"] == {
        "name": "default",
        "total_resource_slots": '{"cpu": "2"}',
        "max_concurrent_sessions": 3,
        "max_pending_session_count": 7,
        "max_session_lifetime": 3600,
        "max_vfolder_size": 0,
    }
    assert (limited["keypair_resource_policies"], limited["other"]) == ([{"name": "default"}], None)


async def test_images(api: Any) -> None:
    query = (
        "query($x: Boolean) { images(is_operation: $x) { name registry architecture tag digest size_bytes aliases } }"
    )
    assert (await api.gql(query, x=False))["data"]["images"] == [
        {
            "name": "python",
            "registry": "local",
            "architecture": "x86_64",
            "tag": "3.11-debian12",
            "digest": "sha256:00",
            "size_bytes": 1234,
            "aliases": ["python"],
        }
    ]
    one = await api.gql('{ image(reference: "python") { tag resource_limits { key min max } labels { key } } }')
    assert one["data"]["image"]["resource_limits"][0] == {"key": "cpu", "min": "1", "max": "Infinity"}
    none = await api.gql('{ image(reference: "perl") { tag } }')
    assert none["data"] == {"image": None} and none["errors"][0]["message"] == "Unknown image reference: perl"


AGENT = (
    "id status architecture scaling_group region first_contact cpu_cur_pct mem_cur_bytes available_slots occupied_slots"
)


async def test_agents_are_for_admins(api: Any, admin: Any) -> None:
    await api.create("holds-01", config={"resources": {"gpu": "0.5"}})
    query = """query($l: Int!, $o: Int!, $s: String) {
        agent_list(limit: $l, offset: $o, status: $s) { items { FIELDS } total_count } }"""
    found = (await admin.gql(query.replace("FIELDS", AGENT), l=10, o=0, s="ALIVE"))["data"]["agent_list"]
    assert found["total_count"] == 1 and list(found["items"][0]) == AGENT.split()
    assert json.loads(found["items"][0]["available_slots"]) == {"cpu": "2", "mem": "8589934592", "cuda.shares": "1"}
    assert json.loads(found["items"][0]["occupied_slots"])["cuda.shares"] == "0.5"
    assert (found["items"][0]["cpu_cur_pct"], found["items"][0]["mem_cur_bytes"]) == (0.0, 0.0), (
        "nothing is measured yet"
    )
    assert (await admin.gql(query.replace("FIELDS", "id"), l=10, o=0, s="LOST"))["data"]["agent_list"]["items"] == []
    refused = await api.gql(query.replace("FIELDS", "id"), l=10, o=0)
    assert refused["data"] == {"agent_list": None}
    assert refused["errors"][0]["message"] == "Forbidden operation. (superadmin privilege required)"
    detail = (
        'query { agent(agent_id: "i-local") { id hardware_metadata live_stat local_config compute_containers { id } } }'
    )
    agent = (await admin.gql(detail))["data"]["agent"]
    assert json.loads(agent["hardware_metadata"])["gpu0"]["metadata"]["kind"] == "mock"
    assert len(agent["compute_containers"]) == 1
    assert (await admin.gql('{ agent(agent_id: "x") { id } }'))["data"] == {"agent": None}


async def test_nodes(api: Any) -> None:
    refs = [await api.create(f"node-0{number}") for number in range(3)]
    query = """query($first: Int, $after: String) { compute_session_nodes(first: $first, after: $after, order: "name") {
        count pageInfo { hasNextPage endCursor } edges { cursor node { id row_id name type
        kernel_nodes { edges { node { row_id status image { name tag } } } } } } } }"""
    page = (await api.gql(query, first=2))["data"]["compute_session_nodes"]
    assert (page["count"], page["pageInfo"]["hasNextPage"]) == (3, True)
    assert page["edges"][0]["node"]["kernel_nodes"]["edges"][0]["node"]["image"] == {
        "name": "python",
        "tag": "3.11-debian12",
    }
    rest = (await api.gql(query, first=2, after=page["pageInfo"]["endCursor"]))["data"]["compute_session_nodes"]
    assert [edge["node"]["row_id"] for edge in page["edges"] + rest["edges"]] == refs
    global_id = base64.b64encode(f"compute_session_node:{refs[0]}".encode()).decode()
    one = await api.gql("query($id: GlobalIDField!) { compute_session_node(id: $id) { row_id type } }", id=global_id)
    assert one["data"]["compute_session_node"] == {"row_id": refs[0], "type": "interactive"}


async def test_modify(api: Any) -> None:
    ref = await api.create("before-1")
    mutation = """mutation($input: ModifyComputeSessionInput!) { modify_compute_session(input: $input) {
        item { name priority } clientMutationId } }"""
    done = await api.gql(mutation, input={"id": ref, "name": "after-01", "clientMutationId": "m"})
    assert done["data"]["modify_compute_session"] == {
        "item": {"name": "after-01", "priority": 10},
        "clientMutationId": "m",
    }
    both = await api.gql(mutation, input={"id": ref, "priority": 99, "name": "after-02"})
    assert both["data"]["modify_compute_session"]["item"] == {"name": "after-02", "priority": 99}
    refused = await api.gql(mutation, input={"id": ref, "priority": 101, "name": "after-03"})
    assert refused["errors"][0]["message"] == "the priority 101 is outside 0 to 100"
    assert (await api.send("GET", f"/session/{ref}")).json["sessionName"] == "after-02"


async def test_no_such_session_is_null(api: Any) -> None:
    query = "query($id: UUID!) { compute_session(id: $id) { id } }"
    answer = await api.gql(query, id="00000000-0000-4000-8000-000000000000")
    assert answer == {"data": {"compute_session": None}}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("query { nothing_like_this }", "Cannot query field 'nothing_like_this' on type 'Query'."),
        ("query {", "Syntax Error"),
        ("{" * 3000, "Syntax Error"),
        ("query { compute_session_list(limit: 1) { total_count } }", "offset"),
    ],
)
async def test_bad_queries(api: Any, query: str, says: str) -> None:
    answer = await api.gql(query)
    assert answer["data"] is None and says in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    "body", [{}, {"query": 5}, {"query": " "}, {"query": "{ keypair { user_id } }", "variables": []}]
)
async def test_bad_requests(api: Any, body: dict[str, Any]) -> None:
    assert (await api.send("POST", "/admin/gql", body)).problem == "invalid-api-params"


async def test_unexpected_error_shows_no_internals(api: Any, service: Any) -> None:
    service.next_failure = RuntimeError("secret detail")
    answer = await api.gql(NAMES, limit=1, offset=0)
    assert "secret" not in json.dumps(answer) and "log" in answer["errors"][0]["message"]


async def test_old_form(api: Any) -> None:
    query = "query { keypair { is_admin } }"
    assert (await api.send("POST", "/admin/graphql", {"query": query})).json == {"keypair": {"is_admin": False}}
    bad = await api.send("POST", "/admin/graphql", {"query": "{ x }"})
    assert (bad.status, bad.problem) == (400, "graphql-error")


def test_queries_are_parsed_once_and_forgotten_in_order() -> None:
    engine = GraphQLEngine()
    first = engine.document("{ keypair { user_id } }")
    assert engine.document("{ keypair { user_id } }") is first
    for number in range(200):
        engine.document(f"{{ a{number}: keypair {{ user_id }} }}")
    assert engine.document("{ keypair { user_id } }") is not first


async def caller_stays(access_key: str) -> None:
    raise AssertionError(f"{access_key} is not turned out by a query")


async def turns_during(service: Any, caller: Any, limit: int) -> int:
    """Returns how often others come to their turn while a list is answered."""
    root = Root(service, caller, turn_out=caller_stays, version="1", since=datetime.now(UTC))
    asked = {"limit": limit, "offset": 0}
    answer = asyncio.create_task(GraphQLEngine().run(root, LIST.replace("FIELDS", "name"), asked, None))
    turns = 0
    while not answer.done():
        turns += 1
        await asyncio.sleep(0)
    assert len(answer.result()["data"]["compute_session_list"]["items"]) == limit
    return turns


async def test_others_get_their_turn_during_a_long_list(api: Any, service: Any) -> None:
    for number in range(35):
        await api.create(f"long-{number:02d}")
    short, long = [await turns_during(service, api.keypair, limit) for limit in (5, 35)]
    assert long >= short + 3
