"""The terminal of a real session: its shell, those who are attached to it, and the end of both."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bai_tui.app.backend.engines import adoption
from bai_tui.app.backend.engines.kernel import ProcessKernel
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.engines.sandbox import Sandboxes
from bai_tui.app.backend.ports import Terminal
from bai_tui.app.backend.runner import procs
from bai_tui.app.model.errors import KernelNotReady, LaunchFailed
from bai_tui.tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Screen:
    """A client that reads, unless it is told not to."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.shown = b""
        self.ends: list[int] = []
        self.is_over = False
        self.reads = asyncio.Event()
        self.reads.set()

    async def read(self) -> None:
        async for news in self.terminal.news():
            if news.exit_code is not None:
                self.ends.append(news.exit_code)
            self.shown += base64.b64decode(news.output)
            await self.reads.wait()
        self.is_over = True

    async def type(self, text: str) -> None:
        await self.terminal.type(text.encode())

    async def sees(self, text: str | bytes) -> None:
        wanted = text.encode() if isinstance(text, str) else text
        await until(lambda: wanted in self.shown)

    async def ask(self, command: str) -> str:
        """Returns what a command prints; its echo is not taken for that."""
        before = len(self.shown)
        await self.type(f"printf '<%s''>' a; {command}; printf '<%s''>' z\n")
        await until(lambda: b"<z>" in self.shown[before:])
        return self.shown[before:].partition(b"<a>")[2].partition(b"<z>")[0].decode().replace("\r\n", "\n").strip()


@asynccontextmanager
async def screen(kernel: ProcessKernel) -> AsyncIterator[Screen]:
    made = Screen(await kernel.terminal())
    reader = asyncio.create_task(made.read())
    try:
        yield made
    finally:
        await made.terminal.close()
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader


async def is_prompting(shown: Screen) -> None:
    await until(lambda: shown.shown)


@pytest_asyncio.fixture(loop_scope="module")
async def own_sessions(kit: Any, folder: Path) -> AsyncIterator[Any]:
    """Of an engine whose interpreters end with the test."""
    engine = ProcessEngine(folder / "engine", spares=0)
    made = kit.Sessions(engine, folder)
    yield made
    await made.end()
    await engine.close()


async def test_a_shell_in_the_work_folder(kit: Any, own_sessions: Any, python: tuple[str, str]) -> None:
    """On every Python of this machine: the pty is the runner's work, whatever the image."""
    session = await own_sessions.start(kit.make_image(python[1]), environ={"OF_THE_USER": "here"})
    async with screen(session.kernel) as shown:
        await shown.terminal.resize(30, 100)
        assert await shown.ask(
            "pwd; echo $OF_THE_USER $TERM; stty size; tty | cut -c1-9; cat /dev/null < /dev/tty"
        ) == (f"{session.work}\nhere xterm-256color\n30 100\n/dev/pts/")
        assert await shown.ask("python -c 'import sys; print(sys.version_info[:2])'") == str(
            tuple(map(int, python[0].split(".")))
        )
        assert await shown.ask("echo $$; ps -o sid= -p $$") != ""
        await shown.type("exit 3\n")
        await until(lambda: shown.ends == [3])
    assert (await session.run("print('lives')")).text() == "lives\n"


async def test_size_input_and_interrupts(session: Any) -> None:
    async with screen(session.kernel) as shown:
        await shown.terminal.resize(40, 132)
        assert await shown.ask("stty size") == "40 132"
        await shown.type("trap 'echo si''ze $(stty size)' WINCH; sleep 100\n")
        await until(lambda: any(cmdline(pid).startswith(b"sleep") for pid in session.alive()))
        assert await shown.terminal.busy()
        await shown.type("\x03")
        await until_idle(shown.terminal)
        await shown.terminal.resize(25, 90)
        await shown.type("\n")
        await shown.sees("size 25 90")
        # what takes several bytes is erased as a whole
        await shown.type("cat > typed\n")
        await until_busy(shown.terminal)
        await shown.type("gröx\x7f\x7fö\n\x04")
        await until_idle(shown.terminal)
    assert (session.work / "typed").read_text() == "grö\n"


async def until_busy(terminal: Terminal) -> None:
    while not await terminal.busy():
        await asyncio.sleep(0.005)  # nobody tells of it


async def until_idle(terminal: Terminal) -> None:
    while await terminal.busy():
        await asyncio.sleep(0.005)  # as above


async def test_several_share_it_and_who_comes_later_sees_what_there_was(session: Any) -> None:
    async with screen(session.kernel) as first:
        await first.ask("echo $((6*7)) for every''body")
        async with screen(session.kernel) as second:
            await second.sees("42 for everybody")
            await second.type("echo from the sec''ond\n")
            await first.sees("from the second")
    async with screen(session.kernel) as third:
        await third.sees("from the second")
        assert await third.ask("printf x") == "x", "the shell has gone on while nobody was there"


async def test_what_asks_the_terminal_is_not_asked_again(session: Any) -> None:
    async with screen(session.kernel) as first:
        await first.type("stty -echo; printf 'do''ne\\033[c\\033[6n\\033[>c\\033]11;?\\007'\n")
        await first.sees(b"done\x1b[c\x1b[6n\x1b[>c\x1b]11;?\x07")
    async with screen(session.kernel) as second:
        await second.sees("done")
        assert await second.ask("printf x") == "x"
        for query in (b"\x1b[c", b"\x1b[6n", b"\x1b[>c", b"\x1b]11;?"):
            assert query not in second.shown


async def test_a_flood_waits_for_who_reads_and_is_bounded(session: Any) -> None:
    async with screen(session.kernel) as shown:
        await is_prompting(shown)
        shown.reads.clear()
        await shown.type("seq 1 400000; echo the e''nd\n")
        await until_busy_without_reading(session)
        shown.reads.set()
        # nothing is lost to who reads again in time
        await shown.sees("the end")
        numbers = shown.shown.partition(b"seq 1 400000")[2]
        assert numbers.count(b"\r\n") > 390_000


async def until_busy_without_reading(session: Any) -> None:
    await until(lambda: any(cmdline(pid).startswith(b"seq") for pid in session.alive()))


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_who_does_not_read_holds_up_nobody(session: Any) -> None:
    async with screen(session.kernel) as deaf, screen(session.kernel) as shown:
        await is_prompting(deaf)
        deaf.reads.clear()
        await shown.ask("seq 1 300000 > /dev/tty")
        assert b"300000" in shown.shown
        resident = resident_kib(session.kernel.pid)
        await shown.ask("seq 1 300000 > /dev/tty")
        assert resident_kib(session.kernel.pid) < resident + 2048
        deaf.reads.set()
        await deaf.sees("<z>")
        assert len(deaf.shown) < 1 << 21, "it is told the newest part"
    async with screen(session.kernel) as alone:
        await is_prompting(alone)
        alone.reads.clear()
        # also where it is the only one: the shell goes on in a moment
        await alone.type("seq 1 300000; touch do''ne\n")
        await until(lambda: (session.work / "done").exists())


def resident_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * (os.sysconf("SC_PAGESIZE") // 1024)


async def test_the_modes_of_a_program_outlive_what_is_dropped(session: Any) -> None:
    async with screen(session.kernel) as first:
        await first.ask("printf '\\033[?1049h\\033[?1000;1006h\\033[?25l'; seq 1 200000 > /dev/tty")
    async with screen(session.kernel) as second:
        await second.sees("<z>")
        opening = second.shown[:100]
        for mode in (b"\x1b[?1049h", b"\x1b[?1000h", b"\x1b[?1006h", b"\x1b[?25l"):
            assert mode in opening
        await second.type("exec false\n")
        await until(lambda: second.ends == [1])
        for undone in (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?1006l", b"\x1b[?25h"):
            assert undone in second.shown[-200:], "a shell that has ended leaves a terminal that can be used"


async def test_a_shell_that_has_ended_can_be_started_again(session: Any) -> None:
    async with screen(session.kernel) as shown:
        await shown.type("kill -9 $$\n")
        await until(lambda: shown.ends == [128 + signal.SIGKILL])
        await shown.type("lost\n")
        await shown.terminal.restart()
        assert await shown.ask("printf again") == "again"
        await shown.type("sleep 1000 & sleep 2000\n")
        await until_busy(shown.terminal)
        before = [pid for pid in session.alive() if b"sleep" in cmdline(pid)]
        assert before
        await shown.terminal.restart()
        assert await shown.ask("printf fresh") == "fresh"
        await until(lambda: not any(procs.stat(pid) for pid in before))
        assert b"lost" not in shown.shown.replace(b"kill", b"")
    async with screen(session.kernel) as later:
        await later.type("exit\n")
        await until(lambda: later.ends == [0])
    async with screen(session.kernel) as fresh:
        assert await fresh.ask("printf new") == "new"
        assert b"fresh" not in fresh.shown, "another shell begins on an empty screen"


async def test_the_end_of_the_session_ends_the_shell_and_tells(sessions: Any) -> None:
    session = await sessions.start()
    async with screen(session.kernel) as shown:
        await shown.type("trap '' HUP TERM; (setsid sleep 3000 &) ; sleep 1000\n")
        await until_busy(shown.terminal)
        below = session.alive()
        await session.kernel.terminate(grace_s=0)
        await until(lambda: shown.is_over)
        assert not any(procs.stat(pid) for pid in below)
        with pytest.raises(KernelNotReady, match="has ended"):
            await shown.type("x")
    with pytest.raises(KernelNotReady):
        await session.kernel.terminal()


async def test_a_new_kernel_takes_the_shell_along(session: Any) -> None:
    async with screen(session.kernel) as shown:
        await is_prompting(shown)
        await session.kernel.restart()
        await until(lambda: shown.ends)
        await shown.terminal.restart()
        assert await shown.ask("printf x") == "x"


async def test_another_backend_finds_it_as_it_was(session: Any) -> None:
    async with screen(session.kernel) as shown:
        await shown.ask("WORD=kept")
    other = await adoption.adopt(session.kernel.session_id, session.base, adoption.runner_info(session.kernel))
    assert isinstance(other, ProcessKernel)
    try:
        async with screen(other) as shown:
            await shown.sees("<z>")
            assert await shown.ask("echo $WORD") == "kept"
    finally:
        await other.close()


async def test_too_many_clients_and_unusable_shells_are_refused(session: Any, sessions: Any) -> None:
    terminals = []
    with pytest.raises(LaunchFailed, match="as many as it may have"):
        for _ in range(100):
            terminals.append(await session.kernel.terminal())
    assert len(terminals) == 32
    for terminal in terminals:
        await terminal.close()
    odd = await sessions.start(environ={"SHELL": "/bin/false"})
    async with screen(odd.kernel) as shown:
        await until(lambda: shown.ends == [1])
    missing = await sessions.start(environ={"SHELL": "relative/shell"})
    async with screen(missing.kernel) as shown:
        assert await shown.ask("printf x") == "x"


@pytest.mark.parametrize(
    "said", [{}, {"do": "keys"}, {"do": "keys", "data": "%"}, {"do": "resize", "rows": "x", "cols": 1}]
)
async def test_a_runner_refuses_what_it_cannot_read(session: Any, said: dict[str, Any]) -> None:
    terminal = await session.kernel.terminal()
    reading = asyncio.create_task(Screen(terminal).read())
    answer = await terminal._ask(**said)[1]
    assert answer["error"] == "bad-request"
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await terminal.close()


@pytest.fixture
def isolated(sessions: Any, tmp_path: Path) -> Callable[..., Any]:
    async def start(**changes: Any) -> Any:
        try:
            await Sandboxes(tmp_path).check(network=True)
        except LaunchFailed as exc:
            pytest.skip(f"NO SANDBOXES CAN BE HAD HERE: {exc.message}")
        return await sessions.start(isolation="bwrap", **changes)

    return start


async def test_in_a_sandbox_it_is_in_the_sandbox(isolated: Callable[..., Any], tmp_path: Path) -> None:
    session = await isolated()
    async with screen(session.kernel) as shown:
        assert await shown.ask("tty; pwd; ls /dev/pts; stty size > /dev/tty; touch /usr/x 2>/dev/null || echo no") == (
            "/dev/pts/0\n/home/work\n0  ptmx\n24 80\nno"
        )
        assert await shown.ask(f"ls -d {session.base} 2>/dev/null || echo hidden") == "hidden"
        assert await shown.ask("grep -c . /proc/1/environ 2>/dev/null; grep NoNewPrivs /proc/self/status") != ""
        assert int(await shown.ask("ps -e | wc -l")) < 12
        kernel = (await session.run("import os; open('mark', 'w').write('x'); print(os.listdir('.'))")).text()
        assert "mark" in kernel and await shown.ask("cat mark") == "x"
        await shown.type("exit 4\n")
        await until(lambda: shown.ends == [4])
        await shown.terminal.restart()
        assert await shown.ask("printf x") == "x"
        below = session.alive()
        await session.kernel.terminate(grace_s=0)
        await until(lambda: shown.is_over)
        assert not any(procs.stat(pid) for pid in below)


async def test_a_terminal_that_is_lost_is_no_end_of_the_session(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bai_tui.app.backend.engines.terminal._END_S", 0.05)
    terminal = await session.kernel.terminal()
    terminal._writer.transport.abort()
    with pytest.raises(KernelNotReady, match="was lost"):
        async for _ in terminal.news():
            pass
    await terminal.close()
    async with screen(session.kernel) as shown:
        assert await shown.ask("printf x") == "x"
