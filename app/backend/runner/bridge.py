"""The kernel of a session whose image is a Jupyter kernel: a bridge between its runner and that kernel.

It is what the runner takes for the kernel: it starts the real one as its child, is the only one to talk to it, and
ends as that one ends. One loop, in which nothing blocks and no thread of Python's runs.
"""

import os
import select
import signal
import socket
import time
from typing import Any, Dict, Optional, Tuple

import zmq

from . import jupyter_looks, procs
from .jupyter_cell import NEVER, Cell, Prompt
from .jupyter_output import JupyterOutput
from .jupyter_peer import FULL_BYTES, Peer
from .jupyter_process import JupyterError, die_alike
from .jupyter_wire import Message
from .outbox import Outbox
from .wire import LineReader

START_S = 60.0
"""How long a kernel may take to answer."""
_SILENT_S = 20.0
"""How long one may take to make the files it is to listen on, before it is started anew with ports instead: some know
nothing else, and of those some do not say so."""
_NUDGE_S = 0.05
"""How often is looked whether a kernel is up that was started."""
_LAST_WORDS_S = 0.5
_QUIET_S = 0.05
_QUESTIONS = 64
_END_OF_INPUT = "\x04"


class Bridge:
    """Serves the runner's commands with a kernel that is elsewhere."""

    def __init__(self, name: str, sock: socket.socket, ack_fd: int) -> None:
        """Waits for what the runner sets up; `name` is what it is told of who runs its cells."""
        self._name = name
        self._sock = sock
        self._ack_fd = ack_fd
        self._reader = LineReader(1 << 30)
        self._out = Outbox(sock)
        self._output = JupyterOutput(self._out)
        self._poller = zmq.Poller()
        self._setup: Dict[str, Any] = {}
        self._peer: Optional[Peer] = None
        self._started_s = 0.0
        self._next_look_s = NEVER
        """When is looked next whether the kernel is up."""
        self._cell: Optional[Cell] = None
        self._prompt: Optional[Prompt] = None
        self._asked: Dict[str, Tuple[int, Dict[str, Any]]] = {}
        self._failed = False
        """The start-up code has failed, and no cell has said so yet."""
        self._ready = False
        self._ended: Optional[int] = None
        self._signal_fd = procs.hear_signals(signal.SIGCHLD, signal.SIGTERM)
        signal.signal(signal.SIGINT, lambda number, frame: None)
        for fd in (self._signal_fd, ack_fd):
            self._poller.register(fd, zmq.POLLIN)
        self._poller.register(sock, zmq.POLLIN)

    # --- loop

    def serve(self) -> None:
        """Runs until the kernel has ended, and ends as it did. Never returns."""
        while True:
            events = self._poll(self._timeout_ms())
            if self._sock.fileno() in events:
                self._hear_runner()
            if self._signal_fd in events:
                self._on_signals()
            self._hear_kernel(events)
            self._tick(time.monotonic())
            if self._peer is not None and self._ended is None:
                self._peer.hold_back(self._out.waiting_bytes)
            self._out.flush()
            self._poller.modify(self._sock, zmq.POLLIN | (zmq.POLLOUT if self._out.waiting_bytes else 0))
            if self._ended is not None:
                self._end(self._ended)

    def _poll(self, timeout_ms: int) -> Dict[Any, int]:
        events: Dict[Any, int] = dict(self._poller.poll(timeout_ms))
        if self._ack_fd in events:
            os.read(self._ack_fd, 1 << 16)  # nothing waits for it: all that we say goes one way
        return events

    def _timeout_ms(self) -> int:
        if self._peer is not None and self._peer.behind:
            return 0
        due_s = self._next_look_s
        if self._cell is not None:
            due_s = min(due_s, self._cell.due_s)
        if self._prompt is not None:
            due_s = min(due_s, self._prompt.due_s)
        return -1 if due_s == NEVER else max(0, int((due_s - time.monotonic()) * 1000) + 1)

    def _tick(self, now: float) -> None:
        if now >= self._next_look_s:
            self._look_for(now)
        if self._prompt is not None and now >= self._prompt.due_s:
            self._show(self._prompt)
        cell = self._cell
        if cell is not None:
            if cell.takes_interrupt(now) and self._peer is not None:
                self._peer.interrupt()
            if cell.is_over(now):
                self._finish(cell)

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
                procs.stamp(message["session_id"])
                self._setup = message
                self._start("ipc")
            elif op == "execute":
                self._execute(message["code"])
            elif op == "input" and self._cell is not None:
                self._cell.answers.append(str(message.get("text", "")))
                self._answer()
            elif op in ("complete", "inspect"):
                self._look(message)

    def _execute(self, code: str, is_startup: bool = False) -> None:
        peer = self._peer
        if peer is None:
            return
        content = {
            "code": code,
            "silent": False,
            "store_history": not is_startup,
            "user_expressions": {},
            "allow_stdin": not is_startup,
            "stop_on_error": True,
        }
        self._prompt = None
        if self._failed:  # who follows a run sees nothing of what was before it
            self._failed = False
            self._output.text("stderr", procs.START_UP_FAILED)
        number = peer.channels.send(peer.channels.shell, "execute_request", content)
        self._cell = Cell(number, peer.silence, is_startup)

    def _finish(self, cell: Cell) -> None:
        self._take_raw(1 << 30)
        self._cell = self._prompt = None
        if not cell.is_startup:
            self._out.frame({"done": cell.exit_code, "stdout": ""})
            return
        if cell.exit_code:
            self._failed = True
            self._output.text("stderr", procs.START_UP_FAILED)
        self._become_ready()

    def _answer(self) -> None:
        """Answers the prompt that is shown with what was typed, if both are there."""
        prompt, cell = self._prompt, self._cell
        if prompt is not None and prompt.shown and cell is not None and cell.answers:
            self._prompt = None
            self._reply(prompt, cell.answers.pop(0))

    def _reply(self, prompt: Prompt, value: str) -> None:
        if self._peer is not None:
            channels = self._peer.channels
            channels.send(channels.stdin, "input_reply", {"status": "ok", "value": value}, prompt.header)

    def _look(self, message: Dict[str, Any]) -> None:
        peer = self._peer
        if peer is None or not self._ready or self._cell is not None:
            self._out.frame({"looked": message["id"], "answer": {}})
            return
        content = {"code": message["code"], "cursor_pos": message["cursor"]}
        if message["op"] == "inspect":
            content["detail_level"] = message["detail"]
        number = peer.channels.send(peer.channels.shell, message["op"] + "_request", content)
        self._asked[number] = message["id"], message
        while len(self._asked) > _QUESTIONS:  # it answers none of them
            del self._asked[next(iter(self._asked))]

    # --- signals

    def _on_signals(self) -> None:
        try:
            numbers = os.read(self._signal_fd, 4096)
        except BlockingIOError:
            return
        peer = self._peer
        if signal.SIGTERM in numbers and peer is None:
            os._exit(128 + signal.SIGTERM)
        if signal.SIGCHLD in numbers and peer is not None and self._ended is None:
            self._ended = peer.process.poll()
        # Of SIGTERM nothing more is to be done: whoever ends the session tells the kernel, too, and we end with it.
        if signal.SIGINT in numbers:
            self._hear_runner()  # the cell that is meant may be on its way yet
            if self._cell is not None and not self._cell.is_startup:  # else it came too late
                self._cell.interrupt()

    # --- start

    def _start(self, transport: str) -> None:
        try:
            self._peer = Peer(transport, self._setup, self._poller)
        except JupyterError as exc:
            self._give_up(str(exc))
        self._started_s = time.monotonic()
        self._next_look_s = self._started_s + _NUDGE_S

    def _look_for(self, now: float) -> None:
        """Looks whether the kernel is up, and how long it has been awaited."""
        peer = self._peer
        if peer is None:
            return
        self._next_look_s = now + _NUDGE_S
        waited_s = now - self._started_s
        if peer.is_up:
            self._next_look_s = NEVER
            peer.begin()
            if self._setup.get("startup"):
                self._execute(self._setup["startup"], is_startup=True)
            else:
                self._become_ready()
        elif peer.answered:
            peer.ask()  # its answer came, its news did not: those that were told before we were connected are lost
        elif waited_s >= START_S:
            self._give_up("the kernel %s did not answer within %d s%s" % (peer.spec.name, START_S, peer.last_line))
        elif peer.transport == "ipc" and waited_s >= _SILENT_S and not peer.process.listens:
            peer.process.send_signal(signal.SIGKILL)  # its end is heard of, and another begins

    def _become_ready(self) -> None:
        self._ready = True
        self._out.frame({"ready": self._name})

    def _give_up(self, why: str) -> None:
        """Tells why there is no kernel, and ends. Never returns."""
        if self._peer is not None:
            self._peer.process.end()
        self._out.frame({"failed": why})
        self._send_all()
        os._exit(1)

    # --- the kernel

    def _hear_kernel(self, events: Dict[Any, int]) -> None:
        peer = self._peer
        if peer is None:
            return
        channels = peer.channels
        if any(fd in events for fd in peer.process.raw):
            self._take_raw(1 << 18)
        if channels.iopub in events or peer.behind:
            for message in peer.news():
                self._take_news(message)
        while channels.shell in events:
            count, reply = channels.receive(channels.shell)
            if not count:
                break
            if reply is not None:
                self._take_reply(peer, reply)
        if channels.stdin in events:
            question = channels.receive(channels.stdin)[1]
            if question is not None and question["header"].get("msg_type") == "input_request":
                self._prompt = Prompt(question)
        if channels.control in events:
            channels.receive(channels.control)
        if peer.is_up and self._next_look_s != NEVER:
            self._next_look_s = 0.0

    def _take_raw(self, most: int) -> None:
        if self._peer is not None and (self._out.waiting_bytes < FULL_BYTES or most > FULL_BYTES):
            for kind, text in self._peer.raw(most):
                self._output.text(kind, text)

    def _take_news(self, message: Message) -> None:
        cell = self._cell
        if cell is not None and message["parent_header"].get("msg_id") == cell.number and not cell.take_news(message):
            return
        if self._prompt is not None:
            self._prompt.wait()
        self._output.show(str(message["header"].get("msg_type")), message["content"])

    def _take_reply(self, peer: Peer, message: Message) -> None:
        content, parent = message["content"], message["parent_header"].get("msg_id")
        cell = self._cell
        if message["header"].get("msg_type") == "kernel_info_reply":
            peer.take_answer(content)
        elif parent in self._asked:
            number, question = self._asked.pop(parent)
            code, cursor = question["code"], question["cursor"]
            if question["op"] == "complete":
                answer = jupyter_looks.completions(content, code, cursor)
            else:
                answer = jupyter_looks.inspection(content, code, cursor, question["detail"])
            self._out.frame({"looked": number, "answer": answer})
        elif cell is not None and parent == cell.number:
            cell.take_reply(content, self._output)

    def _show(self, prompt: Prompt) -> None:
        prompt.shown = True
        if self._cell is None or self._cell.is_startup:
            self._prompt = None
            self._reply(prompt, _END_OF_INPUT)  # nobody is there who could answer
            return
        self._output.text("stdout", prompt.text)
        self._out.frame({"input": prompt.is_password})
        self._answer()

    # --- the end

    def _end(self, status: int) -> None:
        """Ends as the kernel did, having passed on its last words; before it was ready another one may be tried."""
        peer = self._peer
        assert peer is not None
        deadline_s = time.monotonic() + _LAST_WORDS_S
        quiet_s = time.monotonic() + _QUIET_S
        while time.monotonic() < min(deadline_s, quiet_s) or peer.behind:
            events = self._poll(10)
            if peer.channels.iopub in events:
                quiet_s = time.monotonic() + _QUIET_S
            self._hear_kernel(events)
        self._take_raw(1 << 30)
        if not self._ready:
            self._start_failed(peer, status)
            return
        peer.leave()
        self._send_all()
        die_alike(status)

    def _start_failed(self, peer: Peer, status: int) -> None:
        self._peer = self._ended = self._cell = None
        if peer.transport == "ipc" and not peer.answered:
            peer.leave()
            self._start("tcp")
            return
        if os.WIFSIGNALED(status):
            how = "was killed by signal %d" % os.WTERMSIG(status)
        else:
            how = "ended with exit code %d" % os.WEXITSTATUS(status)
        why = "the kernel %s %s before it was ready%s" % (peer.spec.name, how, peer.last_line)
        peer.leave()
        self._give_up(why)

    def _send_all(self) -> None:
        while True:
            self._out.flush()
            if not self._out.waiting_bytes:
                return
            acks = select.select([self._ack_fd], [self._sock], [], 1.0)[0]
            if acks:
                os.read(self._ack_fd, 1 << 16)
