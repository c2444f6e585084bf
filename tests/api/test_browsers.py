"""What a web page in a browser of this machine can send: by table, as raw bytes, for browsers differ from clients."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.tests.api.test_connections import ask, signed

OWN = [
    "127.0.0.1",
    "127.0.0.1:8091",
    "localhost",
    "LOCALHOST:80",
    "[::1]",
    "[::1]:8091",
    "127.9.9.9",
    "192.168.1.5:8091",
]
"""A literal address may be that of a tunnel; a page cannot rebind it."""
FOREIGN = [
    "evil.example",
    "evil.example:8091",
    "localhost.evil.example",
    "localhost.",
    "127.0.0.1.",
    "127.0.0.1.nip.io",
    "user@127.0.0.1",
    "127.0.0.1:80@evil.example",
    "127.0.0.1:8091:80",
    "[::1]evil.example",
    "[::1]:80@evil.example",
    "[fe80::1%25eth0]",
    "[fe80::1%lo]",
    "::1",
    "0.0.0.0",
    "0.0.0.0:8091",
    "[::]",
    "0",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.1/",
    "127.0.0.1 evil.example",
    "127.0.0.1,evil.example",
    "\u0661\u0662\u0667.0.0.1",
    "",
    "[",
    "a" * 300,
]


@pytest.mark.parametrize("host", OWN)
async def test_own_names(api: Any, host: str) -> None:
    assert (await ask(api, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("host", FOREIGN)
async def test_foreign_names(api: Any, host: str) -> None:
    """A page that has rebound its name to this machine sends its own name; not even the handshake is told it."""
    head = await ask(api, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert head.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 ")), head


@pytest.mark.parametrize(
    "request_line",
    [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n",
        "GET / HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "GET http://127.0.0.1/ HTTP/1.1\r\nHost: evil.example\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    ],
)
async def test_targets_and_hosts_that_no_client_sends(api: Any, request_line: str) -> None:
    head = await ask(api, f"{request_line}\r\n".encode())
    assert head.split(b" ")[1] in (b"400", b"403"), head


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8091", "http://localhost", "null", "https://evil.example", ""])
async def test_an_origin_may_not_act_even_with_a_right_signature(api: Any, origin: str) -> None:
    for method, target in (("POST", "/auth"), ("DELETE", "/session/abcd"), ("PATCH", "/session/abcd")):
        extra = f"Origin: {origin}\r\nContent-Length: 2\r\n"
        assert (await ask(api, signed(api, method, target, extra=extra) + b"{}")).startswith(b"HTTP/1.1 403 "), method


@pytest.mark.parametrize("stream", ["execute", "journal", "pty"])
async def test_a_websocket_of_a_page_is_refused(api: Any, stream: str) -> None:
    ref = await api.create()
    upgrade = (
        "Origin: null\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    head = await ask(api, signed(api, "GET", f"/stream/session/{ref}/{stream}", None, upgrade))
    assert head.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "Cross-Site"])
async def test_what_a_browser_says_of_itself_is_believed(api: Any, site: str) -> None:
    """An image, a script or a form of a page bears no Origin with a GET: it is told by this header."""
    head = await ask(api, f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: {site}\r\n\r\n".encode())
    assert head.startswith(b"HTTP/1.1 403 ")


async def test_a_preflight_is_granted_nothing(api: Any) -> None:
    for target in ("/session", "/", "/admin/gql", "/openapi.json"):
        head = await ask(
            api,
            f"OPTIONS {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\n"
            "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Private-Network: true\r\n\r\n".encode(),
        )
        assert head.split(b" ")[1] in (b"401", b"405"), head
        assert b"access-control" not in head.lower()


async def test_answers_are_nothing_that_a_browser_would_run(api: Any) -> None:
    ref = await api.create()
    targets = ["/", "/auth", "/nowhere", "/<script>", f"/session/{ref}", f"/session/{ref}/logs", "/session/<b>/logs"]
    for raw in (
        *(signed(api, "GET", target.replace("<", "%3C").replace(">", "%3E"), None) for target in targets),
        b"<html>\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ):
        head = (await ask(api, raw)).lower()
        assert b"content-type: application/" in head and b"html" not in head.partition(b"\r\n")[2]
        assert b"x-content-type-options: nosniff" in head
        assert b"cross-origin-resource-policy: same-origin" in head
        assert b"aiohttp" not in head and b"python" not in head
