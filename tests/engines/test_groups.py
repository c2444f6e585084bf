"""Which control groups are found and what is written to them, on made-up machines."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from bai_tui.app.backend.engines import groups as groups_module
from bai_tui.app.backend.engines import hierarchies
from bai_tui.app.backend.engines.groups import Place, SessionGroup
from bai_tui.app.backend.engines.hierarchies import SessionGroups

V1 = "36 31 0:33 {root} {mount}/memory rw,relatime shared:15 - cgroup cgroup rw,memory\n"
V1_ALL = (
    V1
    + "37 31 0:34 {root} {mount}/pids rw,relatime shared:16 - cgroup cgroup rw,pids\n"
    + "38 31 0:35 {root} {mount}/cpu,cpuacct rw,relatime shared:17 - cgroup cgroup rw,cpu,cpuacct\n"
)
V2 = "35 31 0:30 {root} {mount} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
BORN = {
    1: {"memory": ["memory.limit_in_bytes"], "pids": ["pids.max"], "cpu": ["cpu.cfs_quota_us"]},
    2: {"memory": ["memory.max"], "pids": ["pids.max"], "cpu": ["cpu.max"]},
}


class Machine:
    """A folder that looks like /proc and /sys/fs/cgroup. Files of a group appear when it is made."""

    def __init__(self, base: Path) -> None:
        self.proc = base / "proc"
        self.mount = base / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        self.state = base / "state"
        self.scopes: list[str] = []
        self.scope_problem = "no user manager is running"
        self.lacks: set[str] = set()

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

    def find(self) -> SessionGroups:
        return SessionGroups.find(self.state, self.proc, enter_scope=self.enter_scope)

    def enter_scope(self, name: str, proc: Path) -> None:
        self.scopes.append(name)
        raise OSError(self.scope_problem)

    def mkdir(self, path: Path, mode: int) -> None:
        os.mkdir(path, mode)
        first = path.relative_to(self.mount).parts[0]
        v1 = first.split(",")[0] if first.split(",")[0] in BORN[1] else ""
        born = BORN[1][v1] if v1 else [one for names in BORN[2].values() for one in names]
        switch = path.parent / "cgroup.subtree_control"
        for name in born:
            controller = name.split(".")[0]
            switched = v1 or (switch.is_file() and controller in switch.read_text().replace("+", "").split())
            if switched and name not in self.lacks:
                (path / name).write_text("max")


def rmdir(path: Path) -> None:
    if path.exists() and (path / "cgroup.procs").exists() and (path / "cgroup.procs").read_text():
        raise OSError(errno.EBUSY, "Device or resource busy")
    shutil.rmtree(path)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path / "a machine")
    monkeypatch.setattr(groups_module, "rmdir", rmdir)
    monkeypatch.setattr(hierarchies, "_make_folder", made.mkdir)
    return made


def only(group: SessionGroup | None) -> Place:
    assert group is not None
    (place,) = group.places
    return place


def test_version_1_has_a_group_in_each_hierarchy(machine: Machine) -> None:
    machine.says("4:memory:/user/me\n3:cpu,cpuacct:/\n8:pids:/\n0::/\n", V1_ALL + V2)
    memory, pids, cpu = machine.group("memory/user/me"), machine.group("pids"), machine.group("cpu,cpuacct")
    found = machine.find()
    assert (found.problem, found.missing, machine.scopes) == ("", "", [])
    group = found.make(77, (77, 78))
    assert group is not None
    assert {place.controllers: place.path.parent for place in group.places} == {
        ("memory",): memory,
        ("pids",): pids,
        ("cpu",): cpu,
    }
    group.limit_memory(1 << 20)
    group.limit_tasks(300)
    group.limit_cpu(2)
    memory, pids, cpu = (place.path for place in group.places)
    assert (memory / "memory.memsw.limit_in_bytes").read_text() == "1048576", "swap is memory, too"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "200000"
    assert (group.memory_bytes(), group.tasks(), group.cpu_cores()) == (1 << 20, 300, 2.0)
    assert (group.memory_events, group.task_events) == (memory / "memory.oom_control", pids / "pids.events")
    assert group.pids() == [78]
    assert SessionGroup.restored(group.stored()) == group
    group.forbid_births()
    assert (pids / "pids.max").read_text() == "0"
    assert not group.remove(0.01), "a process is left"
    for place in group.places:
        assert place.path.exists()
        (place.path / "cgroup.procs").write_text("")
    assert group.remove()
    assert group.remove(), "they are gone: that is what was wanted"


def test_a_hierarchy_that_may_not_be_written_to_costs_its_controller_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.says("4:memory:/\n3:cpu,cpuacct:/\n8:pids:/\n", V1_ALL)
    machine.lacks = {"cpu.cfs_quota_us"}
    for name in ("memory", "pids", "cpu,cpuacct"):
        machine.group(name)
    make = machine.mkdir

    def mkdir(path: Path, mode: int) -> None:
        if "memory" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        make(path, mode)

    monkeypatch.setattr(hierarchies, "_make_folder", mkdir)
    found = machine.find()
    assert found.problem == ""
    assert "memory: " in found.missing and "Permission denied" in found.missing
    assert "CPU time: " in found.missing and "has no limit of CPU time" in found.missing
    assert only(found.make(1, ())).controllers == ("pids",)


def test_version_1_in_a_container_that_sees_a_part(machine: Machine) -> None:
    machine.says("4:memory:/docker/abc/x\n", V1, root="/docker/abc")
    own = machine.group("memory/x")
    assert only(machine.find().make(1, ())).path.parent == own


def test_version_2_delegated_and_prepared(machine: Machine) -> None:
    machine.says("0::/service\n", V2)
    own = machine.group("service", cgroup__subtree_control="cpu memory pids", cgroup__procs="")
    group = machine.find().make(5, (5,))
    assert group is not None
    path = only(group).path
    assert path.parent == own
    group.limit_memory(1 << 30)
    group.limit_tasks(7)
    group.limit_cpu(3)
    assert (path / "memory.max").read_text() == "1073741824"
    assert (path / "memory.swap.max").read_text() == "0"
    assert (path / "cpu.max").read_text() == "300000 100000"
    assert (group.memory_bytes(), group.tasks(), group.cpu_cores()) == (1 << 30, 7, 3.0)
    assert (group.version("memory"), group.memory_events) == (2, path / "memory.events")
    group.kill()
    assert not (path / "cgroup.kill").exists(), "an older kernel has none"
    (path / "cgroup.kill").touch()
    group.kill()
    assert (path / "cgroup.kill").read_text() == "1"


def test_version_2_makes_room_for_groups_by_moving_the_backend_down(machine: Machine) -> None:
    machine.says("0::/service\n", V2)
    own = machine.group(
        "service", cgroup__controllers="memory pids", cgroup__subtree_control="", cgroup__procs=f"{os.getpid()}\n"
    )
    found = machine.find()
    assert (found.problem, machine.scopes) == ("", [])
    assert found.missing.startswith("CPU time: no controller for it at ")
    assert (own / "bai-tui-backend" / "cgroup.procs").read_text() == str(os.getpid())
    assert (own / "cgroup.subtree_control").read_text() == "+memory +pids"
    # the next backend is started from there
    machine.says("0::/service/bai-tui-backend\n", V2)
    (own / "cgroup.subtree_control").write_text("memory pids")
    place = only(machine.find().make(6, ()))
    assert (place.path.parent, place.controllers) == (own, ("memory", "pids"))


def test_a_scope_is_the_last_way(machine: Machine) -> None:
    machine.says("0::/session-3.scope\n", V2)
    machine.group("session-3.scope", cgroup__controllers="memory pids", cgroup__procs="1\n2\n")
    machine.group(".", cgroup__controllers="memory pids cpu")
    found = machine.find()
    assert found.problem.endswith("is shared with processes that are not the backend's; no user manager is running")

    def enter(name: str, proc: Path) -> None:
        machine.group(f"user/{name}", cgroup__controllers="cpu memory pids", cgroup__procs=f"{os.getpid()}\n")
        machine.says(f"0::/user/{name}\n", V2)

    found = SessionGroups.find(machine.state, machine.proc, enter_scope=enter)
    place = only(found.make(9, ()))
    assert place.controllers == ("memory", "pids", "cpu")
    assert place.path.parent.name == machine.scopes[0]


@pytest.mark.parametrize(
    ("cgroup", "mounts", "files", "problem"),
    [
        ("0::/a\n", V2, {"cgroup__controllers": "io", "cgroup__procs": ""}, "no controller of memory, processes, CPU"),
        ("0::/a\n", V2, {"cgroup__controllers": "memory", "cgroup__procs": "1\n"}, "shared with processes"),
        ("0::/../b\n", V2, {}, "outside of what is mounted"),
        ("4:memory:/a\n", V1, {}, "cannot be written: No such file"),
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
    assert machine.scopes == [], "nor is there a controller that a scope could have"


def test_a_machine_without_proc(tmp_path: Path) -> None:
    assert SessionGroups.find(tmp_path, tmp_path / "none").problem == "no control groups are mounted"


def test_version_2_that_refuses_its_controller_is_left_as_it_was(machine: Machine) -> None:
    machine.says("0::/service\n", V2)
    own = machine.group("service", cgroup__controllers="memory pids", cgroup__procs=f"{os.getpid()}\n")
    (own / "cgroup.subtree_control").mkdir()  # nothing can be written there
    assert machine.find().problem == f"{own / 'cgroup.subtree_control'} cannot be written: Permission denied"
    assert (own / "cgroup.procs").read_text().strip() == str(os.getpid())


def test_a_process_that_may_not_be_moved_leaves_no_group(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.says("4:memory:/a\n", V1)
    own = machine.group("memory/a")
    found = machine.find()

    def refuse(_place: Place, pids: object) -> None:
        raise ProcessLookupError(3, "No such process")

    monkeypatch.setattr(hierarchies, "admit", refuse)
    assert found.make(9, (9,)) is None
    assert list(own.iterdir()) == []


def test_what_an_earlier_backend_left_is_removed_and_nothing_else(machine: Machine) -> None:
    machine.says("4:memory:/a\n", V1)
    own = machine.group("memory/a")
    found = machine.find()
    left, living = only(found.make(1, ())), only(found.make(2, (2,)))
    other = machine.group("memory/a/bai-tui-ffffffff-3")
    machine.find()
    assert (left.path.exists(), living.path.exists(), other.exists()) == (False, True, True)
    assert own.exists()
