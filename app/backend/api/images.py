"""Background tasks, and logs of images (capability `images`); the images themselves are told by GraphQL."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from ...model.errors import BadRequest
from ..ports import TaskNews
from .context import CALLER, caller_of, context_of, service_of
from .events import HEADERS, KEEP_ALIVE_S, PING, SERVER_CLOSE, Source


def encode(news: TaskNews) -> bytes:
    """Returns where a task stands as it goes over the wire."""
    data: dict[str, Any] = {"task_id": news.task_id, "message": news.message}
    if news.state == "updated":
        data |= {"current_progress": news.current, "total_progress": news.total}
    if news.errors:
        data["errors"] = list(news.errors)
    return f"event: bgtask_{news.state}\ndata: {json.dumps(data)}\n\n".encode()


async def background_task(request: web.Request) -> web.StreamResponse:
    """GET /events/background-task: where a task stands, then what comes, until it has ended."""
    context = context_of(request)
    # the documentation says taskId; the newest client sends task_id
    task_id = request.query.get("taskId") or request.query.get("task_id")
    if not task_id:
        raise BadRequest("the parameter 'taskId' is missing: say which background task")
    source = Source(context.service.task_news(request[CALLER], task_id), "next news of a background task")
    response = web.StreamResponse(headers=HEADERS)
    stop = asyncio.create_task(context.closing.wait(), name="stop of the news of a background task")
    try:
        await response.prepare(request)
        while True:
            done, _ = await asyncio.wait({stop, source.next}, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
            if stop in done:
                break
            if not done:
                await response.write(PING)
                continue
            news = source.take()
            if news is None:
                break
            await response.write(encode(news))
        await response.write(SERVER_CLOSE)
    except ConnectionError:
        pass  # the reader has gone; the task goes on
    finally:
        stop.cancel()
        await asyncio.gather(stop, return_exceptions=True)
        await source.close()
    return response


async def cancel_task(request: web.Request) -> web.Response:
    """POST /image/tasks/{task_id}/cancel: nothing half-made is left."""
    await service_of(request).cancel_task(caller_of(request), request.match_info["task_id"])
    return web.Response(status=204)


async def log(request: web.Request) -> web.Response:
    """GET /image/log: what the newest building or pulling of an image has written."""
    reference = request.query.get("reference")
    if not reference:
        raise BadRequest("the parameter 'reference' is missing: say of which image")
    return web.json_response({"log": await service_of(request).image_log(reference)})
