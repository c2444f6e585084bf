"""Who may come in: signatures of requests, API versions, and the defence against browsers."""

from __future__ import annotations

import functools
import hmac
import ipaddress
import re
import sys
from typing import Final

from aiohttp import HttpVersion11, hdrs, web

from ...model.errors import AuthFailed, BadRequest, Forbidden, InvalidAuth
from ...model.signing import ABSENT_CONTENT_TYPE, MAX_CLOCK_SKEW_S, parse_date, signature
from ..ports import Keypair, Service
from .connections import trust
from .context import CALLER, context_of
from .problems import CompressedBody, ExpectationFailed, Handler, shield
from .replays import Replays
from .token import check_token, is_bearer

API_VERSIONS: Final = (
    "v4.20181215",
    "v4.20190115",
    "v4.20190315",
    "v4.20190615",
    "v5.20191215",
    "v6.20200815",
    "v6.20220315",
    "v6.20220615",
    "v6.20221201",
    "v6.20230315",
    "v7.20230615",
    "v8.20240315",
    "v8.20240915",
    "v9.20250722",
)
"""What `X-BackendAI-Version` may say."""
LATEST: Final = API_VERSIONS[-1]
METRICS_PATH: Final = "/metrics"
SCRAPER: Final = Keypair(access_key="metrics", secret_key="", user_id="metrics", user_uuid="", is_admin=True)
"""On whose behalf a request with the token of the metrics acts: it reads all there, and nothing else is open to it."""
_ABSENT_VERSION = "v5.20191215"
_SCHEMES = frozenset({"BackendAI", "Sorna"})
_CLIENT = re.compile(r"Backend\.AI Client for Python (\d+)\.(\d+)")
_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class UnsupportedVersion(BadRequest):
    problem = "generic-bad-request"
    title = "Unsupported API version."
    error_code = "api_parsing_bad-request"


def client_release(user_agent: str) -> tuple[int, int]:
    """Returns the release of an official client such as (23, 9); of any other program, the highest."""
    match = _CLIENT.search(user_agent)
    return (int(match[1]), int(match[2])) if match else (sys.maxsize, 0)


def advertised_version(user_agent: str) -> str:
    """Returns the API version that the handshake offers to a client.

    The official clients print a warning when the server is newer than they are, so each is offered its own.
    """
    release = client_release(user_agent)
    if release < (24, 0):
        return "v7.20230615"
    if release < (24, 9):
        return "v8.20240315"
    if release < (26, 0):
        return "v8.20240915"
    return LATEST


def _first_header(request: web.BaseRequest, *names: str) -> str | None:
    for name in names:
        value = request.headers.get(name)
        if value is not None:
            return value
    return None


def check_version(request: web.BaseRequest) -> str:
    """Returns the API version of a request.

    Raises:
        UnsupportedVersion: none of `API_VERSIONS`.
    """
    version = _first_header(request, "X-BackendAI-Version", "X-Sorna-Version")
    if version is None:
        return _ABSENT_VERSION
    if version not in API_VERSIONS:
        raise UnsupportedVersion(f"the API version {version[:32]!r} is not known here; the newest is {LATEST}")
    return version


def authenticate(request: web.BaseRequest, service: Service, replays: Replays, *, now_s: float) -> Keypair:
    """Returns the keypair that signed a request (wire contract 2), for the first request with this signature.

    Raises:
        AuthFailed: no Authorization header, an unknown key, a wrong signature, or one that was used before.
        InvalidAuth: a header that cannot be used, or a date more than 15 minutes away.
        UnsupportedVersion: see `check_version`.
    """
    header = request.headers.get(hdrs.AUTHORIZATION)
    if not header:
        raise AuthFailed("Unauthorized access")
    access_key, given, hash_name = _parse_authorization(header)
    date = _first_header(request, hdrs.DATE, "X-BackendAI-Date", "X-Sorna-Date")
    if date is None:
        raise InvalidAuth("Date/time sync error: the request has no Date header")
    date_s = _timestamp(date)
    skew_s = now_s - date_s
    if abs(skew_s) >= MAX_CLOCK_SKEW_S:
        raise InvalidAuth(
            f"Date/time sync error: the request is dated {abs(skew_s) / 60:.0f} minutes "
            f"{'before' if skew_s > 0 else 'after'} the clock of this machine; 15 are allowed"
        )
    version = check_version(request)
    keypair = service.keypair(access_key)
    if keypair is None:
        raise AuthFailed("Access key not found in HMAC")
    try:
        wanted = signature(
            secret_key=keypair.secret_key,
            method=request.method,
            # the request line's target as it came: yarl would normalise it and break the signature
            raw_target=request.raw_path,
            date=date,
            host=request.headers.get(hdrs.HOST, ""),
            content_type=request.headers.get(hdrs.CONTENT_TYPE, ABSENT_CONTENT_TYPE),
            api_version=version,
            hash_name=hash_name,
        )
    except UnicodeEncodeError:
        raise InvalidAuth("a signed part of the request is no UTF-8") from None
    if not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "surrogateescape")):
        raise AuthFailed("HMAC signature mismatch")
    if not keypair.is_active:
        raise AuthFailed("the access key is switched off")
    # last, so that nobody without a key can fill what is remembered
    replays.accept(access_key, wanted, date_s, now_s=now_s)
    return keypair


def _timestamp(date: str) -> float:
    try:
        return parse_date(date).timestamp()
    except OverflowError:
        raise InvalidAuth(f"the Date header {date[:64]!r} is out of range") from None


def _parse_authorization(header: str) -> tuple[str, str, str]:
    scheme, _, rest = header.partition(" ")
    if scheme not in _SCHEMES:
        raise InvalidAuth("Invalid authorization type name")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    method, credential = fields.get("signMethod", ""), fields.get("credential", "")
    access_key, colon, given = credential.partition(":")
    if not method.startswith("HMAC-") or not (access_key and colon and given):
        raise InvalidAuth(
            "Missing or malformed authorization parameters: "
            "write 'BackendAI signMethod=HMAC-SHA256, credential=<access key>:<signature>'"
        )
    return access_key, given, method.removeprefix("HMAC-").lower()


def check_browser(request: web.BaseRequest, hosts: frozenset[str]) -> None:
    """Refuses what a web page in the user's browser could send.

    Raises:
        Forbidden: a Host header with a foreign name (a rebound one), or an Origin header on a request that acts or
            opens a websocket, or a Sec-Fetch-Site header that tells of a page.
        BadRequest: no Host header or several, or a target that is no path (as a proxy is sent).
    """
    named = request.headers.getall(hdrs.HOST, [])
    if len(named) != 1:
        raise BadRequest(f"the request has {len(named) or 'no'} Host headers: send one")
    if not request.raw_path.startswith("/"):
        raise BadRequest(f"the target {request.raw_path[:128]!r} is no path: this is no proxy")
    host = named[0]
    if not _own_host(host, hosts):
        raise Forbidden(f"the host {host[:128]!r} is not a name of this backend: use 127.0.0.1 or localhost")
    if request.headers.get("Sec-Fetch-Site", "none").lower() != "none":
        raise Forbidden("requests of web pages are refused: this backend takes orders from programs only")
    if hdrs.ORIGIN in request.headers and (
        request.method not in _SAFE_METHODS or request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
    ):
        raise Forbidden("requests of web pages are refused: this backend takes orders from programs only")


def _own_host(host: str, hosts: frozenset[str]) -> bool:
    match = _HOST.fullmatch(host.lower())
    if match is None:
        return False
    name = match["v6"] or match["name"]
    # rebinding needs a name that the page's owner controls; a literal address is none
    return name == "localhost" or name in hosts or _is_address(name)


@functools.lru_cache(maxsize=64)
def _is_address(name: str) -> bool:
    try:
        # browsers take 0.0.0.0 for this machine, and have let pages of any network ask it
        return not ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets in the handshake and signed requests; everything that goes wrong leaves as a problem body."""
    return await shield(request, lambda _: _pass(request, handler))


async def _pass(request: web.Request, handler: Handler) -> web.StreamResponse:
    context = context_of(request)
    check_browser(request, context.hosts)
    if any(coding.strip().lower() != "identity" for coding in request.headers.getall(hdrs.CONTENT_ENCODING, [])):
        raise CompressedBody("compressed bodies are not read here: leave out Content-Encoding")
    if request.path == "/" and request.method in _SAFE_METHODS:
        check_version(request)
        return await handler(request)
    if request.path == METRICS_PATH and is_bearer(header := request.headers.get(hdrs.AUTHORIZATION, "")):
        check_token(header, context.metrics_token)
        request[CALLER] = SCRAPER
        trust(request, SCRAPER.access_key)
    else:
        caller = authenticate(request, context.service, context.replays, now_s=context.clock())
        trust(request, caller.access_key)
        request[CALLER] = caller
    await _answer_expectation(request)
    with context.callers.inside(request, request[CALLER]):
        return await handler(request)


async def expect_later(_request: web.Request) -> None:
    """In place of what aiohttp does about an Expect header before anybody has looked at who asks: nothing yet."""


async def _answer_expectation(request: web.Request) -> None:
    expected = request.headers.get(hdrs.EXPECT)
    if expected is None or request.version < HttpVersion11:
        return
    if expected.lower() != "100-continue":
        raise ExpectationFailed(f"the Expect header says {expected[:64]!r}: leave it out, or write 100-continue")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun
