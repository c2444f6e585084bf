"""HTTP over the engine's unix socket: requests, version, errors as sentences."""

from __future__ import annotations

import asyncio
import codecs
import json
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from .errors import ContainerError, EngineGone
from .sockets import find_socket

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_log = logging.getLogger(__name__)
_NEWEST = (1, 51)
"""The newest version of the API that this was written against; an older one is spoken where the engine is older."""
_OLDEST = (1, 24)
_CONNECT_S = 3.0
"""Also for the first answer: an engine that is started by its socket needs a moment."""
_MOST_ERROR_BYTES = 1 << 16


class Wire:
    """Requests to whichever engine listens on this machine.

    One connection a request: none goes stale while the engine is restarted, none is left behind. The engine is looked
    for at the first request, and anew after it was gone.
    """

    def __init__(self, setting: str, environ: Mapping[str, str] = os.environ) -> None:
        self._setting = setting
        self._environ = environ
        self._found: tuple[str, str] | None = None
        self._finding = asyncio.Lock()

    async def find(self) -> tuple[str, str]:
        """Returns the path of the engine's socket and the version of the API that is spoken: the newest that both know.

        Raises:
            EngineGone: nobody answers.
            ContainerError: the engine is too old.
        """
        async with self._finding:
            if self._found is None:
                path = os.fspath(await asyncio.to_thread(find_socket, self._setting, self._environ))
                async with _session(path) as session:
                    self._found = path, await _agree(session, path)
            return self._found

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        upload: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None,
        idle_s: float | None = None,
        version: str = "",
    ) -> AsyncIterator[ClientResponse]:
        """Sends a request and yields the answer, whose body may be read inside; an answer below 400.

        Args:
            path: behind the version: `/images/json`; parts that are names must be quoted.
            upload: a tar archive, in place of `body`.
            timeout_s: for all of it; None = as long as it takes.
            idle_s: for each silence.
            version: of an API that is not Docker's; empty = the one that was agreed on.

        Raises:
            EngineGone: nobody answers, or not in time.
            ContainerError: the engine refuses; with its status and words.
        """
        import aiohttp

        place, agreed = await self.find()
        limits = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S, sock_read=idle_s)
        sent = {"Content-Type": "application/x-tar"} if upload is not None else {}
        try:
            async with (
                _session(place) as session,
                session.request(
                    method,
                    f"http://engine/v{version or agreed}{path}",
                    params=query,
                    data=upload,
                    json=None if upload is not None else body,
                    headers={**sent, **(headers or {})},
                    timeout=limits,
                ) as response,
            ):
                if response.status >= 400:
                    raise ContainerError(await _refusal(response), http_status=response.status)
                yield response
        except TimeoutError:
            raise EngineGone(f"the container engine at {place} does not answer in time") from None
        except aiohttp.ClientError as exc:
            self._found = None  # the next request looks for an engine
            _log.info("container engine at %s: %s", place, _cause(exc))
            if isinstance(exc, aiohttp.ClientConnectorError):
                await asyncio.to_thread(find_socket, self._setting, self._environ)  # says what is the matter now
            raise EngineGone(f"the container engine at {place} broke off ({_cause(exc)})") from None

    async def json(self, method: str, path: str, **how: Any) -> Any:
        """Returns what `ask` is answered, decoded; None for an empty answer.

        Raises: as `ask`; ContainerError also for what is no JSON.
        """
        async with self.ask(method, path, **how) as response:
            raw = await response.read()
        if not raw.strip():
            return None
        try:
            return json.loads(raw)
        except ValueError:
            raise ContainerError(f"the container engine answers {path} with what is no JSON") from None

    async def lines(self, method: str, path: str, **how: Any) -> AsyncGenerator[Any]:
        """Yields the JSON objects of an answer as they come, however they are cut or glued. Close it if left early.

        Raises: as `json`.
        """
        decoder, text = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")("replace")
        async with self.ask(method, path, **how) as response:
            rest = ""
            async for chunk in response.content.iter_any():
                rest = (rest + text.decode(chunk)).lstrip()
                while rest:
                    try:
                        value, end = decoder.raw_decode(rest)
                    except ValueError:
                        break
                    yield value
                    rest = rest[end:].lstrip()
            if rest:
                raise ContainerError(f"the container engine's answer to {path} ends in the middle")


def _session(path: str) -> ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(path, force_close=True), cookie_jar=aiohttp.DummyCookieJar()
    )


async def _agree(session: ClientSession, path: str) -> str:
    import aiohttp

    limits = aiohttp.ClientTimeout(total=_CONNECT_S)
    try:
        async with session.get("http://engine/_ping", timeout=limits) as response:
            await response.read()
            offered = response.headers.get("Api-Version", "")
            if not offered:  # very old engines tell only here
                async with session.get("http://engine/version", timeout=limits) as told:
                    offered = str((await told.json(content_type=None)).get("ApiVersion", ""))
    except TimeoutError:
        raise EngineGone(f"the container engine at {path} does not answer within {_CONNECT_S:g} s") from None
    except (aiohttp.ClientError, ValueError, AttributeError) as exc:
        raise EngineGone(f"what listens at {path} does not answer as a container engine ({_cause(exc)})") from None
    try:
        major, minor = (int(part) for part in offered.split(".")[:2])
    except ValueError:
        raise EngineGone(f"what listens at {path} does not answer as a container engine") from None
    if (major, minor) < _OLDEST:
        raise ContainerError(f"the container engine at {path} is too old: it speaks version {offered} of the API")
    return ".".join(map(str, min((major, minor), _NEWEST)))


async def _refusal(response: ClientResponse) -> str:
    """Returns the engine's own words, in one line."""
    raw = await response.content.read(_MOST_ERROR_BYTES)
    try:
        told = json.loads(raw)
        text = str(told.get("message") or told.get("cause") or "")
    except (ValueError, AttributeError):
        text = raw.decode(errors="replace")
    return " ".join(text.split()) or f"the container engine answers {response.status} {response.reason or ''}".strip()


def _cause(exc: Exception) -> str:
    return str(exc) or type(exc).__name__
