"""Queries that are cheap to write and dear to answer: refused with a sentence, at once."""

from __future__ import annotations

import time
from typing import Any

import pytest
from graphql import get_introspection_query

LIST = "compute_session_list(limit: 100, offset: 0) { items { id } }"


def bomb(levels: int) -> str:
    """Fragments that each put in the next one twice: 2 to the power of `levels` fields."""
    parts = ["query { compute_session_list(limit: 1, offset: 0) { items { ...F0 } } }"]
    for level in range(levels):
        parts.append(
            f"fragment F{level} on ComputeSession "
            f"{{ a: dependencies {{ ...F{level + 1} }} b: dependencies {{ ...F{level + 1} }} }}"
        )
    parts.append(f"fragment F{levels} on ComputeSession {{ id }}")
    return "\n".join(parts)


HOSTILE = {
    "aliases": "query {" + " ".join(f"a{n}: {LIST}" for n in range(400)) + "}",
    "few aliases": "query {" + " ".join(f"a{n}: {LIST}" for n in range(25)) + "}",
    "same field": "query { keypair {" + " user_id" * 4900 + "} }",
    "fragment bomb": bomb(10),
    "large bomb": bomb(100),
    "cycle": "query { compute_session_list(limit:1, offset:0) { items { ...A } } } "
    "fragment A on ComputeSession { dependencies { ...B } } fragment B on ComputeSession { dependencies { ...A } }",
    "self": "query { ...A } fragment A on Query { ...A ...A }",
    "unused": "query { keypair { user_id } } " + "fragment A on KeyPair {" + " user_id" * 4000 + "}",
    "deep": "query { compute_session_list(limit:1, offset:0) { items "
    + "{ dependencies " * 40
    + "{ id }"
    + "}" * 40
    + "} }",
    "inline": "query { " + "... { " * 900 + "keypair { user_id }" + "}" * 901,
    "very deep": "query " + "{ a " * 2400 + "}" * 2400,
    "list": "query { compute_session_list(limit: " + "[" * 2400 + "]" * 2400 + ", offset: 0) { total_count } }",
    "shallow list": "query { compute_session_list(limit: " + "[" * 300 + "]" * 300 + ", offset: 0) { total_count } }",
    "type": "query($a: " + "[" * 2000 + "Int" + "]" * 2000 + ") { keypair { user_id } }",
    "operations": " ".join(f"query q{n} {{ keypair {{ user_id }} }}" for n in range(600)),
    "nothing": "{",
    "nul": "query { keypair { user_id } } \x00",
    "long number": "query { compute_session_list(limit: " + "9" * 60_000 + ", offset: 0) { total_count } }",
    "arguments": "query { compute_session_list(" + "limit: 1 " * 1500 + ") { total_count } }",
    "variables": "query(" + " ".join(f"$a{n}: Int" for n in range(1200)) + ") { keypair { user_id } }",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_queries(api: Any, name: str) -> None:
    await api.create()
    began_s = time.process_time()  # other processes have their share of the processor
    answer = await api.send("POST", "/admin/gql", {"query": HOSTILE[name]})
    assert time.process_time() - began_s < 2.0
    assert answer.status == 200
    assert answer.json["errors"][0]["message"], answer.json
    assert len(answer.raw) < 1_000_000
    # and the next one is answered
    assert "errors" not in await api.gql("query { keypair { user_id } }")


async def test_a_query_that_is_too_long_is_not_kept(api: Any) -> None:
    answer = await api.send("POST", "/admin/gql", {"query": "query { keypair { user_id } } #" + "x" * 70_000})
    assert (answer.status, answer.problem) == (400, "invalid-api-params")


async def test_usual_tools_may_look_at_the_schema(api: Any) -> None:
    answer = await api.gql(get_introspection_query(descriptions=True))
    assert "errors" not in answer and answer["data"]["__schema"]["types"]


async def test_a_large_honest_query_is_answered(api: Any) -> None:
    await api.create()
    fields = "id name type status status_info image created_at terminated_at priority tag occupying_slots " * 4
    body = "query { " + " ".join(
        f"p{n}: compute_session_list(limit: 10, offset: {n}) {{ total_count items {{ {fields} }} }}" for n in range(10)
    )
    assert "errors" not in await api.gql(body + "}")
