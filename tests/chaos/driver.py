"""Drives a world by chance, and holds what is seen against the model after every step and in the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from bai_tui.app.client.api import ApiClient
from bai_tui.app.model.endpoint import Endpoint
from bai_tui.app.model.errors import RemoteError, Unreachable
from bai_tui.app.model.sessions import LIVE, SessionStatus
from bai_tui.app.model.slots import CUDA_SHARES

from .model import REMOVED, Model, Row, Run, Tracked, Violation
from .programs import faults
from .readers import JournalReader, RunReader, run_texts
from .world import World

ALL: Final = tuple(SessionStatus)
_LIVE: Final = tuple(status for status in SessionStatus if status in LIVE)
_GPUS: Final = 4
_PATIENCE_S: Final = 30.0
"""How long something that must come to be may take on a machine that has other things to do as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a world is like."""

    seed: int
    steps: int = 60
    seconds: float = 20.0
    """No further step is taken after so long."""
    journal_bytes: int = 256 << 20
    cpu: int = 6
    disk_bytes: int = 0
    """The world lies on a disk of its own of this size, which is filled by chance; 0 = it does not."""

    def settings(self) -> str:
        return (
            f'port = 0\ncpu = {self.cpu}\nmem = "8g"\nmock_gpus = "{_GPUS}:16g"\nidle_timeout = 0\n'
            f"[journal]\nmax_size = {self.journal_bytes}\n"
        )


class Chaos:
    """One run of a scenario."""

    def __init__(self, world: World, scenario: Scenario, tell: Callable[[str], object] = lambda line: None) -> None:
        self.world = world
        self.scenario = scenario
        self.rng = random.Random(scenario.seed)
        self.model = Model({f"gpu{number}": Decimal(1) for number in range(_GPUS)})
        self.history: list[str] = []
        self.step = 0
        self.full = False
        self.fences = can_isolate()
        self.images: list[str] = ["python"]
        self.journals: dict[str, JournalReader] = {}
        self.runs: list[RunReader] = []
        self.slowest_start_s = 0.0
        self._refused: list[tuple[Run, str]] = []
        """To be held against the next look: the session may have ended."""
        self._ballast = world.home / "ballast"
        self._tell = tell
        self._began = time.monotonic()
        self._client: ApiClient | None = None
        self._up = asyncio.Event()
        self._fresh: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[Any]] = set()

    def note(self, text: str) -> None:
        """Writes a line of the history."""
        line = f"{time.monotonic() - self._began:7.2f}  {self.step:3d}  {text}"
        self.history.append(line)
        self._tell(line)

    # --- the client of now

    async def connect(self) -> ApiClient:
        """Returns a client of the daemon that runs, when one does."""
        await self._up.wait()
        assert self._client is not None
        return self._client

    async def find(self) -> Endpoint:
        """Returns where the daemon is, when one runs."""
        return (await self.connect()).endpoint

    async def down(self) -> None:
        """The daemon is about to be ended."""
        self._up.clear()
        if self._client is not None:
            client, self._client = self._client, None
            self.spawn(_close_later(client), "close a client")

    async def up(self, *commands: tuple[str, ...]) -> None:
        """Lets commands start the daemon, at the same time, and waits until it answers.

        Raises:
            Violation: there is none then, or more than one.
        """
        began = time.monotonic()
        said = await self.world.call(*(commands or (("serve", "--detach"),)))
        if any(code for code, _, _ in said):
            raise Violation(f"the daemon could not be started: {said}")
        endpoint = self.world.endpoint()
        if endpoint is None:
            raise Violation(f"no daemon runs after {commands}: {said}")
        daemons = self.world.daemons()
        if len(daemons) != 1:
            raise Violation(f"there are {len(daemons)} daemons: {daemons}")
        self._client = ApiClient(endpoint)
        self.slowest_start_s = max(self.slowest_start_s, time.monotonic() - began)
        self._up.set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        return task

    def reap(self) -> None:
        """Raises what went wrong in the background."""
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            if not task.cancelled():
                task.result()

    # --- what is seen

    async def rows(self, statuses: Sequence[SessionStatus] = ALL) -> list[Row]:
        client = await self.connect()
        views = await client.all_sessions(statuses)
        return [
            {
                "id": view.id,
                "name": view.name,
                "status": view.status,
                "info": view.status_info,
                "changed": view.status_changed,
                "gpu": {gpu: Decimal(share) for gpu, share in view.allocation.get(CUDA_SHARES, {}).items()},
            }
            for view in views
        ]

    async def promised(self) -> Mapping[str, Mapping[str, Decimal]]:
        client = await self.connect()
        return {gpu.id: gpu.promised for gpu in (await client.machine()).gpus}

    async def observe(self) -> Sequence[Row]:
        """Looks at everything and tells the model."""
        told = self.model.acknowledged()
        refused, self._refused = self._refused, []
        # Who has ended is written in the database, which is behind while the disk is full.
        statuses, look = (_LIVE, self.model.observe_live) if self.full else (ALL, self.model.observe)
        before = await self.rows(statuses)
        promised = await self.promised()
        after = await self.rows(statuses)
        look(before, told)
        look(after, told)
        self.model.observe_machine(before, promised, after, told)
        for run, why in refused:
            if run.session.live and not run.cut:
                raise Violation(f"the run {run.program.token} of {run.session.name} was refused: {why}")
        for one in self.model.sessions:
            if one.id is not None and one.was_running and one.id not in self.journals:
                reader = self.journals[one.id] = JournalReader(one, self, self.rng.randrange(1 << 30))
                self.spawn(reader.follow(), f"journal of {one.name}")
        self.reap()
        return after

    async def until(self, what: str, condition: Callable[[], bool], within_s: float = _PATIENCE_S) -> None:
        """Observes until something is so.

        Raises:
            Violation: it does not come to be.
        """
        deadline = time.monotonic() + within_s
        while True:
            await self.observe()
            if condition():
                return
            if time.monotonic() > deadline:
                raise Violation(f"{what}: not so within {within_s:g} s")
            await asyncio.sleep(0.02)  # between two looks at what others do

    # --- runs

    def launch_run(self, run: Run) -> None:
        reader = RunReader(run, self, self.rng.randrange(1 << 30))
        self.runs.append(reader)
        run.session.runs.append(run)
        self.spawn(self._follow_run(reader), f"run {run.program.token}")

    async def _follow_run(self, reader: RunReader) -> None:
        run = reader.run
        await reader.start()
        if reader.refused is None:
            await reader.resume(lambda: run.session.ending is not None)
        run.over = True
        told = f"refused: {reader.refused}" if reader.refused else f"{reader.end}, {'cut' if run.cut else 'whole'}"
        self.note(f"  run {run.program.token} ({run.program.kind}) of {run.session.name} is over: {told}")
        if reader.refused is not None and not self.full:
            self._refused.append((run, reader.refused))
        if found := reader.faults():
            raise Violation("; ".join(found[:5]))

    # --- from beginning to end

    async def drive(self, operations: Mapping[str, tuple[int, Callable[[Chaos], Awaitable[str | None]]]]) -> None:
        """Takes steps, then ends everything and looks at what is left.

        Args:
            operations: name -> weight and what is done; that returns what to note, None where it does not apply now.

        Raises:
            Violation: something is not as it must be.
        """
        await self.up()
        self._fresh = self.world.descriptors()
        client = await self.connect()
        self.images = await _images(client)
        self.note(f"seed {self.scenario.seed}; images {self.images}")
        names = list(operations)
        weights = [operations[name][0] for name in names]
        deadline = time.monotonic() + self.scenario.seconds
        try:
            while self.step < self.scenario.steps and time.monotonic() < deadline:
                name = self.rng.choices(names, weights)[0]
                async with asyncio.timeout(120):
                    told = await operations[name][1](self)
                if told is None:
                    continue
                self.note(f"{name}: {told}")
                self.step += 1
                async with asyncio.timeout(_PATIENCE_S):
                    await self.observe()
            await self.finish()
        finally:
            await self._cancel_all()
            if self._client is not None:
                await self._client.__aexit__(None, None, None)

    async def _cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def finish(self) -> None:
        """Ends all sessions and checks what they leave.

        Raises:
            Violation: something is missing, or too much is there.
        """
        self.note("the end: waiting for runs, ending sessions")
        if self.full:
            await self.empty_disk()
        await self.until("all runs are over", lambda: all(reader.run.over for reader in self.runs), 60)
        await self.until_all_ended()
        client = await self.connect()
        machine = await client.machine()
        if any(machine.occupied.values()):
            raise Violation(f"nothing runs, and {machine.occupied.wire()} is taken")
        await self.check_capacity(client)
        await self.check_journals()
        rows, _ = await client.session_rows(("id", "status_history"), statuses=ALL, limit=100, offset=0)
        self.model.check_order({str(row["id"]): _times(row["status_history"]) for row in rows})
        self.model.check_endings()
        await self.check_leftovers()

    async def check_capacity(self, client: ApiClient) -> None:
        """Checks that all GPUs can be had again: what nobody holds may still be missing from the books."""
        gpu = sum(self.model.capacity.values(), Decimal(0))
        one = Tracked("everything", "everything", gpu, self.step, {"everything"})
        self.model.sessions.append(one)
        resources = {"cpu": "1", "mem": "256m", "gpu": str(gpu)}
        made = await client.create_session(name=one.name, image="python", resources=resources, enqueue_only=True)
        one.id, one.acked_at = made.id, self.step
        await self.until(f"all {gpu} of the GPUs can be had again", lambda: one.was_running)
        await self.until_all_ended()

    async def until_all_ended(self) -> None:
        deadline = time.monotonic() + 90
        while True:
            await self.observe()
            live = self.model.live()
            if not live:
                return
            if time.monotonic() > deadline:
                raise Violation(f"not all sessions end: {[(one.name, one.last) for one in live]}")
            ready = [one for one in live if one.was_running and one.batch is None]
            stuck = [one for one in live if one.batch is None and not one.depends_on]
            for one in ready or (stuck if not any(one.batch for one in live) else []):
                await self.remove(one, forced=self.rng.random() < 0.3)
            await asyncio.sleep(0.02)  # as above

    async def remove(self, one: Tracked, *, forced: bool) -> None:
        """Ends a session; once that is acknowledged it must have ended."""
        one.allow(REMOVED)
        one.removing = True
        one.cut_runs(runner_lost=self.full)  # what no disk takes is lost with whoever holds it
        client = await self.connect()
        with contextlib.suppress(Unreachable, TimeoutError):
            try:
                await client.terminate(one.id or "", forced=forced)
                one.must_end = True
            except RemoteError as exc:
                if exc.http_status not in (404, 409) and not (self.full and exc.http_status == 503):
                    raise

    async def check_journals(self) -> None:
        for task in list(self._tasks):
            if task.get_name().startswith("journal of"):
                task.cancel()
                await asyncio.wait([task])
        self.reap()
        for session_id, reader in self.journals.items():
            await reader.rest()
            fresh = JournalReader(reader.session, self, 1)
            await fresh.rest()
            if not fresh.dropped and not reader.dropped and fresh.records != reader.records:
                raise Violation(f"two readers of the journal of {reader.session.name} ({session_id}) saw other records")
            one = reader.session
            programs = [(run.program, run.begun, run.cut, run.runner_lost) for run in one.runs]
            if one.batch is not None:
                done = one.ending is not None and one.ending[1] in ("task-finished", "task-failed")
                programs.append((one.batch, done, not done, not done))
            for program, begun, cut, lost in programs:
                ids, text, ends = run_texts(fresh.records, program.token)
                gaps = bool(fresh.dropped)
                if len(ids) > 1 or (begun and not ids and not gaps and not lost):
                    raise Violation(f"the run {program.token} of {one.name} began {len(ids)} times")
                if len(ends) > 1 or (ids and not ends and not lost and not gaps):
                    raise Violation(f"the run {program.token} of {one.name} ended {len(ends)} times")
                if ids and (found := faults(program.token, program.channels, text, whole=not cut, gaps=gaps)):
                    raise Violation(f"in the journal of {one.name}: " + "; ".join(found[:5]))

    async def check_leftovers(self) -> None:
        """Checks processes, groups, files, descriptors and the log once nothing runs any more."""
        world = self.world
        ids = [one.id for one in self.model.sessions if one.id is not None]
        await self.down()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PATIENCE_S)  # our connections are closed
        self.reap()
        if zombies := await _none_left(lambda: dict.fromkeys(world.zombies(), "zombie")):
            raise Violation(f"the daemon has not reaped {zombies}")
        if more := await _none_left(self._more_descriptors):
            raise Violation(f"the daemon has more descriptors open than a fresh one: {more}")
        world.children()
        stopped = await world.call(("serve", "--stop"))
        if stopped[0][0]:
            raise Violation(f"the daemon does not stop: {stopped}")
        left = await _none_left(lambda: world.processes(ids))
        if left:
            raise Violation(f"processes are left: {left}")
        if groups := await _none_left(lambda: {str(path): "" for path in world.groups()}):
            raise Violation(f"control groups are left: {groups}")
        if litter := world.litter():
            raise Violation(f"files are left: {litter}")
        if complaints := world.complaints():
            raise Violation("serve.log complains: " + "\n".join(complaints[:20]))

    def _more_descriptors(self) -> Mapping[str, str]:
        """Returns of what the daemon has more open than the first one had when there was no session yet."""
        # Zygotes and their spares are kept for the images in use; each costs the daemon a socket or two.
        kept = _SLACK + len(self.world.children())
        now = self.world.descriptors()
        more = {kind: count for kind, count in now.items() if count > self._fresh[kind] + kept}
        return {kind: f"{count} instead of {self._fresh[kind]}" for kind, count in more.items()}

    # --- the disk

    def fill_disk(self) -> None:
        """Writes until there is no room for a byte more."""
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            piece = bytes(1 << 16)
            while piece:
                with contextlib.suppress(OSError):
                    while file.write(piece) == len(piece):
                        pass
                piece = piece[: len(piece) // 2]
        self.full = True

    async def empty_disk(self) -> None:
        """Makes room, and waits until the database has caught up with what happened meanwhile.

        Raises:
            Violation: it does not.
        """
        os.truncate(self._ballast, 0)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            ids = self.model.acknowledged().ids
            now = {row["id"]: row["status"] for row in await self.rows()}
            written = await asyncio.to_thread(self.world.written)
            behind = [key for key in now.keys() | ids if now.get(key) != written.get(key)]
            if not behind:
                break
            if time.monotonic() > deadline:
                raise Violation(f"the database does not catch up with {behind}")
            await asyncio.sleep(0.05)  # as above
        self.full = False


_SLACK: Final = 4
"""Descriptors that come and go."""


async def _none_left(look: Callable[[], Mapping[Any, str]]) -> Mapping[Any, str]:
    """Returns what is left after a while, if anything."""
    deadline = time.monotonic() + 10
    while (left := look()) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)  # what was killed takes a moment to be gone
    return left


def can_isolate() -> bool:
    """Whether bubblewrap works on this machine."""
    try:
        probe = ["bwrap", "--ro-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "true"]
        return subprocess.run(probe, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


async def _close_later(client: ApiClient) -> None:
    await client.__aexit__(None, None, None)


async def _images(client: ApiClient) -> list[str]:
    """Returns the default image, and one or two others that are there."""
    found = [image.reference for image in await client.images() if image.installed]
    return ["python", *sorted(found)[:2]]


def _times(history: Any) -> dict[str, datetime]:
    told = json.loads(history) if isinstance(history, str) else history
    return {status: datetime.fromisoformat(when) for status, when in dict(told or {}).items() if when}
