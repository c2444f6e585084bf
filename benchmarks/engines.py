"""Claim 16: from the request for a session to the answer of `1+1`, for each engine, in a backend that was just started
and in one that has run such a session before."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bai_tui.tests.containers import offline
from bai_tui.tests.containers.podman import ULIMITS, NotUsable, Podman, podman

from .harness import Claim, Sample
from .launch import check, launch_jupyter
from .ours import Backend, backend, run_on
from .peers.jupyter import JupyterServer, jupyter_server

COLD, WARM = "bai-tui, the first session after its start", "bai-tui"
SERVER, ENGINE = "Jupyter Server, same kernelspec", "`podman run --rm`, same image"
_WARM_EACH = 3
"""Warm launches in each round."""
_ARCHIVED = "localhost/offline-python:latest"
_IMAGES = "query{images{name tag registry bai_kind bai_language installed}}"
_SETTLED_S = 1.0
"""A client that asks for one session a second lets spares be made between them, as people do."""

_KERNELSPECS = Path(sys.prefix) / "share" / "jupyter"
"""Those that Jupyter Server has."""

Peer = Callable[[], Awaitable[float]]


async def _launch(ours: Backend, image: str, name: str) -> float:
    """Returns what a session took until its answer, in ms; ends it outside of the clock."""
    began = time.perf_counter()
    session = await ours.create(name, image=image)
    async with ours.stream(session) as ws:
        output = await run_on(ws, "1+1")
        took = time.perf_counter() - began
    check(output)
    await ours.end(session)
    return took * 1e3


async def _reference(ours: Backend, kind: str) -> str:
    """Returns the Python image of a kind, once the backend has looked over the machine.

    Raises:
        NotUsable: there is none.
    """
    rows: Any = (await ours.request("POST", "/admin/gql", {"query": _IMAGES, "variables": {}}))["data"]["images"]
    for row in rows:
        if str(row["bai_kind"]).lower() == kind and row["installed"] and row["bai_language"] == "python":
            if kind == "python":
                return ours.image
            registry = "" if row["registry"] == "local" else f"{row['registry']}/"
            return f"{registry}{row['name']}:{row['tag']}"
    raise NotUsable(f"the backend has found no Python of the kind {kind!r}")


async def _rounds(home: Path, kind: str, settings: str, rounds: int, peer: tuple[str, Peer] | None) -> list[Sample]:
    """Starts a backend for each round, and launches in turns with the peer."""
    values: dict[str, list[float]] = {WARM: [], COLD: [], **({peer[0]: []} if peer else {})}
    numbers = itertools.count()
    for number in range(-1, rounds):  # the first round warms the disk up
        place = home / f"{kind}-{number}"
        place.mkdir()
        async with backend(place, settings=settings, more={"JUPYTER_PATH": str(_KERNELSPECS)}) as ours:
            image = await _reference(ours, kind)  # it has looked over the machine then
            found: dict[str, list[float]] = {name: [] for name in values}
            found[COLD].append(await _launch(ours, image, f"cold-{next(numbers)}"))
            for _ in range(_WARM_EACH):
                began = time.perf_counter()
                if peer:
                    found[peer[0]].append(await peer[1]())
                await asyncio.sleep(max(0.0, began + _SETTLED_S - time.perf_counter()))  # see _SETTLED_S
                found[WARM].append(await _launch(ours, image, f"warm-{next(numbers)}"))
        shutil.rmtree(place, ignore_errors=True)
        if number >= 0:
            for name, more in found.items():
                values[name] += more
    return [Sample(name, tuple(one)) for name, one in values.items()]


def _claim(part: str, what: str, how: str, samples: list[Sample]) -> Claim:
    return Claim(title=f"16{part}. Request to answered `1+1`: {what}", unit="ms", how=how, samples=samples, ours=WARM)


_HOW = (
    "POST, websocket, execute, until the run has finished; a second between two of them. Before the first session "
    "nothing of its image runs: each round starts a backend in a HOME of its own."
)


async def _native(home: Path, rounds: int) -> Claim:
    claim = _claim("a", "a process, native Python", _HOW, await _rounds(home, "python", "", rounds, None))
    claim.notes.append("Beside its peers: claim 1.")
    return claim


async def _jupyter(home: Path, server: JupyterServer, rounds: int) -> Claim:
    how = f"{_HOW} The kernel is ipykernel on Python {offline.VERSION}, started by both from the same kernelspec."
    peer = SERVER, partial(launch_jupyter, server)
    claim = _claim("b", "a Jupyter kernel", how, await _rounds(home, "jupyter", "", rounds, peer))
    claim.goal_factor(SERVER, 2)
    return claim


@contextmanager
def _podman(home: Path) -> Iterator[Podman]:
    archive = home / "image.tar"
    layers = [offline.base_layer(), offline.python_layer()]
    made = offline.image(layers, {"PYTHON_VERSION": offline.VERSION}, offline.LABELS)
    archive.write_bytes(made.archive(_ARCHIVED))
    with podman(home / "podman", archive, _ARCHIVED) as engine:
        archive.unlink()
        yield engine


@asynccontextmanager
async def _engine(home: Path) -> AsyncIterator[Podman]:
    manager = _podman(home)
    engine = await asyncio.to_thread(manager.__enter__)
    try:
        yield engine
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


async def _container(home: Path, engine: Podman, rounds: int) -> Claim:
    def run() -> float:
        words = engine.command("run", "--rm", *ULIMITS, "--network", "host", _ARCHIVED, "python3", "-c", "print(1+1)")
        began = time.perf_counter()
        done = subprocess.run(words, env=engine.environ, capture_output=True, text=True, check=True, timeout=60)
        took = time.perf_counter() - began
        check([done.stdout])
        return took * 1e3

    async def launch() -> float:
        return await asyncio.to_thread(run)

    settings = f'[containers]\nsocket = "{engine.socket}"\n'
    how = (
        f"{_HOW} Podman with an image that is made of this machine's Python {offline.VERSION}; peer: "
        "`podman run --rm --network host IMAGE python3 -c 'print(1+1)'`, which keeps nothing and runs no kernel."
    )
    claim = _claim("c", "a container", how, await _rounds(home, "container", settings, rounds, (ENGINE, launch)))
    ratio = claim.ratio(ENGINE)
    claim.goals.append((f"at most 1.5 times {ENGINE}: {1 / ratio:.2f} times", 1 / ratio <= 1.5))
    return claim


async def measure(home: Path, *, rounds: int) -> list[Claim]:
    """Measures each engine that can be had here; of others it says, loudly, why not."""
    claims = [await _native(home, rounds)]
    missing = []
    async with jupyter_server(home) as server:
        try:
            claims.append(await _jupyter(home, server, rounds))
        except NotUsable as exc:
            missing.append(f"NOT MEASURED: a Jupyter kernel: {exc}")
    try:
        async with _engine(home) as engine:
            claims.append(await _container(home, engine, rounds))
    except NotUsable as exc:
        missing.append(f"NOT MEASURED: a container: {exc}")
    for line in missing:
        print(line, file=sys.stderr)
    claims[0].notes += missing
    return claims
