"""The workspace in a browser, seen by a client that speaks as one: page, first frame, and who gets nothing."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import pytest

from .conftest import Outcome, Toy, command

Bai = Callable[..., Outcome]


@pytest.fixture
def served(toy: Toy) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a running server, and its process."""
    toy.session("shown-in-browser")
    with command("web", "--port", "0") as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@asynccontextmanager
async def opened(url: str, **headers: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}ws?width=120&height=40", headers=headers, autoping=True) as socket,
    ):
        yield socket


async def painted(socket: aiohttp.ClientWebSocketResponse, text: bytes) -> bytes:
    """Returns what was painted until `text` was."""
    seen = b""
    async with asyncio.timeout(40):
        while text not in seen:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, (message, seen[-2000:])
            seen += message.data
    return seen


async def test_a_page_shows_the_workspace_and_takes_keys(served: tuple[str, subprocess.Popen[str]]) -> None:
    url, _ = served
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as page:
            text = await page.text()
            assert page.status == 200
            assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
            assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
            assert page.headers["Referrer-Policy"] == "no-referrer"
        secret = urlsplit(url).path
        assert f'data-session-websocket-url="ws://{urlsplit(url).netloc}{secret}ws"' in text
        assert "https://" not in text, "nothing comes from elsewhere"
        for part in ("css/xterm.css", "js/textual.js", "fonts/RobotoMono-VariableFont_wght.ttf"):
            assert f"{secret}static/{part}" in text
            async with http.get(f"{url}static/{part}") as file:
                assert file.status == 200
    async with opened(url, Origin=f"http://{urlsplit(url).netloc}") as socket:
        await painted(socket, b"shown-in-browser")
        await socket.send_json(["stdin", "\x11"])
        async with asyncio.timeout(20):
            while (message := await socket.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)


async def test_a_page_that_is_closed_ends_its_workspace(served: tuple[str, subprocess.Popen[str]]) -> None:
    url, process = served
    async with opened(url) as socket:
        await painted(socket, b"shown-in-browser")
        assert children(process.pid)
    async with asyncio.timeout(20):
        while children(process.pid):
            await asyncio.sleep(0.02)


def children(pid: int) -> str:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read()


async def test_nobody_else_gets_anything(served: tuple[str, subprocess.Popen[str]]) -> None:
    """Neither who does not know the secret, nor a page of another server, nor a name that leads here."""
    url, process = served
    parts = urlsplit(url)
    base = f"http://{parts.netloc}"
    strangers = [
        (f"{base}/", {}, 404),
        (f"{base}/ws", {}, 404),
        (f"{base}/{'x' * 43}/ws", {}, 404),
        (f"{base}/static/js/textual.js", {}, 404),
        (url, {"Origin": "https://evil.example"}, 403),
        (url, {"Origin": f"http://localhost:{(parts.port or 0) + 1}"}, 403),
        (url, {"Origin": "null"}, 403),
        (url, {"Host": "evil.example"}, 403),
        (url, {"Host": f"evil.example:{parts.port}"}, 403),
        (f"{base}/download/x", {"Origin": "https://evil.example"}, 403),
        (f"{base}/download/x", {}, 404),
    ]
    async with aiohttp.ClientSession() as http:
        for address, headers, status in strangers:
            async with http.get(address, headers=headers) as answer:
                assert answer.status == status, (address, headers)
                assert parts.path not in await answer.text()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Host": "evil.example"},
        {"Origin": f"https://{parts.netloc}"},
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            async with opened(url, **headers):
                pass
    assert not children(process.pid), "no workspace was started for them"


async def test_nonsense_from_a_page_ends_that_page_only(served: tuple[str, subprocess.Popen[str]]) -> None:
    url, process = served
    for nonsense in ("[]", "3", "{", '["stdin"]', '["resize", {"width": "x"}]'):
        async with opened(url) as socket:
            await socket.send_str(nonsense)
            async with asyncio.timeout(30):
                while (await socket.receive()).type is aiohttp.WSMsgType.BINARY:
                    pass
    assert process.poll() is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
def test_only_this_machine_is_served(bai: Bai, host: str) -> None:
    done = bai("web", "--host", host)
    assert (done.status, done.out) == (2, "")
    assert "is not this machine" in done.err


def test_the_missing_package_is_told(bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    done = bai("web")
    assert (done.status, done.out) == (78, "")
    assert "pip install 'bai-tui[web]'" in done.err
