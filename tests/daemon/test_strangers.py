"""Other users of the machine: what they could read of a backend's files, and requests that they have got hold of."""

from __future__ import annotations

import http.client
import json
import os
import signal
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bai_tui.app.config import Paths
from bai_tui.app.local import RunningBackend, read_running
from bai_tui.app.model.signing import authorization, signature

from .conftest import Command


@pytest.fixture(params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def lax(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def open_to_others(folder: Path) -> dict[str, str]:
    """Returns what is below a folder and may be read, written or entered by others."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        if "work" in path.parts:
            continue  # the user's own files, made with the user's own umask, in a folder that is closed
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISLNK(mode) and mode & 0o077:
            found[str(path.relative_to(folder))] = stat.filemode(mode)
    return found


def test_nothing_is_open_to_others_whatever_the_umask(bai_tui: Command, paths: Paths, lax: int) -> None:
    assert bai_tui("serve", "--detach", "--port=0").returncode == 0
    made = bai_tui("run", "--name", "private", "-c", "print(1)", "python")
    assert made.returncode == 0, made.stderr
    ended = bai_tui("run", "--rm", "-c", "print(2)", "python")
    assert ended.returncode == 0, ended.stderr
    assert any(paths.state.rglob("runner.sock"))
    for folder in (paths.state, paths.data, paths.cache, paths.config):
        if folder.is_dir():
            assert open_to_others(folder) == {}


def read_keypair(paths: Paths) -> tuple[str, str]:
    said = json.loads((paths.data / "keypair.json").read_text())
    return said["access_key"], said["secret_key"]


def _request(running: RunningBackend, paths: Paths) -> tuple[str, dict[str, str]]:
    host = urlsplit(running.endpoint).netloc
    access_key, secret_key = read_keypair(paths)
    date = datetime.now(UTC).isoformat(timespec="microseconds")
    mac = signature(
        secret_key=secret_key,
        method="POST",
        raw_target="/auth",
        date=date,
        host=host,
        content_type="application/json",
        api_version="v9.20250722",
    )
    return host, {
        "Date": date,
        "Host": host,
        "Content-Type": "application/json",
        "X-BackendAI-Version": "v9.20250722",
        "Authorization": authorization(access_key, mac),
    }


def _send(running: RunningBackend, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(running.endpoint).netloc, timeout=20)
    connection.request("POST", "/auth", body="{}", headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_a_stolen_request_is_refused_by_the_next_backend_too(bai_tui: Command, paths: Paths) -> None:
    assert bai_tui("serve", "--detach", "--port=0").returncode == 0
    first = read_running(paths)
    assert first is not None
    _, headers = _request(first, paths)
    assert _send(first, headers)[0] == 200
    assert _send(first, headers)[0] == 401

    os.kill(first.pid, signal.SIGKILL)
    port = urlsplit(first.endpoint).port
    assert bai_tui("serve", "--detach", f"--port={port}").returncode == 0
    second = read_running(paths)
    assert second is not None and second.pid != first.pid
    if second.endpoint != first.endpoint:
        pytest.skip("another program took the port meanwhile: the host is part of the signature")
    status, text = _send(second, headers)
    assert (status, "made before" in text) == (401, True), text
    _, fresh = _request(second, paths)
    assert _send(second, fresh)[0] == 200
    assert read_keypair(paths)[1] not in (paths.state / "requests.0").read_bytes().decode("latin-1")
