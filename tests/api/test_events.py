"""Server-sent events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from bai_tui.app.backend.api import events


async def lines_until_end(answer: Any) -> list[str]:
    return [line.decode().rstrip("\r\n") async for line in answer.content]


def open_events(api: Any, query: str) -> Any:
    target = f"/events/session?{query}"
    return api.session.get(
        api.base + target, headers=api.headers("GET", target, None), skip_auto_headers=["Content-Type"]
    )


def parsed(lines: list[str]) -> list[tuple[str, dict[str, Any]]]:
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return list(zip(names, data, strict=True))


async def test_all_of_mine_until_the_backend_stops(api: Any, admin: Any, service: Any) -> None:
    async with open_events(api, "sessionName=*&scope=*") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-cache", "no")
        await service.listening()
        await admin.create("not-mine")
        ref = await api.create("mine-01")
        await api.send("DELETE", f"/session/{ref}")
        service.stop()
        found = parsed(await lines_until_end(answer))
    assert [name for name, _ in found] == ["session_enqueued", "session_started", "session_terminated", "server_close"]
    assert found[2][1] == {
        "reason": "user-requested",
        "sessionName": "mine-01",
        "ownerAccessKey": api.keypair.access_key,
        "sessionId": ref,
        "exitCode": None,
    }
    assert found[-1][1] == {}
    assert service.listeners == []


@pytest.mark.parametrize("key", ["sessionName=watched", "sessionId={ref}"])
async def test_one_session_closes_at_its_end(api: Any, service: Any, key: str) -> None:
    ref = await api.create("watched-1")
    async with open_events(api, key.format(ref=ref) + "&scope=session,kernel") as answer:
        await service.listening()
        await api.create("another-1")
        await api.send("DELETE", "/session/watched-1")
        found = parsed(await lines_until_end(answer))
    assert [name for name, _ in found] == ["session_terminated", "server_close"]


async def test_ended_session_closes_at_once(api: Any) -> None:
    ref = await api.create("ended-01")
    await api.send("DELETE", f"/session/{ref}")
    async with open_events(api, f"sessionId={ref}") as answer:
        assert parsed(await lines_until_end(answer)) == [("server_close", {})]


async def test_scope(api: Any, service: Any) -> None:
    async with open_events(api, "scope=kernel") as answer:
        await service.listening()
        ref = await api.create("scoped-1")
        await service.emit("kernel_started", service.sessions[ref])
        await service.emit("bai_lagged", service.sessions[ref])
        service.stop()
        found = parsed(await lines_until_end(answer))
    assert [name for name, _ in found] == ["kernel_started", "bai_lagged", "server_close"]
    assert (await api.send("GET", "/events/session?scope=moon")).problem == "invalid-api-params"


async def test_admin_may_follow_one_owner(api: Any, admin: Any, service: Any) -> None:
    mine = f"ownerAccessKey={api.keypair.access_key}"
    async with open_events(admin, mine) as answer:
        await service.listening()
        await admin.create("of-admin")
        await api.create("of-user1")
        service.stop()
        found = parsed(await lines_until_end(answer))
    assert {data.get("sessionName") for _, data in found} == {"of-user1", None}
    other = api.acting(service.keyring["AKOTHER0000000000000"])
    assert (await other.send("GET", f"/events/session?{mine}")).status == 403


async def test_keep_alive(api: Any, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.01)
    async with open_events(api, "scope=*") as answer:
        assert await answer.content.readline() == b": ping\n"
        assert await answer.content.readline() == b"\n"


async def test_stop_of_the_server_says_so(api: Any, runner: Any, service: Any) -> None:
    async with open_events(api, "scope=*") as answer:
        await service.listening()
        stopping = asyncio.ensure_future(runner.cleanup())
        assert parsed(await lines_until_end(answer)) == [("server_close", {})]
        await stopping
    assert service.listeners == []


async def test_reader_that_leaves_is_forgotten(api: Any, service: Any) -> None:
    async with open_events(api, "scope=*") as answer:
        await service.listening()
        answer.close()
    ref = await api.create("somebody")
    async with asyncio.timeout(5):
        while service.listeners:
            await service.emit("session_started", service.sessions[ref])
            await asyncio.sleep(0.005)


async def test_not_there(api: Any) -> None:
    answer = await api.send("GET", "/events/session?sessionName=nothing-here&scope=*")
    assert (answer.status, answer.problem) == (404, "object-not-found")
    assert (await api.send("GET", "/events/background-task?taskId=x")).status == 404
