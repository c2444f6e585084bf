"""The daemon is killed at any instant, again and again; its surroundings fail it; runners and machines go."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.runner import procs
from bai_tui.app.config import Paths
from bai_tui.app.local import read_running, running_backend
from bai_tui.benchmarks.burst import Door
from bai_tui.tests.waiting import until_here

Command = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.e2e
SERVE = ("serve", "--detach", "--port=0", "--mock-gpus=2")
_LIST = """query($limit: Int!, $offset: Int!) { compute_session_list(limit: $limit, offset: $offset) {
  total_count items { session_id name status status_info result occupied_slots status_data } } }"""


class Backend:
    """One daemon after the other over the same folders."""

    def __init__(self, command: Command, paths: Paths) -> None:
        self.command = command
        self.paths = paths

    def start(self) -> None:
        started = self.command(*SERVE)
        assert started.returncode == 0, started.stderr

    @property
    def pid(self) -> int:
        found = read_running(self.paths)
        assert found is not None
        return found.pid

    def kill(self) -> None:
        """Kills it as a crash would, and waits for its end."""
        found = read_running(self.paths)
        assert found is not None
        fd = os.pidfd_open(found.pid)
        os.kill(found.pid, signal.SIGKILL)
        assert select.select([fd], [], [], 10)[0]
        os.close(fd)

    def ask(self, method: str, target: str, body: dict[str, Any] | None = None) -> Any:
        import asyncio

        endpoint = running_backend(self.paths)
        assert endpoint is not None
        door = Door(endpoint.url, endpoint.access_key, endpoint.secret_key)
        return asyncio.run(door.ask(method, target, body or {}))

    def create(self, name: str, **fields: Any) -> str:
        body = {"name": name, "image": "python", "config": {"resources": {"cpu": "1", "mem": "64m"}}}
        return str(self.ask("POST", "/session", body | fields)["sessionId"])

    def listed(self) -> dict[str, dict[str, Any]]:
        """Returns name -> session, the newest of each name."""
        variables = {"limit": 500, "offset": 0}
        rows = self.ask("POST", "/admin/gql", {"query": _LIST, "variables": variables})
        return {row["name"]: row for row in reversed(rows["data"]["compute_session_list"]["items"])}

    def wait_for(self, name: str, *statuses: str, within_s: float = 20.0) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while True:
            session = self.listed().get(name, {})
            if session.get("status") in statuses:
                return session
            assert time.monotonic() < deadline, session
            time.sleep(0.02)  # between two looks: what the list says is what is waited for

    def promised(self) -> dict[str, dict[str, str]]:
        return {gpu["id"]: gpu["promised"] for gpu in self.ask("GET", "/machine")["gpus"]}

    def folder(self, session_id: str) -> Path:
        return self.paths.state / "sessions" / session_id


@pytest.fixture
def backend(bai_tui: Command, paths: Paths) -> Backend:
    made = Backend(bai_tui, paths)
    paths.config.mkdir(parents=True)
    (paths.config / "config.toml").write_text('cpu = 64\nmem = "64g"\n')
    made.start()
    return made


def gpu(amount: str, **opts: str) -> dict[str, Any]:
    return {"resources": {"cpu": "1", "mem": "64m", "gpu": amount}, "resource_opts": opts}


def marked(session_id: str) -> list[int]:
    """Returns the processes of a session."""
    found = []
    for pid in procs.table():
        with contextlib.suppress(OSError):
            if f"{procs.MARKER}={session_id}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def test_shares_are_rebuilt_exactly_and_the_queue_keeps_its_order(backend: Backend) -> None:
    for name, amount in (("a-03", "0.3"), ("b-07", "0.7"), ("c-025", "0.25"), ("d-04", "0.4")):
        backend.create(name, config=gpu(amount))
    backend.create("e-split", config=gpu("0.35", allow_fractional_resource_fragmentation="true"))
    before_all = [name for name, row in backend.listed().items() if row["status"] == "RUNNING"]
    assert len(before_all) == 5
    for name in ("wait-1", "wait-2", "wait-3"):
        backend.create(name, enqueueOnly=True, config=gpu("1"))
    before, rows = backend.promised(), backend.listed()
    for _ in range(3):  # it dies again and again
        backend.kill()
        backend.start()
        assert backend.promised() == before
        after = backend.listed()
        assert {name: row["occupied_slots"] for name, row in after.items()} == {
            name: row["occupied_slots"] for name, row in rows.items()
        }
        assert [name for name, row in after.items() if row["status"] == "PENDING"] == ["wait-1", "wait-2", "wait-3"]
    for name in before_all:
        backend.ask("DELETE", f"/session/{name}")
    for name in ("wait-1", "wait-2"):
        backend.wait_for(name, "RUNNING")
    after = backend.listed()
    assert [after[f"wait-{n}"]["status"] for n in (1, 2, 3)] == ["RUNNING", "RUNNING", "PENDING"]


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.06])
def test_a_start_is_cut_off_at_any_instant(backend: Backend, after_s: float) -> None:
    """Killed so long after the request: the session is there once, with one runner, or was never heard of."""
    backend.create("warm-up")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(backend.create, "cut-off", config=gpu("0.4"))
        time.sleep(after_s)  # no synchronisation: the instant is what is tried
        backend.kill()
        with contextlib.suppress(Exception):
            asked.result()
    backend.start()
    if "cut-off" in backend.listed():
        session = backend.wait_for("cut-off", "RUNNING")
        shares = [share for by in backend.promised().values() for share in by.items()]
        assert shares == [(session["session_id"], "0.4")]
        told = backend.command("run", "-q", "-t", "cut-off", "-c", "print(6 * 7)", "python")
        assert told.stdout == "42\n", told.stderr
        ids = [session["session_id"]]
    else:
        assert not any(backend.promised().values())
        ids = []
    known = {folder.name for folder in (backend.paths.state / "sessions").iterdir()}
    ids.append(backend.listed()["warm-up"]["session_id"])
    assert {one for one in known if marked(one)} == set(ids)


def test_a_bootstrap_script_that_was_cut_off_runs_again_in_a_fresh_folder(backend: Backend) -> None:
    script = "echo again >> tries; while [ ! -e ../../go ]; do sleep 0.02; done"
    session_id = backend.create("prepared", enqueueOnly=True, config={
        "resources": {"cpu": "1", "mem": "64m"}}, bootstrap_script=script)  # fmt: skip
    tries = backend.folder(session_id) / "work" / "tries"
    until_here(tries.exists)
    backend.kill()
    (backend.paths.state / "sessions" / "go").touch()
    backend.start()
    backend.wait_for("prepared", "RUNNING")
    assert tries.read_text() == "again\n"
    (backend.paths.state / "sessions" / "go").unlink()


def test_an_ending_that_was_cut_off_ends(backend: Backend) -> None:
    session_id = backend.create("stubborn", config=gpu("0.5"))
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    run = subprocess.Popen(
        [sys.executable, "-P", "-m", "bai_tui", "run", "-q", "-t", "stubborn", "-c", code, "python"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert run.stdout is not None and run.stdout.readline() == "up\n"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(backend.ask, "DELETE", "/session/stubborn")
        backend.wait_for("stubborn", "TERMINATING")
        backend.kill()
        with contextlib.suppress(Exception):
            asked.result()
    backend.start()
    run.kill()
    run.communicate()
    assert backend.wait_for("stubborn", "TERMINATED")["status_info"] in (
        "user-requested",
        "self-terminated: the session was ended",
    )
    assert not marked(session_id)
    assert not any(backend.promised().values())


@pytest.mark.parametrize("alive", [True, False], ids=["under a daemon", "while none lives"])
def test_a_runner_that_is_killed_ends_its_session_as_an_error(backend: Backend, alive: bool) -> None:
    session_id = backend.create("robbed", config=gpu("0.5"))
    assert backend.command("run", "-q", "-t", "robbed", "-c", "print('kept')", "python").returncode == 0
    runner = json.loads((backend.folder(session_id) / "runner.json").read_text())
    if not alive:
        backend.kill()
    os.kill(runner["pid"], signal.SIGKILL)
    if not alive:
        backend.start()
    session = backend.wait_for("robbed", "ERROR", within_s=3.0)
    assert session["status_info"].startswith("runner-died: the session's runner was killed")
    assert not marked(session_id)
    assert not any(backend.promised().values())
    records = backend.ask("GET", f"/session/{session_id}/journal?after=0")["records"]
    assert "kept" in json.dumps(records)


def test_after_a_start_of_the_machine_sessions_are_shown_terminated(backend: Backend) -> None:
    """A process of before cannot be had here; what is stored is made to be of another start of the machine."""
    session_id = backend.create("before", config=gpu("0.5"))
    waiting = backend.create("waiting", enqueueOnly=True, config=gpu("2"))
    backend.kill()
    noted = backend.folder(session_id) / "runner.json"
    runner = json.loads(noted.read_text())
    os.kill(runner["pid"], signal.SIGKILL)
    until_here(lambda: not procs.is_alive(runner["pid"], runner["start_time"]))
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        other = {"pid": stranger.pid, "start_time": procs.start_time(stranger.pid), "boot": "before:1"}
        noted.write_text(json.dumps(runner | other | {"kernel_pid": stranger.pid}))
        with sqlite3.connect(backend.paths.data / "bai-tui.db") as db:
            query = "UPDATE sessions SET record = json_set(record, '$.runner', json(?)) WHERE id = ?"
            db.execute(query, (json.dumps(runner | other), session_id))
        db.close()
        backend.start()
        session = backend.wait_for("before", "TERMINATED", "ERROR")
        assert (session["status"], session["status_info"][:18]) == ("TERMINATED", "machine-restarted:")
        assert backend.wait_for("waiting", "RUNNING")["session_id"] == waiting
        assert backend.ask("GET", f"/session/{session_id}/journal?after=0")["records"]
        assert stranger.poll() is None, "a process of now that has the id of one of before is left alone"
    finally:
        stranger.kill()
        stranger.wait()


@pytest.fixture
def locked(paths: Paths) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Lets another process hold the database; here: another connection."""
    held: list[sqlite3.Connection] = []

    def lock() -> sqlite3.Connection:
        db = sqlite3.connect(paths.data / "bai-tui.db", isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        held.append(db)
        return db

    yield lock
    for db in held:
        db.close()


def test_a_locked_database_holds_up_nobody_and_its_end_loses_nothing(
    backend: Backend, locked: Callable[[], sqlite3.Connection]
) -> None:
    backend.create("before")
    db = locked()
    session_id = backend.create("meanwhile", config=gpu("0.3"))
    assert (
        "locked by another process"
        in json.loads(backend.command("serve", "--status", "--output=json").stdout)["problems"][0]
    )
    told = backend.command("ps", "--name-only")
    assert "locked by another process" in " ".join(told.stderr.split())
    began = time.monotonic()
    assert backend.ask("GET", "/session/meanwhile")["status"] == "RUNNING"
    assert time.monotonic() - began < 1
    backend.kill()
    db.execute("ROLLBACK")
    backend.start()
    session = backend.listed()["meanwhile"]
    assert (session["session_id"], session["status"]) == (session_id, "RUNNING"), "the database never heard of it"
    assert [share for by in backend.promised().values() for share in by.values()] == ["0.3"]


def test_a_database_that_is_removed_under_the_backend_loses_nothing(backend: Backend) -> None:
    backend.create("first")
    backend.create("waiting", enqueueOnly=True, config=gpu("1.7"))
    backend.ask("DELETE", "/session/first")
    for file in backend.paths.data.glob("bai-tui.db*"):
        file.unlink()
    backend.create("second")
    backend.kill()
    backend.start()
    assert {name: row["status"] for name, row in backend.listed().items()} == {
        "first": "TERMINATED",
        "waiting": "RUNNING",
        "second": "RUNNING",
    }


def test_want_of_descriptors_is_told_and_passes(bai_tui: Command, paths: Paths) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    started = bai_tui(*SERVE, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
    assert started.returncode == 0, started.stderr
    backend = Backend(bai_tui, paths)
    backend.create("kept")
    endpoint = running_backend(paths)
    assert endpoint is not None
    import socket
    from urllib.parse import urlsplit

    place = urlsplit(endpoint.url)
    crowd: list[socket.socket] = []
    try:
        for _ in range(400):
            crowd.append(socket.create_connection((place.hostname, place.port), timeout=5))
        time.sleep(0.3)  # no synchronisation: the backend has time to accept what it can
        ticks = sum(map(int, Path(f"/proc/{backend.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        time.sleep(1.0)  # no synchronisation: how much it works in a second is what is measured
        spent = sum(map(int, Path(f"/proc/{backend.pid}/stat").read_text().rpartition(")")[2].split()[11:13])) - ticks
        assert spent < os.sysconf("SC_CLK_TCK") / 2, "it spins"
    finally:
        for sock in crowd:
            sock.close()

    def is_served() -> bool:
        with contextlib.suppress(Exception):
            return bool(backend.listed()["kept"]["status"] == "RUNNING")
        return False

    until_here(is_served)
    backend.create("after")
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits
