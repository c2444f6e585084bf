"""The client of container engines against a real Podman."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

import pytest
from bai_tui.app.backend.containers import ContainerClient, ContainerError
from bai_tui.tests.containers.fixtures import PYTHON_IMAGE
from bai_tui.tests.containers.podman import Podman

HOST = {
    "NetworkMode": "none",
    "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 4096}, {"Name": "nproc", "Soft": 1024, "Hard": 4096}],
}


def shell(script: str, **more: object) -> dict[str, object]:
    return {"Image": PYTHON_IMAGE, "Entrypoint": ["sh", "-c"], "Cmd": [script], "HostConfig": HOST, **more}


async def test_it_says_which_engine_it_is_and_what_is_there(podman: Podman) -> None:
    client = ContainerClient(f"unix://{podman.socket}")
    info = await client.info()
    assert (info.name, info.socket, info.rootless) == ("Podman", str(podman.socket), False)
    assert info.default_runtime in ("runc", "crun")
    [listed] = [one for one in await client.images() if PYTHON_IMAGE in one.tags]
    image = await client.image(PYTHON_IMAGE)
    assert (image.id, image.labels, image.size_bytes) == (listed.id, listed.labels, listed.size_bytes)
    assert image.environ["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert image.architecture == os.uname().machine


async def test_a_container_lives_and_ends_by_the_book(podman: Podman) -> None:
    client = ContainerClient(str(podman.socket))
    made = await client.create(shell("echo out; echo err >&2; exec sleep 1000", Labels={"bai-tui.test": "yes"}))
    try:
        assert (await client.inspect(made)).status == "created"
        await client.start(made)
        ended = asyncio.create_task(client.wait(made))
        state = await client.inspect(made)
        assert state.running
        assert state.pid
        said: dict[str, bytes] = {}
        told = client.logs(made, follow=True)
        async with aclosing(told):
            async for part in told:
                said[part.stream] = said.get(part.stream, b"") + part.data
                if len(said) == 2:
                    break
        assert said == {"stdout": b"out\n", "stderr": b"err\n"}
        with pytest.raises(ContainerError) as refused:
            await client.remove(made)
        assert refused.value.conflict
        await client.kill(made)
        assert await ended == 137
        assert [one.id for one in await client.containers({"bai-tui.test": "yes"})] == [made]
        assert not await client.containers({"bai-tui.test": "no"})
        assert not await client.containers({"bai-tui.test": "yes"}, ended=False)
    finally:
        await client.remove(made, force=True)
    await client.remove(made)
    with pytest.raises(ContainerError) as gone:
        await client.inspect(made)
    assert gone.value.missing


async def test_what_cannot_be_done_is_said_with_its_status(podman: Podman) -> None:
    client = ContainerClient(str(podman.socket))
    for wrong, status in (
        (client.image("nosuch:1"), 404),
        (client.start("nosuch"), 404),
        (client.create({**shell("true"), "Image": "nosuch:1"}), 404),
        (client.remove_image("nosuch:1"), 404),
    ):
        with pytest.raises(ContainerError) as refused:
            await wrong
        assert refused.value.http_status == status
        assert "\n" not in refused.value.message
    made = await client.create({**shell("true"), "Entrypoint": ["/no/such/program"]})
    try:
        with pytest.raises(ContainerError, match="no such file"):
            await client.start(made)
    finally:
        await client.remove(made, force=True)
