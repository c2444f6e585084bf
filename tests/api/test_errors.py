"""Whatever goes wrong, the answer is a problem body, and the server lives on."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import pytest
from bai_tui.app.model.errors import LaunchFailed, QuotaExceeded, ServiceUnavailable


async def test_unknown_path(api: Any) -> None:
    answer = await api.send("GET", "/nothing-here")
    assert (answer.status, answer.problem) == (404, "url-not-found")
    assert answer.json["data"] == "/nothing-here"


async def test_wrong_method(api: Any) -> None:
    answer = await api.send("PUT", "/session", {})
    assert (answer.status, answer.problem) == (405, "method-not-allowed")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("raw", [b"{not json", b'"text"', b"[1]", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("path", ["/session", "/admin/gql", "/session/x"])
async def test_bad_json(api: Any, path: str, raw: bytes) -> None:
    answer = await api.send("POST", path, raw=raw)
    assert (answer.status, answer.problem) == (400, "generic-bad-request")
    assert answer.json["title"] == "Malformed request body."
    assert (await api.send("GET", "/auth")).status == 200


async def test_too_large_a_body(api: Any) -> None:
    answer = await api.send("POST", "/session", raw=io.BytesIO(b" " * (17 * 1024 * 1024)))
    assert (answer.status, answer.problem) == (413, "content-too-large")


@pytest.mark.parametrize(
    ("error", "status", "problem"),
    [
        (QuotaExceeded("no more", data={"limit": 1}), 400, "quota-exceeded"),
        (LaunchFailed("it would not start"), 500, "kernel-creation-failed"),
        (ServiceUnavailable("closing"), 503, "service-unavailable"),
    ],
)
async def test_errors_of_the_model(api: Any, service: Any, error: Any, status: int, problem: str) -> None:
    service.next_failure = error
    answer = await api.send("GET", "/session/x")
    assert (answer.status, answer.problem, answer.json["msg"]) == (status, problem, error.message)
    assert answer.json.get("data") == error.data


async def test_unexpected_error_names_its_log_entry_and_nothing_else(
    api: Any, service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service.next_failure = RuntimeError("secret detail")
    answer = await api.send("GET", "/session/x")
    assert (answer.status, answer.problem) == (500, "internal-server-error")
    assert b"secret detail" not in answer.raw and b"Traceback" not in answer.raw
    mark = answer.json["msg"].rpartition(" ")[2]
    record = next(record for record in caplog.records if mark in record.getMessage())
    assert record.exc_info is not None and "secret detail" in str(record.exc_info[1])


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"this is no http\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_below_http(api: Any, request_bytes: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    host, port = api.host.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_bytes)
    raw = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400") or head.startswith(b"HTTP/1.0 400")
    assert b"application/problem+json" in head
    assert json.loads(body)["type"].endswith("generic-bad-request")


async def test_head_and_options(api: Any) -> None:
    assert (await api.send("HEAD", "/auth")).status == 200
    assert (await api.send("OPTIONS", "/auth")).status == 405
