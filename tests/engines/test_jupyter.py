"""Sessions whose cells are run by a Jupyter kernel: one that misbehaves at will, and a real one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bai_tui.app.backend.engines.kernel import ProcessKernel
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.runner import procs
from bai_tui.app.backend.runner.files import JUPYTER
from bai_tui.app.model.errors import LaunchFailed
from bai_tui.app.model.images import Image, ImageReference

pytestmark = pytest.mark.asyncio(loop_scope="module")

TINY = Path(__file__).with_name("tiny_kernel.py")
PNG = "iVBORw0KGgo="


def write_spec(folder: Path, argv: list[str], **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    said = {"argv": argv, "display_name": folder.name, "language": "tiny", **more}
    (folder / "kernel.json").write_text(json.dumps(said))
    return folder


def jupyter_image(folder: Path, **more: Any) -> Image:
    return Image(id="jupyter", reference=ImageReference("jupyter", "test"), kernelspec=str(folder), **more)


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Callable[..., Image]:
    """Makes an image of the kernel for tests, with those of its bad habits that are named."""

    def make(*habits: str, **more: Any) -> Image:
        spec = folder / "kernels" / ("tiny-" + "-".join([*habits, *more]))
        said = {"interrupt_mode": "message"} if "by-message" in habits else {}
        write_spec(spec, [sys.executable, str(spec / TINY.name), "{connection_file}", *habits], **said, **more)
        # beside its description: a sandbox shows that folder, and not a checkout in /tmp
        shutil.copy(TINY, spec)
        return jupyter_image(spec)

    return make


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def zygotes(engine: ProcessEngine, tiny: Callable[..., Image], kit: Any) -> None:
    """Those that the tests of this file share; one for all Jupyter kernels."""
    await engine.warm(tiny())
    await engine.warm(kit.make_image(kernel="plain"))


async def test_output_comes_whole_in_order_and_as_what_it_is(sessions: Any, tiny: Callable[..., Image]) -> None:
    session = await sessions.start(tiny())
    html = json.dumps({"text/plain": "table", "text/html": "<b>t</b>"})
    result = await session.run(
        "echo one\ncomplain two\necho three\n"
        f'show display_data {{"image/png": "{PNG}", "text/plain": "<Figure>"}}\n'
        f'show execute_result {{"text/plain": "42"}}\nshow update_display_data {html}\n'
        "echo 10%\nclear wait\necho 20%\npage help"
    )
    assert [kind for kind, _ in result.said] == ["stdout", "stderr", "stdout", "media", "stdout", "html", "stdout"]
    said = [data for _, data in result.said]
    assert said[:4] == ["one\n", "two\n", "three\n", ["image/png", "data:image/png;base64," + PNG]]
    assert (said[4], said[5].startswith("<b>t</b>")) == ("42\ntable\n", True)
    assert (said[6], result.code) == ("10%\n\033[2K\r20%\nhelp\n", 0)
    raw = await session.run("raw past all messages\nraw_error this too")
    assert (raw.text(), raw.text("stderr")) == ("past all messages\n", "this too\n")
    garbage = await session.run("garbage\necho goes on")
    assert (garbage.text(), garbage.code) == ("half of a pair: \\ud83d\ngoes on\n", 0)


@pytest.mark.parametrize(
    ("code", "said", "exit_code"),
    [
        ("fail badly", "\033[31mOops\033[0m: badly\n", 1),
        ("fail_in_reply badly", "Oops: badly\n", 1),
        ("abort", "the kernel has given up this cell\n", 1),
        ("no_idle", "", 0),
        ("no_reply\nfail badly\nno_reply", "\033[31mOops\033[0m: badly\n", 1),
        ("idle_first\nfail_in_reply x", "Oops: x\n", 1),
        ("idle_first\ncomplain much too late\nlate", "much too late\nafter all\n", 0),
    ],
)
async def test_a_cell_ends_once_however_its_end_is_told(
    sessions: Any, tiny: Callable[..., Image], code: str, said: str, exit_code: int
) -> None:
    session = await sessions.start(tiny())
    result = await session.run(code)
    assert (result.text("stderr"), result.code) == (said, exit_code)
    assert (await session.run("echo next")).said == [("stdout", "next\n")]


async def test_of_a_flood_nothing_is_lost(sessions: Any, tiny: Callable[..., Image]) -> None:
    session = await sessions.start(tiny())
    result = await session.run("flood 60000")
    assert result.text() == "".join(f"{number}\n" for number in range(60000))


async def test_a_kernel_that_nobody_follows_is_held_up_and_nothing_grows(
    sessions: Any, tiny: Callable[..., Image]
) -> None:
    """The runner stands still: what it does not take is bounded, whatever the kernel would say yet (200 MiB)."""
    session = await sessions.start(tiny(), journal_max_bytes=512 << 20)
    bridge = bridge_of(session)
    kernel = procs.descendants(bridge)[0]
    before = resident_bytes(bridge)
    run_id = await session.begin("echo begun\nbulk 200000")
    await session.follow(run_id, until=lambda record: record.kind == "stdout")
    os.kill(session.kernel.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(15):
            stopped = 0
            while stopped < 30:  # for good, not only until the bridge has caught up
                entry = procs.stat(kernel)
                stopped = stopped + 1 if entry is not None and entry.state == "T" else 0
                await asyncio.sleep(0.01)  # nothing tells of a process that was stopped by its parent
        grown = resident_bytes(bridge) - before
        assert grown < 48 << 20
    finally:
        os.kill(session.kernel.pid, signal.SIGCONT)


def bridge_of(session: Any) -> int:
    return int(json.loads((session.base / "runner.json").read_text())["kernel_pid"])


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_input_is_asked_for_in_the_console(sessions: Any, tiny: Callable[..., Image]) -> None:
    session = await sessions.start(tiny())
    run_id = await session.begin("echo before\nask name\nask secret")
    after = 0
    for text, is_password in (("before\nname? ", False), ("<Ada>\nsecret? ", True)):
        part = await session.follow(run_id, after=after, until=lambda record: record.kind == "waiting-input")
        assert (part.text(), part.end.data["is_password"]) == (text, is_password)
        after = part.end.seq
        await session.kernel.send_input(run_id, "Ada", after)
    assert (await session.follow(run_id, after=after)).text() == "<Ada>\n"


@pytest.mark.parametrize(("habit", "heard"), [("plain", "SIGINT"), ("by-message", "interrupt_request")])
async def test_an_interrupt_comes_in_the_way_that_the_kernel_wants(
    sessions: Any, tiny: Callable[..., Image], habit: str, heard: str
) -> None:
    session = await sessions.start(tiny(habit))
    await session.kernel.interrupt()  # nothing is going on: nothing happens
    run_id = await session.begin("wait")
    begun = await session.follow(run_id, until=lambda record: record.kind == "stdout")
    await session.kernel.interrupt()
    result = await session.follow(run_id, after=begun.end.seq)
    assert (begun.text() + result.text(), result.code) == (f"waiting\nheard {heard}\n", 0)
    run_id = await session.begin("wait")
    await session.kernel.interrupt()  # it may not even have begun: then it does not begin
    result = await session.follow(run_id)
    assert (result.text(), result.code) in ((f"waiting\nheard {heard}\n", 0), ("", 130))


@pytest.mark.parametrize(
    ("status", "code", "name"), [("7", 7, None), ("0", 0, None), ("-11", 139, "SIGSEGV"), ("-9", 137, "SIGKILL")]
)
async def test_a_kernel_that_dies_is_told_as_it_died_and_can_be_restarted(
    sessions: Any, tiny: Callable[..., Image], status: str, code: int, name: str | None
) -> None:
    session = await sessions.start(tiny())
    result = await session.run(f"echo last words\ndie {status}")
    assert (result.text(), result.end.kind, result.code) == ("last words\n", "kernel-died", code)
    assert result.end.data.get("signal") == name
    async with asyncio.timeout(5):
        died = await session.kernel.kernel_died()
    assert died.code == (int(status) if status != "0" else 0)
    await session.kernel.restart()
    assert (await session.run("echo again")).text() == "again\n"


async def test_restart_and_end_leave_no_process_and_no_file(sessions: Any, tiny: Callable[..., Image]) -> None:
    long = sessions.base / ("long-" * 20)
    long.mkdir(exist_ok=True)
    session = await sessions.start(tiny(), session_dir=long)
    where = (await session.run("where")).text().split()
    assert where[0] == str(session.work)
    assert where[2] == "ipc", "paths of sockets are short, whatever the folder"
    begun = await session.begin("wait")
    await session.kernel.restart()
    del begun
    assert not procs.stat(int(where[1])) or procs.stat(int(where[1])).ended  # type: ignore[union-attr]  # just asked
    kernel = int((await session.run("where")).text().split()[1])
    runner = session.kernel.pid
    await session.kernel.terminate()
    assert not [pid for pid in (kernel, runner) if procs.is_alive(pid, procs.start_time(pid))]
    assert not (long / JUPYTER).exists()
    assert [path.name for path in session.work.iterdir()] == []


async def test_a_killed_bridge_or_runner_takes_the_kernel_along(sessions: Any, tiny: Callable[..., Image]) -> None:
    for victim in (bridge_of, lambda session: session.kernel.pid):
        session = await sessions.start(tiny())
        kernel = int((await session.run("where")).text().split()[1])
        fd = os.pidfd_open(kernel)
        os.kill(victim(session), signal.SIGKILL)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(fd, ended.set)
        async with asyncio.timeout(5):
            await ended.wait()
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)


async def test_another_backend_takes_over_in_the_middle_of_a_run(
    sessions: Any, tiny: Callable[..., Image], folder: Path, kit: Any
) -> None:
    session = await sessions.start(tiny())
    run_id = await session.begin("echo before\nask on")
    first = await session.follow(run_id, until=lambda record: record.kind == "waiting-input")
    info = sessions.engine.runner_info(session.kernel)
    await session.kernel.close()  # as a backend that was killed: without a word to the runner
    other = ProcessEngine(folder / "other", spares=0)
    try:
        kernel = await other.adopt(session.kernel.session_id, session.base, info)
        assert isinstance(kernel, ProcessKernel)
        adopted = kit.Session(kernel, session.base)
        await kernel.send_input(run_id, "yes", first.end.seq)
        assert (await adopted.follow(run_id)).text() == "before\non? <yes>\n"
        await kernel.restart()
        assert (await adopted.run("echo new")).text() == "new\n"
        await kernel.terminate()
    finally:
        await other.close()


async def test_kernels_that_know_ports_only_and_such_that_say_nothing_of_themselves(
    sessions: Any, tiny: Callable[..., Image]
) -> None:
    session = await sessions.start(tiny("ipc-not"))
    assert (await session.run("where")).text().split()[2] == "tcp"
    quiet = await sessions.start(tiny("quiet-start"))
    assert (await quiet.run("echo heard")).text() == "heard\n"


async def test_a_kernel_that_does_not_come_up_says_why(sessions: Any, tiny: Callable[..., Image], folder: Path) -> None:
    with pytest.raises(
        LaunchFailed, match="tiny-deaf ended with exit code 3 before it was ready: a library is missing"
    ):
        await sessions.start(tiny("deaf"))
    gone = jupyter_image(write_spec(folder / "kernels" / "gone", ["no-such-program-here", "{connection_file}"]))
    with pytest.raises(LaunchFailed, match=r"program no-such-program-here is not installed"):
        await sessions.start(gone)
    with pytest.raises(LaunchFailed, match=r"kernel\.json cannot be read"):
        await sessions.start(jupyter_image(folder / "nowhere"))
    (folder / "kernels" / "gone" / "kernel.json").write_text("[]")
    with pytest.raises(LaunchFailed, match=r"kernel\.json holds no kernel"):
        await sessions.start(gone)


async def test_the_environment_is_the_sessions_before_the_kernelspecs(
    sessions: Any, tiny: Callable[..., Image]
) -> None:
    image = tiny(env={"OWN": "spec ${SET}", "SET": "spec", "CUDA_VISIBLE_DEVICES": "all"})
    session = await sessions.start(image, environ={"SET": "user"}, granted={"CUDA_VISIBLE_DEVICES": "GPU-1"})
    assert (await session.run("env OWN SET CUDA_VISIBLE_DEVICES")).text() == (
        "OWN=spec user SET=user CUDA_VISIBLE_DEVICES=GPU-1\n"
    )
    batch = await session.batch(exec="echo $SET $CUDA_VISIBLE_DEVICES; pwd")
    assert batch.text() == f"user GPU-1\n{session.work}\n"


async def test_completion_and_inspection_are_the_kernels(sessions: Any, tiny: Callable[..., Image]) -> None:
    session = await sessions.start(tiny())
    found = await session.kernel.complete(" a|", 2)
    assert (found.matches, found.types, found.start) == (("ab|c", "abd"), ("function", ""), 1)
    said = await session.kernel.inspect("name", 2)
    assert (said.found, said.name, said.doc) == (True, "name", "help of name")
    run_id = await session.begin("ask x")
    await session.follow(run_id, until=lambda record: record.kind == "waiting-input")
    assert (await session.kernel.complete("a", 1)).busy
    await session.kernel.send_input(run_id, "")
    await session.follow(run_id)


@pytest.mark.usefixtures("bwrap")
async def test_an_isolated_session_has_its_kernel_inside(
    isolated: Callable[..., Any], tiny: Callable[..., Image]
) -> None:
    session = await isolated(tiny(), network=False)
    where = (await session.run("where")).text().split()
    assert (where[0], where[3]) == ("/home/work", "/tmp/jupyter")
    await session.kernel.restart()
    assert (await session.run("die -9")).code == 137


async def test_start_up_code_runs_in_every_new_kernel(sessions: Any, tiny: Callable[..., Image], kit: Any) -> None:
    """In kernels of all kinds; its output and its failure belong to no run."""
    python = "import sys; ready = 41; print('up'); print('so to say', file=sys.stderr)"
    for image, startup, ask in (
        (kit.make_image(), python, "print(ready + 1)"),
        (kit.make_image(kernel="plain"), python, "print(ready + 1)"),
        (tiny(), "echo up\ncomplain so to say", "echo 42"),
    ):
        session = await sessions.start(replace(image, startup=startup, environ={"FROM_IMAGE": "yes"}))
        for times in (1, 2):
            result = await session.run(ask)
            assert (result.said, result.code) == ([("stdout", "42\n")], 0)
            assert await said_outside(session) == [("stdout", "up\n"), ("stderr", "so to say\n")] * times
            await session.kernel.restart()
        assert (await session.batch(exec="echo $FROM_IMAGE")).text() == "yes\n"
    failed = "the start-up code of the image has failed: the log of the session says how\n"
    for image, startup, word in ((kit.make_image(), "1/0", "ZeroDivisionError"), (tiny(), "fail badly", "Oops")):
        failing = await sessions.start(replace(image, startup=startup))
        result = await failing.run("echo 2" if image.kernelspec else "print(2)")
        assert result.said == [("stderr", failed), ("stdout", "2\n")], "the first run tells of it"
        result = await failing.run("echo 3" if image.kernelspec else "print(3)")
        assert result.said == [("stdout", "3\n")], "and no other"
        text = "".join(data for _, data in await said_outside(failing))
        assert word in text
        assert text.endswith(failed)


async def said_outside(session: Any) -> list[tuple[str, str]]:
    """What the journal holds of text that belongs to no run."""
    found = []
    async for record in session.kernel.records():
        if record.run_id is None and record.kind in ("stdout", "stderr"):
            found.append((record.kind, record.data))
        if record.seq >= session.kernel.last_seq:
            break
    return found


@pytest.fixture(scope="module")
def ipykernel(folder: Path) -> Image:
    """The real one, of this very interpreter."""
    pytest.importorskip("ipykernel")
    argv = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return jupyter_image(
        write_spec(folder / "kernels" / "ipykernel", argv, language="python"), interpreter=sys.executable
    )


async def test_ipykernel_runs_here_as_in_jupyter(sessions: Any, ipykernel: Image) -> None:
    session = await sessions.start(ipykernel)
    first = await session.run(
        "import os, sys\nprint('x'); print('e', file=sys.stderr)\nos.system('echo from a child')\n1+1"
    )
    assert first.text("stderr") == "e\n", "nothing is said of frozen modules"
    assert sorted(first.text().splitlines()) == ["2", "from a child", "x"]
    failed = await session.run("1/0")
    assert (failed.code, failed.text(), "ZeroDivisionError" in failed.text("stderr")) == (1, "", True)
    assert (await session.run("sys.exit(5)")).code == 5
    flood = await session.run("for i in range(200000): print(i)")
    assert flood.text() == "".join(f"{number}\n" for number in range(200000))

    run_id = await session.begin("print('on')\nwhile True: pass")
    await session.follow(run_id, until=lambda record: record.kind == "stdout")
    await session.kernel.interrupt()
    assert "KeyboardInterrupt" in (await session.follow(run_id)).text("stderr")
    run_id = await session.begin("import getpass\ngetpass.getpass('word? ')")
    part = await session.follow(run_id, until=lambda record: record.kind == "waiting-input")
    assert (part.text(), part.end.data["is_password"]) == ("word? ", True)
    await session.kernel.interrupt()
    assert (await session.follow(run_id)).code == 1

    said = await session.kernel.inspect("os.path.join", 10)
    assert (said.found, said.signature, said.type) == (True, "(a, *p)", "function")
    died = await session.run("import ctypes; ctypes.string_at(0)")
    assert (died.code, died.end.data["signal"]) == (139, "SIGSEGV")
    assert (await session.batch(exec="python -c 'import sys; print(sys.executable)'")).text() == sys.executable + "\n"
