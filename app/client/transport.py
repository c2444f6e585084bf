"""Signed requests to one endpoint: handshake, version negotiation, signing, errors. All else builds on it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ... import __version__
from ..model.endpoint import Endpoint
from ..model.errors import BaiTuiError, RemoteError, Unreachable
from ..model.signing import ABSENT_CONTENT_TYPE, authorization, signature
from .address import Address
from .errors import error_of, graphql_error
from .http import DirectHttp, Http, HttpRequest, HttpResponse
from .views import ServerInfo

USER_AGENT = f"bai-tui/{__version__}"
NEWEST_VERSION = (9, "20250722")
"""The newest API that this client knows; an older server is spoken to in its own version."""
OLDEST_MAJOR = 5
"""Before it sessions had no ids."""
JSON = "application/json"
TEXT = "text/plain"
"""What a request without a body is signed with."""
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
UNAUTHORIZED = 401
_RENEWAL_PAUSES_S = (0.0, 0.1, 0.3)
_ANSWER_LIMIT_BYTES = 256 * 2**20


class Transport:
    """One endpoint, one pool of connections. The handshake is made by the first request that needs it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.address = Address.parse(endpoint.url)
        self.url = endpoint.url.rstrip("/")
        self.unknown_fields: set[tuple[str, str]] = set()
        """GraphQL fields that this server refused, as (root field, field); not asked for again."""
        self._http: Http | None = None
        self._tls: ssl.SSLContext | None = None
        self._info: ServerInfo | None = None
        self._dated = datetime.fromtimestamp(0, UTC)
        """Of the last signature."""
        self._shaking = asyncio.Lock()

    # --- connections ---------------------------------------------------------------------------------------

    def _proxy(self) -> str | None:
        if self.address.is_loopback or not any(
            os.environ.get(v) or os.environ.get(v.upper()) for v in _PROXY_VARIABLES
        ):
            return None
        from urllib.request import getproxies, proxy_bypass

        if proxy_bypass(f"{self.address.host}:{self.address.port}"):
            return None
        proxies = getproxies()
        return proxies.get("https" if self.address.secure else "http") or proxies.get("all")

    def tls(self) -> ssl.SSLContext | None:
        """Returns the TLS context where the endpoint asks for something else than the system's certificates."""
        if self.address.secure and not self.endpoint.verify_tls and self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        return self._tls

    @property
    def http(self) -> Http:
        if self._http is None:
            timeout_s = self.endpoint.connect_timeout_s
            proxy = self._proxy()
            if proxy is None:
                self._http = DirectHttp(self.address, url=self.url, connect_timeout_s=timeout_s, tls=self.tls())
            else:
                from .proxied import ProxiedHttp

                self._http = ProxiedHttp(
                    self.address, url=self.url, connect_timeout_s=timeout_s, proxy=proxy, tls=self.tls()
                )
        return self._http

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    # --- handshake -----------------------------------------------------------------------------------------

    async def handshake(self) -> ServerInfo:
        """Asks the server who it is; replaces what an earlier handshake told."""
        request = HttpRequest(
            "GET",
            self.address.target("/"),
            lambda: [("Host", self.address.authority), ("User-Agent", USER_AGENT), ("Accept", JSON)],
            idempotent=True,
            timeout_s=self.endpoint.connect_timeout_s,
        )
        async with self.http.send(request) as response:
            body = await self._body(response)
        told = self._json(response, body)
        self._info = _server_info(told, self.url)
        return self._info

    async def info(self) -> ServerInfo:
        """Returns the answer of the handshake, making it first when there was none."""
        async with self._shaking:
            return self._info or await self.handshake()

    # --- requests ------------------------------------------------------------------------------------------

    async def headers(self, method: str, target: str, content_type: str | None) -> list[tuple[str, str]]:
        """Returns the headers of a signed request to `target`.

        Args:
            content_type: None = the request carries no such header (websockets, SSE).
        """
        return self._signed(await self.info(), method, target, content_type)

    def _date(self) -> str:
        """Returns the time for a Date header, another one each time: equal requests are told apart by it."""
        now = datetime.now(UTC)
        if timedelta(0) <= self._dated - now < timedelta(milliseconds=1):  # not when the clock was set back
            now = self._dated + timedelta(microseconds=1)
        self._dated = now
        return now.isoformat(timespec="microseconds")

    def _signed(self, info: ServerInfo, method: str, target: str, content_type: str | None) -> list[tuple[str, str]]:
        endpoint = self.endpoint
        date = self._date()
        headers = [
            ("Host", self.address.authority),
            ("User-Agent", USER_AGENT),
            ("X-BackendAI-Domain", endpoint.domain),
            ("X-BackendAI-Version", info.api_version),
            ("Date", date),
        ]
        if content_type is not None:
            headers.append(("Content-Type", content_type))
        if endpoint.access_key:
            signed = signature(
                secret_key=endpoint.secret_key,
                method=method,
                raw_target=target,
                date=date,
                host=self.address.authority,
                content_type=ABSENT_CONTENT_TYPE if content_type is None else content_type,
                api_version=info.api_version,
            )
            headers.append(("Authorization", authorization(endpoint.access_key, signed)))
        return headers

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: bytes | AsyncIterator[bytes] = b"",
        content_type: str | None = TEXT,
        length: int | None = None,
        timeout_s: float | None = 60.0,
        idempotent: bool = False,
        accept: str = JSON,
    ) -> AsyncIterator[HttpResponse]:
        """Sends a signed request and gives its answer, whatever its status.

        Refused for our keypair, it is sent once more where that has another secret key by now.

        Args:
            length: bytes in `body` when that is an iterator.
        """
        target = self.address.target(path, query)
        info = await self.info()
        further = [("Accept", accept)]
        if isinstance(body, bytes):
            length = len(body)
        if length or method in ("POST", "PUT", "PATCH"):
            further.append(("Content-Length", str(length or 0)))

        def headers() -> list[tuple[str, str]]:
            return self._signed(info, method, target, content_type) + further

        request = HttpRequest(method, target, headers, body, idempotent=idempotent, timeout_s=timeout_s)
        used = self.endpoint.secret_key
        async with self.http.send(request) as response:
            refused = response.status == UNAUTHORIZED and isinstance(body, bytes)
            if not (refused and await self.renew(used)):
                yield response
                return
        async with self.http.send(request) as response:
            yield response

    async def renew(self, used: str) -> bool:
        """Returns whether our keypair has another secret key than `used`, which the server has refused; takes it then.

        Whoever rotates the keypair of the local backend writes it where we have found it, but not in the same instant.
        """
        for pause_s in _RENEWAL_PAUSES_S:
            if self.endpoint.secret_key != used:
                return True
            if self.endpoint.renew is None:
                return False
            await asyncio.sleep(pause_s)  # the next backend needs a moment to come up
            with contextlib.suppress(BaiTuiError):  # what the server said is worth more
                fresh = await asyncio.to_thread(self.endpoint.renew)
                if fresh is not None:
                    self.endpoint = replace(self.endpoint, access_key=fresh.access_key, secret_key=fresh.secret_key)
        return self.endpoint.secret_key != used

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        json_body: Any = None,
        body: bytes | AsyncIterator[bytes] = b"",
        content_type: str = TEXT,
        length: int | None = None,
        timeout_s: float | None = 60.0,
        idempotent: bool = False,
    ) -> Any:
        """Returns the decoded JSON answer, None when it has no body.

        Raises:
            RemoteError: the status is an error, or the answer is no JSON.
            Unreachable: no answer.
        """
        if json_body is not None:
            body, content_type = json.dumps(json_body).encode(), JSON
        async with self.open(
            method,
            path,
            query=query,
            body=body,
            content_type=content_type,
            length=length,
            timeout_s=timeout_s,
            idempotent=idempotent or method == "GET",
        ) as response:
            answer = await self._body(response)
        return self._json(response, answer)

    async def _body(self, response: HttpResponse) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in response.chunks():
            size += len(piece)
            if size > _ANSWER_LIMIT_BYTES:
                raise RemoteError(f"the answer of {self.url} is too large to be right", http_status=response.status)
            pieces.append(piece)
        return b"".join(pieces)

    def _json(self, response: HttpResponse, body: bytes) -> Any:
        self.check(response, body)
        if not body.strip():
            return None
        try:
            return json.loads(body)
        except ValueError:
            raise RemoteError(
                f"{self.url} answered something that is no JSON: is it a Backend.AI endpoint?",
                http_status=response.status,
            ) from None

    def check(self, response: HttpResponse, body: bytes) -> None:
        """Raises the error that the answer means, if any."""
        if not 200 <= response.status < 300:
            raise self.error(response.status, response.reason, body, response.headers.get("content-type", ""))

    def error(self, status: int, reason: str, body: bytes, content_type: str) -> RemoteError:
        """Returns the error that an answer of HTTP status `status` means."""
        ours = self._info is not None and bool(self._info.capabilities)
        return error_of(status, reason, body, content_type, self.url, titled=not ours)

    async def error_body(self, response: HttpResponse) -> bytes:
        """Returns the body of an error answer to a streaming request."""
        return await self._body(response)

    # --- GraphQL -------------------------------------------------------------------------------------------

    async def graphql(
        self, query: str, variables: Mapping[str, Any], *, idempotent: bool = True, timeout_s: float = 60.0
    ) -> Mapping[str, Any]:
        """Returns the `data` of a GraphQL query.

        Raises:
            RemoteError: the answer has errors; `http_status` is 400 then.
        """
        wrapped = version_of(await self.info()) >= (6, "20210815")
        answer = await self.request(
            "POST",
            "/admin/gql" if wrapped else "/admin/graphql",
            json_body={"query": query, "variables": dict(variables)},
            idempotent=idempotent,
            timeout_s=timeout_s,
        )
        if not isinstance(answer, Mapping):
            raise RemoteError(f"{self.url} answered a GraphQL query with no object", http_status=400)
        if answer.get("errors"):
            raise graphql_error(answer["errors"])
        data = answer.get("data") if "data" in answer or wrapped else answer
        return data if isinstance(data, Mapping) else {}


def version_of(info: ServerInfo) -> tuple[int, str]:
    """Returns the negotiated version as something that can be compared."""
    major, _, date = info.api_version.removeprefix("v").partition(".")
    return int(major), date


def _server_info(told: Any, url: str) -> ServerInfo:
    import re

    version = told.get("version") if isinstance(told, Mapping) else None
    match = re.fullmatch(r"v(\d{1,3})\.(\d{8})", version) if isinstance(version, str) else None
    if match is None:
        raise Unreachable(f"{url} is no Backend.AI endpoint: its handshake names no API version")
    theirs = (int(match[1]), match[2])
    if theirs[0] < OLDEST_MAJOR:
        raise RemoteError(
            f"{url} speaks API {version}, older than what this client knows (v{OLDEST_MAJOR})", http_status=400
        )
    major, date = min(theirs, NEWEST_VERSION)
    ours = told.get("bai-tui")
    capabilities = ours.get("capabilities") if isinstance(ours, Mapping) else None
    return ServerInfo(
        api_version=f"v{major}.{date}",
        manager=str(told.get("manager") or ""),
        capabilities=frozenset(map(str, capabilities)) if isinstance(capabilities, list) else frozenset(),
    )
