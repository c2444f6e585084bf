"""What may happen to a world. Each operation tells the model what it allows before it does it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from bai_tui.app.backend.runner import procs
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import RemoteError, Unreachable

from .driver import Chaos
from .model import BATCH_DONE, DEPENDENCY, FULL_DISK, LAUNCH_CUT, RUNNER_DIED, Run, Tracked
from .programs import Program, program, shell_command

MOST_LIVE: Final = 14
_SHARES: Final = ("0", "0", "0.25", "0.5", "0.75", "1", "2")


def _running(chaos: Chaos) -> list[Tracked]:
    return [one for one in chaos.model.live() if one.was_running and not one.removing]


def _pick(chaos: Chaos, among: list[Tracked]) -> Tracked | None:
    return chaos.rng.choice(among) if among else None


def _token(chaos: Chaos, letter: str) -> str:
    return f"{letter}{chaos.step}x{chaos.rng.randrange(1 << 32):08x}"


async def _create(chaos: Chaos, one: Tracked, *, wait: bool, **options: Any) -> str:
    """Asks for a session; what became of the answer is told to the model."""
    chaos.model.sessions.append(one)
    if chaos.full:
        one.allow(FULL_DISK)
    client = await chaos.connect()

    async def ask() -> str:
        try:
            made = await client.create_session(name=one.name, enqueue_only=not wait, **options)
        except Unreachable:
            return "no answer"
        except RemoteError as exc:
            if not chaos.full and exc.http_status < 500:
                raise
            return f"refused: {exc.message}"
        assert one.id in (None, made.id)
        if chaos.full and made.status == "ERROR":
            return f"{made.id} ERROR"  # that it was ever there need not be known after the next crash
        one.id = made.id
        one.acked_at = chaos.step
        return f"{made.id} {made.status}"

    if not wait:
        return await ask()
    # Whoever waits for the start of one that must queue waits for others to end.
    chaos.spawn(ask(), f"create {one.name}")
    return "not waited for"


async def launch(chaos: Chaos) -> str | None:
    if len(chaos.model.live()) >= MOST_LIVE:
        return None
    rng = chaos.rng
    name = f"chaos-{chaos.step}-{rng.randrange(10_000)}"
    gpu, image = rng.choice(_SHARES), rng.choice(chaos.images)
    priority = rng.choice((None, None, None, 5, 20))
    one = Tracked(name, f"interactive {gpu} {priority}", Decimal(gpu), chaos.step, {name})
    resources = {"cpu": "1", "mem": "256m", **({"gpu": gpu} if gpu != "0" else {})}
    fenced = {"isolation": "bwrap"} if chaos.fences and rng.random() < 0.25 else {}
    wait = rng.random() < 0.3
    told = await _create(
        chaos, one, wait=wait, image=image, resources=resources, resource_opts=fenced, priority=priority
    )
    how = f"{image}, gpu {gpu}, priority {priority}, {'wait' if wait else 'enqueue'}{', isolated' if fenced else ''}"
    return f"{name} ({how}): {told}"


async def batch(chaos: Chaos) -> str | None:
    if len(chaos.model.live()) >= MOST_LIVE:
        return None
    rng = chaos.rng
    name, token = f"batch-{chaos.step}-{rng.randrange(10_000)}", _token(chaos, "q")
    command, channels, exit_code = shell_command(token, rng)
    gpu = rng.choice(_SHARES)
    others = [one for one in chaos.model.live() if one.batch is not None and one.acked_at is not None]
    depends_on = rng.sample(others, min(len(others), rng.choice((0, 0, 1, 2))))
    one = Tracked(name, f"batch {gpu} {bool(depends_on)}", Decimal(gpu), chaos.step, {name}, depends_on=depends_on)
    one.batch = Program("batch", token, ExecuteRequest(RunMode.BATCH, "", {"exec": command}), channels, exit_code)
    one.allow(BATCH_DONE)
    if depends_on:
        one.allow(DEPENDENCY)
    resources = {"cpu": "1", "mem": "256m", **({"gpu": gpu} if gpu != "0" else {})}
    told = await _create(
        chaos,
        one,
        wait=False,
        image="python",
        resources=resources,
        type="batch",
        startup_command=command,
        depends_on=[other.id for other in depends_on],
    )
    return f"{name} (gpu {gpu}, after {[other.name for other in depends_on]}, exit code {exit_code}): {told}"


async def run(chaos: Chaos) -> str | None:
    free = [one for one in _running(chaos) if one.batch is None and one.current is None]
    one = _pick(chaos, free)
    if one is None:
        return None
    made = Run(program(_token(chaos, "r"), chaos.rng), one)
    chaos.launch_run(made)
    return f"{made.program.token} ({made.program.kind}) in {one.name}"


async def interrupt(chaos: Chaos) -> str | None:
    one = _pick(chaos, [one for one in _running(chaos) if one.current is not None])
    if one is None:
        return None
    one.cut_runs()
    client = await chaos.connect()
    await client.interrupt(one.id or "")
    return one.name


async def restart(chaos: Chaos) -> str | None:
    one = _pick(chaos, [one for one in _running(chaos) if one.batch is None])
    if one is None:
        return None
    one.cut_runs()
    if chaos.full:
        one.allow(FULL_DISK)
    client = await chaos.connect()
    try:
        await client.restart(one.id or "")
    except RemoteError as exc:
        if not chaos.full:
            raise
        return f"{one.name}: {exc.message}"
    return one.name


async def rename(chaos: Chaos) -> str | None:
    one = _pick(chaos, [one for one in chaos.model.live() if not one.removing])
    if one is None:
        return None
    name = f"other-{chaos.step}-{chaos.rng.randrange(10_000)}"
    one.names.add(name)
    client = await chaos.connect()
    try:
        await client.rename(one.id or "", name)
    except RemoteError as exc:
        if not chaos.full and exc.http_status != 404:  # it may have ended by itself
            raise
        return f"{one.name}: {exc.message}"
    one.names = {name}
    old, one.name = one.name, name
    return f"{old} to {name}"


async def prioritize(chaos: Chaos) -> str | None:
    one = _pick(chaos, [one for one in chaos.model.live() if not one.was_running])
    if one is None:
        return None
    one.reordered = True
    client = await chaos.connect()
    priority = chaos.rng.randrange(100)
    with contextlib.suppress(RemoteError):
        await client.prioritize(one.id or "", priority)
    return f"{one.name} to {priority}"


async def remove(chaos: Chaos) -> str | None:
    one = _pick(chaos, [one for one in chaos.model.live() if not one.removing])
    if one is None:
        return None
    forced = chaos.rng.random() < 0.3
    if chaos.rng.random() < 0.3:
        chaos.spawn(chaos.remove(one, forced=forced), f"remove {one.name}")
        return f"{one.name}{' by force' if forced else ''}, not waited for"
    await chaos.remove(one, forced=forced)
    return f"{one.name}{' by force' if forced else ''}"


# --- rude


_STARTERS: Final[tuple[tuple[tuple[str, ...], ...], ...]] = (
    (("serve", "--detach"),),
    (("ps",),),
    (("ps",), ("ps", "--all"), ("serve", "--detach")),
    (("images",), ("serve", "--detach")),
)


def _kill_runner(chaos: Chaos, one: Tracked) -> bool:
    told = chaos.world.runner(one.id or "")
    if told is None:
        return False
    one.allow(RUNNER_DIED)
    if not one.was_running:
        one.allow(LAUNCH_CUT)
    one.cut_runs(runner_lost=True)
    procs.send_signal(int(told["pid"]), signal.SIGKILL)
    return True


async def kill_daemon(chaos: Chaos) -> str | None:
    rng = chaos.rng
    number = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
    told = []
    if chaos.full:
        await chaos.empty_disk()
        told.append("emptied the disk")
    await chaos.down()
    pid = chaos.world.signal_daemon(number)
    chaos.model.daemon_lost(datetime.now(UTC))
    victim = _pick(chaos, [one for one in _running(chaos) if one.id is not None])
    if victim is not None and rng.random() < 0.25 and _kill_runner(chaos, victim):
        told.append(f"killed the runner of {victim.name} meanwhile")
    commands = rng.choice(_STARTERS)
    await chaos.up(*commands)
    told.append(f"started by {' & '.join(' '.join(command) for command in commands)}")
    return f"{pid} with {number.name}; {'; '.join(told)}"


async def kill_runner(chaos: Chaos) -> str | None:
    one = _pick(chaos, [one for one in chaos.model.live() if one.id is not None])
    if one is None or not _kill_runner(chaos, one):
        return None
    await chaos.until(f"{one.name} has ended after its runner was killed", lambda: not one.live)
    left = chaos.world.processes([one.id or ""])
    mine = {pid: line for pid, line in left.items() if _belongs(pid, one.id or "")}
    if mine:
        raise AssertionError(f"the runner of {one.name} was killed and left {mine}")
    return f"of {one.name}"


def _belongs(pid: int, session_id: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"{procs.MARKER}={session_id}".encode() in file.read().split(b"\0")
    except OSError:
        return False


async def kill_kernel(chaos: Chaos) -> str | None:
    one = _pick(chaos, [one for one in _running(chaos) if one.id is not None])
    if one is None or (told := chaos.world.runner(one.id or "")) is None:
        return None
    pid = int(told["kernel_pid"])
    if not pid or not procs.is_alive(pid, int(told["kernel_start_time"])):
        return None
    for each in one.runs:
        if not each.over and each.program.request.mode is RunMode.QUERY:
            each.cut = True
    procs.send_signal(pid, signal.SIGKILL)
    return f"{pid} of {one.name}"


async def pause(chaos: Chaos) -> str | None:
    """Stops the daemon or a runner for a moment."""
    backend = chaos.world.running()
    one = _pick(chaos, _running(chaos))
    told = chaos.world.runner(one.id or "") if one is not None else None
    pid, what = (backend.pid, "the daemon") if backend is not None else (0, "")
    if one is not None and told is not None and chaos.rng.random() < 0.5:
        pid, what = int(told["pid"]), f"the runner of {one.name}"
    pause_s = chaos.rng.uniform(0.02, 0.6)
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(pause_s)  # no synchronisation: so long it stands still
    finally:
        procs.send_signal(pid, signal.SIGCONT)
    return f"{what} for {pause_s:.2f} s"


async def fill(chaos: Chaos) -> str | None:
    """Fills the disk, or makes room again."""
    if not chaos.scenario.disk_bytes:
        return None
    if chaos.full:
        await chaos.empty_disk()
        return "emptied"
    for one in chaos.model.live():
        one.allow(FULL_DISK)
    chaos.fill_disk()
    return "full"


Operation = Callable[[Chaos], Awaitable[str | None]]
OPERATIONS: Final[Mapping[str, tuple[int, Operation]]] = {
    "launch": (16, launch),
    "batch": (8, batch),
    "run": (30, run),
    "interrupt": (4, interrupt),
    "restart": (3, restart),
    "rename": (3, rename),
    "prioritize": (3, prioritize),
    "remove": (8, remove),
    "kill-daemon": (5, kill_daemon),
    "kill-runner": (4, kill_runner),
    "kill-kernel": (5, kill_kernel),
    "pause": (4, pause),
    "fill": (6, fill),
}
