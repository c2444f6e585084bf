"""The kernel of a session whose image is a Jupyter kernel: a bridge between its runner and that kernel.

It is what the runner takes for the kernel: it starts the real one as its child, is the only one to talk to it, and
ends as that one ends. One loop, in which nothing blocks and no thread of Python's runs.

ZMQ drops what a full queue has no room for, so that ours are without bounds, and it is the kernel that is bounded: it
is stopped (SIGSTOP) while more waits than should, as a program is that writes into a full pipe.
"""

import codecs
import os
import select
import signal
import socket
import time
from typing import Any, Dict, List, Optional, Tuple

import zmq

from . import jupyter_looks, procs
from .jupyter_output import JupyterOutput, error_text, exit_of
from .jupyter_process import JupyterError, JupyterProcess, KernelSpec, die_alike
from .jupyter_wire import Channels, Message, Wire
from .outbox import Outbox
from .wire import LineReader

START_S = 60.0
"""How long a kernel may take to answer."""
_SILENT_S = 20.0
"""How long one may take to make the files it is to listen on, before it is started anew with ports instead: some know
nothing else, and of those some do not say so."""
_HEARD_S = 2.0
"""How long output is awaited that shows that we hear the kernel: one that says nothing is as good as heard."""
_NUDGE_S = 0.05
_IDLE_S = 1.0
"""How long after its answer a run goes on for which nothing has said that all its output is there."""
_REPLY_S = 2.0
"""How long after the end of all output a run waits for its answer."""
_BEGIN_S = 1.0
"""How long an interrupt waits for its cell to begin."""
_PROMPT_S = 0.01
_PROMPT_LONGEST_S = 0.2
"""What was printed before a prompt comes by another way: it is given time to come first."""
_LAST_WORDS_S = 0.5
_FULL_BYTES = 16 << 20
"""So much waits for the runner before the kernel is stopped."""
_LOW_BYTES = 4 << 20
_TURN_BYTES = 8 << 20
_TURN_MESSAGES = 2000
"""So much is taken in at once; when more has come meanwhile, the kernel is faster than we are."""
_QUESTIONS = 64
_NOISE_CHARS = 4096
_LAST_LINE_CHARS = 300
_END_OF_INPUT = "\x04"


class _Run:
    """A cell that is on its way."""

    def __init__(self, number: str, is_startup: bool = False) -> None:
        self.number = number
        self.is_startup = is_startup
        self.begun = False
        self.replied = False
        self.idle = False
        self.exit_code = 0
        self.told = False
        """Its error was shown."""
        self.due_s = float("inf")
        """When it ends whatever is missing."""
        self.interrupt_s = float("inf")
        """When the interrupt is passed on that came before it had begun."""
        self.answers: List[str] = []


class _Prompt:
    """A kernel that asks for input."""

    def __init__(self, message: Message) -> None:
        self.header = message["header"]
        self.content = message["content"]
        now = time.monotonic()
        self.due_s = now + _PROMPT_S
        self.last_s = now + _PROMPT_LONGEST_S
        self.shown = False


class Bridge:
    """Serves the runner's commands with a kernel that is elsewhere."""

    def __init__(self, name: str, sock: socket.socket, ack_fd: int) -> None:
        self._name = name
        self._sock = sock
        self._ack_fd = ack_fd
        self._reader = LineReader(1 << 30)
        self._out = Outbox(sock)
        self._output = JupyterOutput(self._out)
        self._setup: Dict[str, Any] = {}
        self._kernel: Optional[JupyterProcess] = None
        self._channels: Optional[Channels] = None
        self._poller = zmq.Poller()
        self._decoders: Dict[int, Any] = {}
        self._noise = ""
        """The last that it wrote on stderr and that is no output: of use when it ends, as a rule."""
        self._takes_raw = False
        """What it writes past its messages is output, too."""
        self._ready = False
        self._answered = False
        self._heard = False
        self._started_s = self._answered_s = self._nudge_s = 0.0
        self._run: Optional[_Run] = None
        self._prompt: Optional[_Prompt] = None
        self._asked: Dict[str, Tuple[int, Dict[str, Any]]] = {}
        self._stopped = False
        self._behind = False
        """More has come from the kernel than was taken in."""
        self._ended: Optional[int] = None
        self._signal_fd = procs.hear_signals(signal.SIGCHLD, signal.SIGTERM)
        signal.signal(signal.SIGINT, lambda number, frame: None)
        self._poller.register(self._signal_fd, zmq.POLLIN)
        self._poller.register(ack_fd, zmq.POLLIN)
        self._poller.register(sock, zmq.POLLIN)

    # --- loop

    def serve(self) -> None:
        """Runs until the kernel has ended, and ends as it did. Never returns."""
        while True:
            if self._behind:
                timeout_ms = 0
            else:
                timeout_ms = max(0, min(int((self._due_s() - time.monotonic()) * 1000) + 1, 1 << 30))
            events: Dict[Any, int] = dict(self._poller.poll(timeout_ms))
            if self._ack_fd in events:
                os.read(self._ack_fd, 1 << 16)  # nothing waits for it: all that we say goes one way
            if self._sock.fileno() in events:
                self._hear_runner()
            if self._signal_fd in events:
                self._on_signals()
            self._hear_kernel(events)
            self._tick(time.monotonic())
            self._hold_back()
            self._out.flush()
            wanted = zmq.POLLIN | (zmq.POLLOUT if self._out.waiting_bytes else 0)
            self._poller.modify(self._sock, wanted)
            if self._ended is not None:
                self._end(self._ended)

    def _due_s(self) -> float:
        due = [1e9]
        if self._setup and not self._ready and self._run is None:
            due.append(self._nudge_s)
        if self._run is not None:
            due += [self._run.due_s, self._run.interrupt_s]
        if self._prompt is not None and not self._prompt.shown:
            due.append(self._prompt.due_s)
        return min(due)

    def _tick(self, now: float) -> None:
        if self._setup and not self._ready and self._run is None:
            self._await_start(now)
        prompt = self._prompt
        if prompt is not None and not prompt.shown and now >= prompt.due_s:
            self._show(prompt)
        run = self._run
        if run is not None:
            if now >= run.interrupt_s or (run.begun and run.interrupt_s != float("inf")):
                run.interrupt_s = float("inf")
                self._pass_interrupt()
            if now >= run.due_s or (run.replied and run.idle):
                self._finish(run)

    def _hold_back(self) -> None:
        """Stops the kernel while it is too far ahead of who reads."""
        waiting = self._out.waiting_bytes
        if self._kernel is None or self._ended is not None:
            return
        if not self._stopped and (self._behind or waiting > _FULL_BYTES):
            self._stopped = True
            self._kernel.send_signal(signal.SIGSTOP)
        elif self._stopped and not self._behind and waiting < _LOW_BYTES:
            self._stopped = False
            self._kernel.send_signal(signal.SIGCONT)

    # --- the runner

    def _hear_runner(self) -> None:
        try:
            data = self._sock.recv(1 << 18, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            os._exit(0)  # the runner is gone, and with us goes the kernel
        for message in self._reader.feed(data):
            op = message["op"]
            if op == "setup":
                self._set_up(message)
            elif op == "execute":
                self._execute(message["code"])
            elif op == "input":
                self._feed(str(message.get("text", "")))
            elif op in ("complete", "inspect"):
                self._look(message)

    def _set_up(self, message: Dict[str, Any]) -> None:
        procs.stamp(message["session_id"])
        self._setup = message
        self._started_s = time.monotonic()
        self._start("ipc")

    def _execute(self, code: str, *, is_startup: bool = False) -> None:
        if self._channels is None:
            return
        content = {
            "code": code,
            "silent": False,
            "store_history": not is_startup,
            "user_expressions": {},
            "allow_stdin": not is_startup,
            "stop_on_error": True,
        }
        self._noise = ""
        number = self._channels.send(self._channels.shell, "execute_request", content)
        self._run = _Run(number, is_startup)
        self._prompt = None

    def _feed(self, text: str) -> None:
        """Answers the prompt that is shown, or the next one."""
        if self._run is None:
            return
        self._run.answers.append(text)
        self._answer()

    def _answer(self) -> None:
        prompt, run = self._prompt, self._run
        if prompt is None or not prompt.shown or run is None or not run.answers or self._channels is None:
            return
        self._prompt = None
        value = run.answers.pop(0)
        self._channels.send(self._channels.stdin, "input_reply", {"status": "ok", "value": value}, prompt.header)

    def _look(self, message: Dict[str, Any]) -> None:
        if self._channels is None or not self._ready or self._run is not None:
            self._out.frame({"looked": message["id"], "answer": {}})
            return
        content = {"code": message["code"], "cursor_pos": message["cursor"]}
        if message["op"] == "inspect":
            content["detail_level"] = message["detail"]
        number = self._channels.send(self._channels.shell, message["op"] + "_request", content)
        self._asked[number] = message["id"], message
        while len(self._asked) > _QUESTIONS:  # it answers none of them
            del self._asked[next(iter(self._asked))]

    # --- signals

    def _on_signals(self) -> None:
        try:
            numbers = os.read(self._signal_fd, 4096)
        except BlockingIOError:
            return
        if signal.SIGTERM in numbers and self._kernel is not None:
            # Whoever ends the session tells the kernel, too; what is stopped could not hear it.
            self._kernel.send_signal(signal.SIGCONT)
        if signal.SIGTERM in numbers and self._kernel is None:
            os._exit(128 + signal.SIGTERM)
        if signal.SIGCHLD in numbers and self._kernel is not None and self._ended is None:
            self._ended = self._kernel.poll()
        if signal.SIGINT in numbers:
            self._hear_runner()  # the cell that is meant may be on its way yet
            self._interrupt()

    def _interrupt(self) -> None:
        run = self._run
        if run is None or run.is_startup:
            return  # it came too late: between runs there is nothing to interrupt
        if run.begun:
            self._pass_interrupt()
        elif run.interrupt_s == float("inf"):
            # A kernel that has not begun would not hear it, or take it for something else.
            run.interrupt_s = time.monotonic() + _BEGIN_S

    def _pass_interrupt(self) -> None:
        if self._kernel is None or self._channels is None:
            return
        if self._kernel.spec.by_message:
            self._channels.send(self._channels.control, "interrupt_request", {})
        else:
            self._kernel.send_signal(signal.SIGINT)

    # --- start

    def _start(self, transport: str) -> None:
        """Starts the kernel, and asks it what it is."""
        told = self._setup["jupyter"]
        try:
            spec = KernelSpec(told["folder"], told["python"])
            self._kernel = JupyterProcess(
                spec, transport, told["room"], self._setup["environ"], told["fixed"], self._setup["cwd"]
            )
        except JupyterError as exc:
            self._give_up(str(exc))
        assert self._kernel is not None
        self._noise = ""
        self._heard = self._answered = False
        self._nudge_s = time.monotonic() + _NUDGE_S
        wire = Wire(self._kernel.connection["key"].encode("ascii"))
        channels = self._channels = Channels(self._kernel.connection, wire)
        for sock in (channels.shell, channels.iopub, channels.stdin, channels.control):
            self._poller.register(sock, zmq.POLLIN)
        for fd in self._kernel.raw:
            self._poller.register(fd, zmq.POLLIN)
            self._decoders[fd] = codecs.getincrementaldecoder("utf-8")("replace")
        channels.send(channels.shell, "kernel_info_request", {})

    def _leave_kernel(self) -> None:
        """Lets go of a kernel that has ended."""
        if self._channels is not None:
            for sock in (self._channels.shell, self._channels.iopub, self._channels.stdin, self._channels.control):
                self._poller.unregister(sock)
            self._channels.close()
            self._channels = None
        if self._kernel is not None:
            for fd in self._decoders:
                self._poller.unregister(fd)
            self._decoders.clear()
            self._kernel.let_go()
            self._kernel = None

    def _await_start(self, now: float) -> None:
        kernel, channels = self._kernel, self._channels
        if kernel is None or channels is None or self._ended is not None or now < self._nudge_s:
            return
        self._nudge_s = now + _NUDGE_S
        waited_s = now - self._started_s
        if self._answered:
            if self._heard or now >= self._answered_s + _HEARD_S:
                self._started()
            else:
                channels.send(channels.shell, "kernel_info_request", {})
        elif waited_s >= START_S:
            self._give_up("the kernel %s did not answer within %d s%s" % (kernel.spec.name, START_S, self._last_line()))
        elif kernel.connection["transport"] == "ipc" and waited_s >= _SILENT_S and not kernel.listens:
            kernel.send_signal(signal.SIGKILL)  # its end is heard of, and another begins

    def _started(self) -> None:
        self._noise = ""
        self._takes_raw = self._kernel is not None and not self._kernel.hears_itself
        startup = self._setup.get("startup")
        if startup and self._run is None and not self._ready:
            self._execute(startup, is_startup=True)
        else:
            self._become_ready()

    def _become_ready(self) -> None:
        self._ready = True
        self._out.frame({"ready": self._name})

    def _last_line(self) -> str:
        lines = [line for line in self._noise.splitlines() if line.strip()]
        return ": " + lines[-1].strip()[:_LAST_LINE_CHARS] if lines else ""

    def _give_up(self, why: str) -> None:
        """Tells why there is no kernel, and ends. Never returns."""
        if self._kernel is not None:
            self._kernel.end()
        self._out.frame({"failed": why})
        self._send_all()
        os._exit(1)

    # --- the kernel

    def _hear_kernel(self, events: Dict[Any, int]) -> None:
        for fd in [fd for fd in self._decoders if fd in events]:
            self._read_raw(fd)
        channels = self._channels
        if channels is None:
            return
        if channels.iopub in events or self._behind:
            self._read_iopub(channels)
        if channels.shell in events:
            while True:
                count, message = channels.receive(channels.shell)
                if not count:
                    break
                if message is not None:
                    self._on_reply(message)
        if channels.stdin in events:
            message = channels.receive(channels.stdin)[1]
            if message is not None and message["header"].get("msg_type") == "input_request":
                self._prompt = _Prompt(message)
        if channels.control in events:
            channels.receive(channels.control)

    def _read_iopub(self, channels: Channels) -> None:
        bytes_, messages = 0, 0
        while bytes_ < _TURN_BYTES and messages < _TURN_MESSAGES:
            count, message = channels.receive(channels.iopub)
            if not count:
                self._behind = False
                return
            bytes_ += count
            messages += 1
            if message is not None:
                self._on_iopub(message)
        self._behind = True

    def _on_iopub(self, message: Message) -> None:
        self._heard = True
        kind, content = message["header"].get("msg_type"), message["content"]
        run = self._run
        if run is not None and message["parent_header"].get("msg_id") == run.number:
            if kind == "status":
                if content.get("execution_state") == "idle":
                    run.idle = True
                    run.due_s = time.monotonic() + _REPLY_S
            else:
                run.begun = True
                if run.replied and not run.idle:
                    run.due_s = time.monotonic() + _IDLE_S
            if kind == "error":
                run.exit_code, is_error = exit_of(content)
                run.told = True
                if not is_error:
                    return
        if self._prompt is not None and not self._prompt.shown:
            self._prompt.due_s = min(time.monotonic() + _PROMPT_S, self._prompt.last_s)
        if isinstance(kind, str):
            self._output.show(kind, content)

    def _on_reply(self, message: Message) -> None:
        kind, content = message["header"].get("msg_type"), message["content"]
        parent = message["parent_header"].get("msg_id")
        run = self._run
        if kind == "kernel_info_reply" and not self._answered:
            self._answered = True
            self._answered_s = self._nudge_s = time.monotonic()
        elif parent in self._asked:
            number, question = self._asked.pop(parent)
            code, cursor = question["code"], question["cursor"]
            if question["op"] == "complete":
                answer = jupyter_looks.completions(content, code, cursor)
            else:
                answer = jupyter_looks.inspection(content, code, cursor, question["detail"])
            self._out.frame({"looked": number, "answer": answer})
        elif run is not None and parent == run.number and not run.replied:
            run.replied = run.begun = True
            run.due_s = time.monotonic() + _IDLE_S
            self._take_reply(run, content)

    def _take_reply(self, run: _Run, content: Dict[str, Any]) -> None:
        status = content.get("status")
        if status == "ok":
            self._output.payloads(content)
        elif status == "error" and not run.told:
            run.exit_code, is_error = exit_of(content)
            if is_error:
                self._output.text("stderr", error_text(content))
        elif status != "error":
            run.exit_code = 1
            self._output.text("stderr", "the kernel has not run this cell\n")

    def _finish(self, run: _Run) -> None:
        for fd in list(self._decoders):
            self._read_raw(fd)
        self._run = self._prompt = None
        if run.is_startup:
            if run.exit_code:
                self._out.text("stderr", "the start-up code of the image has failed\n")
            self._become_ready()
        else:
            self._out.frame({"done": run.exit_code, "stdout": ""})

    def _show(self, prompt: _Prompt) -> None:
        prompt.shown = True
        if self._run is None or self._run.is_startup:
            self._prompt = None
            if self._channels is not None:  # nobody is there who could answer
                reply = {"status": "ok", "value": _END_OF_INPUT}
                self._channels.send(self._channels.stdin, "input_reply", reply, prompt.header)
            return
        text = prompt.content.get("prompt")
        self._output.text("stdout", text if isinstance(text, str) else "")
        self._out.frame({"input": bool(prompt.content.get("password"))})
        self._answer()

    def _read_raw(self, fd: int) -> None:
        """Takes what the kernel writes past its messages: as output, once it is ready."""
        kernel = self._kernel
        assert kernel is not None
        while True:
            try:
                data = os.read(fd, 1 << 16)
            except BlockingIOError:
                return
            text = self._decoders[fd].decode(data, not data)
            if self._takes_raw:
                self._output.text(kernel.raw[fd], text)
            elif kernel.raw[fd] == "stderr":
                self._noise = (self._noise + text)[-_NOISE_CHARS:]
            if not data:
                self._poller.unregister(fd)
                del self._decoders[fd]
                return
            if len(data) < 1 << 16 or self._out.waiting_bytes > _FULL_BYTES:
                return

    # --- the end

    def _end(self, status: int) -> None:
        """Ends as the kernel did, having passed on its last words; before it was ready another one may be tried."""
        kernel, channels = self._kernel, self._channels
        assert kernel is not None and channels is not None
        deadline_s = time.monotonic() + _LAST_WORDS_S
        quiet_s = time.monotonic() + 0.05
        while time.monotonic() < min(deadline_s, quiet_s) or self._behind:
            events: Dict[Any, int] = dict(self._poller.poll(10))
            if self._ack_fd in events:
                os.read(self._ack_fd, 1 << 16)
            if channels.iopub in events or any(fd in events for fd in self._decoders):
                quiet_s = time.monotonic() + 0.05
            self._hear_kernel(events)
        if not self._ready:
            self._start_failed(kernel, status)
            return
        if os.WIFSIGNALED(status):
            self._output.last_words(self._noise)
        self._leave_kernel()
        self._send_all()
        die_alike(status)

    def _start_failed(self, kernel: JupyterProcess, status: int) -> None:
        if kernel.connection["transport"] == "ipc" and not self._answered:
            self._ended = None
            self._leave_kernel()
            self._started_s = time.monotonic()
            self._start("tcp")
            return
        how = (
            "was killed by signal %d" % os.WTERMSIG(status)
            if os.WIFSIGNALED(status)
            else ("ended with exit code %d" % os.WEXITSTATUS(status))
        )
        why = "the kernel %s %s before it answered%s" % (kernel.spec.name, how, self._last_line())
        self._leave_kernel()
        self._give_up(why)

    def _send_all(self) -> None:
        while True:
            self._out.flush()
            if not self._out.waiting_bytes:
                return
            select.select([], [self._sock], [], 1.0)
            try:  # it acknowledges, and would wait for room to do so
                if select.select([self._ack_fd], [], [], 0)[0]:
                    os.read(self._ack_fd, 1 << 16)
            except OSError:
                return
