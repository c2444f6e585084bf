"""Execution by long poll, and the journal."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from bai_tui.app.backend.api import execute_rest
from bai_tui.app.backend.ports import JournalRecord


@pytest.fixture(autouse=True)
def short_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute_rest, "POLL_S", 0.05)


async def say(api: Any, ref: str, **body: Any) -> dict[str, Any]:
    answer = await api.send("POST", f"/session/{ref}", body)
    assert answer.status == 200, answer.raw
    return dict(answer.json["result"])


async def test_query(api: Any) -> None:
    ref = await api.create()
    result = await say(api, ref, mode="query", code="say hello\nsay world\nexit 2", runId="run-1")
    assert result | {"seq": 0} == {
        "status": "finished",
        "runId": "run-1",
        "exitCode": 2,
        "options": None,
        "files": [],
        "console": [["stdout", "hello\n"], ["stdout", "world\n"]],
        "seq": 0,
    }


async def test_continue_and_input(api: Any, service: Any) -> None:
    ref = await api.create()
    first = await say(api, ref, mode="query", code="say a\nwait\nask who? ", options={})
    assert (first["status"], first["console"]) == ("continued", [["stdout", "a\n"]])
    run_id = first["runId"]
    assert (await say(api, ref, mode="continue", code="", runId=run_id))["console"] == []
    service.go.set()
    asked = await say(api, ref, mode="continue", code="", run_id=run_id)
    assert (asked["status"], asked["options"], asked["console"]) == (
        "waiting-input",
        {"is_password": False},
        [["stdout", "who? "]],
    )
    last = await say(api, ref, mode="input", code="Ada", runId=run_id)
    assert (last["status"], last["console"]) == ("finished", [["stdout", "hi Ada\n"]])


async def test_batch_tells_one_step_a_call(api: Any) -> None:
    ref = await api.create()
    result = await say(api, ref, mode="batch", code="", options={"exec": "say x"})
    steps = [result["status"]]
    while result["status"] != "finished":
        result = await say(api, ref, mode="continue", runId=result["runId"])
        steps.append(result["status"])
    assert steps == ["clean-finished", "build-finished", "finished"]
    assert result["console"] == [["stdout", "x\n"]]


async def test_what_is_said_before_the_journal_is_not_lost(api: Any, service: Any) -> None:
    ref = await api.create()
    assert (await say(api, ref, mode="query", code="die"))["status"] == "finished"
    service.next_run = {"notice": "started anew\n"}
    result = await say(api, ref, mode="query", code="say a")
    assert result["console"] == [["stderr", "started anew\n"], ["stdout", "a\n"]]


async def test_two_runs_do_not_mix(api: Any) -> None:
    ref = await api.create()
    await say(api, ref, mode="query", code="say one", runId="one")
    assert (await say(api, ref, mode="query", code="say two", runId="two"))["console"] == [["stdout", "two\n"]]


async def test_flood_is_cut_into_answers(api: Any) -> None:
    ref = await api.create()
    result = await say(api, ref, mode="query", code="flood 60000")
    seen = [data for _, data in result["console"]]
    assert result["status"] == "continued" and 0 < len(seen) < 60_000
    while result["status"] != "finished":
        result = await say(api, ref, mode="continue", runId=result["runId"])
        seen += [data for _, data in result["console"]]
    assert seen == [f"{number:06} ünï\n" for number in range(60_000)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"mode": "dance"}, 400),
        ({"mode": "continue"}, 400),
        ({"mode": "continue", "runId": "never-was"}, 404),
        ({"mode": "input", "runId": "never-was", "code": "x"}, 404),
        ({"mode": "query", "runId": "a/b"}, 400),
        ({"mode": "query", "code": 1}, 400),
    ],
)
async def test_refusals(api: Any, body: dict[str, Any], status: int) -> None:
    ref = await api.create()
    assert (await api.send("POST", f"/session/{ref}", body)).status == status


async def test_run_ids_are_used_once(api: Any) -> None:
    ref = await api.create()
    await say(api, ref, mode="query", code="say a", runId="once")
    answer = await api.send("POST", f"/session/{ref}", {"mode": "query", "code": "say b", "runId": "once"})
    assert answer.problem == "invalid-api-params"


async def test_complete_mode(api: Any) -> None:
    ref = await api.create()
    result = await say(api, ref, mode="complete", code="pro", options={"row": 0, "col": 3})
    assert result["suggestions"] == ["property"]


async def test_journal(api: Any, service: Any) -> None:
    ref = await api.create("journal-01")
    await say(api, ref, mode="query", code="say a\nsay b", runId="r1")
    whole = (await api.send("GET", "/session/journal-01/journal")).json["records"]
    assert [(r["seq"], r["run"], r["rec"][0]) for r in whole] == [
        (1, "r1", "run-started"),
        (2, "r1", "stdout"),
        (3, "r1", "stdout"),
        (4, "r1", "run-finished"),
    ]
    assert set(whole[0]) == {"seq", "t", "run", "rec"}
    some = (await api.send("GET", f"/session/{ref}/journal?after=1&limit=1")).json["records"]
    assert some == [whole[1]]
    assert (await api.send("GET", f"/session/{ref}/journal?after=4&wait=0.01")).json == {"records": []}
    await api.send("DELETE", f"/session/{ref}")
    assert (await api.send("GET", f"/session/{ref}/journal?wait=30")).json["records"][:4] == whole
    for bad in ("after=x", "limit=0", "wait=-1", "after=nan"):
        assert (await api.send("GET", f"/session/{ref}/journal?{bad}")).problem == "invalid-api-params"


async def test_logs(api: Any) -> None:
    ref = await api.create()
    await say(api, ref, mode="query", code="say a\nerr b")
    assert (await api.send("GET", f"/session/{ref}/logs")).json == {"result": {"logs": "a\nb\n"}}


@pytest.mark.parametrize(
    ("later", "status", "said"),
    [
        # the gap lies inside of the run, which goes on
        (("r1", "stdout", "tail"), "continued", "tail"),
        (("r1", "run-finished", {"exitCode": 0}), "finished", ""),
        # output of a process in the background tells nothing of the run
        ((None, "stdout", "behind"), "continued", ""),
        # another run: the end of this one is in the gap
        (("r2", "run-started", {}), "finished", "How the run ended was dropped with its output.\n"),
    ],
)
async def test_what_was_dropped_is_told_and_an_end_among_it_too(
    api: Any, service: Any, monkeypatch: pytest.MonkeyPatch, later: Any, status: str, said: str
) -> None:
    ref = await api.create()
    first = await say(api, ref, mode="query", code="wait", runId="r1")
    gap = ["dropped", {"first": first["seq"] or 2, "last": 90, "bytes": 4096}]
    found = [JournalRecord(90, 1.0, None, "dropped", json.dumps(gap).encode())]
    found.append(JournalRecord(91, 1.0, later[0], later[1], json.dumps(later[1:]).encode()))

    async def journal(caller: Any, ref: str, *, after: int, limit: int, wait_s: float) -> list[JournalRecord]:
        if after >= 91:
            await asyncio.sleep(wait_s)  # as long as the service does when nothing comes
        return [record for record in found if record.seq > after]

    monkeypatch.setattr(service, "journal", journal)
    result = await say(api, ref, mode="continue", runId="r1")
    text = "".join(data for _, data in result["console"])
    assert text == "\n[4 KiB of output were dropped here: the journal of the session keeps no more]\n" + said
    exit_code = None if status == "continued" else int(bool(said))
    assert (result["status"], result["exitCode"]) == (status, exit_code)
