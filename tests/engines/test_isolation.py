"""Real sessions in a sandbox: what is in there, what is not, and that they are sessions like any other."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.engines.hierarchies import SessionGroups
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.engines.sandbox import Sandboxes
from bai_tui.app.backend.ports import Guarantee
from bai_tui.app.backend.runner import procs
from bai_tui.app.model.console import RunMode
from bai_tui.app.model.errors import LaunchFailed

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("bwrap")]

WRITE = """
def write(path):
    try:
        with open(path, "a"):
            return "written"
    except OSError as exc:
        return exc.strerror
"""


@pytest.fixture
def secret_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of the user, with a secret in it."""
    path = Path("/var/tmp") / f"bai-tui-home-{os.getpid()}"
    (path / ".ssh").mkdir(parents=True)
    (path / ".ssh" / "id").write_text("the key")
    monkeypatch.setenv("HOME", str(path))
    yield path
    shutil.rmtree(path)


async def value(session: Any, code: str) -> Any:
    """Returns what the JSON that `code` evaluates to says."""
    result = await session.run(f"import json, os, socket; print(json.dumps({code}))")
    assert result.code == 0, result.said
    return json.loads(result.text())


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


# --- what is in there


async def test_the_system_can_be_read_and_only_the_sessions_own_can_be_written(isolated: Any) -> None:
    session = await isolated()
    await session.run(WRITE)
    folders = ("/usr", "/etc", "/", os.path.expanduser("~root"), "/run", "/dev", "/home", "/sys/kernel")
    for place in (os.path.join(folder, "x") for folder in folders):
        if Path(place).parent.is_dir():
            assert await value(session, f"write({place!r})") in (
                "Read-only file system", "Permission denied", "No such file or directory",
            ), place  # fmt: skip
    for place in ("/tmp/x", "/var/tmp/y", "/dev/shm/x", "here"):
        assert await value(session, f"write({place!r})") == "written", place
    assert (session.work / "here").exists()
    assert not Path("/tmp/x").exists()
    assert await value(session, "open('/etc/passwd').read() != ''")


async def test_home_is_the_work_folder(isolated: Any) -> None:
    session = await isolated(environ={"TMPDIR": "/elsewhere"})
    (session.work / "uploaded").write_text("hello")
    places = await value(session, "[os.getcwd(), os.path.expanduser('~'), os.environ['TMPDIR']]")
    assert places == ["/home/work", "/home/work", "/tmp"]
    assert await value(session, "open('/home/work/uploaded').read()") == "hello"
    batch = await session.batch(exec="pwd; echo made > made; cat uploaded")
    assert batch.text() == "/home/work\nhello"
    assert (session.work / "made").read_text() == "made\n"


async def test_tmp_is_the_sessions_own_and_kept_over_a_restart(isolated: Any) -> None:
    one, other = await isolated(), await isolated()
    await one.run("open('/tmp/mine', 'w').write('1')")
    await one.kernel.restart()
    assert await value(one, "os.path.exists('/tmp/mine')")
    assert (await one.batch(exec="cat /tmp/mine")).text() == "1"
    assert not await value(other, "os.path.exists('/tmp/mine')")


async def test_homes_and_folders_of_the_backend_are_not_there(kit: Any, folder: Path, secret_home: Path) -> None:
    secret = folder / "data"
    secret.mkdir()
    (secret / "keypair.json").write_text("the key")
    engine = ProcessEngine(folder / "hiding", spares=0, hide=[secret])
    sessions = kit.Sessions(engine, folder)
    try:
        other = await sessions.start()
        (other.work / "other").write_text("of somebody else")
        session = await sessions.start(isolation="bwrap")
        places = [
            secret_home / ".ssh" / "id",
            secret / "keypair.json",
            other.work / "other",
            other.base / "runner.sock",
        ]
        places += [folder / "hiding", session.base / "journal", session.base / "runner.sock"]
        for place in places:
            assert place.exists()
            seen = await value(session, f"os.path.exists({str(place)!r})")
            assert seen == (place == folder / "hiding"), place  # of that one there is the folder with `python` only
        assert await value(session, f"os.listdir({str(folder / 'hiding')!r})") == [
            engine._pool.bin_dir(engine._key(kit.make_image(), {})).name
        ]
    finally:
        await sessions.end()
        await engine.close()


async def test_only_its_own_processes_are_there(isolated: Any) -> None:
    session = await isolated()
    pids = await value(session, "sorted(int(p) for p in os.listdir('/proc') if p.isdigit())")
    assert pids[0] == 1
    assert len(pids) == 3, "the two of bubblewrap's, and the kernel"
    for pid in (os.getpid(), session.kernel.pid, os.getppid()):
        if pid not in pids:
            said = await session.run(f"import os; os.kill({pid}, 0)")
            assert "ProcessLookupError" in said.text("stderr")
    # the kernel and the commands see each other
    batch = await session.batch(
        exec="ls /proc | grep -c '^[0-9]'; cat /proc/1/environ | tr '\\0' '\\n' | grep -c SESSION"
    )
    assert int(batch.text().split()[0]) >= 5
    # the first process cannot be ended from inside, and holds nothing of the outside
    assert (await session.batch(exec="kill -9 1; kill -TERM 1; echo lives")).text() == "lives\n"
    assert "socket" not in (await session.batch(exec="ls -l /proc/self/fd /proc/1/fd")).text()


async def test_no_right_is_left(isolated: Any) -> None:
    session = await isolated()
    status = (await session.batch(exec="cat /proc/self/status")).text()
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{name}:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    await session.run(WRITE)
    for place in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches"):
        refusals = ("Read-only file system", "Permission denied", "No such file or directory")
        assert await value(session, f"write({place!r})") in refusals, place
    for group in (await session.batch(exec="find /sys/fs/cgroup -name cgroup.procs | head -50")).text().split():
        assert await value(session, f"write({group!r})") in refusals, group
    tried = await session.batch(exec="mount -t tmpfs none /tmp || unshare -Ur true || chroot / true || echo none")
    assert tried.text() == "none\n"


async def test_secrets_of_root_are_not_there(isolated: Any) -> None:
    session = await isolated()
    assert (await session.batch(exec="cat /etc/shadow; ls /etc/ssh/*key ~root/.ssh; true")).text() == ""


async def test_the_interpreter_cannot_be_written_through_the_process(isolated: Any) -> None:
    session = await isolated()
    # not by trying: as long as somebody runs it, the system answers "Text file busy" in any case
    assert await value(session, "bool(os.statvfs('/proc/self/exe').f_flag & os.ST_RDONLY)")


# --- the network


async def test_without_network_nothing_is_reached(isolated: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"socket.socket().connect_ex(('127.0.0.1', {server.getsockname()[1]}))"
        fenced = await isolated(network=False)
        assert await value(fenced, connect) != 0
        assert (await fenced.batch(exec="cat /proc/net/dev | grep -c :")).text() == "1\n", "its own lo only"
        await fenced.kernel.restart()
        assert await value(fenced, connect) != 0
        open_one = await isolated()
        assert await value(open_one, connect) == 0


# --- a session like any other


async def test_cells_input_figures_and_completion(isolated: Any) -> None:
    session = await isolated()
    assert (await session.run("1 + 1")).text() == "2\n"
    assert (await session.run("%pwd")).text() == "'/home/work'\n"
    assert (await session.run("!echo shell; id -u")).text().splitlines()[0] == "shell"
    run = await session.begin("import getpass; print([input('name? '), getpass.getpass('word? ')])")
    waiting = await session.follow(run, until=lambda record: record.kind == "waiting-input")
    await session.kernel.send_input(run, "a")
    seq = waiting.end.seq
    waiting = await session.follow(run, after=seq, until=lambda record: record.kind == "waiting-input")
    assert waiting.end.data == {"is_password": True}
    await session.kernel.send_input(run, "b")
    assert "['a', 'b']" in (await session.follow(run, after=waiting.end.seq)).text()
    await session.run("import string; marvel = 1")
    assert "string.ascii_letters" in (await session.kernel.complete("string.ascii_l", 14)).matches
    assert (await session.kernel.inspect("string.capwords", 9)).signature == "(s, sep=None)"


async def test_a_batch_command_that_waits_for_input_is_noticed(isolated: Any) -> None:
    session = await isolated()
    run = await session.begin(mode=RunMode.BATCH, exec="read name; echo hello $name")
    waiting = await session.follow(run, until=lambda record: record.kind == "waiting-input")
    await session.kernel.send_input(run, "you")
    assert (await session.follow(run, after=waiting.end.seq)).text() == "hello you\n"


@pytest.mark.parametrize(
    "code",
    ["print('up'); import time; time.sleep(60)", "print('up'); import subprocess; subprocess.call(['sleep', '60'])"],
)
async def test_interrupts_reach_the_code_and_its_children(isolated: Any, code: str) -> None:
    session = await isolated()
    run = await session.begin("print('up'); " + code)
    await session.follow(run, until=lambda record: record.kind == "stdout")
    await session.kernel.interrupt()
    ended = await session.follow(run)
    assert "KeyboardInterrupt" in ended.text("stderr") + ended.text()
    assert (await session.run("'lives'")).text() == "'lives'\n"


async def test_interrupts_reach_batch_commands(isolated: Any) -> None:
    session = await isolated()
    # Not `print('up')`, which unbuffered writes its newline by itself: the interrupt may come before it.
    waits = "python -c \"print('up\\\\n', end=''); import time; time.sleep(60)\""
    run = await session.begin(mode=RunMode.BATCH, exec=f"{waits}; echo never")
    await session.follow(run, until=lambda record: record.kind == "stdout")
    await session.kernel.interrupt()
    ended = await session.follow(run)
    assert (ended.code, ended.text()) == (130, "up\n")


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        ("import os; os._exit(7)", "the kernel ended with exit code 7", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the kernel was killed by SIGSEGV", 139),
    ],
)
async def test_the_death_of_the_kernel_is_told_as_it_was(isolated: Any, code: str, reason: str, exit_code: int) -> None:
    session = await isolated()
    died = await session.run(code)
    assert (died.end.kind, died.end.data["reason"], died.code) == ("kernel-died", reason, exit_code)
    await session.kernel.restart()
    assert (await session.run("'lives'")).text() == "'lives'\n"


async def test_a_sandbox_that_its_processes_have_ended_is_made_anew(isolated: Any) -> None:
    session = await isolated()
    died = await session.run("import os, time; os.kill(2, 9); time.sleep(20)")
    assert died.end.data["reason"] == "the kernel was killed by SIGKILL"
    assert (await session.batch(exec="echo again; ls /root")).text().startswith("again\n")
    await session.kernel.restart()
    assert (await session.run("'lives'")).text() == "'lives'\n"


async def test_exit_codes_and_signals_of_commands(isolated: Any) -> None:
    session = await isolated()
    assert (await session.batch(exec="exit 3")).code == 3
    killed = await session.batch(exec="kill -SEGV $$")
    assert (killed.code, killed.end.data.get("signal")) == (139, "SIGSEGV")


async def test_bootstrap_script_runs_inside(isolated: Any) -> None:
    session = await isolated(bootstrap_script="pwd > where; ls ~root/.ssh >> where 2>&1")
    assert (session.work / "where").read_text().startswith("/home/work\n")


# --- the end


async def test_nothing_is_left_of_it(isolated: Any) -> None:
    before = mounts()
    session = await isolated()
    await session.run(
        "import subprocess; p = [subprocess.Popen(['setsid', 'sh', '-c', 'trap \"\" TERM; sleep 60 & sleep 60'])]"
    )
    left = session.alive()
    assert len(left) >= 5
    await session.kernel.terminate(grace_s=0.1)
    assert [pid for pid in left if procs.start_time(pid)] == []
    assert mounts() == before
    shutil.rmtree(session.base)


async def test_processes_are_given_time_to_end(isolated: Any) -> None:
    session = await isolated()
    run = await session.begin(
        "import os, signal, time\n"
        "def end(*_): open('ended', 'w').write('in order'); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up'); time.sleep(60)"
    )
    await session.follow(run, until=lambda record: record.kind == "stdout")
    started = asyncio.get_running_loop().time()
    await session.kernel.terminate(grace_s=15)
    assert (session.work / "ended").read_text() == "in order"
    assert asyncio.get_running_loop().time() - started < 10, "nobody waits for bubblewrap"


async def test_all_ends_with_the_runner(isolated: Any) -> None:
    session = await isolated()
    await session.run("import subprocess; p = subprocess.Popen(['setsid', 'sleep', '60'])")
    fds = [os.pidfd_open(pid) for pid in session.alive()]
    assert len(fds) > 2, "the sandbox, the kernel, and what it has started"
    os.kill(session.kernel.pid, signal.SIGKILL)
    loop = asyncio.get_running_loop()
    for fd in fds:
        ended = asyncio.Event()
        loop.add_reader(fd, ended.set)
        await asyncio.wait_for(ended.wait(), 5)
        loop.remove_reader(fd)
        os.close(fd)
    await session.kernel.wait()


async def test_an_isolated_session_survives_its_backend(kit: Any, folder: Path) -> None:
    first = ProcessEngine(folder / "sandbox-first", spares=0)
    try:
        old = await kit.Sessions(first, folder).start(isolation="bwrap", network=False, work_quota_bytes=1 << 20)
        before = first.layers(old.kernel)
        info = json.loads(json.dumps(first.runner_info(old.kernel)))
    finally:
        await first.close()
    second = ProcessEngine(folder / "sandbox-first", spares=0)
    try:
        kernel: Any = await second.adopt(old.kernel.session_id, old.base, info)
        assert second.layers(kernel) == before
        adopted = kit.Session(kernel, old.base)
        await kernel.restart()
        assert await value(adopted, "os.getcwd()") == "/home/work"
        await kernel.terminate(grace_s=0)
    finally:
        await second.close()


# --- limits of its processes, and what is said


async def test_layers_say_what_holds(isolated: Any, engine: Any) -> None:
    session = await isolated(network=False, work_quota_bytes=10 << 20, max_tasks=50, mem_limit_bytes=512 << 20)
    layers = {(layer.name, layer.applies_to): layer for layer in engine.layers(session.kernel)}
    assert layers["bwrap", "files"].guarantee is Guarantee.HARD
    assert "can be read" in layers["bwrap", "files"].detail
    assert "127.0.0.1" in layers["bwrap", "network"].detail
    assert ("bwrap", "processes") in layers
    assert "10m" in layers["file-size", "disk"].detail
    assert (("bwrap-nproc", "tasks") in layers) == (os.geteuid() != 0)
    assert (("bwrap-data", "mem") in layers) == (("memory-cgroup", "mem") not in layers)
    open_one = await isolated()
    assert ("bwrap", "network") not in {(one.name, one.applies_to) for one in engine.layers(open_one.kernel)}


@pytest.mark.skipif(os.geteuid() == 0, reason="ROOT'S PROCESSES ARE NOT COUNTED BY THE SYSTEM")
async def test_a_fork_bomb_is_held_by_its_own_count(isolated: Any) -> None:
    session = await isolated(max_tasks=40)
    neighbour = await isolated(max_tasks=40)
    code = (
        "import os, signal\nmade = []\ntry:\n    while len(made) < 400:\n        pid = os.fork()\n"
        "        if not pid:\n            signal.pause()\n        made.append(pid)\n"
        "except BlockingIOError:\n    pass\nprint(len(made))\nfor pid in made: os.kill(pid, 9)"
    )
    ran = await session.run(code)
    assert 20 <= int(ran.text() or 0) <= 44, ran.said
    assert (await neighbour.batch(exec="true; true | true; echo fine")).text() == "fine\n"


async def test_memory_of_a_process_is_held_where_no_group_does(kit: Any, folder: Path) -> None:
    engine = ProcessEngine(folder / "no-groups", spares=0, groups=SessionGroups.none("none in this test"))
    sessions = kit.Sessions(engine, folder)
    try:
        session = await sessions.start(isolation="bwrap", mem_limit_bytes=256 << 20)
        said = await session.run("hog = bytearray(400 << 20)")
        assert "MemoryError" in said.text("stderr") + said.text()
        batch = await session.batch(exec="python -c 'hog = bytearray(400 << 20)'")
        assert "MemoryError" in batch.text("stderr")
        assert (await session.run("len(bytearray(10 << 20))")).code == 0
    finally:
        await sessions.end()
        await engine.close()


@pytest.mark.parametrize("isolation", ["", "bwrap"])
async def test_no_file_grows_beyond_the_quota(sessions: Any, isolation: str) -> None:
    session = await sessions.start(isolation=isolation, work_quota_bytes=1 << 20)
    for _ in range(2):
        said = await session.run("open('big', 'wb').write(bytes(2 << 20))")
        assert "File too large" in said.text("stderr") + said.text()
        batch = await session.batch(exec="head -c 3000000 /dev/zero > large")
        assert "File too large" in batch.text("stderr")
        await session.kernel.restart()
    assert (session.work / "big").stat().st_size <= 1 << 20
    assert (session.work / "large").stat().st_size == 1 << 20
    printed = await session.run("print('x' * (3 << 20))")
    assert len(printed.text()) == (3 << 20) + 1, "the journal is no file of the session's"


# --- where it cannot be had


async def test_a_session_is_refused_and_never_started_unfenced(kit: Any, folder: Path, tmp_path: Path) -> None:
    old, broken = tmp_path / "old", tmp_path / "broken"
    old.write_text("#!/bin/sh\necho bubblewrap 0.1.7\n")
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo bubblewrap 0.8.0; exit; }\n'
        "echo 'bwrap: No permissions to create new namespace' >&2; exit 1\n"
    )
    for path in (old, broken):
        path.chmod(0o755)
    for which, words in (
        (str(tmp_path / "none"), "cannot be run"),
        (str(old), "isolation needs bubblewrap 0.4 or later"),
        (str(broken), "No permissions to create new namespace"),
    ):
        engine = ProcessEngine(folder / "refusing", spares=0, bwrap=which)
        sessions = kit.Sessions(engine, folder)
        try:
            with pytest.raises(LaunchFailed, match=words) as refused:
                await sessions.start(isolation="bwrap")
            assert "\n" not in refused.value.message
            assert (await (await sessions.start()).run("1")).text() == "1\n"
        finally:
            await sessions.end()
            await engine.close()


async def test_it_is_told_when_bubblewrap_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LaunchFailed, match="install the package bubblewrap, or launch without isolation"):
        await Sandboxes(tmp_path).check(network=True)


# --- the other kind of user


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs all of these tests already")
async def test_all_of_this_as_an_ordinary_user() -> None:
    user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", "/bin/sh", "-c", 'exec "$0" "$@"']
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = next((path for path in (sys.executable, "/usr/bin/python3") if _can_be_run(user, path, version)), None)
    if python is None:
        pytest.skip(f"NOBODY CAN RUN NO PYTHON {version} HERE: the tests of isolation were run as root only")
    folders = [path for path in sys.path if path.endswith("site-packages")]
    these = "only or network or nothing or runner or fork_bomb or memory or quota"  # all take half a minute
    arguments = ["-q", "-p", "no:cacheprovider", "-k", these, __file__]
    program = (
        f"import site, sys\nfor folder in {folders}: site.addsitedir(folder)\n"
        f"import pytest\nsys.exit(pytest.main({arguments}))"
    )
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    process = await asyncio.create_subprocess_exec(
        *user, python, "-c", program, cwd="/", env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out[-4000:] + err[-1000:]).decode()
    assert " passed" in out.decode(), out.decode()


def _can_be_run(user: list[str], python: str, version: str) -> bool:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        said = subprocess.run([*user, python, "-c", ask], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return said.stdout.strip() == version
