"""The quota of work folders: how it is measured, who is warned, who is ended, and what may still be uploaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.service.folders import Folders
from bai_tui.app.backend.service.limits import Policies
from bai_tui.app.backend.service.workquota import disk_usage_bytes, watching
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.policies import SandboxSettings

MIB = 1 << 20
PLENTY = 1 << 40


def used(*folders: Path) -> int:
    return disk_usage_bytes(folders, enough_bytes=PLENTY, breath_s=0)


def fill(path: Path, size_bytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(os.urandom(size_bytes))
        file.flush()
        os.fsync(file.fileno())  # a file system may give out blocks as late as that


# --- measuring


def test_what_is_on_the_disk_counts_in_all_folders(tmp_path: Path) -> None:
    fill(tmp_path / "work" / "a" / "b" / "file", MIB)
    fill(tmp_path / "work" / ".hidden", MIB)
    fill(tmp_path / "tmp" / "file", MIB)
    assert 3 * MIB <= used(tmp_path / "work", tmp_path / "tmp") < 4 * MIB
    assert used(tmp_path / "none") == 0


def test_a_hole_and_a_second_name_cost_nothing_and_links_are_not_followed(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere" / "large", 4 * MIB)
    work = tmp_path / "work"
    fill(work / "file", MIB)
    os.link(work / "file", work / "again")
    (work / "to").symlink_to(tmp_path / "elsewhere")
    (work / "round").symlink_to(".")
    with (work / "hole").open("wb") as file:
        file.truncate(100 * MIB)
    assert MIB <= used(work) < 2 * MIB


def test_nobody_hides_in_the_depth(tmp_path: Path) -> None:
    before = os.open(".", os.O_RDONLY)
    fds = len(os.listdir("/proc/self/fd"))
    try:
        os.chdir(tmp_path)
        for _ in range(3000):  # deeper than any path can say, and than descriptors go
            os.mkdir("d")
            os.chdir("d")
        Path("file").write_bytes(os.urandom(MIB))
        os.sync()
    finally:
        os.fchdir(before)
        os.close(before)
    assert used(tmp_path) >= MIB
    assert len(os.listdir("/proc/self/fd")) == fds - 1
    (tmp_path / "d").rename(tmp_path / "work")
    Folders(tmp_path.parent, 0).remove_work(tmp_path.name)
    assert os.listdir(tmp_path) == []


def test_counting_ends_where_it_is_enough(tmp_path: Path) -> None:
    for number in range(20):
        fill(tmp_path / str(number), MIB)
    assert MIB < disk_usage_bytes([tmp_path], enough_bytes=MIB) <= 3 * MIB


# --- the service


async def running(world: Any, quota_bytes: int) -> Any:
    await world.restart(policies=Policies(sandbox=SandboxSettings(work_quota_bytes=quota_bytes)))
    return await world.create()


def quota(world: Any) -> Any:
    watch = world.service._work_quota
    watch._interval_s, watch._timer = 0.0, lambda: 0.0  # it is always its turn
    return watch


@pytest.mark.parametrize("place", ["work", "tmp"])
async def test_who_fills_the_disk_is_warned_and_then_ended(world: Any, place: str) -> None:
    outcome = await running(world, 4 * MIB)
    session = outcome.session
    folder = world.engine.specs[-1].session_dir / place
    entry = world.service._register.get(session.id)
    events = world.service.events(world.user)
    fill(folder / "a", 3 * MIB)
    await quota(world).look()
    assert session.status is SessionStatus.RUNNING
    fill(folder / "b", MIB * 7 // 10)
    for _ in range(3):
        await quota(world).look()
    assert session.status is SessionStatus.RUNNING
    fill(folder / "c", MIB)
    await quota(world).look()
    assert str(session.status) == "TERMINATING"
    assert session.status_info.startswith("overuse: the work folder holds 4.7")
    assert "of its 4m (118 %); let the code write less" in session.status_info
    names = [event.name async for event in _until_ended(events)]
    assert names.count("bai_overuse_warning") == 1
    await entry.ending
    assert not folder.exists()


async def _until_ended(events: Any) -> Any:
    async for event in events:
        yield event
        if event.name == "session_terminated":
            return


async def test_without_a_quota_nothing_is_looked_at(world: Any) -> None:
    session = (await world.create()).session
    assert await world.service.upload_room_bytes(world.user, session.name) is None
    assert session.status is SessionStatus.RUNNING
    assert "disk" not in {layer.applies_to for layer in world.service.layers(session)}


async def test_uploads_get_what_is_left(world: Any) -> None:
    outcome = await running(world, 4 * MIB)
    session = outcome.session
    fill(world.engine.specs[-1].work_dir / "a", MIB)
    assert 2 * MIB < await world.service.upload_room_bytes(world.user, session.name) <= 3 * MIB
    fill(world.engine.specs[-1].work_dir / "b", 4 * MIB)
    assert await world.service.upload_room_bytes(world.user, session.name) == 0
    assert "4m" in watching(4 * MIB)
    assert ("watcher", "disk") in {(layer.name, layer.applies_to) for layer in world.service.layers(session)}
