"""What can be asked of a container engine, one method a request."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from .answers import (
    ContainerState,
    EngineImage,
    EngineInfo,
    Listed,
    LogLine,
    PullStep,
    read_container,
    read_image,
    read_info,
    read_listed,
    read_listed_image,
    read_pull_step,
)
from .errors import ContainerError
from .wire import Wire

_ANSWER_S = 30.0
"""For requests that the engine answers from what it knows."""
_WORK_S = 120.0
"""For requests that make it do something: start, remove, load."""
_PULL_SILENCE_S = 300.0
"""A pull that says nothing for so long is given up: big layers are unpacked in silence."""
_FRAME_BYTES = 8
_LIBPOD = "4.0.0"
"""The version of Podman's own API that this was written against; later ones speak it, too."""


class ContainerClient:
    """The container engine of this machine.

    Holds no connection between requests, so that there is nothing to close. Every method is safe to cancel: the
    connection is closed, and what the engine does about a request that was cut off is the engine's: a pull stops, a
    container that was being started may run. Every method raises EngineGone when nobody answers (in time), and
    ContainerError for what the engine refuses, with its status.
    """

    def __init__(self, socket: str = "", environ: Mapping[str, str] = os.environ) -> None:
        """Looks for nothing yet.

        Args:
            socket: `[containers] socket`; empty = look in the usual places (see `find_socket`).
            environ: DOCKER_HOST, XDG_RUNTIME_DIR, ... are read from here.
        """
        self._wire = Wire(socket, environ)

    async def ping(self, timeout_s: float = 5.0) -> None:
        """Returns when the engine answers."""
        async with self._wire.ask("GET", "/_ping", timeout_s=timeout_s) as response:
            await response.read()

    async def info(self) -> EngineInfo:
        """Returns which engine it is and what it can do."""
        place, api_version = await self._wire.find()
        info = await self._wire.json("GET", "/info", timeout_s=_ANSWER_S)
        version = await self._wire.json("GET", "/version", timeout_s=_ANSWER_S)
        return read_info(info, version, api_version=api_version, socket=place)

    # Images

    async def images(self, timeout_s: float = _ANSWER_S) -> Sequence[EngineImage]:
        """Returns the images that are here, with what a list tells of them."""
        return [read_listed_image(one) for one in await self._wire.json("GET", "/images/json", timeout_s=timeout_s)]

    async def image(self, name: str) -> EngineImage:
        """Returns all about an image, by reference or id."""
        return read_image(await self._wire.json("GET", f"/images/{_path(name)}/json", timeout_s=_ANSWER_S))

    async def pull(self, name: str, tag: str, credentials: Mapping[str, str] | None = None) -> AsyncGenerator[PullStep]:
        """Fetches `name:tag` from its registry and yields what the engine says meanwhile, until it is here.

        Close the iterator (`contextlib.aclosing`) when it is left early: the pull stops then.

        Args:
            credentials: `username`, `password`, `serveraddress` or `identitytoken`, for a registry that asks who it is.
        """
        headers = {}
        if credentials:
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(json.dumps(dict(credentials)).encode()).decode()
        told = self._wire.lines(
            "POST",
            "/images/create",
            query={"fromImage": name, "tag": tag},
            headers=headers,
            timeout_s=None,
            idle_s=_PULL_SILENCE_S,
        )
        async with aclosing(told):
            async for one in told:
                yield read_pull_step(one)

    async def load(self, archive: AsyncIterator[bytes]) -> Sequence[str]:
        """Takes in images from a tar archive in the form of `docker save`. Returns what the engine says of them."""
        told = self._wire.lines(
            "POST", "/images/load", query={"quiet": "1"}, upload=archive, timeout_s=None, idle_s=_PULL_SILENCE_S
        )
        async with aclosing(told):
            return [read_pull_step(one).status async for one in told]

    async def tag(self, image: str, name: str, tag: str) -> None:
        """Gives an image one more reference."""
        await self._do("POST", f"/images/{_path(image)}/tag", query={"repo": name, "tag": tag})

    async def remove_image(self, name: str, *, force: bool = False) -> None:
        """Removes a reference, and the image with its last one.

        Raises:
            ContainerError: `missing`; `conflict` when a container uses it.
        """
        await self._do("DELETE", f"/images/{_path(name)}", query={"force": _flag(force)})

    # Containers

    async def create(self, config: Mapping[str, Any], name: str = "") -> str:
        """Makes a container and returns its id; it does not run yet.

        Args:
            config: as the API has it: `Image`, `Cmd`, `Entrypoint`, `Env`, `Labels`, `HostConfig`, ...
        """
        query = {"name": name} if name else None
        made = await self._wire.json("POST", "/containers/create", query=query, body=config, timeout_s=_WORK_S)
        return _id_of(made)

    async def create_by_podman(self, config: Mapping[str, Any]) -> str:
        """Makes a container through the API that is Podman's own and returns its id; it does not run yet.

        What Podman takes of Docker's form leaves out devices of GPUs and the runtime.

        Args:
            config: what Podman calls a SpecGenerator: `image`, `name`, `command`, `mounts`, `resource_limits`, ...
        """
        made = await self._wire.json(
            "POST", "/libpod/containers/create", body=config, timeout_s=_WORK_S, version=_LIBPOD
        )
        return _id_of(made)

    async def start(self, container: str) -> None:
        """Starts a container; nothing happens when it runs.

        Raises:
            ContainerError: its program cannot be started, ...
        """
        await self._do("POST", f"/containers/{_path(container)}/start")

    async def inspect(self, container: str) -> ContainerState:
        """Returns how a container is, by id or name."""
        answer = await self._wire.json("GET", f"/containers/{_path(container)}/json", timeout_s=_ANSWER_S)
        return read_container(answer)

    async def wait(self, container: str) -> int:
        """Returns the exit code of a container when it does not run any more, however long that takes.

        Call it behind `start`: of a container that was never started it returns at once.
        """
        answer = await self._wire.json(
            "POST", f"/containers/{_path(container)}/wait", query={"condition": "not-running"}, timeout_s=None
        )
        try:
            return int(answer["StatusCode"])
        except (KeyError, TypeError, ValueError):
            raise ContainerError("the container engine does not say how the container ended") from None

    async def kill(self, container: str, signal: str = "SIGKILL") -> None:
        """Sends a signal to the first process of a container.

        Raises:
            ContainerError: `missing`; `conflict` when it does not run.
        """
        await self._do("POST", f"/containers/{_path(container)}/kill", query={"signal": signal})

    async def remove(self, container: str, *, force: bool = False) -> None:
        """Removes a container and its anonymous volumes; one that is gone already is no error.

        Args:
            force: also when it runs: it is killed.
        """
        try:
            await self._do("DELETE", f"/containers/{_path(container)}", query={"force": _flag(force), "v": "1"})
        except ContainerError as exc:
            if not exc.missing:
                raise

    async def containers(
        self, labels: Mapping[str, str] | Sequence[str] = (), *, ended: bool = True
    ) -> Sequence[Listed]:
        """Returns containers.

        Args:
            labels: only those that have all of these: names, or names with values.
            ended: also those that do not run.
        """
        wanted = [f"{name}={value}" for name, value in labels.items()] if isinstance(labels, Mapping) else list(labels)
        query = {"all": _flag(ended)}
        if wanted:
            query["filters"] = json.dumps({"label": wanted})
        return [
            read_listed(one)
            for one in await self._wire.json("GET", "/containers/json", query=query, timeout_s=_ANSWER_S)
        ]

    async def logs(
        self, container: str, *, follow: bool = False, most_bytes: int | None = None
    ) -> AsyncGenerator[LogLine]:
        """Yields what a container without a terminal has written, in order; close it if left early.

        Args:
            follow: goes on until the container has ended.
            most_bytes: ends behind so much; None = all.
        """
        query = {"stdout": "1", "stderr": "1", "follow": _flag(follow)}
        path = f"/containers/{_path(container)}/logs"
        left = most_bytes
        async with self._wire.ask("GET", path, query=query, timeout_s=None if follow else _WORK_S) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                rest += chunk
                while len(rest) >= _FRAME_BYTES:
                    end = _FRAME_BYTES + int.from_bytes(rest[4:_FRAME_BYTES], "big")
                    if len(rest) < end:
                        break
                    data, stream = rest[_FRAME_BYTES:end], rest[0]
                    rest = rest[end:]
                    yield LogLine("stderr" if stream == 2 else "stdout", data if left is None else data[:left])
                    if left is not None and (left := left - len(data)) <= 0:
                        return

    async def output(self, container: str, most_bytes: int = 1 << 20) -> bytes:
        """Returns what a container without a terminal has written to both streams so far, at most so much of it."""
        told = self.logs(container, most_bytes=most_bytes)
        async with aclosing(told):
            return b"".join([line.data async for line in told])

    async def _do(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, timeout_s: float = _WORK_S
    ) -> None:
        async with self._wire.ask(method, path, query=query, timeout_s=timeout_s) as response:
            await response.read()


def _id_of(made: Any) -> str:
    try:
        return str(made["Id"])
    except (KeyError, TypeError):
        raise ContainerError("the container engine does not say which container it made") from None


def _path(name: str) -> str:
    """Returns a reference as a part of a path: engines take its slashes as they are."""
    return quote(name, safe="/:@")


def _flag(value: bool) -> str:
    return "1" if value else "0"
