"""The journal over a websocket, and runs that outlive their connection: nothing missing, nothing twice."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import WSCloseCode, WSMsgType, web
from bai_tui.app.client.api import ApiClient, Endpoint
from bai_tui.app.client.patience import Patience, persist
from bai_tui.app.client.resume import frames_of
from bai_tui.app.client.views import Ending, JournalLine
from bai_tui.app.model.console import ExecuteRequest, Frame, RunMode, RunStatus
from bai_tui.app.model.errors import ConfigError, IllegalState, RemoteError, SessionNotFound, Unreachable
from bai_tui.tests.waiting import until

from .conftest import ACCESS_KEY, SECRET_KEY, FakeServer, problem

SID = "46f98ea2-63be-4987-bf8a-26eeb2d7c504"
FOLLOW = f"GET /stream/session/{SID}/journal"
EXECUTE = f"GET /stream/session/{SID}/execute"
QUERY = ExecuteRequest(RunMode.QUERY, "print(1)")


@dataclass
class Backend:
    """Keeps a journal; breaks its connections after so many records."""

    server: FakeServer
    records: list[list[Any]] = field(default_factory=list)
    """[run, kind, data]"""
    cuts: list[int] = field(default_factory=list)
    """Of each connection after the other: so many records are sent, then it breaks; those after the last stay whole."""
    ended: bool = True
    asked_after: list[int] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    executed: list[Any] = field(default_factory=list)
    frames: list[Any] = field(default_factory=list)
    """Of the execute stream, which breaks at their end."""
    runs: list[Any] = field(default_factory=list)
    last_heard: list[WSMsgType] = field(default_factory=list)
    """Of those that follow a session that goes on."""
    close_code: int = 0
    """0 = the connection is cut."""

    def __post_init__(self) -> None:
        self.server.handshake["bai-tui"] = {"capabilities": ["journal", "follow"]}
        self.server.answers[FOLLOW] = self.follow
        self.server.answers[EXECUTE] = self.execute
        self.server.answers[f"GET /session/{SID}/runs"] = self.list_runs

    async def list_runs(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"runs": self.runs})

    async def _break(self, socket: web.WebSocketResponse, request: web.Request) -> web.WebSocketResponse:
        if self.close_code:
            await socket.close(code=self.close_code)
        else:
            assert request.transport is not None
            request.transport.abort()
        return socket

    async def follow(self, request: web.Request) -> web.StreamResponse:
        after = int(request.query["after"])
        self.asked_after.append(after)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        cut = self.cuts.pop(0) if self.cuts else None
        lines = [
            {"seq": seq, "t": 1.5, "run": run, "rec": [kind, data]}
            for seq, (run, kind, data) in enumerate(self.records, 1)
            if seq > after
        ][:cut]
        for first in range(0, len(lines), 2):
            await socket.send_json({"records": lines[first : first + 2]})
            if any(line["rec"][0] == "waiting-input" for line in lines[first : first + 2]):
                message = await socket.receive()
                if message.type is WSMsgType.TEXT:
                    self.answers.append(json.loads(message.data))
        if cut is not None:
            return await self._break(socket, request)
        if self.ended:
            await socket.send_json({"ended": True, "status": "TERMINATED", "reason": "user-requested"})
        else:
            self.last_heard.append((await socket.receive()).type)
        await socket.close()
        return socket

    async def execute(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.executed.append(await socket.receive_json())
        for frame in self.frames:
            await socket.send_json(frame)
        return await self._break(socket, request)


@pytest.fixture
def backend(server: FakeServer) -> Backend:
    return Backend(server)


@pytest.fixture
def patience(endpoint: Endpoint) -> Patience:
    async def find() -> Endpoint:
        return endpoint

    return Patience(find, limit_s=5)


def lines(count: int, run: str | None = None) -> list[list[Any]]:
    return [[run, "stdout", f"{number}\n"] for number in range(1, count + 1)]


async def read(client: ApiClient, **options: Any) -> tuple[list[int], Ending | None]:
    following = client.follow(SID, **options)
    async with aclosing(following.batches()) as batches:
        seqs = [line.seq async for batch in batches for line in batch]
    return seqs, following.ending


async def test_a_journal_is_followed_to_the_end_of_its_session(client: ApiClient, backend: Backend) -> None:
    backend.records = lines(5)
    assert await read(client) == ([1, 2, 3, 4, 5], Ending("TERMINATED", "user-requested"))
    assert (await read(client, after=3))[0] == [4, 5]


@pytest.mark.parametrize("close_code", [0, WSCloseCode.GOING_AWAY])
async def test_a_lost_connection_is_made_again_where_it_was(
    client: ApiClient, backend: Backend, patience: Patience, close_code: int
) -> None:
    backend.records, backend.cuts, backend.close_code = lines(20), [3, 0, 5], close_code
    assert (await read(client, patience=patience))[0] == list(range(1, 21))
    assert backend.asked_after[0] == 0 and sorted(backend.asked_after) == backend.asked_after


async def test_without_patience_it_breaks(client: ApiClient, backend: Backend) -> None:
    backend.records, backend.cuts = lines(5), [2]
    with pytest.raises(Unreachable, match="connection lost"):
        await read(client)


async def test_a_refusal_is_no_loss(client: ApiClient, backend: Backend, patience: Patience) -> None:
    async def gone(request: web.Request) -> web.StreamResponse:
        return problem(404, "object-not-found", "No such session.", error_code="session_read_not-found", msg="gone")

    backend.server.answers[FOLLOW] = gone
    with pytest.raises(SessionNotFound):
        await read(client, patience=patience)


async def test_a_failure_of_the_backend_is_told(client: ApiClient, backend: Backend, patience: Patience) -> None:
    async def failing(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"error": "the disk is gone"})
        await socket.close()
        return socket

    backend.server.answers[FOLLOW] = failing
    with pytest.raises(RemoteError, match="the disk is gone"):
        await read(client, patience=patience)


async def test_who_leaves_early_closes(client: ApiClient, backend: Backend) -> None:
    backend.records, backend.ended = lines(3), False
    async with aclosing(client.follow(SID).batches()) as batches:
        async for _ in batches:
            break
    await until(lambda: backend.last_heard)
    assert backend.last_heard == [WSMsgType.CLOSE]


# --- patience


async def test_patience_ends(client: ApiClient, backend: Backend) -> None:
    told: list[str] = []

    async def find() -> Endpoint:
        raise Unreachable("nobody is there")

    with pytest.raises(Unreachable, match=r"connection lost.*nobody is there"):
        backend.records, backend.cuts = lines(5), [2]
        await read(client, patience=Patience(find, limit_s=0.2, tell_after_s=0, lost=told.append))
    assert len(told) == 1 and "connection lost" in told[0]


async def test_a_backend_that_cannot_be_started_is_named(client: ApiClient) -> None:
    async def find() -> Endpoint:
        raise ConfigError("it cannot be started; see the log")

    with pytest.raises(ConfigError, match="see the log"):
        await Patience(find, limit_s=0.1).restore(client, Unreachable("lost"))


async def test_the_server_may_be_found_elsewhere(client: ApiClient, backend: Backend, server: FakeServer) -> None:
    """Another port, another keypair: the client goes there with everything."""
    events: list[str] = []
    tries = [Endpoint("http://127.0.0.1:9", ACCESS_KEY, SECRET_KEY), Endpoint(server.url, ACCESS_KEY, SECRET_KEY)]

    async def find() -> Endpoint:
        return tries.pop(0)

    patience = Patience(
        find, tell_after_s=0, lost=lambda text: events.append("lost"), back=lambda: events.append("back")
    )
    await patience.restore(client, Unreachable("connection lost"))
    assert events == ["lost", "back"]
    assert client.endpoint.url == server.url
    assert await client.list_runs(SID) == []


async def test_what_may_be_done_twice_is_done_again(client: ApiClient, backend: Backend, patience: Patience) -> None:
    outcomes: list[Any] = [Unreachable("lost"), RemoteError("stopping", http_status=503), "done"]

    async def work() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    assert await persist(client, patience, work) == "done"
    outcomes[:] = [RemoteError("no", http_status=409)]
    with pytest.raises(RemoteError):
        await persist(client, patience, work)
    outcomes[:] = [Unreachable("lost")]
    with pytest.raises(Unreachable):
        await persist(client, None, work)


# --- runs that go on


async def collect(client: ApiClient, patience: Patience, answer: str = "") -> list[Frame]:
    frames = []
    async with client.execute(SID, QUERY, patience=patience) as stream:
        async for frame in stream:
            frames.append(frame)
            if frame.status is RunStatus.WAITING_INPUT:
                await stream.send_input(answer)
    return frames


def text(frames: list[Frame]) -> str:
    return "".join(str(data) for frame in frames for _, data in frame.console)


def run_of(backend: Backend, *, after: int = 0) -> None:
    """Lets the backend know of the run that it is asked for."""
    original = backend.list_runs

    async def list_runs(request: web.Request) -> web.StreamResponse:
        backend.runs = [{"id": backend.executed[-1]["runId"], "after": after}] if backend.executed else []
        for record in backend.records:
            record[0] = record[0] and backend.executed[-1]["runId"]
        return await original(request)

    backend.server.answers[f"GET /session/{SID}/runs"] = list_runs


async def test_a_run_goes_on_after_the_last_frame(client: ApiClient, backend: Backend, patience: Patience) -> None:
    backend.frames = [{"status": "continued", "console": [["stdout", "1\n"], ["stdout", "2\n"]], "seq": 3}]
    backend.cuts = [3, 2]

    async def follow(request: web.Request) -> web.StreamResponse:
        run = backend.executed[0]["runId"]
        other = [[None, "stdout", "of nobody\n"]]
        backend.records = [[run, "run-started", {}], *lines(4, run), *other, *lines(2, run)]
        backend.records.append([run, "run-finished", {"exitCode": 7}])
        return await backend.follow(request)

    backend.server.answers[FOLLOW] = follow
    frames = await collect(client, patience)
    assert text(frames) == "1\n2\n3\n4\n1\n2\n"
    assert (frames[-1].status, frames[-1].exit_code) == (RunStatus.FINISHED, 7)
    assert backend.asked_after[0] == 3
    assert len(backend.executed) == 1


async def test_a_run_that_never_arrived_is_begun_once_more(
    client: ApiClient, backend: Backend, patience: Patience
) -> None:
    original = backend.execute

    async def execute(request: web.Request) -> web.StreamResponse:
        if backend.executed:
            backend.frames = [{"status": "finished", "exitCode": 0, "console": [["stdout", "once\n"]]}]
        return await original(request)

    backend.server.answers[EXECUTE] = execute
    assert text(await collect(client, patience)) == "once\n"
    first, second = backend.executed
    assert first["runId"] == second["runId"]


async def test_a_run_that_began_unseen_is_read_from_its_beginning(
    client: ApiClient, backend: Backend, patience: Patience
) -> None:
    backend.records = [[None, "stdout", "before\n"], ["r", "stdout", "seen\n"], ["r", "run-finished", {"exitCode": 0}]]
    run_of(backend, after=1)
    assert text(await collect(client, patience)) == "seen\n"
    assert backend.asked_after == [1]


async def test_a_run_that_is_refused_because_it_goes_on_is_followed(
    client: ApiClient, backend: Backend, patience: Patience
) -> None:
    """The first request was still on its way when the second one came."""
    backend.records = [["r", "stdout", "mine\n"], ["r", "run-finished", {"exitCode": 0}]]
    looks = 0

    async def list_runs(request: web.Request) -> web.StreamResponse:
        nonlocal looks
        looks += 1
        run_id = backend.executed[-1]["runId"]
        for record in backend.records:
            record[0] = run_id
        backend.frames = [{"status": "finished", "exitCode": 1, "runId": "", "msg": "another run is going on"}]
        return web.json_response({"runs": [{"id": run_id, "after": 0}] if looks > 1 else []})

    backend.server.answers[f"GET /session/{SID}/runs"] = list_runs
    assert text(await collect(client, patience)) == "mine\n"


async def test_a_prompt_is_answered_over_the_new_connection(
    client: ApiClient, backend: Backend, patience: Patience
) -> None:
    backend.records = [
        ["r", "waiting-input", {"is_password": True}],
        ["r", "stdout", "hi\n"],
        ["r", "run-finished", {"exitCode": 0}],
    ]
    run_of(backend)
    frames = await collect(client, patience, "Ada")
    assert frames[0].options == {"is_password": True}
    assert backend.answers == [{"run": backend.executed[0]["runId"], "input": "Ada", "prompt": 1}]


async def test_an_answer_that_may_have_been_lost_is_given_again(
    client: ApiClient, backend: Backend, patience: Patience
) -> None:
    """Over the stream that breaks right after it, and over each connection until the server has it."""
    backend.records = [["r", "stdout", "who?"], ["r", "waiting-input", {}], ["r", "stdout", "hi\n"]]
    backend.records.append(["r", "run-finished", {"exitCode": 0}])
    run_of(backend)
    given: list[Any] = []

    async def execute(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        backend.executed.append(await socket.receive_json())
        await socket.send_json({"status": "waiting-input", "seq": 2, "runId": "r", "options": {}})
        given.append(await socket.receive_str())
        return await backend._break(socket, request)

    async def follow(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        given.append(await socket.receive_json())
        if len(given) < 3:
            return await backend._break(socket, request)
        await socket.send_json({"run": given[-1]["run"], "prompt": 2, "taken": False})
        await socket.close()
        backend.server.answers[FOLLOW] = backend.follow
        return socket

    backend.server.answers[EXECUTE], backend.server.answers[FOLLOW] = execute, follow

    looks = asyncio.ensure_future(collect(client, patience, "Ada"))
    await until(lambda: backend.executed)
    for record in backend.records:
        record[0] = backend.executed[0]["runId"]
    assert text(await looks) == "hi\n"
    again = {"run": backend.executed[0]["runId"], "input": "Ada", "prompt": 2}
    assert given == ["Ada", again, again]
    assert backend.answers == []


async def test_a_session_that_ended_meanwhile_ends_the_run(
    client: ApiClient, backend: Backend, patience: Patience
) -> None:
    backend.records = [["r", "stdout", "last words\n"]]
    run_of(backend)
    frames = await collect(client, patience)
    assert text(frames) == "last words\nthe session ended while the code ran: user-requested\n"
    assert (frames[-1].status, frames[-1].exit_code) == (RunStatus.FINISHED, 1)


async def test_a_cluster_is_asked_plainly_and_breaks(client: ApiClient, backend: Backend, patience: Patience) -> None:
    del backend.server.handshake["bai-tui"]
    with pytest.raises(Unreachable):
        await collect(client, patience)
    assert backend.executed == [{"code": "print(1)", "mode": "query", "options": {}}]


def test_frames_of_a_journal() -> None:
    told = [
        ("r", "run-started", {}),
        ("r", "stdout", "a"),
        ("r", "dropped", {"first": 3, "last": 9, "bytes": 2048}),
        (None, "stdout", "of nobody"),
        ("r", "build-finished", {"exitCode": 2}),
        ("r", "media", ["image/png", "x"]),
        (None, "kernel-died", {"exitCode": 1, "reason": "it died beside the run"}),
        ("r", "kernel-died", {"exitCode": None, "signal": "SIGSEGV", "reason": "killed"}),
    ]
    found = list(frames_of([JournalLine(seq, 0.0, *record) for seq, record in enumerate(told, 1)], "r"))
    assert [(frame.status, frame.exit_code, frame.seq) for frame in found] == [
        (RunStatus.BUILD_FINISHED, 2, 5),
        (RunStatus.FINISHED, 1, 8),
    ]
    assert [kind for kind, _ in found[0].console] == ["stdout", "stderr"]
    assert "2 KiB of output were dropped" in found[0].console[1][1]
    assert found[1].console == [("media", ["image/png", "x"]), ("stderr", "The kernel died: killed (SIGSEGV).\n")]


# --- answers to what somebody else runs


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({"run": "r", "prompt": 3, "taken": True}, None),
        ({"run": "r", "prompt": 3, "taken": False}, None),
        ({"run": "r", "prompt": 3, "error": "the run has ended"}, "the run has ended"),
        ({"ended": True, "status": "TERMINATED", "reason": "idle"}, "session has ended"),
    ],
)
async def test_an_answer_is_confirmed_by_the_server(
    client: ApiClient, server: FakeServer, told: dict[str, Any], wrong: str | None
) -> None:
    asked: list[Any] = []

    async def take(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked.append((request.query["attach"], await socket.receive_json()))
        await socket.send_json({"records": []})
        await socket.send_json(told)
        await socket.close()
        return socket

    server.answers[FOLLOW] = take
    if wrong is None:
        await client.answer(SID, "r", "Ada", 3)
    else:
        with pytest.raises(IllegalState, match=wrong):
            await client.answer(SID, "r", "Ada", 3)
    assert asked == [("true", {"run": "r", "input": "Ada", "prompt": 3})]
