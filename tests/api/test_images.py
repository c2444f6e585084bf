"""Images over the wire: told in full, built in tasks, removed and named by administrators; and our own client at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bai_tui.app.client.api import ApiClient
from bai_tui.app.model.endpoint import Endpoint
from bai_tui.app.model.errors import (
    BaiTuiError,
    Forbidden,
    ImageFailed,
    ImageNotFound,
    NotFound,
    Unreachable,
)
from bai_tui.app.model.images import ImageState
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.tests.api.fake_images import DATA
from bai_tui.tests.waiting import until

OURS = (
    "{ name installed installed_agents labels { key value } bai_state bai_reason bai_kind bai_language bai_packages "
    "bai_summary bai_default_slots bai_service_ports bai_prepare_s bai_progress { current total message } }"
)


@pytest.fixture
def shelf(service: Any) -> Any:
    service.shelve(
        packages=("numpy>=2",),
        summary="numbers",
        service_ports=("jupyter:http:8081",),
        default_slots=ResourceSlots({"cpu": 2}),
        prepare_s=40.0,
        reason="not built yet",
    )
    return service.catalogue


async def frames(api: Any, target: str) -> list[tuple[str, Any]]:
    """Returns the events of a stream that ends."""
    answer = await api.send("GET", target)
    assert answer.status == 200, answer.raw
    parts = [part.split("\n") for part in answer.raw.decode().split("\n\n") if part and not part.startswith(":")]
    return [(part[0].removeprefix("event: "), json.loads(part[1].removeprefix("data: "))) for part in parts]


async def changed(api: Any, mutation: str) -> Any:
    """Returns the payload of a mutation, with all that it may say."""
    (payload,) = (await api.gql(f"mutation {{ {mutation} }}"))["data"].values()
    return payload


async def test_an_image_that_is_to_be_built_tells_all_about_itself(api: Any, shelf: Any) -> None:
    found = (await api.gql(f"{{ images {OURS} }}"))["data"]["images"]
    assert [row["name"] for row in found] == ["python", "python-data"]
    assert found[1] == {
        "name": "python-data",
        "installed": False,
        "installed_agents": [],
        "labels": [
            {"key": "ai.backend.runtime-type", "value": "python"},
            {"key": "ai.backend.service-ports", "value": "jupyter:http:8081"},
            {"key": "bai-tui.reason", "value": "not built yet"},
        ],
        "bai_state": "BUILDABLE",
        "bai_reason": "not built yet",
        "bai_kind": "recipe",
        "bai_language": "python",
        "bai_packages": ["numpy>=2"],
        "bai_summary": "numbers",
        "bai_default_slots": '{"cpu": "2"}',
        "bai_service_ports": ["jupyter:http:8081"],
        "bai_prepare_s": 40.0,
        "bai_progress": None,
    }
    ready = (await api.gql("{ images(is_installed: true) { name } }"))["data"]["images"]
    assert ready == [{"name": "python"}]
    by_id = await api.gql(f'{{ image(id: "id-{DATA}") {{ name }} }}')
    assert by_id["data"]["image"] == {"name": "python-data"}


async def test_a_task_is_told_as_managers_tell_it(api: Any, shelf: Any) -> None:
    asked = f'preload_image(references: ["{DATA}"], target_agents: []) {{ ok msg task_id }}'
    task = await changed(api, asked)
    assert (task["ok"], task["msg"]) == (True, "")
    await shelf.begun.wait()
    shelf.builds[DATA].step(1, 4, "installing numpy")
    (row,) = (await api.gql("{ images(is_installed: false) { bai_progress { current total message } } }"))["data"][
        "images"
    ]
    assert row["bai_progress"] == {"current": 1.0, "total": 4.0, "message": "installing numpy"}
    news = asyncio.create_task(frames(api, f"/events/background-task?task_id={task['task_id']}"))
    shelf.builds[DATA].finish()
    told = await news
    end = {"task_id": task["task_id"], "message": f"{DATA} is ready"}
    assert told[-2:] == [("bgtask_done", end), ("server_close", {})]
    again = await frames(api, f"/events/background-task?taskId={task['task_id']}")
    assert again == told[-2:], "who comes late hears how it ended"


async def test_progress_is_an_event_for_those_who_ask(api: Any, service: Any, shelf: Any) -> None:
    with_progress = asyncio.create_task(frames(api, "/events/session?progress=true"))
    without = asyncio.create_task(frames(api, "/events/session"))
    await service.listening(2)
    await changed(api, f'preload_image(references: ["{DATA}"], target_agents: []) {{ ok }}')
    await shelf.begun.wait()
    shelf.builds[DATA].step(1, 2, "half")
    shelf.builds[DATA].finish()
    await until(lambda: shelf.known[DATA].state is ImageState.READY and not service._image_work._under_way)
    service.stop()
    data = [data for name, data in await with_progress if name == "bai_image_progress"]
    assert [(one["image"], one["state"], one["current"], one["total"]) for one in data] == [
        (DATA, "updated", 1, 2),
        (DATA, "done", 0, 0),
    ]
    assert [name for name, _ in await without] == ["server_close"]


async def test_a_mutation_that_is_refused_says_why(api: Any, admin: Any, shelf: Any) -> None:
    for mutation in (
        f'unload_image(references: ["{DATA}"], target_agents: [])',
        f'forget_image(reference: "{DATA}", architecture: "x86_64")',
        f'forget_image_by_id(image_id: "id-{DATA}")',
        f'alias_image(alias: "data", target: "{DATA}")',
        'dealias_image(alias: "data")',
    ):
        payload = await changed(api, f"{mutation} {{ ok msg bai_code }}")
        assert payload["ok"] is False and payload["bai_code"] == "api_access_forbidden"
        assert payload["msg"].startswith("no permission to execute "), mutation
        assert (await changed(admin, f"{mutation} {{ ok }}"))["ok"] is True, mutation
    payload = await changed(api, 'rescan_images(registry: "hub.example") { ok msg bai_code }')
    assert payload["ok"] is False and "no registry 'hub.example'" in payload["msg"]
    payload = await changed(admin, 'unload_image(references: ["python:3.11-debian12"], target_agents: []) { ok msg }')
    assert payload == {"ok": False, "msg": "there is nothing of python:3.11-debian12 to remove"}


async def test_an_image_is_purged_as_a_manager_does_it(api: Any, admin: Any, shelf: Any) -> None:
    purge = f'mutation {{ purge_image_by_id(image_id: "id-{DATA}", options: OPTIONS) {{ image {{ name }} }} }}'
    refused = await api.gql(purge.replace("OPTIONS", "{}"))
    assert "only an administrator" in refused["errors"][0]["message"]
    refused = await admin.gql(purge.replace("OPTIONS", "{remove_from_registry: true}"))
    assert "no registry" in refused["errors"][0]["message"]
    done = await admin.gql(purge.replace("OPTIONS", "{remove_from_registry: false}"))
    assert done == {"data": {"purge_image_by_id": {"image": {"name": "python-data"}}}}


async def test_a_task_of_somebody_else_is_not_there(api: Any, admin: Any, shelf: Any) -> None:
    task_id = (await changed(admin, f'preload_image(references: ["{DATA}"], target_agents: []) {{ task_id }}'))[
        "task_id"
    ]
    assert (await api.send("GET", f"/events/background-task?taskId={task_id}")).status == 404
    assert (await api.send("POST", f"/image/tasks/{task_id}/cancel")).status == 404
    assert (await admin.send("POST", f"/image/tasks/{task_id}/cancel")).status == 204
    assert [name for name, _ in await frames(admin, f"/events/background-task?taskId={task_id}")] == [
        "bgtask_cancelled",
        "server_close",
    ]


async def test_the_stop_of_the_server_ends_the_news(api: Any, runner: Any, shelf: Any) -> None:
    task_id = (await changed(api, f'preload_image(references: ["{DATA}"], target_agents: []) {{ task_id }}'))["task_id"]
    news = asyncio.create_task(frames(api, f"/events/background-task?taskId={task_id}"))
    await shelf.begun.wait()
    await until(lambda: "next news of a background task" in {task.get_name() for task in asyncio.all_tasks()})
    await runner.cleanup()
    assert (await news)[-1] == ("server_close", {})


async def test_a_session_tells_that_its_image_is_gone(api: Any, service: Any) -> None:
    ref = await api.create("on-ground")
    service.gone[ref] = "its interpreter is gone"
    info = await api.send("GET", f"/session/{ref}")
    assert info.json["statusData"]["image_gone"] == "its interpreter is gone"


# --- our own client ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def client(api: Any) -> AsyncIterator[ApiClient]:
    async with ApiClient(
        Endpoint(url=api.base, access_key=api.keypair.access_key, secret_key=api.keypair.secret_key)
    ) as one:
        yield one


@pytest.fixture
async def boss(admin: Any) -> AsyncIterator[ApiClient]:
    key = admin.keypair
    async with ApiClient(Endpoint(url=admin.base, access_key=key.access_key, secret_key=key.secret_key)) as one:
        yield one


async def test_the_client_builds_an_image_and_hears_of_it(client: ApiClient, shelf: Any) -> None:
    view = await client.image(DATA)
    assert (view.reference, view.state, view.kind, view.packages) == (
        DATA,
        ImageState.BUILDABLE,
        "recipe",
        ("numpy>=2",),
    )
    assert (view.reason, view.summary, view.prepare_s, view.default_slots.wire()) == (
        "not built yet", "numbers", 40.0, {"cpu": "2"},
    )  # fmt: skip
    assert view.service_ports == ("jupyter:http:8081",) and view.progress is None and not view.installed
    task_id = await client.prepare_image(DATA)
    await shelf.begun.wait()
    news = client.task_progress(task_id)
    assert (await anext(news)).state == "started"
    shelf.builds[DATA].step(1, 4, "installing numpy")
    step = await anext(news)
    assert (step.state, step.percent, step.message) == ("updated", 25, "installing numpy")
    (_, building) = await client.images()
    assert building.progress is not None and building.progress.percent == 25
    shelf.builds[DATA].finish()
    end = await anext(news)
    assert (end.state, end.is_over, end.has_failed) == ("done", True, False)
    assert await anext(news, None) is None
    assert await client.image_log(DATA) == f"built {DATA}\n"
    assert [one.reference for one in await client.images(installed=False)] == []


async def test_the_client_cancels_and_hears_why_something_failed(client: ApiClient, shelf: Any) -> None:
    task_id = await client.prepare_image(DATA)
    await shelf.begun.wait()
    await client.cancel_task(task_id)
    assert [one.state async for one in client.task_progress(task_id)] == ["cancelled"]
    shelf.begun.clear()
    task_id = await client.prepare_image(DATA, anew=True)
    await shelf.begun.wait()
    shelf.builds[DATA].fail("no such package")
    end = [one async for one in client.task_progress(task_id)][-1]
    assert (end.state, end.has_failed, end.message) == ("failed", True, "no such package")
    with pytest.raises(NotFound):
        [one async for one in client.task_progress("00000000-0000-4000-8000-000000000000")]


async def test_the_client_names_and_removes_as_an_administrator(client: ApiClient, boss: ApiClient, shelf: Any) -> None:
    with pytest.raises(Forbidden, match="only an administrator may remove images"):
        await client.remove_image(DATA)
    with pytest.raises(Forbidden):
        await client.alias_image("data", DATA)
    await boss.alias_image("data", DATA)
    await boss.dealias_image("data")
    assert shelf.written == [("data", DATA), ("data",)]
    (alias,) = await client.image_aliases()
    assert (alias.name, alias.targets, alias.leads_to, alias.shipped) == (
        "python:latest", ("python:3.11-debian12",), "python:3.11-debian12", True,
    )  # fmt: skip
    shelf.add(DATA, ImageState.READY)
    assert await boss.remove_image(DATA) == f"removed {DATA}"
    with pytest.raises(ImageFailed, match=r"nothing of python:3\.11-debian12"):
        await boss.remove_image("python:3.11-debian12")
    with pytest.raises(ImageNotFound, match=r"nearest is python-data:3\.11"):
        await boss.remove_image("python-daata:3.11")
    end = [one async for one in client.task_progress(await client.rescan_images())][-1]
    assert (end.state, end.message) == ("done", "2 images")


async def test_the_client_tells_what_stands_for_what(client: ApiClient, shelf: Any) -> None:
    shelf.stands_for["python-data:2"] = DATA
    view = await client.image("python-data:2")
    assert (view.reference, view.notice) == (DATA, "python-data:2 is not here")
    with pytest.raises(ImageNotFound):
        await client.image("python-data:2", exact=True)
    await client.create_session("python", name="exactly", exact=True)


async def test_the_client_hears_of_progress_among_the_events(client: ApiClient, service: Any, shelf: Any) -> None:
    events = client.events(progress=True)
    assert (await anext(events)).name == "bai_connected"
    await service.listening()
    await client.prepare_image(DATA)
    await shelf.begun.wait()
    shelf.builds[DATA].step(3, 4, "almost")
    event = await anext(events)
    assert (event.name, event.image, event.session_id) == ("bai_image_progress", DATA, None)
    assert event.progress is not None and (event.progress.percent, event.progress.message) == (75, "almost")
    shelf.builds[DATA].fail("a pity")
    event = await anext(events)
    assert (event.image, event.progress, event.reason) == (DATA, None, "a pity")
    await events.aclose()


async def test_a_task_that_went_with_its_server_is_said_to_have(
    client: ApiClient, service: Any, shelf: Any, runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bai_tui.app.client.images._PAUSES_S", (0.0, 0.0))
    news = client.task_progress(await client.prepare_image(DATA))
    assert (await anext(news)).state == "started"
    service._background._known.clear()  # another daemon, which knows nothing of it
    await shelf.begun.wait()
    await runner.shutdown()
    with pytest.raises((Unreachable, BaiTuiError)) as failed:
        await anext(news)
    assert isinstance(failed.value, Unreachable)
