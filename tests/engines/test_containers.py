"""Sessions in containers of a real Podman: what runs there, what holds it, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bai_tui.app.backend.containers import ContainerClient, EngineInfo
from bai_tui.app.backend.engines.container import ContainerEngine
from bai_tui.app.backend.engines.container_kernel import ContainerKernel
from bai_tui.app.backend.ports import Exit, Guarantee
from bai_tui.app.backend.runner import procs
from bai_tui.app.backend.runner.caps.finder import FRACTIONS
from bai_tui.app.model.console import RunMode
from bai_tui.app.model.errors import KernelNotReady, LaunchFailed
from bai_tui.app.model.images import Image, ImageKind, ImageReference
from bai_tui.app.policies import ContainerSettings
from bai_tui.tests.containers import offline
from bai_tui.tests.containers.fixtures import PYTHON_IMAGE
from bai_tui.tests.containers.podman import Podman

pytestmark = pytest.mark.asyncio(loop_scope="module")
_MIB = 1 << 20


def image_of(reference: str, kernel: str = "plain") -> Image:
    """An image of the container engine; plain cells, since they come up faster."""
    name, _, tag = reference.rpartition(":")
    return Image(id="test", reference=ImageReference(name, tag), kind=ImageKind.CONTAINER, kernel=kernel)


def containers(podman: Podman) -> list[str]:
    return podman.run("ps", "--all", "--format", "{{.Names}}").split()


@pytest.fixture(scope="module")
def client(podman: Podman) -> ContainerClient:
    return ContainerClient(str(podman.socket), {})


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that may lie deep: no address of a socket must hold its path."""
    with tempfile.TemporaryDirectory(prefix="bt-containers-") as made:
        deep = Path(made, "so-deep-a-folder" * 8)
        deep.mkdir()
        yield deep


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def contained(client: ContainerClient, place: Path) -> AsyncIterator[ContainerEngine]:
    made = ContainerEngine(place / "engine", client, ContainerSettings())
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def made(contained: ContainerEngine, kit: Any, place: Path) -> AsyncIterator[Any]:
    sessions = kit.Sessions(contained, place)
    yield sessions
    await sessions.end()


async def start(made: Any, **changes: Any) -> Any:
    return await made.start(image_of(PYTHON_IMAGE), **changes)


async def test_code_and_commands_run_in_the_image_with_the_work_folder_of_the_machine(made: Any) -> None:
    session = await start(made, environ={"COLOUR": "blue"})
    told = await session.run(
        "import os, sys\n"
        "open('from-inside', 'w').write('x')\n"
        "print(os.getcwd(), os.environ['HOME'], os.environ['COLOUR'], sys.executable, os.path.exists('/usr/share/doc'))"
    )
    assert told.text() == "/home/work /home/work blue /usr/local/bin/python3 False\n"
    written = session.work / "from-inside"
    assert (written.read_text(), written.stat().st_uid) == ("x", session.base.stat().st_uid)
    listed = await session.batch(exec="cat from-inside; exit 3")
    assert (listed.text(), listed.code) == ("x", 3)
    nothing = await session.run("print(open('/proc/self/status').read())")
    assert "CapEff:\t0000000000000000" in nothing.text()
    assert "NoNewPrivs:\t1" in nothing.text()


async def test_what_runs_inside_cannot_lead_the_backend_to_files_of_the_machine(made: Any) -> None:
    session = await start(made)
    told = await session.run(
        "import os\n"
        f"folder = {str(session.base)!r}\n"
        "for name in ('work', 'journal', 'session.json.new', 'container.json', 'container.new'):\n"
        "    path = os.path.join(folder, name)\n"
        "    try:\n"
        "        if os.path.lexists(path):\n"
        "            os.rename(path, path + '-moved')\n"
        "        os.symlink('/', path)\n"
        "    except OSError as exc:\n"
        "        print(name, exc.strerror)\n"
    )
    assert told.text() == "journal Device or resource busy\n"
    outside = {name: (session.base / name).is_symlink() for name in ("work", "journal", "container.json")}
    assert outside == {"work": False, "journal": False, "container.json": False}
    assert not (session.base / "session.json.new").is_symlink()
    await session.kernel.terminate(grace_s=0)
    await session.kernel.wait()
    assert {path.name for path in (session.base / "inside").iterdir()} == {"exit.json", "runner.log"}


async def test_a_cell_asks_is_interrupted_and_has_a_terminal(made: Any) -> None:
    session = await start(made)
    run = await session.begin("print('hello ' + input('who? '))")
    await session.follow(run, until=lambda record: record.kind == "waiting-input")
    await session.kernel.send_input(run, "you")
    assert (await session.follow(run)).text().endswith("hello you\n")
    run = await session.begin("import time\nprint('on')\ntime.sleep(60)")
    await session.follow(run, until=lambda record: record.kind == "stdout")
    await session.kernel.interrupt()
    assert "KeyboardInterrupt" in (await session.follow(run)).text("stderr")
    terminal = await session.kernel.terminal()
    await terminal.type(b"echo $((6 * 7)) in $PWD\n")
    seen = ""
    async with asyncio.timeout(10):
        async for news in terminal.news():
            seen += base64.b64decode(news.output).decode()
            if "42 in /home/work" in seen:
                break
    await terminal.close()


async def test_memory_processes_and_the_size_of_files_are_held_and_said_to_be(
    made: Any, contained: ContainerEngine
) -> None:
    session = await start(
        made, mem_limit_bytes=96 * _MIB, max_tasks=24, cpu_limit_cores=1, cores=frozenset({0}), work_quota_bytes=_MIB
    )
    hog = await session.run("x = bytearray(300 << 20)")
    assert "out of memory: the session is over its mem of 96m" in hog.end.data["reason"]
    await session.kernel.restart()
    bomb = await session.run(
        "import os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(60)\n        os._exit(0)"
    )
    assert "a process or thread was refused: the session has as many as it may, 24" in bomb.text("stderr")
    await session.kernel.restart()
    large = await session.run("open('large', 'wb').write(b'x' * (2 << 20))")
    assert "File too large" in large.text("stderr")
    layers = {layer.name: layer for layer in contained.layers(session.kernel)}
    assert {name: layer.guarantee for name, layer in layers.items()} == {
        "affinity": Guarantee.COOPERATIVE,
        "cpu-cgroup": Guarantee.HARD,
        "memory-cgroup": Guarantee.HARD,
        "tasks-cgroup": Guarantee.HARD,
        "file-size": Guarantee.HARD,
        "container": Guarantee.HARD,
    }
    assert "96m" in layers["memory-cgroup"].detail


async def test_what_is_said_to_docker_makes_the_same_container(
    client: ContainerClient, kit: Any, place: Path, podman: Podman
) -> None:
    class AsDocker(ContainerClient):
        async def info(self) -> EngineInfo:
            return replace(await client.info(), name="Docker")

    engine = ContainerEngine(place / "docker", AsDocker(str(podman.socket), {}), ContainerSettings())
    sessions = kit.Sessions(engine, place)
    session = await sessions.start(
        image_of(PYTHON_IMAGE), mem_limit_bytes=96 * _MIB, max_tasks=24, cpu_limit_cores=1, cores=frozenset({0})
    )
    said = await session.run(
        "import os, resource\n"
        "print(os.getcwd(), os.getuid(), sorted(os.sched_getaffinity(0)), resource.getrlimit(resource.RLIMIT_CORE))\n"
        "print(open('/proc/self/status').read())"
    )
    assert said.text().startswith(f"/home/work {session.base.stat().st_uid} [0] (0, 0)\n")
    assert "CapBnd:\t0000000000000000" in said.text()
    hard = {one.name for one in engine.layers(session.kernel) if one.guarantee is Guarantee.HARD}
    assert hard == {"cpu-cgroup", "memory-cgroup", "tasks-cgroup", "container"}
    await sessions.end()
    await engine.close()
    assert containers(podman) == []


async def test_without_network_there_is_none(made: Any, contained: ContainerEngine) -> None:
    session = await start(made, network=False)
    asked = await session.run("import os\nprint(sorted(os.listdir('/sys/class/net')))")
    assert asked.text() == "['lo']\n"
    told = [layer.detail for layer in contained.layers(session.kernel) if layer.applies_to == "network"]
    assert told == ["none: not even the machine's own 127.0.0.1"]


async def test_the_end_takes_every_process_and_the_container(made: Any, podman: Podman) -> None:
    session = await start(made)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(99)"
    )
    await session.run(
        "import subprocess, sys\n"
        "for _ in range(3):\n"
        f"    one = subprocess.Popen([sys.executable, '-c', {stubborn!r}], start_new_session=True, stdout=-1)\n"
        "    one.stdout.readline()"
    )
    inside = procs.descendants(session.kernel.pid)
    assert len(inside) >= 4
    await session.kernel.terminate(grace_s=0.1)
    assert await session.kernel.wait() == Exit(0, "the session was ended")
    assert [pid for pid in inside if procs.stat(pid)] == []
    assert containers(podman) == []
    assert not (session.base / "runner.sock").exists()


async def test_a_session_is_taken_over_by_the_next_backend_and_without_the_engine(
    made: Any, contained: ContainerEngine, podman: Podman, kit: Any
) -> None:
    session = await start(made)
    await session.run("x = 41")
    info = json.loads(json.dumps(contained.runner_info(session.kernel)))
    kept: list[dict[str, Any]] = [info, {}]
    for stored in kept:
        later = ContainerEngine(Path("/elsewhere"), ContainerClient("/there/is/none", {}), ContainerSettings())
        kernel = await later.adopt(session.kernel.session_id, session.base, stored)
        assert isinstance(kernel, ContainerKernel)
        assert later.runner_info(kernel) == info
        assert later.layers(kernel) == contained.layers(session.kernel)
        assert (await kit.Session(kernel, session.base).run("x += 1\nprint(x)")).text().strip().isdigit()
        await later.close()
    assert session.kernel.note.name in containers(podman)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("kill",), "the session's container was ended from outside (exit code 137)"),
        (("rm", "--force", "--time", "0"), "the session's container was removed from outside"),
    ],
)
async def test_a_container_that_is_ended_from_outside_ends_the_session_at_once(
    made: Any, podman: Podman, command: tuple[str, ...], reason: str
) -> None:
    session = await start(made)
    await session.begin("import time\ntime.sleep(60)")
    await asyncio.to_thread(podman.run, *command, session.kernel.note.name)
    async with asyncio.timeout(15):
        ended = await session.kernel.wait()
    # a container that is removed at once was seen as one that has ended
    assert ended.code is None
    assert ended.reason in (reason, "the session's container was ended from outside (exit code 137)")
    assert session.kernel.note.name not in containers(podman)
    with pytest.raises(KernelNotReady):
        await session.run("1")


async def test_a_session_goes_on_without_the_engine_which_removes_the_container_when_it_is_back(
    made: Any, podman: Podman, contained: ContainerEngine
) -> None:
    session = await start(made)
    contained._keeper._retry_s = 0.05
    away = podman.socket.rename(podman.folder / "away.sock")
    try:
        assert (await session.run("print(1)")).text() == "1\n"
        await session.kernel.terminate(grace_s=0)
        assert (await session.kernel.wait()).code == 0
    finally:
        away.rename(podman.socket)
    async with asyncio.timeout(20):
        assert contained._keeper._retrying is not None
        await contained._keeper._retrying
    assert session.kernel.note.name not in containers(podman)


async def test_what_a_killed_backend_has_left_is_swept_and_what_nobody_knows_is_removed(
    made: Any, podman: Podman, client: ContainerClient, place: Path, contained: ContainerEngine, kit: Any
) -> None:
    dead = ContainerEngine(place / "dead", client, ContainerSettings())
    left = await kit.Sessions(dead, place).start(image_of(PYTHON_IMAGE))
    lost = await kit.Sessions(dead, place).start(image_of(PYTHON_IMAGE))
    info = dead.runner_info(left.kernel)
    await dead.close()
    later = ContainerEngine(place / "dead", client, ContainerSettings())
    kept = await kit.Sessions(later, place).start(image_of(PYTHON_IMAGE))
    await later.sweep(left.kernel.session_id, left.base, info)
    assert set(containers(podman)) == {lost.kernel.note.name, kept.kernel.note.name}
    assert await later.adopt(left.kernel.session_id, left.base, info) == Exit(
        None, "the session's container was ended from outside"
    )
    await contained.tidy()  # of another backend
    assert set(containers(podman)) == {lost.kernel.note.name, kept.kernel.note.name}
    await later.tidy()
    assert containers(podman) == [kept.kernel.note.name]
    await kept.kernel.terminate(grace_s=0)
    await later.close()


async def test_a_start_that_is_given_up_leaves_nothing(made: Any, podman: Podman, place: Path) -> None:
    known = len(made.made)
    starting = asyncio.create_task(start(made))
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(containers, podman):
            await asyncio.sleep(0)  # until there is a container: nothing tells of it
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert (len(made.made), containers(podman)) == (known, [])


async def test_an_image_without_python_says_what_it_needs(made: Any, client: ContainerClient, podman: Podman) -> None:
    archive = offline.image([offline.base_layer()]).archive("localhost/bare:1")

    async def pieces() -> AsyncIterator[bytes]:
        yield archive

    await client.load(pieces())
    with pytest.raises(LaunchFailed, match=r"localhost/bare:1 has no Python: .* need Python 3.6 or later in the image"):
        await made.start(image_of("localhost/bare:1"))
    with pytest.raises(LaunchFailed, match="no image localhost/gone:1 any more: fetch it with"):
        await made.start(image_of("localhost/gone:1"))
    assert containers(podman) == []


async def test_an_image_without_ipython_borrows_it(made: Any) -> None:
    session = await made.start(image_of(PYTHON_IMAGE, kernel="ipython"))
    assert session.kernel.shell.startswith("ipython ")
    assert "'/home/work'" in (await session.run("%pwd")).text()


async def test_a_bootstrap_script_runs_first_and_batches_are_told(made: Any) -> None:
    session = await start(made, bootstrap_script="echo ready > flag")
    assert (await session.run("print(open('flag').read())")).text() == "ready\n\n"
    assert (await session.follow(await session.begin(mode=RunMode.BATCH, exec="exit 7"))).code == 7


async def test_who_holds_a_part_of_a_gpu_is_capped_wherever_it_runs_python(made: Any) -> None:
    session = await start(made, granted={FRACTIONS: "0.5", "CUDA_VISIBLE_DEVICES": ""})
    code = "import sys; print([type(one).__name__ for one in sys.meta_path if 'Caps' in type(one).__name__])"
    assert (await session.run(code)).text() == "['CapsFinder']\n"
    assert (await session.batch(exec=f'python3 -c "{code}"')).text() == "['CapsFinder']\n"
    assert (await session.run("import os\nprint(os.access(os.environ['PYTHONPATH'], os.W_OK))")).text() == "False\n"
