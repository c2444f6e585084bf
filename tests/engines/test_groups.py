"""Which control groups are found and what is written to them, on made-up machines."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from bai_tui.app.backend.engines import groups as module
from bai_tui.app.backend.engines.groups import MemoryGroup, MemoryGroups

V1 = "36 31 0:33 {root} {mount} rw,relatime shared:15 - cgroup cgroup rw,memory\n"
V2 = "35 31 0:30 {root} {mount} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


class Machine:
    """A folder that looks like /proc and /sys/fs/cgroup. Files of a real group appear and go with it; here not."""

    def __init__(self, base: Path) -> None:
        self.proc = base / "proc"
        self.mount = base / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        self.state = base / "state"

    def says(self, cgroup: str, mountinfo: str, root: str = "/") -> None:
        (self.proc / "self" / "cgroup").write_text(cgroup)
        mount = str(self.mount).replace(" ", "\\040")
        (self.proc / "self" / "mountinfo").write_text(
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + mountinfo.format(root=root, mount=mount)
        )

    def group(self, path: str, **files: str) -> Path:
        folder = self.mount / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        return folder

    def find(self) -> MemoryGroups:
        return MemoryGroups.find(self.state, self.proc)


def rmdir(path: Path) -> None:
    if path.exists() and (path / "cgroup.procs").exists() and (path / "cgroup.procs").read_text():
        raise OSError(errno.EBUSY, "Device or resource busy")
    shutil.rmtree(path)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(module, "_rmdir", rmdir)
    return Machine(tmp_path / "a machine")


def test_version_1(machine: Machine) -> None:
    machine.says("4:memory:/user/me\n3:cpu,cpuacct:/\n0::/\n", V1 + V2)
    own = machine.group("user/me", memory__limit_in_bytes="9223372036854771712")
    found = machine.find()
    assert found.problem == ""
    group = found.make(77, (77, 78))
    assert group is not None
    assert group.path.parent == own
    group.limit(1 << 20)
    assert (group.path / "memory.memsw.limit_in_bytes").read_text() == "1048576", "swap is memory, too"
    assert (group.limit_bytes(), group.events.name) == (1 << 20, "memory.oom_control")
    assert group.pids() == [78]
    assert not group.remove(0.01), "a process is left"
    (group.path / "cgroup.procs").write_text("")
    assert group.remove()
    assert group.remove(), "it is gone: that is what was wanted"


def test_version_1_in_a_container_that_sees_a_part(machine: Machine) -> None:
    machine.says("4:memory:/docker/abc/x\n", V1, root="/docker/abc")
    own = machine.group("x", memory__limit_in_bytes="1")
    group = machine.find().make(1, ())
    assert group is not None
    assert group.path.parent == own


def test_version_2_delegated_and_prepared(machine: Machine) -> None:
    machine.says("0::/service\n", V2)
    own = machine.group("service", cgroup__subtree_control="cpu memory", cgroup__procs="")
    group = machine.find().make(5, (5,))
    assert group is not None
    assert group.path.parent == own
    group.limit(1 << 30)
    assert (group.path / "memory.max").read_text() == "1073741824"
    assert (group.path / "memory.swap.max").read_text() == "0"
    assert (group.version, group.limit_bytes(), group.events.name) == (2, 1 << 30, "memory.events")


def test_version_2_makes_room_for_groups_by_moving_the_backend_down(machine: Machine) -> None:
    machine.says("0::/service\n", V2)
    own = machine.group(
        "service", cgroup__controllers="memory pids", cgroup__subtree_control="", cgroup__procs=f"{os.getpid()}\n"
    )
    assert machine.find().problem == ""
    assert (own / "bai-tui-backend" / "cgroup.procs").read_text() == str(os.getpid())
    assert (own / "cgroup.subtree_control").read_text() == "+memory"
    # the next backend is started from there
    machine.says("0::/service/bai-tui-backend\n", V2)
    (own / "cgroup.subtree_control").write_text("memory")
    group = machine.find().make(6, ())
    assert group is not None
    assert group.path.parent == own


@pytest.mark.parametrize(
    ("cgroup", "mounts", "files", "problem"),
    [
        ("0::/a\n", V2, {"cgroup__controllers": "cpu", "cgroup__procs": ""}, "no memory controller is delegated"),
        ("0::/a\n", V2, {"cgroup__controllers": "memory", "cgroup__procs": "1\n"}, "shared with processes"),
        ("0::/../b\n", V2, {}, "outside of what is mounted"),
        ("4:memory:/a\n", V1, {}, "has no limit of memory"),
        ("", V1, {}, "no control groups are mounted"),
        ("0::/\n", "", {}, "no control groups are mounted"),
    ],
)
def test_where_there_are_none_it_says_why(
    machine: Machine, cgroup: str, mounts: str, files: dict[str, str], problem: str
) -> None:
    machine.says(cgroup, mounts)
    machine.group("a", **files)
    found = machine.find()
    assert problem in found.problem
    assert found.make(1, ()) is None


def test_a_machine_without_proc(tmp_path: Path) -> None:
    assert MemoryGroups.find(tmp_path, tmp_path / "none").problem == "no control groups are mounted"


def test_a_group_that_may_not_be_made(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.says("4:memory:/a\n", V1)
    own = machine.group("a", memory__limit_in_bytes="1")

    def refuse(path: Path, *_args: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    problem = machine.find().problem
    assert problem.startswith(f"{own}/bai-tui-")
    assert problem.endswith("-probe cannot be written: Permission denied")


def test_version_2_that_refuses_its_controller_is_left_as_it_was(machine: Machine) -> None:
    machine.says("0::/service\n", V2)
    own = machine.group("service", cgroup__controllers="memory", cgroup__procs=f"{os.getpid()}\n")
    (own / "cgroup.subtree_control").mkdir()  # nothing can be written there
    assert machine.find().problem == f"{own / 'cgroup.subtree_control'} cannot be written: Is a directory"
    assert (own / "cgroup.procs").read_text().strip() == str(os.getpid())


def test_a_process_that_may_not_be_moved_leaves_no_group(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.says("4:memory:/a\n", V1)
    own = machine.group("a", memory__limit_in_bytes="1")
    found = machine.find()

    def refuse(_self: MemoryGroup, pids: object) -> None:
        raise ProcessLookupError(3, "No such process")

    monkeypatch.setattr(MemoryGroup, "admit", refuse)
    assert found.make(9, (9,)) is None
    assert [path.name for path in own.iterdir()] == ["memory.limit_in_bytes"]


def test_what_an_earlier_backend_left_is_removed_and_nothing_else(machine: Machine) -> None:
    machine.says("4:memory:/a\n", V1)
    own = machine.group("a", memory__limit_in_bytes="1")
    found = machine.find()
    left, living = found.make(1, ()), found.make(2, (2,))
    assert left is not None
    assert living is not None
    other = machine.group("a/bai-tui-ffffffff-3")
    machine.find()
    assert (left.path.exists(), living.path.exists(), other.exists()) == (False, True, True)
    assert own.exists()
