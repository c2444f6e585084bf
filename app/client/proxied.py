"""Requests through the proxy that the environment names. httpx knows proxies; it is loaded for nothing else."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator

import httpx

from ..model.errors import Unreachable
from .address import Address
from .http import HttpRequest, HttpResponse


class _ProxiedResponse:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.reason = response.reason_phrase
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        async for piece in self._response.aiter_raw():
            yield piece


class ProxiedHttp:
    def __init__(
        self, address: Address, *, url: str, connect_timeout_s: float, proxy: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._address = address
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._proxy = proxy
        self._client = httpx.AsyncClient(
            trust_env=False, proxy=proxy, verify=tls if tls is not None else address.secure, follow_redirects=False
        )

    @contextlib.asynccontextmanager
    async def send(self, request: HttpRequest) -> AsyncIterator[HttpResponse]:
        """Sends `request` and gives its answer. Cancelling closes the connection."""
        # The target is set as raw bytes: httpx must not encode again what was signed.
        url = httpx.URL(self._address.http_url("/")).copy_with(raw_path=request.target.encode("ascii"))
        built = httpx.Request(
            request.method,
            url,
            headers=list(request.headers()),
            content=request.body,
            extensions={
                "timeout": {
                    "connect": self._connect_timeout_s,
                    "read": request.timeout_s,
                    "write": request.timeout_s,
                    "pool": self._connect_timeout_s,
                }
            },
        )
        try:
            response = await self._client.send(built, stream=True)
            try:
                yield _ProxiedResponse(response)
            finally:
                await response.aclose()
        except httpx.ProxyError as exc:
            raise Unreachable(f"the proxy {self._proxy} does not lead to {self._url}: {exc}") from None
        except httpx.TimeoutException:
            raise Unreachable(f"{self._url} did not answer in time through the proxy {self._proxy}") from None
        except httpx.TransportError as exc:
            raise Unreachable(f"{self._url} does not answer through the proxy {self._proxy}: {exc}") from None

    async def close(self) -> None:
        await self._client.aclose()
