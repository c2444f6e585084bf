"""Images of a cluster, which has less than our backend: what works there works, the rest says what it is."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.client.api import ApiClient
from bai_tui.app.model.errors import Forbidden, ImageNotFound, NotFound, NotImplementedHere, RemoteError, Unreachable
from bai_tui.app.model.images import ImageState
from bai_tui.tests.client.conftest import FakeServer

R = {"registry": "cr.example", "name": "stable/r-base", "tag": "4.3", "aliases": ["r"], "installed": False}
OURS = {"version": "v9.20250722", "manager": "0.1.0", "bai-tui": {"version": "0.1.0", "capabilities": ["images"]}}


def sse(*events: str) -> web.Response:
    return web.Response(text="".join(f"{event}\n\n" for event in events), content_type="text/event-stream")


async def test_an_image_that_agents_have_not_is_pulled_when_it_is_needed(client: ApiClient, server: FakeServer) -> None:
    asked: list[str] = []

    def graphql(query: str, variables: dict[str, Any]) -> Any:
        asked.append(query)
        labels = [{"key": "ai.backend.service-ports", "value": "jupyter:http:8081,tensorboard:http:6006"}]
        limits = [{"key": "cpu", "min": "1"}, {"key": "mem", "min": "268435456"}, {"key": "cuda.device", "min": "0"}]
        return {"data": {"image": {**R, "labels": labels, "resource_limits": limits}}}

    server.graphql = graphql
    view = await client.image("r")
    assert (view.reference, view.state, view.kind, view.notice) == (
        "cr.example/stable/r-base:4.3", ImageState.PULLABLE, "", None,
    )  # fmt: skip
    assert view.service_ports == ("jupyter:http:8081", "tensorboard:http:6006")
    assert view.min_slots.wire() == {"cpu": "1", "mem": "268435456"}
    assert "bai_" not in asked[0]
    server.graphql = lambda query, variables: {"data": {"images": [R]}}
    assert [(one.name, one.leads_to, one.shipped) for one in await client.image_aliases()] == [
        ("r", "cr.example/stable/r-base:4.3", None)
    ]


async def test_what_a_cluster_does_not_do_is_said(client: ApiClient, server: FakeServer) -> None:
    for asked in (client.prepare_image("r"), client.image_log("r"), client.cancel_task("t")):
        with pytest.raises(
            NotImplementedHere, match=r"is a cluster and .*its agents pull an image when a session needs"
        ):
            await asked
    server.handshake = {**OURS, "bai-tui": {"version": "0.1.0", "capabilities": ["journal"]}}
    await client.handshake()
    with pytest.raises(NotImplementedHere, match="older than this program"):
        await client.prepare_image("r")


async def test_a_cluster_forgets_and_names_images(client: ApiClient, server: FakeServer) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    payload: dict[str, Any] = {"ok": True, "msg": ""}

    def graphql(query: str, variables: dict[str, Any]) -> Any:
        seen.append((query, variables))
        return {"data": {"x": payload}}

    server.graphql = graphql
    assert "has forgotten r" in await client.remove_image("r")
    await client.alias_image("mine", "cr.example/stable/r-base:4.3")
    await client.dealias_image("mine")
    assert [query.partition("{")[2].partition("(")[0] for query, _ in seen] == [
        "forget_image", "alias_image", "dealias_image",
    ]  # fmt: skip
    assert seen[0][1]["reference"] == "r" and seen[0][1]["architecture"]
    payload |= {"ok": False, "msg": "no permission to execute alias_image"}
    with pytest.raises(Forbidden, match=r"only an administrator of .* may make aliases"):
        await client.alias_image("mine", "r")
    payload |= {"msg": "alias already created with (r)"}
    with pytest.raises(RemoteError, match="alias already created"):
        await client.alias_image("mine", "r")
    assert not any("bai_" in query for query, _ in seen)


async def test_a_scan_of_a_cluster_is_followed(client: ApiClient, server: FakeServer) -> None:
    server.graphql = lambda query, variables: {"data": {"rescan_images": {"ok": True, "msg": "", "task_id": "t-1"}}}

    async def news(request: web.Request) -> web.Response:
        assert request.query["taskId"] == "t-1"
        return sse(
            'event: bgtask_updated\ndata: {"current_progress": 3, "total_progress": 12, "message": "python"}',
            'event: bgtask_partial_success\ndata: {"message": "some", "errors": ["hub is down"]}',
            "event: server_close\ndata: {}",
        )

    server.answers["GET /events/background-task"] = news
    first, last = [one async for one in client.task_progress(await client.rescan_images())]
    assert (first.state, first.percent, first.message) == ("updated", 25, "python")
    assert (last.state, last.errors, last.is_over, last.has_failed) == (
        "partial_success",
        ("hub is down",),
        True,
        False,
    )


async def test_a_lost_connection_to_a_task_is_made_again(
    client: ApiClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bai_tui.app.client.images._PAUSES_S", (0.0, 0.0))
    server.handshake = OURS
    script = iter(
        [
            sse('event: bgtask_updated\ndata: {"current_progress": 1, "total_progress": 0, "message": "one"}'),
            sse("event: server_close\ndata: {}"),
            sse('event: bgtask_done\ndata: {"message": "ready"}', "event: server_close\ndata: {}"),
            web.Response(status=404),
        ]
    )

    async def news(request: web.Request) -> web.Response:
        return next(script)

    server.answers["GET /events/background-task"] = news
    told = [(one.state, one.percent, one.message) async for one in client.task_progress("t")]
    assert told == [("updated", None, "one"), ("done", None, "ready")]
    with pytest.raises(RemoteError):
        [one async for one in client.task_progress("t")]
    script = iter([sse(), sse(), sse()])
    with pytest.raises(Unreachable, match="ask again when it answers"):
        [one async for one in client.task_progress("t")]


async def test_an_error_of_ours_keeps_its_class(client: ApiClient, server: FakeServer) -> None:
    server.handshake = OURS
    told = {"ok": False, "msg": "there is no image 'x'", "bai_code": "image_read_not-found"}
    server.graphql = lambda query, variables: {"data": {"preload_image": told}}
    with pytest.raises(ImageNotFound, match="no image 'x'"):
        await client.prepare_image("x")
    server.graphql = lambda query, variables: {"data": {"images": []}}
    with pytest.raises(NotFound, match="no image with the id"):
        await client.image("00000000-0000-4000-8000-000000000000")
