"""The runner: supervises the processes of one session, and outlives the backend.

A single-threaded loop. It starts the kernel and the batch commands, writes all their output to the journal, serves
backends on `runner.sock`, and takes the whole process tree along when it ends.

Exit codes in the journal are those of a shell: 128 + number for a signal.
"""

import os
import selectors
import signal
import socket
import sys
import time
import traceback
from functools import partial
from typing import Any, Callable, Dict, List, Optional

from . import limits, procs
from .backends import Backends
from .deaths import KernelDeath
from .files import SessionFiles
from .host import Host
from .journal import Journal
from .kernel_keeper import KernelKeeper
from .kernel_process import KernelProcess
from .output import Output, OutputPipe
from .runs import BatchRun, Run
from .sandbox import Sandbox
from .terminal import Terminal
from .throttle import Throttle
from .tree import TreeEnd
from .wire import Connection, Message

RETRY_S = 0.5
ALONE_LOOK_S = 2.0
"""How often a runner without a backend looks whether a backend could still find it."""


def run(shell: Any, sock: socket.socket) -> None:
    """Is the life of a runner process, forked from a zygote. Never returns."""
    code = 70
    try:
        if os.getsid(0) != os.getpid():  # the first process of a container leads a session already
            os.setsid()
        procs.set_name("bai-runner")
        Runner(shell, sock).serve()
        code = 0
    except BaseException:
        for pid in procs.descendants(os.getpid()):
            procs.send_signal(pid, signal.SIGKILL)
        traceback.print_exc()  # last: the disk of the log may be full
    finally:
        os._exit(code)


class Runner(Host):
    """The supervisor of one session."""

    def __init__(self, shell: Any, sock: socket.socket) -> None:
        self._shell = shell
        self._selector = selectors.DefaultSelector()
        self._backends = Backends(self._selector, self._state, self._serve_message, self._backend_gone)
        self._files: Optional[SessionFiles] = None
        self._throttle: Optional[Throttle] = None
        self._launch: Message = {}
        self._limits = limits.SessionLimits()
        self._sandbox: Optional[Sandbox] = None
        self._run: Optional[Run] = None
        self._ending: Optional[TreeEnd] = None
        self._when_ended: Optional[Callable[[], None]] = None
        self._dead: Optional[Dict[str, Any]] = None
        self._last_activity = time.time()
        self._paused = False
        self._finished = False
        self._told_seq = 0
        self._next_look_s = 0.0
        self._changed = False
        procs.become_subreaper()
        self._signal_fd = procs.hear_signals(signal.SIGCHLD, signal.SIGTERM)
        self._selector.register(self._signal_fd, selectors.EVENT_READ, self._on_signal)
        self.output = Output(self.record)
        self._terminal = Terminal(self._selector, self)
        self._kernel = KernelKeeper(shell, self._selector, self)
        self._kernel.start()
        for pipe in self.output.pipes:
            self._selector.register(pipe.read_fd, selectors.EVENT_READ, self._pipe_reader(pipe))
        self._first: Optional[Connection] = self._backends.connect(sock)
        self._first.send({"hello": self._identity()})

    # --- what the parts need

    @property
    def journal(self) -> Journal:
        assert self._files is not None
        return self._files.journal

    @property
    def work_dir(self) -> str:
        return str(self._launch["work_dir"])

    @property
    def cwd(self) -> str:
        return self._sandbox.work_dir if self._sandbox is not None else self.work_dir

    @property
    def environ(self) -> Dict[str, str]:
        return dict(self._sandbox.environ if self._sandbox is not None else self._launch["environ"])

    @property
    def held(self) -> Dict[str, int]:
        return dict(self._launch.get("held") or {})

    @property
    def sandbox(self) -> Optional[Sandbox]:
        return self._sandbox

    @property
    def kernel(self) -> Optional[KernelProcess]:
        return self._kernel.process

    @property
    def is_ending(self) -> bool:
        return self._ending is not None

    def record(self, record: List[Any]) -> None:
        if self._files is not None:
            seq = self.journal.append(self._run.run_id if self._run is not None else None, record)
            if self._run is not None and record[0] == "waiting-input":
                self._run.asked = seq

    def finish_run(self, exit_code: int, signal_name: Optional[str] = None, rest: bytes = b"") -> None:
        self.output.end_run(rest)
        killed, refused = self._limits.out_of_memory.hit(), self._limits.refused()
        if killed is not None:
            self.record(["stderr", "a process was killed: %s\n" % killed])
        if refused is not None:
            self.record(["stderr", refused + "\n"])
        data: Dict[str, Any] = {"exitCode": exit_code}
        if killed is not None and exit_code:
            data["reason"] = killed
        if signal_name:
            data["signal"] = signal_name
        self.record(["run-finished", data])
        self._leave_run()

    def _leave_run(self) -> None:
        self._run = None
        self._last_activity = time.time()
        self._changed = True

    # --- loop

    def serve(self) -> None:
        """Runs until the session has ended."""
        self._publish()
        while not self._finished:
            for key, mask in self._selector.select(self._timeout_s()):
                key.data(mask)
            self._tick()
            self._publish()
        self._close()

    def _timeout_s(self) -> Optional[float]:
        due = min(self.output.deadline_s, self._limits.ends_s, self._terminal.due_s)
        if self._run is not None:
            due = min(due, self._run.next_wake_s)
        if self._throttle is not None and self._paused and not self._is_stuck:
            due = min(due, self._throttle.until_s)
        timeout = max(due - time.monotonic(), 0.0) if due != float("inf") else None
        if self._ending is not None:
            timeout = min(timeout if timeout is not None else 1.0, 0.005)
        if self._files is not None and self.journal.waiting_bytes:
            timeout = min(timeout if timeout is not None else RETRY_S, RETRY_S)
        if not self._backends:
            timeout = min(timeout if timeout is not None else ALONE_LOOK_S, ALONE_LOOK_S)
        return timeout

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self.output.deadline_s:
            self.output.flush()
        if self._run is not None and now >= self._run.next_wake_s:
            self._run.wake(now)
        self._terminal.tick(now)
        if self._backends:
            self._next_look_s = now + ALONE_LOOK_S
        elif now >= self._next_look_s and self._files is not None and self._ending is None:
            self._next_look_s = now + ALONE_LOOK_S
            if not self._files.can_be_found:
                self._terminate(0.0)  # its folder was removed: nobody can ever reach, or end, this session again
        if now >= self._limits.ends_s:
            why = self._limits.end_reason
            self._terminate(float(self._launch["grace_s"]), why, reason=why)
        if self._ending is not None:
            self._reap()
            if self._ending is not None and self._ending.step():
                self._reap()
                self._ending = None
                action, self._when_ended = self._when_ended, None
                if action is not None:
                    action()

    def _publish(self) -> None:
        """Writes the journal, then tells: an answer is never ahead of the records that it speaks of."""
        if self._files is not None:
            self.journal.flush()
            # What is not taken in holds up who writes: while the disk is full, or readers could not follow.
            held = self._throttle is not None and self._throttle.look(time.monotonic())
            self._pause(held or self._is_stuck)
            if self.journal.written_seq != self._told_seq or self._changed:
                self._told_seq = self.journal.written_seq
                self._changed = False
                self._backends.notify()
        self._backends.flush()
        self._kernel.listen(self._paused)

    @property
    def _is_stuck(self) -> bool:
        return self._files is not None and self.journal.waiting_bytes > self.journal.stuck_bytes

    def _pause(self, pause: bool) -> None:
        if pause == self._paused:
            return
        self._paused = pause
        for pipe in self.output.pipes:
            if pause:
                self._selector.unregister(pipe.read_fd)
            else:
                self._selector.register(pipe.read_fd, selectors.EVENT_READ, self._pipe_reader(pipe))

    def _pipe_reader(self, pipe: OutputPipe) -> Callable[[int], None]:
        return lambda mask: self.output.pump(pipe)

    def _state(self) -> Message:
        return {
            "journal": self._told_seq,
            "busy": self._run.run_id if self._run is not None else None,
            "last": self._last_activity,
            "dead": self._dead,
        }

    def _identity(self) -> Message:
        pid = os.getpid()
        return {
            "pid": pid,
            "start_time": procs.start_time(pid),
            "shell": self._shell.name,
            "kernel_pid": self.kernel.pid if self.kernel is not None else 0,
        }

    # --- backends

    def _backend_gone(self, connection: Connection) -> None:
        self._terminal.leave(connection)
        if connection is self._first:
            # Whoever asked for this session went away before it was ready: nobody knows of it.
            self._end(0.0, self._finish)

    def _serve_message(self, connection: Connection, message: Message) -> None:
        number = message.get("id")

        def answer(error: Optional[str] = None, text: str = "", **more: Any) -> None:
            reply: Message = {"id": number}
            if error is not None:
                reply.update(error=error, message=text)
            reply.update(more)
            connection.send(reply)

        op = message.get("op")
        terminal = partial(self._terminal.serve, connection) if op == "terminal" else None
        handler = getattr(self, "_op_" + str(op), terminal)
        if handler is None or (self._files is None and op not in ("hold", "launch")):
            answer("bad-request", "the runner does not know the operation %r" % (op,))
            return
        handler(message, answer)

    # --- operations

    def _op_hold(self, message: Message, answer: Any) -> None:
        """Hears in which control groups it has been put."""
        self._limits.hold(message["groups"], message["tasks"])
        answer()

    def _op_launch(self, message: Message, answer: Any) -> None:
        self._launch = message
        try:
            self._files = SessionFiles(message["session_id"], message["session_dir"], message["journal_bytes"])
        except OSError as exc:
            answer("launch-failed", "the session's folder cannot be used: %s" % exc)
            return
        if message["slow_down"]:
            # From half of the journal on, so that readers can follow before anything has to be given up.
            self._throttle = Throttle(self.journal, message["journal_bytes"] // 2)
        procs.stamp(message["session_id"])
        self._limits.put(message, self.kernel.pid if self.kernel is not None else os.getpid())
        try:
            if message.get("sandbox") is not None:
                self._sandbox = Sandbox(
                    message["sandbox"], message["session_dir"], self.work_dir, self.environ, self.held
                )
            self._kernel.hold(self.held, self._sandbox)
        except OSError as exc:
            answer("launch-failed", str(exc))
            return
        self._backends.listen(self._files.listener)

        self._kernel.when_ready(partial(self._tell_start, answer))
        bootstrap = message.get("bootstrap")
        if bootstrap:
            path = self._files.write_script("bootstrap", bootstrap)
            if self._sandbox is not None:
                path = self._sandbox.put(path)
            self._run = BatchRun.bootstrap(self, path, self._bootstrapped)
            self._run.begin()
        else:
            self._set_up_kernel()

    def _bootstrapped(self) -> None:
        self._leave_run()
        self._set_up_kernel()

    def _tell_start(self, answer: Any, error: Optional[str]) -> None:
        if error is None:
            self._first = None
            answer(**self._state())
        else:
            answer("launch-failed", error)

    def _set_up_kernel(self) -> None:
        self._kernel.set_up(self._launch, self.environ, self.cwd)

    def _op_hello(self, message: Message, answer: Any) -> None:
        answer(**self._state(), **self._identity())

    def _op_execute(self, message: Message, answer: Any) -> None:
        if self._is_stuck:
            answer("not-ready", "the output of the session cannot be written: make room on the disk of its folder")
        elif self._run is not None:
            answer("busy", "another run is going on")
        elif self._ending is not None:
            answer("not-ready", "the session is being restarted or ended")
        elif message["mode"] == "query" and not self._kernel.is_ready:
            answer("not-ready", "the kernel of the session is not running: restart the session")
        else:
            self.output.end_run()  # what came before belongs to no run
            made = Run if message["mode"] == "query" else BatchRun
            self._run = made(self, message["run"], message["code"], message["options"])
            self._run.hand_over()
            self._changed = True
            data = {"mode": message["mode"], "code": message["code"], "options": message["options"]}
            self.record(["run-started", data])
            self._run.begin()
            answer()

    def _op_input(self, message: Message, answer: Any) -> None:
        if self._run is None or self._run.run_id != message["run"]:
            answer("not-running", "the run that the input is for has ended")
        elif not self._run.awaits(message.get("prompt")):
            answer(taken=False)
        elif self._run.feed(message["text"]):
            self._run.answered = self._run.asked
            answer()
        else:
            answer("busy", "the run has not read the input that it was given before")

    def _op_interrupt(self, message: Message, answer: Any) -> None:
        if self._run is not None:
            self._run.interrupt()
        answer()

    def _op_complete(self, message: Message, answer: Any) -> None:
        question = {"op": "complete", "code": message["code"], "cursor": message["cursor"]}
        self._ask(question, answer)

    def _op_inspect(self, message: Message, answer: Any) -> None:
        question = {"op": "inspect", "code": message["code"], "cursor": message["cursor"], "detail": message["detail"]}
        self._ask(question, answer)

    def _ask(self, question: Message, answer: Any) -> None:
        """Has the kernel asked about code; while it is busy that is said at once."""
        if self._run is not None:
            answer(said={"busy": True})
        else:
            self._kernel.ask(question, answer)

    def _op_restart(self, message: Message, answer: Any) -> None:
        if self._ending is not None:
            answer("not-ready", "the session is being restarted or ended")
            return
        if not os.path.exists(sys.executable):  # a copy of ours would start, and find no module
            answer("not-running", "the image was removed below the session: it cannot restart; start a new one")
            return
        self._break_run("the kernel was restarted")

        self._kernel.when_ready(partial(self._tell_start, answer))

        def restart() -> None:
            try:
                self._kernel.start()
            except OSError as exc:
                self._kernel.tell_ready("the kernel could not be started: %s" % limits.fork_problem(exc))
                return
            self._dead = None
            self._limits.forget()
            self._set_up_kernel()

        self._end(0.3, restart)

    def _op_terminate(self, message: Message, answer: Any) -> None:
        grace_s = message.get("grace_s")
        self._terminate(self._launch["grace_s"] if grace_s is None else float(grace_s), message.get("why") or "")

    def _terminate(self, grace_s: float, why: str = "", *, reason: str = "the session was ended") -> None:
        self._limits.ends_s = float("inf")
        self._break_run("the session was ended: %s" % why if why else "the session was ended")
        if self._files is not None:
            self._files.exit = {"code": 0, "reason": reason}
        self._end(grace_s, self._finish)

    def _break_run(self, reason: str) -> None:
        if self._run is not None:
            self.output.end_run()
            self._run.abandon()
            self.record(["kernel-died", {"exitCode": 128 + signal.SIGTERM, "signal": "SIGTERM", "reason": reason}])
            self._leave_run()

    def _end(self, grace_s: float, action: Callable[[], None]) -> None:
        self._ending = TreeEnd(grace_s, self._limits.births, self._sandbox)
        self._when_ended = action

    def _finish(self) -> None:
        self._finished = True

    # --- kernel

    def cell_ended(self, exit_code: int, rest: bytes) -> None:
        if self._runs_cell:
            self.finish_run(exit_code, rest=rest)

    def kernel_ready(self, process: KernelProcess) -> None:
        assert self._files is not None
        self._files.write_runner(os.getpid(), process.pid, process.start_time, self._launch.get("kept") or {})
        self._last_activity = time.time()
        self._changed = True
        self.journal.append(None, ["kernel-started", {"pid": process.pid}])

    @property
    def _runs_cell(self) -> bool:
        return self._run is not None and not isinstance(self._run, BatchRun)

    def _kernel_ended(self, status: int) -> None:
        self._kernel.ended()
        if self._ending is not None:
            return
        death = KernelDeath(status, self._limits.out_of_memory.hit())
        self.output.end_run()
        if self._files is not None:
            self.journal.append(
                self._run.run_id if self._runs_cell and self._run else None, ["kernel-died", death.record]
            )
        if self._runs_cell:
            self._leave_run()
        self._dead = death.state
        self._changed = True
        self._kernel.tell_ready(death.sentence + " before it was ready")

    # --- children

    def _on_signal(self, mask: int) -> None:
        try:
            numbers = os.read(self._signal_fd, 4096)
        except BlockingIOError:
            return
        if signal.SIGTERM in numbers:
            self._terminate(float(self._launch.get("grace_s", 0.0)))
        self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self.kernel is not None and pid == self.kernel.pid:
                self._kernel_ended(status)
            elif not self._terminal.child_ended(pid, status) and self._run is not None:
                self._run.child_ended(pid, status)

    def _close(self) -> None:
        self.output.end_run()
        if not self._backends:
            self._limits.leave()
        if self._files is not None:
            self._files.finish()
