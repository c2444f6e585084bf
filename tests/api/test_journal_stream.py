"""The journal over a websocket: pushed, resumed, answered; readers that are slow, and the stop of the backend."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType
from bai_tui.tests.waiting import until

from .conftest import Api


def follow(api: Api, ref: str, query: str = "", **options: Any) -> Any:
    target = f"/stream/session/{ref}/journal{query}"
    return api.session.ws_connect(api.base + target, headers=api.headers("GET", target, None), **options)


async def said_up_to(ws: Any, kind: str) -> list[list[Any]]:
    """Returns [seq, *record] up to the first of a kind."""
    found: list[list[Any]] = []
    while not found or found[-1][1] != kind:
        for line in (await ws.receive_json(timeout=10)).get("records", ()):
            found.append([line["seq"], *line["rec"]])
    return found


async def run(api: Api, ref: str, code: str) -> None:
    async with api.execute(ref) as ws:
        await ws.send_json({"mode": "query", "code": code})
        async for _ in ws:
            pass


async def test_records_are_pushed_and_the_end_is_told(api: Api) -> None:
    sid = await api.create()
    async with follow(api, "sess-01") as first:
        await run(api, sid, "say one")
        assert [record[1:] for record in await said_up_to(first, "run-finished")][1:] == [
            ["stdout", "one\n"],
            ["run-finished", {"exitCode": 0}],
        ]
        async with follow(api, sid, "?after=1") as second:
            assert [record[0] for record in await said_up_to(second, "run-finished")] == [2, 3]
            await api.send("DELETE", f"/session/{sid}")
            for ws in (first, second):
                told = await ws.receive_json(timeout=10)
                assert told == {"ended": True, "status": "TERMINATED", "reason": "user-requested"}
                assert (await ws.receive(timeout=10)).type is WSMsgType.CLOSE
                assert ws.close_code == WSCloseCode.OK
    async with follow(api, sid, "?after=2") as late:
        assert [record[0] for record in await said_up_to(late, "run-finished")] == [3]
        assert (await late.receive_json(timeout=10))["ended"]


async def test_who_is_attached_keeps_the_session_and_answers(api: Api, service: Any) -> None:
    sid = await api.create()
    running = asyncio.ensure_future(run(api, sid, "ask who\nsay bye"))
    records: list[Any] = []
    async with follow(api, sid, "?attach=true") as ws:
        asked = await said_up_to(ws, "waiting-input")
        assert asked[-1][2] == {"is_password": False}
        assert service.streams[sid] == 2
        run_id = next(run_id for session, run_id in service.runs if session == sid)
        await ws.send_json({"run": "nobody", "input": "x"})
        refused = await ws.receive_json(timeout=10)
        assert refused["run"] == "nobody" and "nobody" in refused["error"]
        prompt = asked[-1][0]
        for text, taken in (("Ada", True), ("Eve", False)):
            await ws.send_json({"run": run_id, "input": text, "prompt": prompt})
            while "taken" not in (told := await ws.receive_json(timeout=10)):
                records += told["records"]
            assert told == {"run": run_id, "prompt": prompt, "taken": taken}
        while records[-1]["rec"][0] != "run-finished":
            records += (await ws.receive_json(timeout=10))["records"]
        assert ["stdout", "hi Ada\n"] in [record["rec"] for record in records]
    await running
    await until(lambda: not (service.streams[sid] or service.followers))


@pytest.mark.parametrize(
    ("query", "said"),
    [("", '{"run": "a", "input": "b"}'), ("?attach=true", "Ada"), ("?attach=true", "[1]"), ("?attach=true", b"\0")],
)
async def test_what_is_no_answer_ends_the_stream_and_nothing_else(api: Api, query: str, said: Any) -> None:
    sid = await api.create()
    async with follow(api, sid, query) as ws:
        await (ws.send_str(said) if isinstance(said, str) else ws.send_bytes(said))
        assert (await ws.receive(timeout=10)).type is WSMsgType.CLOSE
        assert ws.close_code == WSCloseCode.POLICY_VIOLATION
    assert (await api.send("GET", f"/session/{sid}")).status == 200


@pytest.mark.parametrize(
    ("ref", "query", "status"),
    [("nobody", "", 404), ("sess-01", "?after=x", 400), ("sess-01", "?after=-1", 400), ("sess-01", "?attach=7", 400)],
)
async def test_refusals_are_answers_to_the_handshake(api: Api, ref: str, query: str, status: int) -> None:
    await api.create()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await follow(api, ref, query)
    assert refused.value.status == status


async def test_who_does_not_read_is_not_read_for(api: Api, service: Any) -> None:
    """Its records stay where they are; other readers have them all."""
    sid = await api.create()
    async with follow(api, sid) as slow, follow(api, sid) as quick:
        await until(lambda: service.followers >= 2)
        await run(api, sid, "flood 250000")
        assert await _last(quick) == 250_002
        at_slow, at_quick = sorted(service.followed.values())
        assert at_quick > 249_000 > at_slow
        assert await _last(slow) == 250_002


async def _last(ws: Any) -> int:
    """Returns the number of the end of the run; none before it is missing."""
    last = 0
    while True:
        text: str = await ws.receive_str(timeout=10)
        first = int(text[len('{"records":[{"seq":') :].partition(",")[0])
        assert first == last + 1
        last += text.count('{"seq":')
        if '["run-finished"' in text:
            return last


async def test_the_stop_of_the_backend_closes_at_once(api: Api, runner: Any) -> None:
    sid = await api.create()
    async with follow(api, sid) as ws, follow(api, sid, "?attach=true") as deaf:
        await run(api, sid, "flood 150000")
        await _last(ws)
        closing = asyncio.ensure_future(ws.receive(timeout=10))
        started = asyncio.get_running_loop().time()
        await runner.cleanup()
        assert asyncio.get_running_loop().time() - started < 4
        assert (await closing).type is WSMsgType.CLOSE
        assert ws.close_code == WSCloseCode.GOING_AWAY
        deaf._response.close()


async def test_the_newest_records_are_read_from_the_end(api: Api) -> None:
    sid = await api.create()
    await run(api, sid, "flood 50")

    async def seqs(query: str) -> list[int]:
        answer = await api.send("GET", f"/session/{sid}/journal?{query}")
        assert answer.status == 200, answer.raw
        return [line["seq"] for line in answer.json["records"]]

    assert await seqs("before=9007199254740992&limit=3") == [50, 51, 52]
    assert await seqs("before=50&limit=2") == [48, 49]
    assert await seqs("before=1&limit=2") == []
    assert (await api.send("GET", f"/session/{sid}/journal?before=x")).status == 400


async def test_runs_are_listed(api: Api) -> None:
    sid = await api.create()
    for code in ("say one", "exit 3", "die"):
        await run(api, sid, code)
    answer = await api.send("GET", f"/session/{sid}/runs?limit=2")
    runs = answer.json["runs"]
    assert [(run["code"], run["exitCode"], run["died"]) for run in runs] == [("exit 3", 3, False), ("die", None, True)]
    assert runs[0]["after"] + 2 == runs[0]["last"]
    assert (await api.send("GET", f"/session/{sid}/runs?limit=0")).status == 400


async def test_the_handshake_announces_it(api: Api) -> None:
    async with api.session.get(api.base + "/") as answer:
        assert "follow" in json.loads(await answer.read())["bai-tui"]["capabilities"]
