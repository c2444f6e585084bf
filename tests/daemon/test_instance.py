from __future__ import annotations

import errno
import json
import os
import socket
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from bai_tui.app.backend.daemon import check_host, listen
from bai_tui.app.backend.instance import InstanceLock, ServeFile, keep_keypair, local_keypair
from bai_tui.app.config import Paths
from bai_tui.app.local import read_running, running_backend
from bai_tui.app.model.errors import ConfigError


def test_the_lock_is_one_persons_at_a_time(tmp_path: Path) -> None:
    first, second = InstanceLock(tmp_path / "lock"), InstanceLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_the_keypair_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "keypair.json"
    pair = local_keypair(file, [])
    assert len(pair.access_key) == 20 and pair.access_key.startswith("AKIA") and pair.access_key.isupper()
    assert len(pair.secret_key) == 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert pair.secret_key not in repr(pair)
    assert local_keypair(file, [pair]) == pair
    file.chmod(0o644)
    again = local_keypair(file, [])
    assert (again.access_key, again.secret_key, again.user_uuid) == (pair.access_key, pair.secret_key, pair.user_uuid)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_lost_keypair_file_is_written_again_from_the_store(tmp_path: Path) -> None:
    file = tmp_path / "keypair.json"
    pair = local_keypair(file, [])
    file.unlink()
    assert local_keypair(file, [pair]) == pair
    assert json.loads(file.read_text())["secret_key"] == pair.secret_key


def test_the_keypair_of_the_file_stays_an_administrators(tmp_path: Path) -> None:
    file = tmp_path / "keypair.json"
    pair = local_keypair(file, [])
    assert pair.secret_key not in repr(pair)
    # whatever was done to the store; and the end of a backend between the file and the store
    stored = replace(pair, is_admin=False, is_active=False, secret_key="before the rotation")
    assert local_keypair(file, [stored]) == pair
    keep_keypair(file, replace(pair, secret_key="rotated"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert local_keypair(file, [pair]).secret_key == "rotated"
    assert [item.name for item in tmp_path.iterdir()] == ["keypair.json"]


def test_a_lost_file_is_not_made_from_the_keypair_of_somebody_else(tmp_path: Path) -> None:
    file = tmp_path / "keypair.json"
    pair = local_keypair(file, [])
    later = replace(pair, access_key="AKIA0", secret_key="x", created_at=datetime.now(UTC) + timedelta(1))
    other = replace(pair, access_key="AKIA1", user_id="eve@localhost", created_at=datetime.now(UTC) - timedelta(1))
    file.unlink()
    assert local_keypair(file, [later, other, pair]) == pair
    file.unlink()
    assert local_keypair(file, [other]).access_key not in ("AKIA1", pair.access_key)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"access_key": 1, "secret_key": "x"}'])
def test_a_damaged_keypair_file_is_told_and_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keypair.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"keypair\.json is damaged"):
        local_keypair(file, [])
    assert file.read_text() == text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x"}'])
def test_a_file_that_says_nothing_is_no_backend(paths: Paths, text: str) -> None:
    paths.state.mkdir(parents=True)
    (paths.state / "serve.json").write_text(text)
    assert read_running(paths) is None


def test_a_file_of_a_killed_backend_is_no_backend(paths: Paths) -> None:
    paths.state.mkdir(parents=True)
    file = ServeFile(paths.state / "serve.json")
    file.write(endpoint="http://127.0.0.1:1", version="1", api_version="v9", options=["--port=0"])
    found = read_running(paths)
    assert found is not None and found.pid == os.getpid()
    said = json.loads((paths.state / "serve.json").read_text())
    # the pid was given to another process, which started at another time
    (paths.state / "serve.json").write_text(json.dumps(said | {"start_time": said["start_time"] - 1}))
    assert read_running(paths) is None
    assert running_backend(paths) is None


def test_a_running_backend_without_its_keypair_is_told(paths: Paths) -> None:
    paths.state.mkdir(parents=True)
    ServeFile(paths.state / "serve.json").write(
        endpoint="http://127.0.0.1:1", version="1", api_version="v9", options=["--port=0"]
    )
    with pytest.raises(ConfigError, match="keypair"):
        running_backend(paths)


def test_only_loopback_is_listened_on() -> None:
    assert check_host("localhost") == "127.0.0.1"
    assert check_host("127.0.0.2") == "127.0.0.2"
    assert check_host("[::1]") == "::1"
    for host in ("0.0.0.0", "::", "10.0.0.1"):
        with pytest.raises(ConfigError, match="does not listen on"):
            check_host(host)
    with pytest.raises(ConfigError, match="no address"):
        check_host("example.org")


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with listen("127.0.0.1", port) as sock:
            assert sock.getsockname()[1] not in (0, port)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """New files take no byte, as on a disk without a free block; those that are there keep their room."""
    real = os.fdopen

    def refuse(fd: int, *_: object) -> IO[bytes]:
        real(fd).close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdopen", refuse)


@pytest.mark.usefixtures("full_disk")
def test_on_a_full_disk_a_backend_is_found_by_the_file_of_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "serve.json"
    file.write_text("x" * 4096)
    ServeFile(file).write(endpoint="http://127.0.0.1:1", version="1", api_version="1", options=())
    assert json.loads(file.read_bytes())["endpoint"] == "http://127.0.0.1:1"
    assert [path.name for path in tmp_path.iterdir()] == ["serve.json"], "nothing half written is left"


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "keypair.json").write_text('{"access_key": "AK", "secret_key": "SK"}')
    pair = local_keypair(tmp_path / "keypair.json", ())
    before = (tmp_path / "keypair.json").read_bytes()
    with pytest.raises(ConfigError, match="No space left on device; free some"):
        keep_keypair(tmp_path / "keypair.json", pair)
    assert (tmp_path / "keypair.json").read_bytes() == before, "a keypair is never written over in place"
    with pytest.raises(ConfigError, match="No space left on device; free some"):
        ServeFile(tmp_path / "serve.json").write(
            endpoint="http://127.0.0.1:1", version="1", api_version="1", options=()
        )
    assert [path.name for path in tmp_path.iterdir()] == ["keypair.json"]
