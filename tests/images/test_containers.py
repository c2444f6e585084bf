"""Images of a container engine, against a real Podman and a registry on loopback."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.containers import ContainerClient, Inspector, NoPython
from bai_tui.app.backend.images import Catalogue
from bai_tui.app.backend.images.containers import ContainerSource
from bai_tui.app.backend.ports import Progress
from bai_tui.app.model.errors import ImageFailed, ImageNotFound
from bai_tui.app.model.images import Image, ImageKind, ImageState
from bai_tui.app.model.slots import CPU, MEM, ResourceSlots
from bai_tui.tests.containers import offline
from bai_tui.tests.containers.fixtures import PYTHON_IMAGE, python_layers
from bai_tui.tests.containers.podman import Podman
from bai_tui.tests.containers.registry import LOGIN, Registry, registry
from bai_tui.tests.images.sources import FakeSource, image


@pytest.fixture
async def hub() -> AsyncIterator[Registry]:
    async with registry() as served:
        yield served


@pytest.fixture
def client(podman: Podman) -> ContainerClient:
    return ContainerClient(str(podman.socket))


@pytest.fixture
def source(client: ContainerClient, tmp_path: Path) -> ContainerSource:
    return made(client, tmp_path)


def made(client: ContainerClient, cache: Path, *named: str) -> ContainerSource:
    offered = ResourceSlots({CPU: 4, MEM: 8 << 30})
    return ContainerSource(client, Inspector(client, cache), cache, offered=offered, named=named)


async def images(source: ContainerSource) -> dict[str, Image]:
    return {one.image.canonical: one.image for one in await source.look()}


async def take(client: ContainerClient, image: offline.OfflineImage, reference: str) -> None:
    async def archive() -> AsyncIterator[bytes]:
        yield image.archive(reference)

    await client.load(archive())


def deaf(progress: Progress) -> None:
    """Hears of progress and does nothing with it."""


async def test_an_image_of_the_engine_is_an_entry_with_what_it_says_of_itself(
    source: ContainerSource, client: ContainerClient
) -> None:
    here = await client.image(PYTHON_IMAGE)
    image = (await images(source))[PYTHON_IMAGE]
    assert (image.state, image.in_container, image.registry) == (ImageState.READY, True, "local")
    assert (image.digest, image.size_bytes, image.architecture) == (here.id, here.size_bytes, os.uname().machine)
    assert (image.language, image.runtime_version) == ("python", offline.VERSION)
    assert image.min_slots.wire() == {"cpu": "1", "mem": str(96 << 20)}
    assert image.default_slots.wire() == {"cpu": "1", "mem": str(1 << 30)}
    assert image.service_ports == ("jupyter:http:8081", "ttyd:http:7681")
    assert image.interpreter == ""  # nobody looked
    assert (await source.candidate(PYTHON_IMAGE)).image == image
    assert not await source.check(image)


async def test_a_look_into_an_image_finds_its_python_once_for_all(
    client: ContainerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Mapping[str, Any]] = []
    create = client.create

    async def note(config: Mapping[str, Any], name: str = "") -> str:
        asked.append(config["HostConfig"])
        return await create(config, name)

    monkeypatch.setattr(client, "create", note)
    reference = "localhost/no-python:latest"
    await take(client, offline.image(python_layers()[:1]), reference)
    inspector = Inspector(client, tmp_path)
    source = made(client, tmp_path)
    assert (await images(source))[reference].state is ImageState.READY
    empty, full = await client.image(reference), await client.image(PYTHON_IMAGE)
    inside, again = await asyncio.gather(inspector.python(full), inspector.python(full))
    assert (inside.executable, inside.version, inside.ipython) == ("/usr/local/bin/python3", offline.VERSION, False)
    assert again == inside
    with pytest.raises(NoPython, match=r"no Python 3\.6 or newer"):
        await inspector.python(empty)
    assert not await client.containers(["bai-tui.look"])
    assert {(*one["CapDrop"], one["NetworkMode"], one["ReadonlyRootfs"]) for one in asked} == {("ALL", "none", True)}

    elsewhere = Inspector(ContainerClient("/nothing/listens/here"), tmp_path)
    assert await elsewhere.python(full) == inside  # from its memory
    later = made(client, tmp_path)
    known = await images(later)
    assert (known[PYTHON_IMAGE].interpreter, known[PYTHON_IMAGE].kernel) == ("/usr/local/bin/python3", "ipython")
    assert known[reference].state is ImageState.UNAVAILABLE
    assert "no Python 3.6" in known[reference].reason
    assert "no Python 3.6" in await later.check(known[reference])

    await later.remove(known[reference])
    assert reference not in await images(later)
    assert await Inspector(client, tmp_path).known(empty.id) is None  # forgotten with it


async def test_a_pull_tells_how_far_it_is_stops_when_nobody_waits_and_ends_with_an_image_that_runs(
    client: ContainerClient, tmp_path: Path, hub: Registry
) -> None:
    new = offline.new_layer(3 << 20)
    python = offline.image([*python_layers(), new], {"PYTHON_VERSION": offline.VERSION}, {"of": "a registry"})
    reference = hub.add("team/python:1", python)
    source = made(client, tmp_path, reference)
    wanted = (await images(source))[reference]
    assert (wanted.state, wanted.registry) == (ImageState.PULLABLE, hub.host)
    assert (await source.candidate(reference)).image == wanted

    hub.gate.clear()
    progress: list[Progress] = []
    pull = asyncio.create_task(source.make_ready(wanted, progress.append))
    await hub.halfway.wait()
    pull.cancel()
    await asyncio.wait([pull])
    assert pull.cancelled()
    await hub.cut_off.wait()
    assert (await images(source))[reference].state is ImageState.PULLABLE
    assert "stopped" in await source.log(wanted)

    hub.gate.set()
    hub.pause_s = 0.12  # Podman tells each second what has come
    progress.clear()
    ready = await source.make_ready(wanted, progress.append)
    assert (ready.state, ready.id, ready.digest) == (ImageState.READY, wanted.id, python.id)
    assert (ready.interpreter, ready.labels) == ("/usr/local/bin/python3", {"of": "a registry"})
    assert progress[0].message == f"asking {hub.host} for {reference}"
    assert progress[-1].message == "looking for its Python"
    came = len(new.data)  # the others were there
    assert any(0 < one.current < one.total == came and "pulling" in one.message for one in progress)
    assert (progress[-1].current, progress[-1].total) == (came, came)
    assert [one.current for one in progress] == sorted(one.current for one in progress)
    assert "Download complete" in await source.log(ready)
    assert (await images(source))[reference] == ready
    assert not await source.check(ready)

    assert f"{reference} was removed" in await source.remove(ready)
    assert "pull it again" in await source.check(ready)
    assert (await images(source))[reference].state is ImageState.PULLABLE


async def test_a_pull_that_fails_says_why_in_one_sentence(
    client: ContainerClient, tmp_path: Path, hub: Registry, home: Path
) -> None:
    source = made(client, tmp_path)

    async def refusal(reference: str) -> str:
        with pytest.raises(ImageFailed) as failed:
            await source.make_ready((await source.candidate(reference)).image, deaf)
        assert "\n" not in failed.value.message
        return failed.value.message

    empty = offline.image(python_layers()[:1], labels={"which": "empty"})
    assert await refusal(f"{hub.host}/nosuch:1") == f"{hub.host} has no image {hub.host}/nosuch:1"
    assert "was made on this machine" in await refusal("localhost/nosuch:1")

    hub.private.add("team/secret")
    secret = hub.add("team/secret:1", empty)
    assert "does not let this user have" in await refusal(secret)
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text(json.dumps({"auths": {hub.host: {"auth": LOGIN}}}))
    assert "is here now, but no session can run in it" in await refusal(secret)
    assert (await images(source))[secret].state is ImageState.UNAVAILABLE
    await client.remove_image(secret)


async def test_what_is_in_use_or_has_other_names_is_not_removed(
    source: ContainerSource, client: ContainerClient
) -> None:
    await client.tag(PYTHON_IMAGE, "localhost/second", "name")
    known = await images(source)
    second = known["localhost/second:name"]
    assert second.digest == known[PYTHON_IMAGE].digest
    assert f"it is {PYTHON_IMAGE} as well" in await source.remove(second)
    user = await client.create({"Image": PYTHON_IMAGE, "HostConfig": {"NetworkMode": "none"}})
    try:
        with pytest.raises(ImageFailed, match="in use by a container"):
            await source.remove(known[PYTHON_IMAGE])
    finally:
        await client.remove(user, force=True)
    with pytest.raises(ImageFailed, match="is not in the container engine"):
        await source.remove(second)


async def test_an_engine_that_goes_away_takes_its_images_along_until_it_is_back(
    podman: Podman, tmp_path: Path, home: Path
) -> None:
    socket = home / "engine.sock"
    socket.symlink_to(podman.socket)
    source = made(ContainerClient(str(socket)), tmp_path)
    before = await images(source)
    socket.unlink()
    without = await images(source)
    assert without.keys() == before.keys()
    assert {one.state for one in without.values()} == {ImageState.UNAVAILABLE}
    assert f"no container engine's socket {socket}" in without[PYTHON_IMAGE].reason
    assert await source.check(before[PYTHON_IMAGE]) == without[PYTHON_IMAGE].reason
    candidate = (await source.candidate("python:3.12-slim")).image
    assert (candidate.state, candidate.reason) == (ImageState.UNAVAILABLE, without[PYTHON_IMAGE].reason)
    with pytest.raises(ImageFailed, match="no container engine's socket"):
        await source.make_ready(candidate, deaf)
    socket.symlink_to(podman.socket)
    assert await images(source) == before
    candidate = (await source.candidate("docker.io/library/python:3.12-slim")).image
    assert (candidate.state, candidate.canonical) == (ImageState.PULLABLE, "python:3.12-slim")


async def test_who_wants_to_pull_gets_nothing_that_stands_for_it(
    client: ContainerClient, tmp_path: Path, hub: Registry
) -> None:
    process = image("python:3.12-debian12")
    aliases = tmp_path / "aliases.toml"
    aliases.write_text('[aliases]\n"slim" = ["python:3.12-slim"]\n')
    catalogue = Catalogue([FakeSource(ImageKind.PYTHON, [process]), made(client, tmp_path)], aliases)
    assert (await catalogue.resolve("python:3.12-slim")).image.canonical == process.canonical  # to run code
    wanted = await catalogue.to_pull("docker.io/library/python:3.12-slim")
    assert (wanted.canonical, wanted.state) == ("python:3.12-slim", ImageState.PULLABLE)
    assert await catalogue.to_pull("slim") == wanted
    assert wanted.canonical in [one.canonical for one in catalogue.list()]
    assert (await catalogue.to_pull("offline-python")).canonical == PYTHON_IMAGE
    with pytest.raises(ImageNotFound, match="localhost/nothing:1 cannot be pulled: it is not on this machine"):
        await catalogue.to_pull("localhost/nothing:1")
    there = hub.add("team/there:1", offline.image(python_layers(), labels={"is": "there"}))
    ready = await catalogue.make_ready(await catalogue.to_pull(there), deaf)
    assert (ready.canonical, ready.state) == (there, ImageState.READY)
    await catalogue.remove(ready)
    assert there not in [one.canonical for one in catalogue.list()]
    failing = await catalogue.to_pull(f"{hub.host}/nothing:1")
    with pytest.raises(ImageFailed):
        await catalogue.make_ready(failing, deaf)
    assert failing.canonical not in [one.canonical for one in catalogue.list()]
    without = Catalogue([FakeSource(ImageKind.PYTHON, [process])])
    with pytest.raises(ImageNotFound, match="no source of images has a registry"):
        await without.to_pull("python:3.12-slim")
