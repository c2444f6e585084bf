"""Where the engine is looked for, and what is said when it is not there."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from bai_tui.app.backend.containers import EngineGone, find_socket, sockets


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that stands for the machine: no engine of the real one is found."""
    usual = sockets._usual
    folder = Path(tempfile.mkdtemp(prefix="bt-engine-"))
    folder.chmod(0o755)

    def here(environ: Mapping[str, str]) -> Iterator[Path]:
        for path in usual(environ):
            yield path if path.is_relative_to(folder) else Path(f"{folder}{path}")

    monkeypatch.setattr(sockets, "_usual", here)
    yield folder
    shutil.rmtree(folder)


def listen(stack: ExitStack, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen()
    return path


def test_the_users_own_engine_goes_before_that_of_the_machine_and_one_that_is_named_before_both(machine: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": f"{machine}/user", "HOME": f"{machine}/home"}
    with ExitStack() as stack:
        docker = listen(stack, machine / "var/run/docker.sock")
        assert find_socket(environ=environ) == docker
        podman = listen(stack, machine / "user/podman/podman.sock")
        assert find_socket(environ=environ) == podman
        desktop = listen(stack, machine / "home/.docker/desktop/docker.sock")
        assert find_socket(environ=environ) == podman
        assert find_socket(f"unix://{desktop}", environ) == find_socket(str(desktop), environ) == desktop
        assert find_socket(environ={**environ, "DOCKER_HOST": f"unix://{docker}"}) == docker
        assert find_socket(str(desktop), {**environ, "DOCKER_HOST": "tcp://10.0.0.1:2375"}) == desktop
    # files of sockets are left where nothing listens any more
    with ExitStack() as stack:
        other = listen(stack, machine / "run/docker.sock")
        assert find_socket(environ=environ) == other


def test_what_keeps_an_engine_from_being_used_is_said(machine: Path) -> None:
    def said(setting: str = "", **environ: str) -> str:
        with pytest.raises(EngineGone) as gone:
            find_socket(setting, environ)
        return gone.value.message

    assert "no container engine listens here" in said()
    assert "only engines on a unix socket" in said(DOCKER_HOST="tcp://10.0.0.1:2375")
    assert "DOCKER_HOST" in said(DOCKER_HOST="ssh://somebody@somewhere")
    assert "no absolute path" in said("docker.sock")
    assert f"no container engine's socket {machine}/x (the setting" in said(f"{machine}/x")
    with ExitStack() as stack:
        path = listen(stack, machine / "var/run/docker.sock")
    assert f"nothing listens at the container engine's socket {path}" in said()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
def test_a_socket_of_others_is_told_of_only_when_it_can_be_seen(machine: Path) -> None:
    with ExitStack() as stack:
        hidden = listen(stack, machine / "run/podman/podman.sock")
        hidden.parent.chmod(0o700)
        shown = listen(stack, machine / "var/run/docker.sock")
        shown.chmod(0o600)
        os.seteuid(65534)
        stack.callback(os.seteuid, 0)
        with pytest.raises(EngineGone, match=f"{shown} may not be used by this user: join its group"):
            find_socket(environ={})
