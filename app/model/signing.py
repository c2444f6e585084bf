"""HMAC request signing of Backend.AI's API (wire contract 2), used by the client to sign and by the backend to check.

The body is never signed. The date in the key is that of the Date header as written.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
from datetime import UTC, datetime

from .errors import InvalidAuth

MAX_CLOCK_SKEW_S = 15 * 60
ABSENT_CONTENT_TYPE = "application/octet-stream"
"""What is signed when a request has no Content-Type header (websockets, SSE)."""


def parse_date(text: str) -> datetime:
    """Returns the aware datetime of a Date header in ISO 8601 or RFC 1123 form.

    Raises:
        InvalidAuth: neither form.
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = _rfc1123(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _rfc1123(text: str) -> datetime:
    from email.utils import parsedate_to_datetime  # slow to import, and our own client writes ISO 8601

    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return parsedate_to_datetime(text)
    raise InvalidAuth(f"the Date header {text[:64]!r} is neither ISO 8601 nor RFC 1123")


def signature(
    *,
    secret_key: str,
    method: str,
    raw_target: str,
    date: str,
    host: str,
    content_type: str,
    api_version: str,
    hash_name: str = "sha256",
) -> str:
    """Returns the hex signature of a request.

    Args:
        raw_target: path and query exactly as on the request line.
        date: value of the Date header, verbatim.
        host: value of the Host header, port included.
        content_type: media type; parameters are cut off here.
        api_version: value of X-BackendAI-Version.
        hash_name: a hash of hashlib; clients use sha256.

    Raises:
        InvalidAuth: an unknown hash or an unreadable date.
    """
    when = parse_date(date)
    begun, empty = _begun(secret_key, f"{when.year:04}{when.month:02}{when.day:02}", host, hash_name)
    text = "\n".join(
        (
            method.upper(),
            raw_target,
            date,
            f"host:{host}",
            f"content-type:{content_type.split(';')[0].strip().lower()}",
            f"x-backendai-version:{api_version}",
            empty,
        )
    )
    mac = begun.copy()
    mac.update(_raw(text))
    return mac.hexdigest()


@functools.lru_cache(maxsize=256)
def _begun(secret_key: str, day: str, host: str, hash_name: str) -> tuple[hmac.HMAC, str]:
    """Returns what all signatures of one day for one host begin with, to be copied, and the hash of nothing.

    Raises:
        InvalidAuth: an unknown hash.
    """
    if hash_name not in hashlib.algorithms_guaranteed or hash_name.startswith("shake"):
        raise InvalidAuth(f"the signing hash {hash_name[:32]!r} is not known; use HMAC-SHA256")
    key = hmac.digest(secret_key.encode(), day.encode(), hash_name)
    key = hmac.digest(key, _raw(host), hash_name)
    return hmac.new(key, digestmod=hash_name), hashlib.new(hash_name, b"").hexdigest()


def _raw(text: str) -> bytes:
    """Returns the bytes that a server decoded to `text`; a header need not be UTF-8."""
    return text.encode(errors="surrogateescape")


def authorization(access_key: str, hex_signature: str) -> str:
    """Returns the value of the Authorization header."""
    return f"BackendAI signMethod=HMAC-SHA256, credential={access_key}:{hex_signature}"
