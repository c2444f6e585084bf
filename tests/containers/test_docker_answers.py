"""Docker's answers where they differ from Podman's, and what is no engine at all."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from aiohttp import web
from bai_tui.app.backend.containers import ContainerClient, ContainerError, EngineGone, Inspector, NoPython, wire
from bai_tui.tests.containers.fake_engine import FakeEngine, fake_engine, objects, refused, streamed

IMAGE_ID = f"sha256:{'ab' * 32}"


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[FakeEngine]:
    async with fake_engine(home / "docker.sock") as served:
        yield served


@pytest.fixture
def client(engine: FakeEngine, home: Path) -> ContainerClient:
    return ContainerClient(str(home / "docker.sock"))


async def test_docker_says_what_it_is(engine: FakeEngine, client: ContainerClient) -> None:
    engine.answers["GET /version"] = {
        "Platform": {"Name": "Docker Engine - Community"},
        "Components": [{"Name": "Engine", "Version": "27.3.1"}, {"Name": "containerd", "Version": "1.7.22"}],
        "Version": "27.3.1",
        "ApiVersion": "1.47",
        "MinAPIVersion": "1.24",
    }
    engine.answers["GET /info"] = {
        "CgroupVersion": "2",
        "DefaultRuntime": "runc",
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
    }
    info = await client.info()
    assert (info.name, info.version, info.rootless, info.cgroup_version) == ("Docker", "27.3.1", True, 2)
    assert info.default_runtime == "runc"


@pytest.mark.parametrize(("offered", "spoken"), [("1.41", "1.41"), ("1.99", "1.51"), ("2.0", "1.51")])
async def test_the_newest_version_is_spoken_that_both_know(
    engine: FakeEngine, client: ContainerClient, offered: str, spoken: str
) -> None:
    engine.api_version = offered
    engine.answers["GET /images/json"] = []
    assert not await client.images()
    assert engine.asked[-1].startswith(f"GET /v{spoken}/images/json")


async def test_dangling_images_have_no_tags_in_either_way_of_saying_it(
    engine: FakeEngine, client: ContainerClient
) -> None:
    engine.answers["GET /images/json"] = [
        {"Id": IMAGE_ID, "RepoTags": ["python:3.12-slim"], "RepoDigests": None, "Size": 7, "Labels": None},
        {"Id": IMAGE_ID, "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"], "Size": 7},
        {"Id": IMAGE_ID, "RepoTags": None, "RepoDigests": [], "Size": 7, "Labels": {}},
    ]
    assert [one.tags for one in await client.images()] == [("python:3.12-slim",), (), ()]


async def test_a_pull_is_read_however_its_words_are_cut_and_its_end_is_believed_only_without_an_error(
    engine: FakeEngine, client: ContainerClient
) -> None:
    text = objects(
        {"status": "Pulling from library/python", "id": "3.12-slim"},
        {"status": "Downloading", "progressDetail": {"current": 10, "total": 40}, "progress": "[=> é]", "id": "a1"},
        {"status": "Pull complete", "progressDetail": {}, "id": "a1"},
    ).replace(b"\\u00e9", "é".encode())
    cuts = [text[place : place + 7] for place in range(0, len(text), 7)]
    engine.answers["POST /images/create"] = streamed(*cuts)
    steps = [step async for step in client.pull("docker.io/library/python", "3.12-slim", {"username": "u"})]
    assert [(step.layer, step.status) for step in steps] == [
        ("3.12-slim", "Pulling from library/python"),
        ("a1", "Downloading"),
        ("a1", "Pull complete"),
    ]
    assert (steps[1].current_bytes, steps[1].total_bytes) == (10, 40)
    assert "fromImage=docker.io/library/python&tag=3.12-slim" in engine.asked[-1]

    failure = {"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown"}
    engine.answers["POST /images/create"] = streamed(text, objects(failure))
    with pytest.raises(ContainerError, match=r"^manifest unknown$"):
        [step async for step in client.pull("a", "b")]
    engine.answers["POST /images/create"] = streamed(text[:-9])
    with pytest.raises(ContainerError, match="ends in the middle"):
        [step async for step in client.pull("a", "b")]


async def test_output_is_taken_apart_by_stream_and_only_as_much_as_is_wanted(
    engine: FakeEngine, client: ContainerClient
) -> None:
    frames = b"".join(struct.pack(">BxxxI", number, len(data)) + data for number, data in ((1, b"out"), (2, b"error")))
    engine.answers["GET /containers/c/logs"] = streamed(frames[:5], frames[5:13], frames[13:])
    told = client.logs("c")
    async with aclosing(told):
        assert [(one.stream, one.data) async for one in told] == [("stdout", b"out"), ("stderr", b"error")]
    assert await client.output("c", most_bytes=5) == b"outer"


async def test_a_program_that_is_not_in_an_image_is_no_missing_container(
    engine: FakeEngine, client: ContainerClient, home: Path
) -> None:
    engine.answers["POST /containers/create"] = {"Id": "c", "Warnings": []}
    engine.answers["POST /containers/c/start"] = refused(
        404,
        'failed to create task for container: exec: "python3": executable file not found in $PATH: unknown',
    )
    engine.answers["DELETE /containers/c"] = lambda request: asyncio.sleep(0, web.Response(status=204))
    engine.answers["GET /images/i/json"] = {"Id": IMAGE_ID, "RepoTags": ["i:1"], "Config": {}}
    image = await client.image("i")
    with pytest.raises(NoPython):
        await Inspector(client, home).python(image)
    removed = [one for one in engine.asked if one.startswith("DELETE")]
    assert len(removed) == sum("containers/create" in one for one in engine.asked) == 2

    engine.answers["POST /containers/c/start"] = refused(500, "failed to set up container networking: no")
    with pytest.raises(ContainerError, match="networking") as failed:
        await Inspector(client, home / "elsewhere").python(image)
    assert not isinstance(failed.value, NoPython)  # nothing that should be remembered


async def test_an_engine_that_is_in_the_way_is_no_engine(
    engine: FakeEngine, client: ContainerClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.api_version = "1.12"
    with pytest.raises(ContainerError, match=r"too old: it speaks version 1\.12"):
        await client.images()
    engine.api_version = "no version"
    with pytest.raises(EngineGone, match="does not answer as a container engine"):
        await client.images()
    monkeypatch.setattr(wire, "_CONNECT_S", 0.05)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until whoever asks gives up
        writer.close()

    server = await asyncio.start_unix_server(silent, home / "hangs.sock")
    async with server:
        with pytest.raises(EngineGone, match=r"does not answer within 0\.05 s"):
            await ContainerClient(str(home / "hangs.sock")).images()


async def test_a_request_that_is_cancelled_closes_its_connection(engine: FakeEngine, client: ContainerClient) -> None:
    began, closed = asyncio.Event(), asyncio.Event()

    async def forever(request: web.Request) -> web.StreamResponse:
        began.set()
        try:
            return await asyncio.Future()
        finally:
            closed.set()

    engine.answers["POST /containers/c/wait"] = forever
    waiting = asyncio.create_task(client.wait("c"))
    await began.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    await closed.wait()
