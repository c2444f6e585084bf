"""Jupyter Server at its best: rate limits off, the binary v1 websocket protocol, no compression."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

PROTOCOL = Subprotocol("v1.kernel.websocket.jupyter.org")


@dataclass(frozen=True, slots=True)
class JupyterServer:
    """A running server. One HTTP client with kept-alive connections, as a browser has."""

    port: int
    token: str
    http: httpx.AsyncClient

    async def start_kernel(self) -> str:
        """Returns the id of a new kernel; it may not answer yet."""
        answer = await self.http.post("/api/kernels", json={"name": "python3"})
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def end_kernel(self, kernel_id: str) -> None:
        (await self.http.delete(f"/api/kernels/{kernel_id}")).raise_for_status()

    @asynccontextmanager
    async def channels(self, kernel_id: str, *, quick_ack: bool = False) -> AsyncIterator[Channels]:
        """Opens the websocket of a kernel."""
        url = f"ws://127.0.0.1:{self.port}/api/kernels/{kernel_id}/channels?token={self.token}"
        async with connect(
            url, subprotocols=[PROTOCOL], compression=None, max_size=None, max_queue=None, proxy=None
        ) as ws:
            yield Channels(ws, quick_ack)


class Channels:
    """The websocket of one kernel."""

    def __init__(self, ws: ClientConnection, quick_ack: bool) -> None:
        self._ws = ws
        self._session = uuid.uuid4().hex
        self._socket: socket.socket | None = ws.transport.get_extra_info("socket") if quick_ack else None

    async def execute(self, code: str) -> list[str]:
        """Runs `code`; returns all stream output and results, when reply and idle status have both come."""
        msg_id = uuid.uuid4().hex
        await self._ws.send(self._request(msg_id, code))
        self._acknowledge()
        output: list[str] = []
        waits_for = {"execute_reply", "idle"}
        while waits_for:
            kind, parent, content = _parse(await self._ws.recv(decode=False))
            self._acknowledge()
            if json.loads(parent).get("msg_id") != msg_id:
                continue
            if kind == "stream":
                output.append(json.loads(content)["text"])
            elif kind == "execute_result":
                output.append(json.loads(content)["data"]["text/plain"])
            elif kind == "execute_reply":
                waits_for.discard("execute_reply")
            elif kind == "status" and json.loads(content)["execution_state"] == "idle":
                waits_for.discard("idle")
        return output

    def _acknowledge(self) -> None:
        """Linux leaves the quick-ack mode by itself: it has to be asked for again and again."""
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _request(self, msg_id: str, code: str) -> bytes:
        header = {
            "msg_id": msg_id,
            "msg_type": "execute_request",
            "username": "bench",
            "session": self._session,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "version": "5.3",
        }
        content: dict[str, Any] = {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        parts = [b"shell", json.dumps(header).encode(), b"{}", b"{}", json.dumps(content).encode()]
        offsets = [8 * (len(parts) + 2)]
        for part in parts:
            offsets.append(offsets[-1] + len(part))
        return b"".join((len(offsets).to_bytes(8, "little"), *(at.to_bytes(8, "little") for at in offsets), *parts))


def _parse(message: bytes) -> tuple[str, bytes, bytes]:
    """Returns message type, parent header and content of a v1 message."""
    count = int.from_bytes(message[:8], "little")
    offsets = [int.from_bytes(message[8 * (i + 1) : 8 * (i + 2)], "little") for i in range(count)]
    header, parent, _, content = (message[offsets[i] : offsets[i + 1]] for i in range(1, 5))
    return str(json.loads(header)["msg_type"]), parent, content


@asynccontextmanager
async def jupyter_server(home: Path) -> AsyncIterator[JupyterServer]:
    """Runs a Jupyter Server whose state lives below `home`; ends it and its kernels afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    token = secrets.token_hex()
    environ = {**os.environ, "HOME": str(home), "JUPYTER_PLATFORM_DIRS": "1"}
    with open(home / "jupyter.log", "wb") as log:  # noqa: ASYNC230 - before anything is measured
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
            *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
            *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home}"),
            *("--ZMQChannelsWebsocketConnection.limit_rate=False", "--ServerApp.log_level=ERROR"),
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    headers = {"Authorization": f"token {token}"}
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as http:
            deadline = time.monotonic() + 60
            while True:
                try:
                    (await http.get("/api/status")).raise_for_status()
                    break
                except httpx.TransportError:
                    if process.returncode is not None or time.monotonic() > deadline:
                        raise RuntimeError((home / "jupyter.log").read_text()[-2000:]) from None
                    await asyncio.sleep(0.1)
            yield JupyterServer(port, token, http)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
