"""Every failure as `application/problem+json`, whatever raised it, and never a traceback to a user."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from ...model.errors import PROBLEM_BASE, BadRequest, BaiTuiError

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CONTENT_TYPE = "application/problem+json"

_OF_STATUS: dict[int, tuple[str, str, str]] = {
    400: ("generic-bad-request", "Bad request.", "api_parsing_bad-request"),
    404: ("url-not-found", "Unknown URL path.", "api_read_not-found"),
    405: ("method-not-allowed", "HTTP Method Not Allowed.", "api_access_forbidden"),
    408: ("request-timeout", "The request came too slowly.", "api_parsing_bad-request"),
    413: ("content-too-large", "The request body is too large.", "api_parsing_bad-request"),
    415: ("unsupported-media-type", "The request body has a form that is not read.", "api_parsing_bad-request"),
    501: ("not-implemented", "This API is not implemented.", "api_generic_not-implemented"),
}


class MalformedBody(BadRequest):
    """The body is not what its endpoint reads."""

    problem = "generic-bad-request"
    title = "Malformed request body."
    error_code = "api_parsing_bad-request"


class ContentTooLarge(BadRequest):
    """More bytes than the endpoint takes."""

    status = 413
    problem = "content-too-large"
    title = "The request body is too large."
    error_code = "api_parsing_bad-request"


class TooSlow(BadRequest):
    """The body did not come in time."""

    status = 408
    problem = "request-timeout"
    title = "The request came too slowly."
    error_code = "api_parsing_bad-request"


class CompressedBody(BadRequest):
    """The body has a Content-Encoding."""

    status = 415
    problem = "unsupported-media-type"
    title = "The request body has a form that is not read."
    error_code = "api_parsing_bad-request"


class ExpectationFailed(BadRequest):
    """An Expect header that says something else than `100-continue`."""

    status = 417
    problem = "expectation-failed"
    title = "The request expects what is not done here."
    error_code = "api_parsing_bad-request"


class TooManyRequests(BaiTuiError):
    """The caller has as much under way as it may."""

    status = 429
    problem = "rate-limit-exceeded"
    title = "You have reached your API query rate limit."
    error_code = "api_access_unavailable"


def guarded_headers(headers: CIMultiDict[str]) -> None:
    """Adds what keeps a browser from making anything of an answer; there is nothing here for a page to read."""
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Server"] = "bai-tui"


def problem_body(error: BaiTuiError) -> dict[str, Any]:
    """Returns the members of the problem body of `error`; the HTTP status is not among them."""
    body: dict[str, Any] = {
        "type": PROBLEM_BASE + error.problem,
        "title": error.title,
        "error_code": error.error_code,
        "msg": error.message,
    }
    if error.data is not None:
        body["data"] = error.data
    return body


def problem_response(error: BaiTuiError) -> web.Response:
    return _response(error.status, problem_body(error))


def status_response(status: int, msg: str, *, data: Any = None, headers: dict[str, str] | None = None) -> web.Response:
    """Returns the problem of a bare HTTP status, as the framework raises them."""
    problem, title, code = _OF_STATUS.get(
        status,
        ("generic-bad-request", HTTPStatus(status).phrase + ".", "api_parsing_bad-request")
        if status < 500
        else ("internal-server-error", "Internal server error.", "backendai_generic_internal-error"),
    )
    body: dict[str, Any] = {"type": PROBLEM_BASE + problem, "title": title, "error_code": code, "msg": msg}
    if data is not None:
        body["data"] = data
    return _response(status, body, headers)


def unexpected(error: BaseException, what: str) -> str:
    """Logs `error` with its traceback and returns the sentence for the user, which names the log entry."""
    mark = secrets.token_hex(4)
    log.error("unexpected error %s in %s", mark, what, exc_info=error)
    return f"something failed inside the backend; its log has the details under {mark}"


def _response(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, content_type=CONTENT_TYPE, headers=headers)


def from_http_exception(request: web.Request, exc: web.HTTPException) -> web.Response:
    """Returns the problem of an error that the framework raised."""
    path, method = request.path, request.method
    if exc.status == 404:
        return status_response(404, f"there is nothing at {path}", data=path)
    if isinstance(exc, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(exc.allowed_methods))
        return status_response(405, f"{path} answers to {allowed}, not to {method}", headers={"Allow": allowed})
    if exc.status == 413:
        return status_response(413, f"the body of {method} {path} is larger than the server takes")
    return status_response(exc.status, exc.text or exc.reason or f"{method} {path} cannot be answered")


async def shield(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Runs `handler` and turns whatever it raises into a problem response.

    Cancellation passes through. An error after the answer has begun is logged and raised again: all that is left then
    is to cut the connection.
    """
    try:
        return await handler(request)
    except BaiTuiError as exc:
        if exc.status >= 500:
            log.warning("%s %s: %s", request.method, request.path, exc.message)
        return problem_response(exc)
    except web.HTTPException as exc:
        if exc.status < 400:
            raise
        return from_http_exception(request, exc)
    except asyncio.CancelledError:
        raise
    except json.JSONDecodeError as exc:
        return problem_response(MalformedBody(f"the body of {request.method} {request.path} is no JSON: {exc}"))
    except Exception as exc:
        if isinstance(exc, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            log.info("the client of %s %s has gone", request.method, request.path)
            return status_response(400, "the connection was lost")  # which nobody reads
        return status_response(500, unexpected(exc, f"{request.method} {request.path}"))
