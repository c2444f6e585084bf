"""Asking the service manager for a scope, with a script in place of `busctl`: no systemd was at hand to try it on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from bai_tui.app.backend.engines import scopes

NAME = "bai-tui-0123abcd-7.scope"


class Manager:
    """What `busctl` finds: a bus, and a manager that moves processes."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.proc = base / "proc"
        (self.proc / "self").mkdir(parents=True)
        self.cgroup = self.proc / "self" / "cgroup"
        self.cgroup.write_text("0::/user.slice/user-7.slice/user@7.service/app.slice/term.scope\n")
        self.bin = base / "bin"
        self.bin.mkdir()
        self.said = base / "said"
        (base / "run").mkdir()
        (base / "run" / "bus").touch()
        monkeypatch.setenv("PATH", f"{self.bin}:/usr/bin:/bin")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base / "run"))
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)

    def does(self, script: str) -> None:
        program = self.bin / "busctl"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {self.said}\n{script}\n')
        program.chmod(0o755)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manager:
    return Manager(tmp_path, monkeypatch)


def test_a_delegated_scope_is_asked_for_and_waited_for(manager: Manager) -> None:
    manager.does(f"(sleep 0.05; echo 0::/user.slice/{NAME} > {manager.cgroup}) > /dev/null 2>&1 &\necho o /job/7")
    scopes.enter(NAME, manager.proc)
    assert manager.cgroup.read_text().endswith(f"/{NAME}\n")
    assert manager.said.read_text().splitlines() == [
        "--user",
        "call",
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        NAME,
        "fail",
        "4",
        *("Description", "s", "Sessions of bai-tui"),
        *("Delegate", "b", "true"),
        *("CollectMode", "s", "inactive-or-failed"),
        *("PIDs", "au", "1", str(os.getpid())),
        "0",
    ]


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'Call failed: Access denied' >&2; exit 1", "makes no scope: Call failed: Access denied"),
        ("exit 1", "makes no scope: busctl failed"),
        ("exec sleep 30", "did not answer within 0.2 s"),
        ("exit 0", "has not moved the backend within 0.2 s"),
    ],
)
def test_a_manager_that_does_not_do_it_costs_a_bounded_time(manager: Manager, script: str, problem: str) -> None:
    manager.does(script)
    begun = time.monotonic()
    with pytest.raises(OSError, match=problem):
        scopes.enter(NAME, manager.proc, answer_s=0.2)
    assert time.monotonic() - begun < 5


def test_a_service_is_not_taken_from_its_manager(manager: Manager) -> None:
    manager.does("exit 0")
    manager.cgroup.write_text("0::/user.slice/user-7.slice/user@7.service/app.slice/bai-tui.service\n")
    with pytest.raises(OSError, match="Delegate=yes"):
        scopes.enter(NAME, manager.proc)
    assert not manager.said.exists()


def test_without_a_bus_or_busctl_nothing_is_asked(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(manager.bin))
    with pytest.raises(OSError, match="no busctl"):
        scopes.enter(NAME, manager.proc)
    manager.does("exit 0")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(manager.bin))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(OSError, match=r"no user manager is running \(.*/bus is not there\)"):
        scopes.enter(NAME, manager.proc)
    assert not manager.said.exists()
