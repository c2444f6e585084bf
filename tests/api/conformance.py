"""Holds answers to the description that is served: every answer of every test of the API goes through `check`."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
from bai_tui.app.backend.api.openapi import document

DOCUMENT = document("0")


@functools.cache
def _routes() -> list[tuple[re.Pattern[str], str]]:
    """Returns the paths as patterns, those without parameters first."""
    paths = sorted(DOCUMENT["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), path) for path in paths]


@functools.cache
def _validator(path: str, method: str, status: str, media: str) -> Any:
    schema = DOCUMENT["paths"][path][method]["responses"][status]["content"][media]["schema"]
    return jsonschema_rs.Draft202012Validator(schema | {"components": DOCUMENT["components"]}, validate_formats=True)


def described(method: str, target: str) -> str | None:
    """Returns the described path that a target leads to, None when there is none for this method."""
    asked = target.partition("?")[0]
    for pattern, path in _routes():
        if pattern.fullmatch(asked) and method.lower() in DOCUMENT["paths"][path]:
            return path
    return None


def check(method: str, target: str, status: int, headers: Mapping[str, str], raw: bytes) -> None:
    """Fails when an answer is not as described."""
    where = f"{method} {target}: {status}"
    assert headers["X-Content-Type-Options"] == "nosniff", where
    assert not [name for name in headers if name.lower().startswith("access-control")], where
    path = described("GET" if method == "HEAD" else method, target)
    if path is None:
        assert status in (400, 401, 403, 404, 405), f"{where} at something that is not described"
        return
    if method == "HEAD":
        assert not raw, where
        return
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    assert str(status) in responses, f"{where} is not described"
    media = headers.get("Content-Type", "").partition(";")[0]
    content = responses[str(status)].get("content")
    if content is None:
        assert not raw, where
        return
    assert media in content, f"{where}: {media} is not described"
    if media.endswith("json"):
        _validator(path, method.lower(), str(status), media).validate(json.loads(raw))
