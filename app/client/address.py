"""An endpoint's URL taken apart, and request targets put together, once: what is signed is what is sent."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ..model.errors import ConfigError, SessionNotFound
from .errors import with_data

_QUERY_SAFE = "*,:-_.~"
"""Characters that the official clients leave as they are in a query."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, and what to call it."""

    secure: bool
    host: str
    port: int
    prefix: str
    """Path of the endpoint without a slash at its end; part of every signed target."""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Reads an endpoint URL.

        Raises:
            ConfigError: no http or https URL with a host.
        """
        try:
            parts = urlsplit(url.strip())
            port, host = parts.port, (parts.hostname or "").lower()
            host = host if host.isascii() else host.encode("idna").decode()
        except ValueError:
            host, port, parts = "", None, urlsplit("")
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigError(f"{url!r} is no endpoint: write a URL such as http://127.0.0.1:8091")
        secure = parts.scheme == "https"
        return cls(secure, host, port or (443 if secure else 80), quote(parts.path.rstrip("/"), safe="/%"))

    @property
    def authority(self) -> str:
        """Value of the Host header: no port where it is the default one."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.secure else 80) else f"{name}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it can only be this machine: proxies must stay out of it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    def http_url(self, target: str) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}{target}"

    def websocket_url(self, target: str) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{target}"

    def target(self, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
        """Returns the request target for `path` (segments already quoted) and `query`."""
        pairs = "&".join(f"{quote(k, safe=_QUERY_SAFE)}={quote(v, safe=_QUERY_SAFE)}" for k, v in query)
        return f"{self.prefix}{path}?{pairs}" if pairs else f"{self.prefix}{path}"


def told(error: OSError) -> str:
    """Returns the system's words for an error of the network: asyncio's own name addresses instead."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def segment(ref: str) -> str:
    """Returns a session reference as one path segment.

    Raises:
        SessionNotFound: empty, or a dot segment that would climb in the path.
    """
    if ref in ("", ".", ".."):
        raise with_data(SessionNotFound, f"{ref!r} names no session")
    return quote(ref, safe="")
