"""The backend as a process of its own: started, found, stopped, killed, and taken over by the next."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from bai_tui.app.config import Paths
from bai_tui.app.local import ensure_backend, read_running, running_backend
from bai_tui.app.model.errors import ConfigError

Command = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.e2e
DETACH = ("serve", "--detach", "--port=0")


def kill(pid: int) -> None:
    """Kills a backend as a crash would, and waits for its end."""
    fd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([fd], [], [], 10)[0]
    os.close(fd)


def wait_for_records(paths: Paths) -> None:
    """Returns when every session's record lies in its folder, which is about a second after its start."""
    deadline = time.monotonic() + 20
    while not all((folder / "session.json").exists() for folder in (paths.state / "sessions").iterdir()):
        assert time.monotonic() < deadline, "no record was written"
        time.sleep(0.05)


def test_detach_returns_once_it_answers_and_stop_ends_it(bai_tui: Command, paths: Paths, home: Path) -> None:
    assert bai_tui("serve", "--status").returncode == 3
    started = bai_tui(*DETACH, "--mock-gpus=2:16g")
    assert started.returncode == 0, started.stderr
    found = read_running(paths)
    assert found is not None
    with urllib.request.urlopen(found.endpoint, timeout=10) as answer:
        assert json.load(answer)["version"].startswith("v")
    for file in ("serve.json", "serve.lock", "serve.log"):
        assert stat.S_IMODE((paths.state / file).stat().st_mode) == 0o600
    for folder in (paths.state, paths.data):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in ("keypair.json", "bai-tui.db"):
        assert stat.S_IMODE((paths.data / file).stat().st_mode) == 0o600

    status = json.loads(bai_tui("serve", "--status", "--output", "json").stdout)
    assert (status["pid"], status["endpoint"], status["sessions"]) == (found.pid, found.endpoint, 0)
    assert status["version"] == found.version

    again = bai_tui(*DETACH)
    assert again.returncode == 0
    assert f"runs already at {found.endpoint}" in again.stderr
    assert read_running(paths) == found

    endpoint = running_backend(paths)
    assert endpoint is not None
    exports = dict(line.removeprefix("export ").split("=", 1) for line in bai_tui("env").stdout.splitlines())
    assert exports == {
        "BACKEND_ENDPOINT": found.endpoint,
        "BACKEND_ENDPOINT_TYPE": "api",
        "BACKEND_ACCESS_KEY": endpoint.access_key,
        "BACKEND_SECRET_KEY": endpoint.secret_key,
    }

    stopped = bai_tui("serve", "--stop")
    assert stopped.returncode == 0, stopped.stderr
    assert read_running(paths) is None
    assert not (paths.state / "serve.json").exists()
    assert endpoint.secret_key not in (paths.state / "serve.log").read_text()
    assert {item.name for item in home.iterdir()} <= {".local", ".cache"}
    assert bai_tui("serve", "--stop").returncode == 0


def test_a_killed_backend_leaves_its_sessions_to_the_next(bai_tui: Command, paths: Paths) -> None:
    first = bai_tui("run", "-t", "kept", "-c", "x = 41", "python")
    assert first.returncode == 0, first.stderr
    before = read_running(paths)
    assert before is not None
    kill(before.pid)
    assert (paths.state / "serve.json").exists()
    assert read_running(paths) is None
    second = bai_tui("run", "-t", "kept", "-c", "print(x + 1)", "python")
    assert (second.returncode, second.stdout) == (0, "42\n"), second.stderr
    after = read_running(paths)
    assert after is not None and after.pid != before.pid
    assert bai_tui("serve", "--stop").returncode == 0
    third = bai_tui("run", "--rm", "-t", "kept", "-c", "print(x + 2)", "python")
    assert (third.returncode, third.stdout) == (0, "43\n"), third.stderr


def test_clients_that_start_it_at_once_get_one_backend(bai_tui: Command, paths: Paths) -> None:
    command = [sys.executable, "-P", "-m", "bai_tui", *DETACH]
    starting = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=50)[1] for process in starting]
    assert [process.returncode for process in starting] == [0, 0, 0], said
    found = read_running(paths)
    assert found is not None
    assert all(found.endpoint in text for text in said)


def test_a_taken_port_is_told(bai_tui: Command, paths: Paths) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert bai_tui("serve", "--detach", f"--port={port}").returncode == 0
    found = read_running(paths)
    assert found is not None and not found.endpoint.endswith(f":{port}")
    assert f"port {port} of 127.0.0.1 cannot be used" in (paths.state / "serve.log").read_text()


def test_the_sentence_of_a_failed_start_reaches_the_one_who_asked(bai_tui: Command, paths: Paths) -> None:
    refused = bai_tui("serve", "--detach", "--host=0.0.0.0")
    assert refused.returncode == 78
    assert "does not listen on 0.0.0.0" in refused.stderr
    paths.config.mkdir(parents=True)
    (paths.config / "config.toml").write_text("prot = 1")
    with pytest.raises(ConfigError, match="did you mean 'port'"):
        ensure_backend(paths)
    (paths.config / "config.toml").unlink()
    paths.data.mkdir(parents=True, exist_ok=True)
    (paths.data / "bai-tui.db").mkdir()
    with pytest.raises(ConfigError, match=r"bai-tui\.db"):
        ensure_backend(paths)
    (paths.data / "bai-tui.db").rmdir()
    paths.state.joinpath("serve.log").unlink()
    paths.state.joinpath("serve.log").mkdir()
    with pytest.raises(ConfigError, match=r"serve\.log"):
        ensure_backend(paths)


def test_a_damaged_database_does_not_end_sessions(bai_tui: Command, paths: Paths) -> None:
    first = bai_tui("run", "-t", "kept", "-c", "x = 41", "python")
    assert first.returncode == 0, first.stderr
    before = read_running(paths)
    assert before is not None
    wait_for_records(paths)
    kill(before.pid)
    for suffix in ("-wal", "-shm"):
        (paths.data / f"bai-tui.db{suffix}").unlink(missing_ok=True)
    (paths.data / "bai-tui.db").write_bytes(b"no database" * 1000)
    second = bai_tui("run", "--rm", "-t", "kept", "-c", "print(x + 1)", "python")
    assert (second.returncode, second.stdout) == (0, "42\n"), second.stderr
    (kept,) = paths.data.glob("bai-tui.db.corrupt-*")
    assert f"kept as {kept}" in second.stderr.replace("\n", " "), "the user hears of it"


def test_a_backend_whose_folder_is_removed_goes_with_its_sessions(bai_tui: Command, paths: Paths) -> None:
    made = bai_tui("run", "-q", "-t", "lost", "-c", "import os; print(os.getpid())", "python")
    assert made.returncode == 0, made.stderr
    found = read_running(paths)
    assert found is not None
    pids = [found.pid, int(made.stdout)]
    ends = [os.pidfd_open(pid) for pid in pids]
    shutil.rmtree(paths.state)
    for end in ends:
        assert select.select([end], [], [], 20)[0], "it runs where nobody can find it"
        os.close(end)


def test_a_backend_whose_lock_is_removed_leaves_its_sessions_to_the_next(bai_tui: Command, paths: Paths) -> None:
    assert bai_tui("run", "-q", "-t", "kept", "-c", "x = 41", "python").returncode == 0
    found = read_running(paths)
    assert found is not None
    end = os.pidfd_open(found.pid)
    (paths.state / "serve.lock").unlink()
    assert select.select([end], [], [], 20)[0]
    os.close(end)
    assert bai_tui("run", "-q", "--rm", "-t", "kept", "-c", "print(x + 1)", "python").stdout == "42\n"


def test_modules_of_the_folder_where_one_stands_are_not_taken_for_ours(bai_tui: Command, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('not mine')")
    (tmp_path / "aiohttp.py").write_text("raise SystemExit('not mine')")
    assert bai_tui(*DETACH, cwd=tmp_path).returncode == 0


def test_a_backend_that_replaces_a_killed_one_offers_the_same(bai_tui: Command, paths: Paths) -> None:
    """Sessions and queue count on the devices: they must be there again, though nobody types the options again."""
    assert bai_tui(*DETACH, "--mock-gpus=1").returncode == 0
    made = bai_tui("run", "-q", "-t", "shared", "-r", "gpu=0.5", "-c", "x = 41", "python")
    assert made.returncode == 0, made.stderr
    found = read_running(paths)
    assert found is not None
    kill(found.pid)
    assert bai_tui("run", "-q", "-t", "shared", "-c", "print(x + 1)", "python").stdout == "42\n"
    refused = bai_tui("run", "--enqueue-only", "-r", "gpu=1.5", "-c", "1", "python")
    assert "this machine has 1 cuda.shares in all" in " ".join(refused.stderr.split()), refused.stderr

    assert bai_tui("serve", "--stop", "--kill-sessions").returncode == 0
    anew = bai_tui("run", "--enqueue-only", "-r", "gpu=0.5", "-c", "1", "python")
    assert "this machine has no GPU" in anew.stderr
