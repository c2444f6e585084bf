"""Handshake, signing, connections, errors of the network."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from bai_tui.app.client.address import Address, segment
from bai_tui.app.client.api import ApiClient, Endpoint
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import (
    AuthFailed,
    BadRequest,
    ConfigError,
    ImageNotFound,
    InvalidAmount,
    NotFound,
    NotImplementedHere,
    RemoteError,
    SessionExists,
    SessionNotFound,
    UnknownSlot,
    Unreachable,
)

from .conftest import ACCESS_KEY, SECRET_KEY, FakeServer, problem, recording


@pytest.mark.parametrize(
    ("told", "negotiated"),
    [
        ("v9.20250722", "v9.20250722"),
        ("v10.20300101", "v9.20250722"),
        ("v7.20230615", "v7.20230615"),
        ("v5.20191215", "v5.20191215"),
    ],
)
async def test_the_older_version_is_spoken(client: ApiClient, server: FakeServer, told: str, negotiated: str) -> None:
    server.handshake = {"version": told, "manager": "x"}
    server.answers["GET /session/abcd/logs"] = {"result": {"logs": ""}}
    assert (await client.handshake()).api_version == negotiated
    await client.logs("abcd")
    assert server.requests[-1].headers["X-BackendAI-Version"] == negotiated


async def test_capabilities_of_our_backend(client: ApiClient, server: FakeServer) -> None:
    assert (await client.info()).capabilities == frozenset()
    server.handshake["bai-tui"] = {"version": "1", "capabilities": ["journal", "devices"]}
    assert (await client.handshake()).capabilities == {"journal", "devices"}


@pytest.mark.parametrize("body", [{}, {"version": "9"}, {"version": None}, [], {"version": "v9.2025"}])
async def test_what_is_no_backend_is_said_to_be_none(client: ApiClient, server: FakeServer, body: object) -> None:
    server.handshake = body  # type: ignore[assignment]
    with pytest.raises(Unreachable, match="names no API version"):
        await client.list_sessions()


async def test_a_server_from_before_sessions_had_ids(client: ApiClient, server: FakeServer) -> None:
    server.handshake = {"version": "v4.20190615"}
    with pytest.raises(RemoteError, match="older than what this client knows"):
        await client.logs("abcd")


@pytest.mark.parametrize(
    "ref", ["plain-name", "with space", "a/b?c#d", "100%", "a%2Fb", "ünïcode", "a;b&c=d+e", "~*'()!$,:@[]"]
)
async def test_signs_exactly_what_it_sends(client: ApiClient, server: FakeServer, ref: str) -> None:
    seen: list[str] = []

    async def rename(request: web.Request) -> web.StreamResponse:
        seen.extend((request.path, request.query["name"], (await request.json())["name"]))
        return web.Response(status=204)

    server.answers[f"POST /session/{ref}/rename"] = rename
    await client.rename(ref, ref)
    assert seen == [f"/session/{ref}/rename", ref, ref], "managers since 26 read the body, earlier ones the query"


@pytest.mark.parametrize("ref", ["", ".", ".."])
async def test_a_reference_that_would_climb_is_refused(client: ApiClient, server: FakeServer, ref: str) -> None:
    with pytest.raises(SessionNotFound):
        await client.logs(ref)
    assert not server.requests


async def test_a_path_in_the_endpoint_is_part_of_the_target(server: FakeServer) -> None:
    server.answers["GET /base/path/session/abcd/logs"] = {"result": {"logs": "x"}}

    async def hello(_: web.Request) -> web.StreamResponse:
        return web.json_response(server.handshake)

    # The handshake is not signed, and the fake server would refuse it below a path.
    server.answers["GET /base/path/"] = hello
    endpoint = Endpoint(f"{server.url}/base/path/", "", "")
    async with ApiClient(endpoint) as client:
        with pytest.raises(AuthFailed):
            await client.logs("abcd")
    assert server.targets() == ["GET /base/path/"]


def test_addresses() -> None:
    def authority(url: str) -> str:
        return Address.parse(url).authority

    assert authority("http://LocalHost:8091/") == "localhost:8091"
    assert authority("http://example.org:80") == authority("http://example.org") == "example.org"
    assert authority("https://example.org:443/x") == "example.org"
    assert authority("https://example.org:80") == "example.org:80"
    assert authority("http://[::1]:8091") == "[::1]:8091"
    assert Address.parse("http://127.0.0.2:1").is_loopback
    assert Address.parse("http://[::1]").is_loopback
    assert not Address.parse("http://10.0.0.1").is_loopback
    assert Address.parse("https://h/a/b/").target("/session", [("x", "a b&c")]) == "/a/b/session?x=a%20b%26c"
    assert segment("a/b") == "a%2Fb"
    for wrong in ("", "127.0.0.1:8091", "ftp://x", "http://", "http://h:port", "http://[::1"):
        with pytest.raises(ConfigError, match="no endpoint"):
            Address.parse(wrong)


async def test_requests_without_a_body_are_text_plain(client: ApiClient, server: FakeServer) -> None:
    server.answers["POST /session/abcd/interrupt"] = 204
    server.answers["GET /session/abcd/logs"] = {"result": {"logs": ""}}
    await client.interrupt("abcd")
    await client.logs("abcd")
    assert [request.headers["Content-Type"] for request in server.requests[1:]] == ["text/plain"] * 2


async def test_one_connection_serves_many_requests(client: ApiClient, server: FakeServer) -> None:
    server.answers["GET /session/abcd/logs"] = {"result": {"logs": "x" * 300_000}}
    for _ in range(5):
        assert len(await client.logs("abcd")) == 300_000
    assert len(server.connections) == 1


async def test_a_kept_connection_that_the_server_closed_is_replaced(client: ApiClient, server: FakeServer) -> None:
    async def close_after(request: web.Request) -> web.StreamResponse:
        response = web.json_response({"result": {"logs": "x"}})
        response.force_close()
        return response

    server.answers["GET /session/abcd/logs"] = close_after
    for _ in range(3):
        assert await client.logs("abcd") == "x"
    assert len(server.connections) == 3


async def test_a_kept_connection_reset_without_an_answer(client: ApiClient, server: FakeServer) -> None:
    """A GET is sent once more on a new connection, a POST is not: the server may have acted on it."""
    resets = 0

    async def reset_first(request: web.Request) -> web.StreamResponse:
        nonlocal resets
        resets += 1
        if resets == 1:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"result": {"logs": "again"}})

    server.answers["GET /session/abcd/logs"] = server.answers["POST /session/abcd/interrupt"] = reset_first
    await client.handshake()
    assert await client.logs("abcd") == "again"
    first, again = server.requests[-2:]
    assert first.headers["Authorization"] != again.headers["Authorization"], "a signature is good for one request"
    resets = 0
    with pytest.raises(Unreachable, match="closed the connection without an answer"):
        await client.interrupt("abcd")
    assert resets == 1


async def test_cancelling_closes_the_connection(client: ApiClient, server: FakeServer) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    server.answers["GET /session/abcd/logs"] = never
    server.answers["POST /session/abcd/interrupt"] = 204
    task = asyncio.create_task(client.logs("abcd"))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.interrupt("abcd")
    assert len(server.connections) == 2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with ApiClient(Endpoint(url, "a", "b")) as client:
        with pytest.raises(Unreachable) as caught:
            await client.list_sessions()
    assert caught.value.message.startswith(f"{url} does not answer: ")
    assert caught.value.http_status == 0


ANSWERS = {
    "did not answer in time": b"",
    "did not speak HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "was cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("message", ANSWERS)
async def test_what_listens_is_no_http_server(message: str) -> None:
    left: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS[message])
        if ANSWERS[message]:
            writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left.append(asyncio.create_task(answer(reader, writer), name="answer"))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, ApiClient(Endpoint(f"http://127.0.0.1:{port}", "a", "b", connect_timeout_s=0.2)) as client:
        with pytest.raises(Unreachable, match=message):
            await client.handshake()
    await asyncio.gather(*left)


async def test_a_proxy_of_the_environment_stays_out_of_loopback(
    client: ApiClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    server.answers["GET /session/abcd/logs"] = {"result": {"logs": "direct"}}
    assert await client.logs("abcd") == "direct"


async def test_other_hosts_are_reached_through_the_proxy(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy gets absolute URLs and passes on what follows the host, which is what was signed."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                assert b" http://cluster.example:8081/" in head
                up_writer.write(head.replace(b"http://cluster.example:8081", b"", 1))
                up_writer.write(await reader.readexactly(length_of(head)))
                answer = await up_reader.readuntil(b"\r\n\r\n")
                writer.write(answer + await up_reader.readexactly(length_of(answer)))
        except asyncio.IncompleteReadError:
            for each in (writer, up_writer):
                each.close()
                await each.wait_closed()

    def length_of(head: bytes) -> int:
        return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)

    served: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(forward(reader, writer), name="proxy"))

    proxy = await asyncio.start_server(accept, "127.0.0.1", 0)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
    server.answers["GET /session/a b/logs"] = {"result": {"logs": "by proxy"}}
    server.answers["POST /session/a b/upload"] = 204
    (tmp_path / "f").write_bytes(b"data")
    async with ApiClient(Endpoint("http://cluster.example:8081", ACCESS_KEY, SECRET_KEY)) as client:
        assert await client.logs("a b") == "by proxy"
        await client.upload("a b", {"f": tmp_path / "f"})
    proxy.close()
    await asyncio.gather(*served)
    assert not server.refused
    assert server.requests[1].headers["Host"] == "cluster.example:8081"
    assert b"data" in server.bodies[-1]


async def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    async with ApiClient(Endpoint("http://cluster.example:8081", ACCESS_KEY, SECRET_KEY)) as client:
        with pytest.raises(Unreachable, match="through the proxy"):
            await client.handshake()


CLASSES = [
    (AuthFailed, "Credential/signature mismatch: HMAC signature mismatch"),
    (BadRequest, "Missing or invalid authorization parameters: Date/time sync error"),
    (NotFound, "Unknown URL path."),
    (ImageNotFound, "No such environment image: Unknown image reference: local/stable/nothing:1.0 (x86_64)"),
    (UnknownSlot, "Unknown resource slot type: Unknown slot type: 'nothing.shares'"),
    (InvalidAmount, "Invalid resource slot quantity: Resource slot 'cpu' cannot be negative: -1"),
    (SessionExists, "The session already exists but you requested not to reuse existing one."),
    (
        NotImplementedHere,
        "This API is not implemented: Session restart is no longer supported. "
        "Terminate the session and enqueue a new one instead.",
    ),
    (SessionNotFound, "Entity not found: No SessionRow matches the given key"),
    (SessionNotFound, "No such session: Session (id=46f98ea2-63be-4987-bf8a-26eeb2d7c504) does not exist."),
]


async def test_errors_of_a_real_manager_come_as_ours(client: ApiClient, server: FakeServer) -> None:
    from bai_tui.app.model.errors import InvalidAuth

    recorded = list(recording("errors"))
    wanted = [(kind, text) for kind, text in CLASSES]
    wanted[1] = (InvalidAuth, wanted[1][1])
    by_message: dict[str, RemoteError] = {}
    for entry in recorded:

        async def answer(_: web.Request, entry: dict[str, object] = entry) -> web.StreamResponse:
            return web.json_response(
                entry["body"], status=int(str(entry["status"])), content_type="application/problem+json"
            )

        server.answers["GET /session/abcd/logs"] = answer
        with pytest.raises(RemoteError) as caught:
            await client.logs("abcd")
        assert caught.value.http_status == entry["status"]
        by_message[caught.value.message] = caught.value
    for kind, message in wanted:
        assert isinstance(by_message[message], kind), message
    exists = by_message["The session already exists but you requested not to reuse existing one."]
    assert exists.data == {"existingSessionId": "46f98ea2-63be-4987-bf8a-26eeb2d7c504"}
    assert exists.problem_type == "session-already-exists"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("<html>Bad Gateway</html>", "text/html", "answered 502 Bad Gateway; is it a Backend.AI endpoint?"),
        ("upstream\nis down", "text/plain", "answered 502 Bad Gateway: upstream is down"),
        ("", "application/json", "answered 502 Bad Gateway; is it"),
        ("[1]", "application/json", "answered 502 Bad Gateway: [1]"),
    ],
)
async def test_errors_that_are_no_problem_json(
    client: ApiClient, server: FakeServer, body: str, kind: str, message: str
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=502, content_type=kind)

    server.answers["GET /session/abcd/logs"] = answer
    with pytest.raises(RemoteError) as caught:
        await client.logs("abcd")
    assert message in caught.value.message
    assert caught.value.http_status == 502


async def test_an_answer_that_is_no_json(client: ApiClient, server: FakeServer) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text="welcome")

    server.answers["GET /session/abcd/logs"] = answer
    with pytest.raises(RemoteError, match="no JSON"):
        await client.logs("abcd")


async def test_an_error_of_an_unknown_kind_keeps_its_words(client: ApiClient, server: FakeServer) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return problem(418, "teapot", "Short and stout.", msg="Tip me over.")

    server.answers["GET /session/abcd/logs"] = answer
    with pytest.raises(RemoteError) as caught:
        await client.logs("abcd")
    assert (caught.value.message, type(caught.value)) == ("Short and stout: Tip me over.", RemoteError)


async def test_our_backend_speaks_in_whole_sentences(client: ApiClient, server: FakeServer) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return problem(400, "invalid-api-params", "Missing or invalid API parameters.", msg="give one, not both")

    server.handshake["bai-tui"] = {"capabilities": ["journal"]}
    server.answers["GET /session/abcd/logs"] = answer
    with pytest.raises(BadRequest) as caught:
        await client.logs("abcd")
    assert caught.value.message == "give one, not both"


async def test_a_wrong_key_is_refused(server: FakeServer) -> None:
    async with ApiClient(Endpoint(server.url, ACCESS_KEY, "not the secret")) as client:
        with pytest.raises(AuthFailed):
            await client.logs("abcd")
    assert server.refused == ["/session/abcd/logs"]


def test_the_commands_that_list_do_not_load_httpx(tmp_path: Path) -> None:
    code = (
        "import sys; import bai_tui.app.client.api, bai_tui.app.cli.main, bai_tui.app.cli.listing, bai_tui.app.cli.run;"
        "print([m for m in ('httpx', 'websockets', 'textual', 'aiohttp', 'rich') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    what = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        ["openssl", "req", *what, *name, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    return certificate, key


async def test_tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody vouches for is refused, unless it is to be taken as it is; websockets alike."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    fake = FakeServer()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    fake.answers["GET /session/abcd/logs"] = {"result": {"logs": "over TLS"}}

    async def execute(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_json({"status": "finished", "exitCode": 0})
        await socket.close()
        return socket

    fake.answers["GET /stream/session/abcd/execute"] = execute
    url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        async with ApiClient(Endpoint(url, ACCESS_KEY, SECRET_KEY)) as client:
            with pytest.raises(Unreachable, match="no TLS that can be trusted"):
                await client.handshake()
        for verified in (True, False):
            if verified:
                monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
            else:
                monkeypatch.delenv("SSL_CERT_FILE")
            async with ApiClient(Endpoint(url, ACCESS_KEY, SECRET_KEY, verify_tls=verified)) as client:
                assert await client.logs("abcd") == "over TLS"
                async with client.execute("abcd", ExecuteRequest(RunMode.QUERY, "1")) as stream:
                    assert [frame.exit_code async for frame in stream] == [0]
    finally:
        await runner.cleanup()
    assert not fake.refused
