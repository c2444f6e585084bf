"""Several users of one backend, for real: who comes next, what limits hold, and what outlives a keypair."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from bai_tui.app.client.api import ApiClient, Endpoint
from bai_tui.app.config import Paths
from bai_tui.app.local import ensure_backend, is_alive, read_running, running_backend
from bai_tui.app.model.errors import AuthFailed, QuotaExceeded
from bai_tui.app.model.sessions import LIVE, SessionStatus

S = SessionStatus
T = TypeVar("T")
Command = Callable[..., Any]


class Machine:
    """The backend of this user, and its other users."""

    def __init__(self, bai_tui: Command, paths: Paths) -> None:
        self._bai_tui = bai_tui
        self.paths = paths
        self.keys: dict[str, tuple[str, str]] = {}

    def bai(self, *arguments: str) -> str:
        done = self._bai_tui(*arguments)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def start(self, config: str = "") -> None:
        self.paths.config.mkdir(parents=True, exist_ok=True)
        (self.paths.config / "config.toml").write_text(config)
        self.bai("serve", "--detach", "--port=0", "--mock-gpus=1:16g", "--cpu=8", "--mem=8g")

    def add(self, name: str) -> str:
        made = self.ask(None, lambda client: client.add_keypair(name))
        self.keys[name] = made.access_key, made.secret_key
        return made.access_key

    def endpoint(self, name: str | None = None) -> Endpoint:
        """Returns the endpoint as `name` sees it, None = as the one who runs it does."""
        found = running_backend(self.paths)
        assert found is not None
        if name is None:
            return found
        access_key, secret_key = self.keys[name]
        return replace(found, access_key=access_key, secret_key=secret_key, renew=None)

    def kill(self) -> None:
        """Lets another backend take the place of this one."""
        backend = read_running(self.paths)
        assert backend is not None
        os.kill(backend.pid, signal.SIGKILL)
        while is_alive(backend.pid, backend.start_time):
            pass
        ensure_backend(self.paths)  # as it was

    def ask(self, name: str | None, work: Callable[[ApiClient], Coroutine[Any, Any, T]]) -> T:
        async def go() -> T:
            async with ApiClient(self.endpoint(name)) as client:
                return await work(client)

        return asyncio.run(go())

    def create(self, owner: str | None, session: str, **more: Any) -> str:
        async def create(client: ApiClient) -> str:
            resources = {"cpu": "1", "mem": "128m", **more.pop("resources", {})}
            return (await client.create_session("python", name=session, resources=resources, **more)).status

        return self.ask(owner, create)

    def states(self, owner: str | None = None) -> dict[str, SessionStatus | None]:
        async def states(client: ApiClient) -> dict[str, SessionStatus | None]:
            return {view.name: view.status for view in await client.all_sessions(sorted(LIVE))}

        return self.ask(owner, states)

    async def _until_running(self, client: ApiClient, name: str) -> None:
        async for event in client.events(session=name):
            if (await client.session(name)).status is S.RUNNING:
                return
            assert event is not None

    def end(self, owner: str | None, session: str, *, starts: tuple[str | None, str]) -> None:
        """Ends a session; returns when that of (owner, name) runs in its place."""
        self.ask(owner, lambda client: client.terminate(session))
        self.ask(starts[0], lambda client: self._until_running(client, starts[1]))


@pytest.fixture
def machine(bai_tui: Command, paths: Paths) -> Machine:
    return Machine(bai_tui, paths)


@pytest.mark.parametrize("policy", ["drf", "fair-share"])
def test_who_has_least_comes_next(machine: Machine, policy: str) -> None:
    machine.start(f'[scheduler]\npolicy = "{policy}"\n')
    for name in ("alice", "bobby", "carol"):
        machine.add(name)
    half = {"resources": {"gpu": "0.5"}}
    machine.create("alice", "alice-1", **half)
    machine.create("alice", "alice-2", **half)
    for owner, name in (("alice", "alice-3"), ("bobby", "bobby-1"), ("bobby", "bobby-2"), ("carol", "carol-1")):
        machine.create(owner, name, enqueue_only=True, **half)
    assert [name for name, status in machine.states().items() if status is S.RUNNING] == ["alice-2", "alice-1"]
    machine.kill()  # whose turn it is is known to the next backend as well
    machine.end("alice", "alice-1", starts=("bobby", "bobby-1"))
    machine.end("alice", "alice-2", starts=("carol", "carol-1"))
    waiting = [name for name, status in machine.states().items() if status is S.PENDING]
    assert sorted(waiting) == ["alice-3", "bobby-2"]
    assert machine.states("bobby").keys() == {"bobby-1", "bobby-2"}


def test_limits_of_one_keypair_hold_for_it_alone(machine: Machine) -> None:
    machine.start()
    limited = machine.add("alice")
    machine.add("bobby")
    machine.bai("serve", "--stop")
    machine.start(
        f"[limits]\nmax_concurrent_sessions = 3\n[limits.keypair.{limited}]\nmax_concurrent_sessions = 1\n"
        "max_pending_session_count = 1\n"
    )
    for name in ("alice", "bobby"):
        machine.create(name, f"{name}-1")
        machine.create(name, f"{name}-2", enqueue_only=True)
    with pytest.raises(QuotaExceeded):
        machine.create("alice", "alice-3", enqueue_only=True)
    machine.ask("bobby", lambda client: machine._until_running(client, "bobby-2"))
    assert machine.states("alice") == {"alice-1": S.RUNNING, "alice-2": S.PENDING}

    async def reason(client: ApiClient) -> str:
        return str((await client.session("alice-2")).status_info)

    assert machine.ask("alice", reason) == "its owner runs 1 of 1 sessions"
    machine.end("alice", "alice-1", starts=("alice", "alice-2"))


def test_sessions_outlive_their_keypair(machine: Machine) -> None:
    """Revoked, or lost with the database: sessions go on, count, and can be ended by administrators."""
    machine.start()
    for name in ("alice", "bobby"):
        machine.add(name)
    half = {"resources": {"gpu": "0.5"}}
    machine.create("alice", "alice-1", **half)
    machine.create("bobby", "bobby-1", **half)
    machine.create("alice", "alice-2", enqueue_only=True, **half)
    machine.ask(None, lambda client: client.switch_keypair(machine.keys["alice"][0], is_active=False))
    with pytest.raises(AuthFailed, match="switched off"):
        machine.states("alice")
    machine.kill()
    with pytest.raises(AuthFailed, match="switched off"):
        machine.states("alice")
    assert machine.states() == {"alice-2": S.PENDING, "bobby-1": S.RUNNING, "alice-1": S.RUNNING}
    (pair,) = machine.ask(None, lambda client: client.keypairs("alice"))
    assert (pair.is_active, pair.sessions) == (False, 1)
    # what waits of a keypair that is switched off starts in its turn
    machine.end("bobby", "bobby-1", starts=(None, "alice-2"))
    machine.bai("serve", "--stop")
    for file in machine.paths.data.glob("bai-tui.db*"):
        file.unlink()
    machine.start()
    assert len(machine.ask(None, lambda client: client.keypairs())) == 1, "the one of the file"
    assert machine.states() == {"alice-2": S.RUNNING, "alice-1": S.RUNNING}
    machine.ask(None, lambda client: client.terminate("alice-1"))
    machine.ask(None, lambda client: client.terminate("alice-2"))
    assert machine.states() == {}
