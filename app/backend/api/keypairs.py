"""POST /keypair/{access_key}/rotate (capability `keypairs`). All else about keypairs is asked by GraphQL."""

from __future__ import annotations

from aiohttp import web

from .context import CALLER, context_of


async def rotate(request: web.Request) -> web.Response:
    """Gives a keypair another secret key and tells it, this once; what the one before has opened is closed."""
    context, access_key = context_of(request), request.match_info["access_key"]
    pair = await context.service.keyring.rotate(request[CALLER], access_key)
    await context.callers.turn_out(access_key)
    answer = {"access_key": pair.access_key, "secret_key": pair.secret_key}
    return web.json_response(answer, headers={"Cache-Control": "no-store"})
