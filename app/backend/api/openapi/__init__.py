"""GET /openapi.json: all that is served, as OpenAPI 3.1. A test holds it to the routes and to real answers."""

from __future__ import annotations

import json
from typing import Any, Final

from aiohttp import web

from ..context import context_of
from .answers import ANSWERS, ASKED
from .paths import SESSIONS
from .paths_around import AROUND, STREAMS

_SIGNATURE: Final = (
    "`BackendAI signMethod=HMAC-SHA256, credential=ACCESS_KEY:SIGNATURE`. The signature is the HMAC of method, raw "
    "target, Date, host, bare media type, API version (X-BackendAI-Version) and the hash of nothing, joined with "
    "newlines; its key is HMAC(HMAC(secret key, YYYYMMDD of the Date), host). It is good for one request, dated within "
    "15 minutes. Of whole seconds in the Date, two equal requests would bear the same signature: write microseconds."
)


def document(version: str) -> dict[str, Any]:
    """Returns the description of a backend of this version."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bai-tui",
            "version": version,
            "summary": "The local backend of bai-tui: Backend.AI's public API, and what it adds.",
            "description": "Everything but `GET /` is signed. What a backend adds to the public API is announced as a "
            "capability in its handshake. Failures are `application/problem+json`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"signature": []}],
        "paths": AROUND | SESSIONS | STREAMS,
        "components": {
            "schemas": ANSWERS | ASKED,
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": _SIGNATURE,
                },
                "metrics": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of the file `metrics.token`.",
                },
            },
        },
    }


async def serve(request: web.Request) -> web.Response:
    text = json.dumps(document(context_of(request).version))
    return web.Response(text=text, content_type="application/json")
