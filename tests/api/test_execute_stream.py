"""The execute websocket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from bai_tui.app.model.console import Frame, RunStatus
from bai_tui.app.model.errors import ServiceUnavailable
from bai_tui.tests.waiting import until


def query(code: str) -> str:
    return json.dumps({"code": code, "mode": "query", "options": {}})


async def frames(ws: Any) -> list[dict[str, Any]]:
    """All frames up to the close, which must be a clean one."""
    found = [json.loads(message.data) async for message in ws if message.type is aiohttp.WSMsgType.TEXT]
    assert ws.close_code == 1000
    return found


def text(found: list[dict[str, Any]], kind: str = "stdout") -> str:
    return "".join(data for frame in found for name, data in frame["console"] if name == kind)


async def test_query(api: Any) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        await ws.send_str(query("say hello\nerr oops\npng\nexit 3"))
        found = await frames(ws)
    for frame in found:
        assert {"status", "console", "exitCode", "options", "files", "seq", "runId"} == set(frame)
        assert frame["console"] is not None and frame["files"] == []
    assert (text(found), text(found, "stderr")) == ("hello\n", "oops\n")
    assert ["media", ["image/png", "data:image/png;base64,AAAA"]] in [r for f in found for r in f["console"]]
    assert [frame["status"] for frame in found[:-1]] == ["continued"] * (len(found) - 1)
    assert (found[-1]["status"], found[-1]["exitCode"]) == ("finished", 3)
    parsed = Frame.parse(json.dumps(found[-1]))
    assert (parsed.status, parsed.seq, parsed.run_id) == (RunStatus.FINISHED, 5, found[0]["runId"])


async def test_a_stream_holds_its_session_before_it_runs_anything(api: Any, service: Any) -> None:
    ref = await api.create()
    (session_id,) = service.sessions
    async with api.execute(ref) as ws:
        assert service.streams[session_id] == 1
        await ws.send_str(query("say x"))
        assert text(await frames(ws)) == "x\n"


async def test_batch_tells_its_steps_in_order(api: Any) -> None:
    await api.create("batch-01")
    async with api.execute("batch-01") as ws:
        await ws.send_str(json.dumps({"code": "", "mode": "batch", "options": {"exec": "say done", "clean": "*"}}))
        found = await frames(ws)
    steps = [frame["status"] for frame in found if frame["status"] != "continued"]
    assert steps == ["clean-finished", "build-finished", "finished"]
    assert text(found) == "done\n"


async def test_what_is_there_goes_out_together(api: Any) -> None:
    """50,000 records become a handful of frames, in order and complete."""
    ref = await api.create()
    async with api.execute(ref, max_msg_size=0) as ws:
        await ws.send_str(query("flood 50000"))
        found = await frames(ws)
    assert text(found) == "".join(f"{number:06} ünï\n" for number in range(50_000))
    assert len(found) < 20
    assert max(len(json.dumps(frame)) for frame in found) < 300_000


async def test_slow_reader_holds_up_nothing(api: Any, service: Any) -> None:
    ref = await api.create()
    async with api.execute(ref, max_msg_size=0) as ws:
        await ws.send_str(query("flood 200000"))
        await until(lambda: not (ref in service.running or not service.runs))
        found = await frames(ws)
    assert text(found).count("\n") == 200_000


@pytest.mark.parametrize(("prompt", "hidden"), [("who? ", False), ("password: ", True)])
async def test_input(api: Any, prompt: str, hidden: bool) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        await ws.send_str(query(f"ask {prompt}"))
        asked: dict[str, Any] = {"status": ""}
        while asked["status"] != "waiting-input":
            asked = json.loads((await ws.receive()).data)
        assert asked["options"] == {"is_password": hidden}
        await ws.send_str('{"raw": "Ada"}')
        found = await frames(ws)
    assert text(found) == 'hi {"raw": "Ada"}\n'


async def test_kernel_death_is_told(api: Any) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        await ws.send_str(query("say last words\ndie"))
        found = await frames(ws)
    assert found[-1]["status"] == "finished" and found[-1]["exitCode"] == 1
    assert text(found, "stderr") == "The kernel died: killed by SIGSEGV.\n"


@pytest.mark.parametrize(
    "first", ["{not json", "[]", '{"mode": "dance"}', '{"mode": "query", "code": 5}', "[" * 100_000, b"\x00"]
)
async def test_bad_first_frame(api: Any, service: Any, first: str | bytes) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        await (ws.send_str(first) if isinstance(first, str) else ws.send_bytes(first))
        refusal = json.loads((await ws.receive()).data)
        assert (refusal["status"] == "error" and "frame" in refusal["msg"]) or "stream" in refusal["msg"]
        closed = await ws.receive()
        assert closed.type is aiohttp.WSMsgType.CLOSE and closed.data in (1003, 1007)
    assert not service.runs
    async with api.execute(ref) as ws:
        await ws.send_str(query("say alive"))
        assert text(await frames(ws)) == "alive\n"


async def test_too_large_a_frame(api: Any) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        await ws.send_str(query("x" * (17 * 1024 * 1024)))
        refusal = json.loads((await ws.receive()).data)
        assert refusal["status"] == "error" and "16777216 bytes" in refusal["msg"]
        closed = await ws.receive()
        assert closed.type is aiohttp.WSMsgType.CLOSE and closed.data == 1009
    assert (await api.send("GET", f"/session/{ref}")).status == 200


async def test_unknown_session_fails_the_handshake(api: Any) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with api.execute("nothing-here"):
            pass
    assert refused.value.status == 404


async def test_without_an_upgrade(api: Any) -> None:
    ref = await api.create()
    answer = await api.send("GET", f"/stream/session/{ref}/execute")
    assert (answer.status, answer.problem) == (400, "generic-bad-request")


async def test_failure_at_the_start_is_visible_output(api: Any, service: Any) -> None:
    ref = await api.create()
    async with api.execute(ref) as first:
        await first.send_str(query("wait"))
        await until(lambda: ref in service.running)
        async with api.execute(ref) as second:
            await second.send_str(query("say no"))
            (told,) = await frames(second)
        assert (told["status"], told["exitCode"]) == ("finished", 1)
        assert "runs something already" in told["msg"] and told["console"] == [["stderr", told["msg"] + "\n"]]
        service.go.set()
        assert (await frames(first))[-1]["status"] == "finished"


async def test_unexpected_failure_shows_no_internals(api: Any, service: Any) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        service.next_failure = RuntimeError("secret detail")
        await ws.send_str(query("say x"))
        (told,) = await frames(ws)
    assert "secret" not in json.dumps(told) and "log" in told["msg"] and told["status"] == "finished"


@pytest.mark.parametrize(
    ("error", "says"),
    [(ServiceUnavailable("the kernel cannot be reached"), "cannot be reached"), (OSError("x"), "log")],
)
async def test_failure_of_the_journal_is_told(api: Any, service: Any, error: Exception, says: str) -> None:
    ref = await api.create()
    service.next_run = {"fail_reading": error}
    async with api.execute(ref) as ws:
        await ws.send_str(query("say x"))
        (told,) = await frames(ws)
    assert told["status"] == "finished" and says in told["msg"] and told["console"][0][0] == "stderr"


async def test_journal_that_ends_early_is_told(api: Any, service: Any) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        await ws.send_str(query("wait"))
        await until(lambda: ref in service.running)
        await service.journals[ref].close()
        found = await frames(ws)
    assert "ended before the run" in found[-1]["msg"]


async def test_run_goes_on_without_its_client(api: Any, service: Any) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        await ws.send_str(query("say before\nwait\nsay after"))
        await ws.receive()
    service.go.set()
    run = next(iter(service.runs.values()))
    kinds = [record.kind async for record in run.records()]
    assert kinds == ["run-started", "stdout", "stdout", "run-finished"]


async def test_interrupt(api: Any, service: Any) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        await ws.send_str(query("wait"))
        await until(lambda: ref in service.running)
        assert (await api.send("POST", f"/session/{ref}/interrupt")).status == 204
        assert (await frames(ws))[-1]["exitCode"] == 130


async def test_stop_of_the_server_closes_the_stream(api: Any, runner: Any, service: Any) -> None:
    ref = await api.create()
    async with api.execute(ref) as ws:
        await ws.send_str(query("wait"))
        await until(lambda: ref in service.running)
        stopping = asyncio.ensure_future(runner.cleanup())
        closed = await ws.receive()
        assert closed.type is aiohttp.WSMsgType.CLOSE and closed.data == 1001
        await stopping
    assert ref in service.running
