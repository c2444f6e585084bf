"""Does what a `RunPlan` says: session, uploads, code, output, interrupts, removal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from ..client.api import ApiClient, Endpoint, ExecuteStream
from ..client.patience import Patience, persist
from ..client.views import CreatedSession
from ..model.console import END_OF_INPUT, Frame, RunStatus
from ..model.errors import BaiTuiError, NotFound, NotImplementedHere, Unreachable
from ..model.sessions import TERMINAL, SessionResult
from . import exit_codes
from .ahead import Ahead
from .awaiting import Awaited, why
from .endpoint import patience
from .plan import RunPlan
from .printing import Printer
from .prompts import StdinLines
from .talk import debugging, say

T = TypeVar("T")
_WAITING = frozenset({"PENDING", "SCHEDULED", "TIMEOUT"})
_PULLING = frozenset({"PREPARING", "PULLING"})
_NOT_STARTED = ": failed-to-start: "
_ENDED = frozenset({"TERMINATED", "TERMINATING", "ERROR", "CANCELLED"})
_REMOVE_WITHIN_S = 60.0
_TELL_AFTER_S = 1.0
"""A session that has not started by then is said to wait."""
_WATCH_AFTER_S = 0.25
"""A run that is over by then needs no warnings, and does not pay for a second connection."""
_WATCH_AGAIN_S = 2.0
_LEAVE_WITHIN_S = 10.0
"""For the removal after a signal that asks us to go."""
_NOT_RUN = 127
"""Exit code that servers give the exec step when it is left out after a failed build."""
_EMPTY_PROMPTS = 3
"""So often code may ask for input after stdin has ended, before it is left alone."""


def perform(endpoint: Endpoint, plan: RunPlan) -> int:
    """Runs `plan` and returns the exit status of `bai-tui run`."""

    async def go() -> int:
        async with ApiClient(endpoint) as client:
            return await Execution(client, plan).run()

    return asyncio.run(go())


class Execution:
    """One `bai-tui run`."""

    def __init__(self, client: ApiClient, plan: RunPlan) -> None:
        self._client = client
        self._plan = plan
        self._printer = Printer(plan.media_dir)
        self._stdin = StdinLines()
        self._patience = patience(self._talk)
        self._session: CreatedSession | None = None
        self._asked = False
        """`POST /session` was begun: there may be a session even if no answer came."""
        self._running = False
        self._interrupts = 0
        self._empty_prompts = 0
        """Prompts that found stdin at its end."""
        self._signal: int | None = None
        """The signal that ended us, if one did."""
        self._work: asyncio.Task[int] | None = None
        self._removal: asyncio.Task[None] | None = None
        self._side: set[asyncio.Task[None]] = set()

    def _talk(self, text: str) -> None:
        if not self._plan.quiet:
            self._printer.end_line()
            say(text)

    # --- life cycle ----------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Does everything, cleans up in every case, and returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            self._work = asyncio.create_task(self._do(), name="run")
            await asyncio.wait({self._work})
            status = self._status_of(self._work)
            await self._clean_up()
            return exit_codes.SIGNALLED + self._signal if self._signal is not None else status
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
            for task in self._side:
                task.cancel()
            await asyncio.gather(*self._side, return_exceptions=True)

    def _status_of(self, work: asyncio.Task[int]) -> int:
        if work.cancelled():
            return exit_codes.INTERRUPTED
        error = work.exception()
        if error is None:
            return work.result()
        if isinstance(error, BrokenPipeError):
            return exit_codes.BROKEN_PIPE
        if not isinstance(error, BaiTuiError) or debugging():
            raise error
        self._printer.end_line()
        say(error.message)
        return exit_codes.of_error(error)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    def _on_signal(self, number: int) -> None:
        if self._removal is not None:
            # Asked again while the session is removed: go, and say what may be left.
            self._removal.cancel()
        elif number == signal.SIGINT and self._running and not self._interrupts:
            self._interrupts += 1
            self._talk("interrupting the code; ctrl+c again leaves at once")
            self._spawn(self._interrupt(), "interrupt")
        elif self._work is not None:
            self._signal = number
            self._work.cancel()

    async def _interrupt(self) -> None:
        assert self._session is not None
        try:
            await self._client.interrupt(self._session.id)
        except BaiTuiError as exc:
            say(f"the code could not be interrupted: {exc.message}")
            self._interrupts = 0

    # --- session -------------------------------------------------------------------------------------------

    async def _do(self) -> int:
        plan = self._plan
        await self._check_limits()
        session = self._session = await self._create()
        if plan.enqueue_only:
            return await self._enqueued(session)
        if session.status in _WAITING | _PULLING:
            reason = await self._reason(session)
            stands = "still waits for its image" if session.status in _PULLING else "is still in the queue"
            say(f"the session {session.name} {stands}{reason}")
            return exit_codes.STILL_QUEUED
        if session.status in _ENDED and not await self._was_quick(session):
            reason = await self._reason(session)
            told = reason.removeprefix(_NOT_STARTED)
            stands = f": {told}" if told != reason else f": {session.status}{reason}"
            say(f"the session {session.name} could not be started{stands}")
            return exit_codes.REFUSED
        if session.status not in _ENDED:
            await self._introduce(session)
        if plan.files:
            resume = await self._can_resume()
            await persist(self._client, resume, lambda: self._client.upload(session.id, plan.files))
        if plan.request is None:
            await self._printer.out.write(f"{session.id}\n")
            return exit_codes.OK
        status = await self._execute(session)
        if not plan.remove and not plan.named:
            self._talk(f"the session {session.name} stays; `bai-tui rm {session.name}` removes it")
        return status

    async def _check_limits(self) -> None:
        """Says that a cluster has no idle timeout of one session.

        Raises:
            NotImplementedHere: what is to hold the code is not there: it must not run without.
        """
        if (await self._client.info()).capabilities:
            return
        url, asked = self._client.endpoint.url, self._plan.resource_opts
        for option, name in (("wall_time", "--wall-time"), ("isolation", "--isolation"), ("network", "--no-network")):
            if option in asked:
                raise NotImplementedHere(
                    f"{url} cannot do that: {name} is for the local backend, and a Backend.AI cluster holds sessions "
                    "in its own way; without that option the code runs there"
                )
        if "idle_timeout" in asked:
            self._talk(f"{url} has no idle timeout of one session: its own idle checks end it")

    async def _can_resume(self) -> Patience | None:
        """Returns the patience with what may be done twice; None where the server keeps no journal."""
        return self._patience if "follow" in (await self._client.info()).capabilities else None

    async def _create(self) -> CreatedSession:
        """Asks for the session. One that has to wait is told of: a command that only stands there looks broken."""
        plan = self._plan
        self._asked = True
        # A session of that name is found again, so asking twice makes one; but a batch session may have ended by then,
        # and one that must be new may be ours.
        twice = plan.startup_command is None and (plan.reuse or not plan.named)
        asking = asyncio.create_task(
            persist(self._client, await self._can_resume() if twice else None, self._ask_for_session),
            name="create session",
        )
        watching = None
        try:
            await asyncio.wait({asking}, timeout=_TELL_AFTER_S)
            if not asking.done() and not plan.quiet:
                awaited = Awaited(self._client, plan.name, self._talk)
                await awaited.look()
                watching = asyncio.create_task(awaited.watch(), name="await session")
            return await asking
        finally:
            tasks = {asking} | ({watching} if watching is not None else set())
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _ask_for_session(self) -> CreatedSession:
        plan = self._plan
        return await self._client.create_session(
            plan.image,
            name=plan.name,
            resources=plan.resources,
            resource_opts=plan.resource_opts,
            environ=plan.environ,
            type=plan.type,
            startup_command=plan.startup_command,
            enqueue_only=plan.enqueue_only,
            max_wait_s=plan.max_wait_s,
            reuse=plan.reuse or not plan.named,
            priority=plan.priority,
            tag=plan.tag,
            depends_on=plan.depends_on,
            starts_at=plan.starts_at,
            batch_timeout_s=plan.batch_timeout_s,
            exact=plan.exact,
        )

    async def _was_quick(self, session: CreatedSession) -> bool:
        """Whether it is a batch session whose command has ended already; tells how."""
        if self._plan.startup_command is None:
            return False
        try:
            result = (await self._client.session(session.id)).result
        except BaiTuiError:
            return False
        if result not in (SessionResult.SUCCESS, SessionResult.FAILURE):
            return False
        self._talk(f"the command of the session {session.name} has ended already: {result}")
        return True

    async def _enqueued(self, session: CreatedSession) -> int:
        if self._plan.request is not None:
            self._talk(f"the session {session.name} is {session.status}; the code was not run (--enqueue-only)")
        await self._printer.out.write(f"{session.id}\n")
        return exit_codes.OK

    async def _reason(self, session: CreatedSession) -> str:
        """Returns why a session stands where it stands, as the end of a sentence."""
        try:
            return why(await self._client.session(session.id))
        except BaiTuiError:
            return ""

    async def _introduce(self, session: CreatedSession) -> None:
        if self._plan.quiet:
            return
        if not session.created and self._plan.named:
            self._talk(f"using the live session {session.name}")
        if not (await self._client.info()).capabilities:
            if session.created:
                self._talk(f"session {session.name} is running")
            return
        # Our backend knows what really runs, and tells when that is not literally what was asked for.
        view = await self._client.session(session.id)
        if session.created:
            self._talk(f"session {session.name} runs {view.image}")
        if view.image_notice:
            self._talk(view.image_notice)

    async def _clean_up(self) -> None:
        session, plan = self._session, self._plan
        if session is None:
            # Our request may have reached the queue although its answer did not reach us.
            if not self._asked or (self._signal is None and not self._work_lost()):
                return
            if plan.named and not plan.remove:
                say(f"the session {plan.name} stays in the queue if it is there; `bai-tui rm {plan.name}` removes it")
                return
        elif not plan.remove:
            if self._signal is not None and self._running:
                self._talk(f"the session {session.name} stays, its code may still run")
            return
        ref = plan.name if session is None else session.id
        within_s = _REMOVE_WITHIN_S if self._signal is None else _LEAVE_WITHIN_S
        self._removal = asyncio.create_task(self._remove(ref), name="remove")
        await asyncio.wait({self._removal}, timeout=within_s)
        if not self._removal.done():
            self._removal.cancel()
            await asyncio.wait({self._removal})
        if self._removal.cancelled():
            say(f"the session {plan.name} may still be there: `bai-tui rm {plan.name}`")
            return
        error = self._removal.exception()
        if session is None and isinstance(error, NotFound):
            return
        if isinstance(error, NotFound):
            if session is not None and session.status not in _ENDED:  # else it has been said
                self._talk(f"the session {plan.name} is gone already")
        elif isinstance(error, BaiTuiError):
            say(f"the session {plan.name} could not be removed: {error.message}")
        elif error is not None:
            raise error

    def _work_lost(self) -> bool:
        return self._work is not None and not self._work.cancelled() and isinstance(self._work.exception(), Unreachable)

    async def _remove(self, ref: str) -> None:
        resume = await self._can_resume()
        stats = await persist(
            self._client, resume, lambda: self._client.terminate(ref, forced=self._signal is not None)
        )
        if self._plan.stats:
            from .stats import stats_text

            self._printer.end_line()
            await self._printer.err.write(stats_text(stats))

    # --- run -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _as_running(self) -> AsyncIterator[None]:
        self._running = True
        try:
            yield
        except asyncio.CancelledError:
            raise  # `_running` stays: the code may go on without us
        except BrokenPipeError:
            # Nobody reads any more: the code shall not go on for nobody.
            await self._interrupt()
            raise
        except BaseException:
            self._running = False
            raise
        self._running = False

    async def _warn(self, session: CreatedSession) -> None:
        """Says what the backend warns of while the code runs."""
        await asyncio.sleep(_WATCH_AFTER_S)  # short runs are not worth a watch
        from .notices import warning_of

        while True:
            with suppress(BaiTuiError):  # the run itself tells when the server has gone
                async for event in self._client.events(session=session.id):
                    warning = warning_of(event, session.name)
                    if warning is not None:
                        self._talk(warning)
            await asyncio.sleep(_WATCH_AGAIN_S)  # the server is asked again, not hammered

    async def _execute(self, session: CreatedSession) -> int:
        request = self._plan.request
        assert request is not None
        if not self._plan.quiet and "stats" in (await self._client.info()).capabilities:
            self._spawn(self._warn(session), "warnings")
        built = 0
        finished: Frame | None = None
        async with (
            self._as_running(),
            self._client.execute(session.id, request, patience=self._patience) as stream,
            Ahead(stream) as frames,
        ):
            try:
                async for frame in frames:
                    await self._printer.records(frame.console)
                    if frame.status in (RunStatus.BUILD_FINISHED, RunStatus.CLEAN_FINISHED):
                        built = self._step(frame) or built
                    elif frame.status is RunStatus.WAITING_INPUT:
                        if not await self._answer(frame, frames, stream, session):
                            break
                    elif frame.status is RunStatus.EXEC_TIMEOUT:
                        self._printer.end_line()
                        say("the run was cut off: it took longer than the server allows")
                    elif frame.status is RunStatus.FINISHED:
                        finished = frame
            except Unreachable as exc:
                await self._explain_loss(session, exc)
                raise
        if finished is None:
            return exit_codes.FAILED
        return self._exit_status(finished, built)

    async def _answer(self, frame: Frame, frames: Ahead[Frame], stream: ExecuteStream, session: CreatedSession) -> bool:
        """Answers a prompt from stdin, unless the run goes on without an answer; returns False to give up."""
        password = bool((frame.options or {}).get("is_password"))
        answered, line = await frames.unless_one_comes(self._stdin.line(password=password))
        if not answered:
            return True  # interrupted, or the session was ended by somebody else
        if line is not None:
            await stream.send_input(line)
            return True
        if "end-of-input" in (await self._client.info()).capabilities:
            await stream.send_input(END_OF_INPUT)
            return True
        self._empty_prompts += 1
        if self._empty_prompts == 1:
            self._printer.end_line()
            say("the code asks for input and stdin has ended: it is interrupted")
        if self._empty_prompts > _EMPTY_PROMPTS:
            return False
        await self._client.interrupt(session.id)
        return True

    def _step(self, frame: Frame) -> int:
        """Tells of a step that failed; returns its exit code if it is the build's."""
        code = frame.exit_code or 0
        name = "build" if frame.status is RunStatus.BUILD_FINISHED else "clean"
        if code:
            self._talk(f"the {name} step ended with exit status {code}")
        return code if name == "build" else 0

    def _exit_status(self, frame: Frame, built: int) -> int:
        code = frame.exit_code
        if frame.message and frame.run_id == "":
            return exit_codes.REFUSED  # our backend tells an error of its own as the output of a run that never was
        if code is None:
            self._printer.end_line()
            say("the server did not tell how the code ended")
            return exit_codes.FAILED
        request = self._plan.request
        if built and request is not None and (code == _NOT_RUN or not request.options["exec"]):
            code = built  # what failed is the build: without it there was nothing to execute
        if code and self._interrupts:
            return exit_codes.INTERRUPTED
        if code < 0:
            self._talk(f"the code was ended by {_signal_name(-code)}")
        return exit_codes.of_code(code)

    async def _explain_loss(self, session: CreatedSession, loss: Unreachable) -> None:
        """Makes the message of a lost connection say what has become of the session, as far as can be known."""
        try:
            view = await self._client.session(session.id)
        except BaiTuiError:
            view = None
        if view is not None and view.status in TERMINAL:
            loss.message = (
                f"the session {session.name} ended while its code ran: {view.status_info or view.status_text}"
            )
        elif not self._plan.remove:
            loss.message += f"; the session goes on, `bai-tui logs {session.name}` shows its output"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
