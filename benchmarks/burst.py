"""A burst of admissions by a client that costs next to nothing, so that the backend alone is measured.

Every request is signed anew: a signature is good for one.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from bai_tui.app.model.signing import authorization, signature

API_VERSION = "v9.20250722"
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Door:
    """Where to knock, and who knocks."""

    url: str
    access_key: str
    secret_key: str

    def head(self, method: str, target: str) -> bytes:
        """Returns the signed head of requests to `target`, but for the length of their body."""
        date = datetime.now(UTC).isoformat()
        host = urlsplit(self.url).netloc
        signed = signature(
            secret_key=self.secret_key,
            method=method,
            raw_target=target,
            date=date,
            host=host,
            content_type=_JSON,
            api_version=API_VERSION,
        )
        return (
            f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nDate: {date}\r\nX-BackendAI-Version: {API_VERSION}\r\n"
            f"Authorization: {authorization(self.access_key, signed)}\r\nContent-Type: {_JSON}\r\n"
        ).encode()

    async def connect(self) -> Line:
        """Opens a connection."""
        place = urlsplit(self.url)
        return Line(*await asyncio.open_connection(place.hostname, place.port))

    async def ask(self, method: str, target: str, body: Mapping[str, Any]) -> Any:
        """Sends one request on a connection of its own; returns the decoded body of its answer."""
        line = await self.connect()
        try:
            return await line.ask(self.head(method, target), body)
        finally:
            line.close()


class Line:
    """A connection that is kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, head: bytes, body: Mapping[str, Any]) -> Any:
        """Sends a request; returns the decoded body of its answer.

        Raises:
            ConnectionError, asyncio.IncompleteReadError: the backend is gone.
            RuntimeError: it refuses.
        """
        content = json.dumps(body).encode()
        self._writer.write(head + b"Content-Length: %d\r\n\r\n" % len(content) + content)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lines = answer.split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
        payload = await self._reader.readexactly(length)
        if not lines[0].startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            raise RuntimeError(f"{lines[0].decode()}: {payload.decode()}")
        return json.loads(payload)

    def close(self) -> None:
        self._writer.transport.abort()


@dataclass(slots=True)
class Burst:
    """What came of a burst."""

    answered: list[list[tuple[str, str]]] = field(default_factory=list)
    """Per connection: (name, session id) of each answered admission, in the order of the answers."""
    seconds: float = 0.0

    @property
    def count(self) -> int:
        return sum(map(len, self.answered))


async def enqueue(
    door: Door,
    request: Mapping[str, Any],
    *,
    connections: int,
    each: int,
    prefix: str = "burst",
    on_answer: Callable[[int], None] | None = None,
) -> Burst:
    """Sends `each` enqueue-only requests one after the other on each of some connections, all at once.

    Args:
        request: body of `POST /session`; `name` and `enqueueOnly` are added.
        on_answer: called with the number of answers so far. Once the backend is gone, the burst is over.
    """
    burst = Burst(answered=[[] for _ in range(connections)])
    body = {**request, "enqueueOnly": True}

    async def send(number: int) -> None:
        line = await door.connect()
        try:
            for turn in range(each):
                name = f"{prefix}-{number:02d}-{turn:05d}"
                answer = await line.ask(door.head("POST", "/session"), {**body, "name": name})
                burst.answered[number].append((name, answer["sessionId"]))
                if on_answer is not None:
                    on_answer(burst.count)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            line.close()

    began = time.perf_counter()
    await asyncio.gather(*(send(number) for number in range(connections)))
    burst.seconds = time.perf_counter() - began
    return burst
