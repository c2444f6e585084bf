"""Our backend as a client sees it: a daemon in a HOME of its own, spoken to over the public API only.

REST by httpx and websockets by `websockets`, exactly the libraries that the Jupyter peer is measured with.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from bai_tui.app.model.signing import ABSENT_CONTENT_TYPE, authorization, signature
from websockets.asyncio.client import ClientConnection, connect

API_VERSION = "v9.20250722"
COMMAND = Path(sys.prefix) / "bin" / "bai-tui"


@dataclass(frozen=True, slots=True)
class Backend:
    """A running daemon."""

    url: str
    access_key: str
    secret_key: str
    http: httpx.AsyncClient
    pid: int
    home: Path
    image: str
    """An image of the very Python version that the peers run on."""

    def _headers(self, method: str, target: str, content_type: str) -> dict[str, str]:
        date = datetime.now(UTC).isoformat()
        signed = signature(
            secret_key=self.secret_key,
            method=method,
            raw_target=target,
            date=date,
            host=urlsplit(self.url).netloc,
            content_type=content_type,
            api_version=API_VERSION,
        )
        return {
            "Date": date,
            "X-BackendAI-Version": API_VERSION,
            "Authorization": authorization(self.access_key, signed),
        }

    async def request(self, method: str, target: str, body: dict[str, Any] | None = None) -> Any:
        """Sends a signed request; returns the decoded body, None when it is empty."""
        content_type = "text/plain" if body is None else "application/json"
        headers = {**self._headers(method, target, content_type), "Content-Type": content_type}
        answer = await self.http.request(
            method, target, headers=headers, content=None if body is None else json.dumps(body).encode()
        )
        if answer.is_error:
            raise RuntimeError(f"{method} {target}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    async def create(self, name: str, *, image: str = "", **resources: str) -> str:
        """Returns the id of a new session that runs, in `self.image` unless told otherwise."""
        body = {
            "name": name,
            "image": image or self.image,
            "reuseIfExists": False,
            "config": {"resources": resources or {"cpu": "1", "mem": "256m"}},
        }
        answer = await self.request("POST", "/session", body)
        if answer["status"] != "RUNNING":
            raise RuntimeError(f"the session {name} is {answer['status']}")
        return str(answer["sessionId"])

    async def end(self, session_id: str) -> None:
        await self.request("DELETE", f"/session/{session_id}?forced=true")

    @asynccontextmanager
    async def stream(self, session_id: str, *, max_queue: int | None = None) -> AsyncIterator[ClientConnection]:
        """Opens an execute stream: good for one run. Of a client that does not read, `max_queue` frames are kept."""
        target = f"/stream/session/{session_id}/execute"
        url = self.url.replace("http://", "ws://", 1) + target
        headers = self._headers("GET", target, ABSENT_CONTENT_TYPE)
        async with connect(
            url, additional_headers=headers, compression=None, max_size=None, max_queue=max_queue, proxy=None
        ) as ws:
            yield ws


async def run_on(ws: ClientConnection, code: str) -> list[str]:
    """Runs `code` on an open execute stream; returns all output, when the run has finished."""
    await ws.send(json.dumps({"code": code, "mode": "query", "options": {}}))
    output: list[str] = []
    while True:
        frame = json.loads(await ws.recv(decode=False))
        output += [data for kind, data in frame.get("console") or () if kind in ("stdout", "stderr")]
        status = frame["status"]
        if status == "finished":
            return output
        if status in ("error", "waiting-input"):
            raise RuntimeError(f"unexpected frame: {frame}")


def environ(home: Path) -> dict[str, str]:
    """Returns our environment with another HOME and nothing that leads out of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "BACKEND_", "BAI_TUI_"))}
    return {**kept, "HOME": str(home)}


@asynccontextmanager
async def backend(home: Path, *, settings: str = "", more: Mapping[str, str] | None = None) -> AsyncIterator[Backend]:
    """Runs a daemon whose state lives below `home`, with slots enough for a hundred sessions; stops it afterwards.

    Args:
        settings: more of config.toml.
        more: variables of its environment.
    """
    variables = {**environ(home), **(more or {})}
    config = home / ".config" / "bai-tui"
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.toml").write_text(f'port = 0\ncpu = 512\nmem = "512g"\n{settings}')

    def command(*words: str) -> str:
        done = subprocess.run(
            [COMMAND, *words], env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"bai-tui {' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    await asyncio.to_thread(command, "serve", "--detach")
    try:
        status = json.loads(await asyncio.to_thread(command, "serve", "--status", "--output", "json"))
        exported = dict(
            word.split("=", 1) for word in shlex.split(await asyncio.to_thread(command, "env")) if "=" in word
        )
        url = exported["BACKEND_ENDPOINT"].rstrip("/")
        async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as http:
            yield Backend(
                url=url,
                access_key=exported["BACKEND_ACCESS_KEY"],
                secret_key=exported["BACKEND_SECRET_KEY"],
                http=http,
                pid=int(status["pid"]),
                home=home,
                image=f"python:{sys.version_info.major}.{sys.version_info.minor}",
            )
    finally:
        # A measurement that failed may have left sessions, and sessions outlive the daemon.
        if names := (await asyncio.to_thread(command, "ps", "--name-only")).split():
            await asyncio.to_thread(command, "rm", "--forced", *names)
        await asyncio.to_thread(command, "serve", "--stop")
