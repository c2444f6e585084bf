"""The description is served, complete, and true: see also `conformance`, which every answer of the API tests passes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from aiohttp import web
from bai_tui.tests.api.conformance import DOCUMENT, check, described

METHODS = {"get", "post", "patch", "delete", "put"}


async def test_it_is_served_to_whoever_has_a_key(api: Any) -> None:
    answer = await api.send("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.json == json.loads(json.dumps(DOCUMENT)) | {"info": answer.json["info"]}
    assert answer.json["info"]["version"] == "0.1.0"
    async with api.session.get(api.base + "/openapi.json") as unsigned:
        assert unsigned.status == 401


def test_it_describes_the_routes_and_no_others(runner: web.AppRunner) -> None:
    routes = {
        (route.method.lower(), route.resource.canonical)
        for route in runner.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    told = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert told == routes


def test_parameters_of_the_path_are_those_of_the_template() -> None:
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            names = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert names == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    used: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(found := value.get("$ref"), str):
                used.add(found.rpartition("/")[2])
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(DOCUMENT)
    assert used == set(schemas)
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema)


def test_only_the_handshake_needs_no_signature() -> None:
    unsigned = [
        (method, path)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if operation.get("security") == []
    ]
    assert unsigned == [("get", "/")]


def test_the_check_can_fail() -> None:
    """Else the tests that go through it would prove nothing."""
    good = {"X-Content-Type-Options": "nosniff", "Content-Type": "application/json; charset=utf-8"}
    check("GET", "/auth", 200, good, b'{"authorized": "yes", "echo": ""}')
    for status, headers, raw in (
        (200, good, b'{"authorized": "yes"}'),
        (200, good, b'{"authorized": "yes", "echo": "", "more": 1}'),
        (418, good, b"{}"),
        (200, good | {"Content-Type": "text/html"}, b"<html>"),
        (200, good | {"Access-Control-Allow-Origin": "*"}, b'{"authorized": "yes", "echo": ""}'),
        (401, good, b"{}"),
    ):
        with pytest.raises((AssertionError, jsonschema_rs.ValidationError)):
            check("GET", "/auth", status, headers, raw)
    assert described("POST", "/session/_/match") is None
    assert described("GET", "/session/_/match?id=x") == "/session/_/match"
    assert described("GET", "/session/abc") == "/session/{ref}"
