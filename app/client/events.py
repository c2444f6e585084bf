"""Server-sent events: of sessions, and of background tasks."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from ..model.errors import Unreachable
from .parsing import event_view
from .queries import UUID
from .transport import Transport
from .views import EventView

CONNECTED = "bai_connected"
"""Name of the event that `events` yields first: the subscription stands, what happens from now on will be seen."""
IMAGES: Final = "images"
"""Capability of a server that builds and pulls images when it is asked to, and tells of it."""
_REMOTE_SILENCE_S = 120.0
"""A manager sends comments every 15 s; a longer silence over a network is a dead connection."""
_LINE_LIMIT_BYTES = 4 * 2**20


class EventParser:
    """Bytes in, events out; lines may end in LF, CR or CRLF and be cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._more: list[bytes] = []
        """What has come since `_rest` without an end of a line: a round of measures comes in many pieces."""
        self._length = 0
        self._name = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[tuple[str, str]]:
        """Returns the (name, data) pairs that `piece` completes."""
        self._more.append(piece)
        self._length += len(piece)
        if b"\n" not in piece and b"\r" not in piece and not self._rest.endswith(b"\r"):
            self._check_length()
            return []
        found: list[tuple[str, str]] = []
        text = b"".join([self._rest, *self._more])
        self._more.clear()
        held = b"\r" if text.endswith(b"\r") else b""  # may be half of a CRLF
        lines = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        self._length = len(self._rest)
        self._check_length()
        for line in lines:
            if not line:
                if self._data or self._name:
                    found.append((self._name or "message", "\n".join(self._data)))
                self._name, self._data = "", []
                continue
            field, _, value = line.decode("utf-8", "replace").partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                self._name = value
            elif field == "data":
                self._data.append(value)
        return found

    def _check_length(self) -> None:
        if self._length > _LINE_LIMIT_BYTES:
            raise ValueError("an event line is too long")


def _decoded(text: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text) if text else {}
    except ValueError:
        return {}
    return data if isinstance(data, Mapping) else {}


async def events(
    transport: Transport, session: str | None, *, stats: bool = False, progress: bool = False
) -> AsyncGenerator[EventView]:
    """Yields `bai_connected`, then events until the server says `server_close`.

    Args:
        stats: with a `bai_stats` event every second (capability `stats`).
        progress: with `bai_image_progress` events (capability `images`).

    Raises:
        Unreachable: the connection was lost; what happened meanwhile is not known.
    """
    query = [("scope", "*")]
    if session is not None:
        query.insert(0, ("sessionId" if UUID.fullmatch(session) else "sessionName", session))
    if stats:
        query.append(("stats", "true"))
    if progress and IMAGES in (await transport.info()).capabilities:
        query.append(("progress", "true"))
    async with aclosing(stream(transport, "/events/session", query)) as frames:
        async for name, data in frames:
            yield event_view(name, data)


async def stream(
    transport: Transport, path: str, query: Sequence[tuple[str, str]]
) -> AsyncGenerator[tuple[str, Mapping[str, Any]]]:
    """Yields (`bai_connected`, {}), then name and data of each event until the server says `server_close`.

    Raises:
        Unreachable: the connection was lost.
        RemoteError: the server refuses.
    """
    parser = EventParser()
    async with transport.open(
        "GET",
        path,
        query=query,
        content_type=None,
        accept="text/event-stream",
        timeout_s=None if transport.address.is_loopback else _REMOTE_SILENCE_S,
    ) as response:
        if response.status != 200:
            transport.check(response, await transport.error_body(response))
        yield CONNECTED, {}
        async for piece in response.chunks():
            try:
                found = parser.feed(piece)
            except ValueError as exc:
                raise Unreachable(f"{transport.url} sent events that cannot be read: {exc}") from None
            for name, text in found:
                if name == "server_close":
                    return
                yield name, _decoded(text)
    raise Unreachable(f"connection lost: {transport.url} ended the stream of events")
