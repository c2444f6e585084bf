"""A session's processes, seen from the backend."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from ...model.console import ExecuteRequest
from ...model.errors import IllegalState, KernelNotReady, LaunchFailed
from ...model.inspection import Completions, Inspection
from ..ports import Exit, JournalRecord, Terminal
from ..runner import procs
from ..runner.files import JOURNAL
from .journal import JournalFollower
from .leftovers import end_leftovers, read_end
from .limits import Limits
from .link import RunnerError, RunnerGone, RunnerLink
from .terminal import attach

KILLED: Final = Exit(None, "the session's runner was killed")
_HEAL_S: Final = 5.0
"""How often a reader looks at the disk although nobody told of news."""
_LOOK_S: Final = 5.0
"""How long a kernel is waited for that looks into objects of the user's."""
_STUBBORN_S: Final = 5.0
"""How long after the time of grace a runner may take to end before it is killed."""


class ProcessKernel:
    """Implements `ports.Kernel` over a runner."""

    def __init__(
        self, session_id: str, session_dir: Path, interpreter: str, limits: Limits, grace_s: float = 2.0
    ) -> None:
        self.session_id = session_id
        self.session_dir = session_dir
        self.interpreter = interpreter
        self.limits = limits
        self.start_time = 0
        """Start time of the runner in clock ticks since boot."""
        self.shell = ""
        """What runs the cells: `ipython <version>` or `plain`."""
        self._pid = 0
        self._link: RunnerLink | None = None
        self._last_seq = 0
        self._busy: str | None = None
        self._last_activity = 0.0
        self._last_told = 0.0
        """The same as the runner told of it: Unix time."""
        self._dead: dict[str, Any] | None = None
        self._resting: JournalFollower | None = None
        """Left by the last reader, in its place: most often the next one begins there."""
        self._grace_s = grace_s
        self._pulse = asyncio.Event()
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._watcher: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"ProcessKernel({self.session_id!r}, pid={self._pid})"

    # --- coming and going

    def attach(self, link: RunnerLink, identity: dict[str, Any], state: dict[str, Any]) -> None:
        """Takes over the runner behind `link`; from now on the kernel watches it."""
        self._link = link
        self._pid = identity["pid"]
        self.start_time = identity["start_time"]
        self.shell = identity["shell"]
        self.take_state(state)
        self._watcher = asyncio.create_task(self._watch(), name=f"runner-{self.session_id}")

    def take_state(self, state: dict[str, Any]) -> None:
        """Hears what the runner says of itself."""
        if state["journal"] < self._last_seq:
            return  # a reader of the journal is ahead of this note; a newer one is on its way
        self._last_seq = state["journal"]
        self._busy = state["busy"]
        if state["last"] != self._last_told:  # told again after the clock was set, it is no other moment
            self._last_told = state["last"]
            self._last_activity = time.monotonic() - max(time.time() - state["last"], 0.0)
        self._dead = state["dead"]
        self._beat()

    async def _watch(self) -> None:
        """Waits for the end of the runner, however it comes, and cleans up after it."""
        await wait_for_end(self._pid, self.start_time)
        ended = await self._cleared()
        if self._link is not None:
            await self._link.close()
        self._leave_journal()
        self._busy = None
        if not self._exit.done():
            self._exit.set_result(ended)
        self._pulse.set()

    async def _cleared(self) -> Exit:
        """Ends and removes what a runner that has ended has left; returns how it ended."""
        return await asyncio.to_thread(self._clear_up)

    def _clear_up(self) -> Exit:
        end, group = read_end(self.session_dir), self.limits.group
        if end is None:
            end_leftovers(self.session_id, self.session_dir, group)
        group.remove()
        return KILLED if end is None else end

    def _take_record(self, record: JournalRecord) -> None:
        if record.seq > self._last_seq:
            self._last_seq = record.seq
            if record.kind in ("run-finished", "kernel-died") and record.run_id == self._busy:
                self._busy = None
                self._last_activity = time.monotonic()

    async def close(self) -> None:
        """Lets go of the runner without ending it. Readers stop."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        if self._link is not None:
            await self._link.close()
        if not self._exit.done():
            self._exit.cancel()
        self._leave_journal()
        self._pulse.set()

    async def _call(self, op: str, **arguments: Any) -> dict[str, Any]:
        if self._link is None or self._exit.done():
            raise KernelNotReady(f"the session {self.session_id} has ended")
        try:
            if self._link.is_closed:
                # Whatever cut the connection, the runner itself lives: a new one heals it.
                self._link = await RunnerLink.connect(self.session_dir, self.take_state)
            return await self._link.call(op, **arguments)
        except (RunnerGone, OSError):
            raise KernelNotReady(f"the runner of the session {self.session_id} is gone; start a new session") from None
        except RunnerError as exc:
            if exc.code in ("busy", "not-running"):
                raise IllegalState(f"{exc} (session {self.session_id})") from None
            if exc.code == "launch-failed":
                raise LaunchFailed(str(exc)) from None
            raise KernelNotReady(f"{exc} (session {self.session_id})") from None

    # --- ports.Kernel

    @property
    def pid(self) -> int:
        """Process id of the runner."""
        return self._pid

    @property
    def last_seq(self) -> int:
        """Number of the newest record that is known; 0 when there is none."""
        return self._last_seq

    @property
    def busy_run(self) -> str | None:
        """Id of the run that is going on, else None."""
        return self._busy

    @property
    def last_activity(self) -> float:
        """When the last run ended, or the kernel was started, in the seconds of `time.monotonic`."""
        return self._last_activity

    async def execute(self, run_id: str, request: ExecuteRequest) -> None:
        """Hands a run to the runner. Cancelled, the run may or may not have begun.

        Raises:
            KernelNotReady: the runner is gone, or the kernel has died.
            IllegalState: another run is going on.
        """
        await self._call(
            "execute", run=run_id, mode=request.mode.value, code=request.code, options=dict(request.options)
        )

    async def send_input(self, run_id: str, text: str, prompt: int | None = None) -> bool:
        """Answers a `waiting-input` record; the text `\\x04` alone means the end of input.

        Returns:
            Whether it was taken: not when `prompt` is the number of a record that was answered already.

        Raises:
            IllegalState: the run has ended.
        """
        answered = await self._call("input", run=run_id, text=text, prompt=prompt)
        return bool(answered.get("taken", True))

    async def interrupt(self) -> None:
        """Interrupts the run that is going on, as ctrl+c would; nothing happens when there is none."""
        await self._call("interrupt")

    async def complete(self, code: str, cursor: int) -> Completions:
        """Returns what could stand in place of the text before `cursor`; `busy`, at once, while a run is going on."""
        said = await self._look("complete", code=code, cursor=cursor)
        matches, types = said.get("matches") or [], said.get("types") or []
        types += [""] * (len(matches) - len(types))
        start = min(max(0, said.get("start", cursor)), cursor)
        return Completions(tuple(matches), tuple(types[: len(matches)]), start, bool(said.get("busy")))

    async def inspect(self, code: str, cursor: int, detail: int = 0) -> Inspection:
        """Returns what the name at `cursor` stands for; `busy`, at once, while a run is going on."""
        said = await self._look("inspect", code=code, cursor=cursor, detail=detail)
        return Inspection(
            found=bool(said.get("found")),
            busy=bool(said.get("busy")),
            **{name: str(said.get(name, "")) for name in ("name", "type", "signature", "doc", "text")},
        )

    async def _look(self, op: str, **question: Any) -> dict[str, Any]:
        """Asks about code; a kernel that does not say in time, as objects of the user may have it, counts as busy."""
        try:
            async with asyncio.timeout(_LOOK_S):
                said: dict[str, Any] = (await self._call(op, **question))["said"]
                return said
        except TimeoutError:
            return {"busy": True}

    async def restart(self) -> None:
        """Replaces the kernel and ends all processes that it has left; returns when the new one answers.

        Raises:
            LaunchFailed: the new kernel died before it was ready.
            IllegalState: the image was removed, so that there can be none; the one before goes on.
        """
        await self._call("restart")

    async def terminal(self) -> Terminal:
        """Attaches to the session's terminal, whose shell is started when there is none.

        Raises:
            LaunchFailed: there is no starting it, and why.
            KernelNotReady: the runner is gone.
        """
        if self._exit.done():
            raise KernelNotReady(f"the session {self.session_id} has ended")
        return await attach(self.session_id, self.session_dir, self._exit)

    async def terminate(self, *, grace_s: float | None = None, why: str = "") -> None:
        """Ends every process of the session; returns when none is left. Idempotent; cancelled, it goes on."""
        if self._exit.done() or self._pid == 0:
            return
        # The runner's end is the answer: it says nothing before.
        asked = self._call("terminate", grace_s=grace_s, why=why)
        call = asyncio.create_task(asked, name=f"terminate-{self.session_id}")
        ended = asyncio.create_task(self.wait(), name=f"end-{self.session_id}")
        try:
            limit_s = _STUBBORN_S + (grace_s if grace_s is not None else self._grace_s)
            tasks: set[asyncio.Task[Any]] = {call, ended}
            await asyncio.wait(tasks, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (call, ended):
                task.cancel()
            await asyncio.gather(call, ended, return_exceptions=True)
        try:
            async with asyncio.timeout(_STUBBORN_S):
                await asyncio.shield(self._exit)
        except TimeoutError:
            await self._kill()
            await asyncio.shield(self._exit)

    async def _kill(self) -> None:
        """Kills a runner that does not end."""
        if procs.is_alive(self._pid, self.start_time):
            os.kill(self._pid, signal.SIGKILL)

    async def batches(self, after: int = 0) -> AsyncGenerator[Sequence[JournalRecord]]:
        """Yields the journal after number `after`, then what is added, until the runner has ended.

        Each step yields what has been written since the last one, of much a part. Safe to cancel; call again with the
        last number to go on.
        """
        follower = self._follower(after)
        look = True
        try:
            while True:
                ended, pulse = self._exit.done(), self._pulse
                found: Sequence[JournalRecord] = ()
                if look or ended or follower.after < self._last_seq:
                    found = await follower.read()
                if found:
                    for record in found:
                        self._take_record(record)
                    yield found
                    look = False  # the runner tells of all that it writes
                elif ended:
                    return
                else:
                    await self._news(pulse)
                    look = True
        finally:
            self._rest(follower)

    async def _news(self, pulse: asyncio.Event) -> None:
        """Returns when `pulse` is set: by the runner's next note, or in a while in case that one was lost."""
        timer = asyncio.get_running_loop().call_later(_HEAL_S, self._beat)
        try:
            await pulse.wait()
        finally:
            timer.cancel()

    def _beat(self) -> None:
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    def _follower(self, after: int) -> JournalFollower:
        resting = self._resting
        if resting is not None and resting.after == after:
            self._resting = None
            return resting
        return JournalFollower(self.session_dir / JOURNAL, after)

    def _rest(self, follower: JournalFollower) -> None:
        if self._exit.done() or (self._resting is not None and self._resting.after > follower.after):
            follower.close()
            return
        if self._resting is not None:
            self._resting.close()
        self._resting = follower

    def _leave_journal(self) -> None:
        if self._resting is not None:
            self._resting.close()
            self._resting = None

    async def records(self, after: int = 0) -> AsyncIterator[JournalRecord]:
        """Yields what `batches` yields, one by one."""
        async with contextlib.aclosing(self.batches(after)) as batches:
            async for batch in batches:
                for record in batch:
                    yield record

    async def wait(self) -> Exit:
        """Returns when the runner has ended, by `terminate` or by itself. Safe to cancel."""
        return await asyncio.shield(self._exit)

    async def kernel_died(self) -> Exit:
        """Returns when the kernel process has died by itself while the runner lives. Safe to cancel.

        `Exit.code` is negative for a signal; in the journal it is 128 + number, as a shell shows it.
        """
        while self._dead is None:
            pulse = self._pulse
            if self._exit.done():
                await asyncio.get_running_loop().create_future()  # the runner is gone: `wait` tells that
            await pulse.wait()
        return Exit(self._dead["code"], self._dead["reason"])


async def wait_for_end(pid: int, start_time: int) -> None:
    """Returns when the process has ended. Safe to cancel."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        if not procs.is_alive(pid, start_time):
            return
        loop.add_reader(fd, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
