"""The runs of a session: a cell in the kernel, or the shell commands of a batch."""

import signal
import time
from typing import Any, Callable, Dict, List, Optional

from . import procs
from .batch import NOT_RUN, Step, StepProcess, default_command, plan, shell_exit_code, signal_of
from .host import Host
from .limits import fork_problem

NEVER = float("inf")
LONG_S = 0.005
"""A cell that takes longer shows its output while it runs."""


class Run:
    """A cell that the kernel runs."""

    asked = 0
    """Number of the record of the newest prompt."""
    answered = 0
    """Number of the newest prompt that was answered."""

    def __init__(self, runner: Host, run_id: Optional[str], code: str, options: Dict[str, Any]) -> None:
        self.runner = runner
        self.run_id = run_id
        self.code = code
        self.options = options
        self._due_s = NEVER

    @property
    def next_wake_s(self) -> float:
        """Monotonic time at which `wake` is to be called."""
        return self._due_s

    def hand_over(self) -> None:
        """Lets another process begin before the start is recorded; what that one says is heard after it."""
        kernel = self.runner.kernel
        assert kernel is not None
        kernel.send({"op": "execute", "code": self.code})
        self._due_s = time.monotonic() + LONG_S

    def begin(self) -> None:
        """Does what may make records at once."""

    def awaits(self, prompt: Optional[int]) -> bool:
        """Whether an answer to the prompt of that number is still wanted; None = to whatever asks, or will ask."""
        return prompt is None or (prompt == self.asked and prompt > self.answered)

    def feed(self, text: str) -> bool:
        """Passes input on; False when what came before is still unread and there is too much of it."""
        kernel = self.runner.kernel
        if kernel is not None:
            if kernel.is_deluged:
                return False
            kernel.send({"op": "input", "text": text})
        return True

    def interrupt(self) -> None:
        """Does what ctrl+C does in a terminal: the processes that the cell has started hear it too."""
        if self.runner.kernel is not None:
            procs.send_signal(self.runner.kernel.pid, signal.SIGINT, group=True)

    def wake(self, now: float) -> None:
        """Is called when `next_wake_s` has come."""
        self._due_s = NEVER
        if self.runner.kernel is not None:
            self.runner.kernel.wake_flusher()

    def child_ended(self, pid: int, status: int) -> None:
        """Hears of every child of the runner that has ended, but the kernel."""

    def abandon(self) -> None:
        """Lets go of what the run holds; its processes are being ended."""


class BatchRun(Run):
    """Shell commands in the work folder, one after the other."""

    def __init__(self, runner: Host, run_id: Optional[str], code: str, options: Dict[str, Any]) -> None:
        super().__init__(runner, run_id, code, options)
        self._steps: List[Step] = plan(options)
        self._step: Optional[Step] = None
        self._process: Optional[StepProcess] = None
        self._interrupted = False
        self._build_failed: Optional[int] = None
        self._exit_code = 0
        self._signal: Optional[str] = None
        self._then: Optional[Callable[[], None]] = None

    @classmethod
    def bootstrap(cls, runner: Host, path: str, then: Callable[[], None]) -> "BatchRun":
        """Returns a run for the session's bootstrap script; its records belong to no run."""
        made = cls(runner, None, "", {})
        made._steps = [Step("bootstrap", "'%s'" % path.replace("'", "'\\''"))]
        made._then = then
        return made

    @property
    def next_wake_s(self) -> float:
        return self._process.next_probe_s if self._process is not None else NEVER

    def hand_over(self) -> None:
        pass

    def begin(self) -> None:
        self._next()

    def _next(self) -> None:
        while self._process is None:
            if not self._steps or self._interrupted:
                self._finish()
                return
            self._step = self._steps.pop(0)
            if self._step.command is None:
                self._step_ended(0)
            else:
                self._start(self._step)

    def _start(self, step: Step) -> None:
        command = str(step.command)
        if step.name == "exec" and self._build_failed is not None:
            self._refuse("the exec step was not run: the build ended with exit code %d" % self._build_failed)
            return
        if command == "*":
            try:
                command = default_command(self.runner.work_dir)
            except (ValueError, OSError) as exc:
                self._refuse(str(exc))
                return
        environ = dict(self.runner.environ, PYTHONUNBUFFERED="1")
        output = self.runner.output
        try:
            out = output.stdout.write_fd, output.stderr.write_fd
            self._process = StepProcess(command, self.runner.cwd, environ, out, self.runner.held, self.runner.sandbox)
        except OSError as exc:
            self._refuse("the command could not be started: %s" % fork_problem(exc))

    def _refuse(self, message: str) -> None:
        self.runner.output.add("stderr", message + "\n")
        self._step_ended(NOT_RUN)

    def _step_ended(self, exit_code: int, signal_name: Optional[str] = None) -> None:
        assert self._step is not None
        self._exit_code = exit_code
        self._signal = signal_name
        self.runner.output.end_run()
        if self._step.name == "build" and exit_code != 0:
            self._build_failed = exit_code
        if self._step.name in ("clean", "build"):
            self.runner.record([self._step.name + "-finished", {"exitCode": exit_code}])
        elif self._step.name == "bootstrap" and exit_code != 0:
            text = "the bootstrap script ended with exit code %d\n" % exit_code
            self.runner.record(["stderr", text])

    def _finish(self) -> None:
        if self._then is not None:
            self._then()
        else:
            self.runner.finish_run(self._exit_code, self._signal)

    def feed(self, text: str) -> bool:
        return self._process is None or self._process.feed(text)

    def interrupt(self) -> None:
        self._interrupted = True
        if self._process is not None:
            procs.send_signal(self._process.pid, signal.SIGINT, group=True)

    def wake(self, now: float) -> None:
        process = self._process
        if process is not None and process.probe_due(now, self.runner.output.last_read_s) and process.probe():
            # What it printed as its prompt goes first.
            self.runner.output.drain()
            self.runner.output.flush()
            process.waits_for_input = True
            self.runner.record(["waiting-input", {"is_password": False}])

    def child_ended(self, pid: int, status: int) -> None:
        if self._process is not None and pid == self._process.pid:
            self._process.close()
            self._process = None
            self._step_ended(shell_exit_code(status), signal_of(status))
            self._next()

    def abandon(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None
