"""The kernel in the loop of the runner: its frames, what it is asked, and who waits for it to be ready."""

import os
import selectors
import signal
import time
from typing import Any, Callable, Dict, List, Optional

from . import procs
from .host import Host
from .kernel_process import KernelProcess
from .sandbox import Sandbox
from .wire import Message

_NOT_OURS = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What a frame raises that no kernel of ours has sent."""
_SAID = {
    "matches": list,
    "types": list,
    "start": int,
    "found": bool,
    "name": str,
    "type": str,
    "signature": str,
    "doc": str,
    "text": str,
}
"""What a kernel may say of code, and the type of each."""


def _rich(record: Any) -> List[Any]:
    """Returns a record that a kernel may write. The others are the runner's to write: what has ended, what waits.

    Raises:
        ValueError: it is none, so user code has made it up.
    """
    kind, data = record
    if kind == "media":
        mime, text = data
        wrong = not isinstance(mime, str) or not isinstance(text, str)
    else:
        wrong = kind not in ("stdout", "stderr", "html") or not isinstance(data, str)
    if wrong:
        raise ValueError("no kernel of ours writes such a record")
    return [kind, data]


def _said(answer: Any) -> Message:
    """Returns what a kernel says of code, in the types that it is said in.

    Raises:
        ValueError: no kernel of ours says that, so user code has made it up.
    """
    said: Message = {}
    for name, value in answer.items():
        wanted = _SAID[name]
        wrong = type(value) is not wanted
        if wrong or (wanted is list and not all(type(item) is str for item in value)):
            raise ValueError("no kernel of ours says that of code")
        said[name] = value
    return said


class KernelKeeper:
    """Has one kernel at a time, or none."""

    def __init__(self, shell: Any, selector: selectors.BaseSelector, host: Host) -> None:
        """Begins without a kernel; `shell` is the warmed one that each is forked with."""
        self._shell = shell
        self._selector = selector
        self._host = host
        self.process: Optional[KernelProcess] = None
        self._sandbox: Optional[Sandbox] = None
        self._held: Dict[str, int] = {}
        self._waiting_ready: List[Callable[[Optional[str]], None]] = []
        self._asked: Dict[int, Any] = {}

    @property
    def is_ready(self) -> bool:
        """Whether cells can be run."""
        return self.process is not None and self.process.ready

    def start(self) -> None:
        """Starts a kernel; it waits for `set_up`.

        Raises:
            OSError: it cannot be started, and why.
        """
        self.process = KernelProcess(self._shell, self._host.output, self._sandbox)
        self.process.hold(self._held)
        self.listen(False)

    def hold(self, held: Dict[str, int], sandbox: Optional[Sandbox]) -> None:
        """Puts limits in force for the kernel that waits and for those to come, see `rlimits`.

        Where they are to be in a sandbox, the one that waits gives way to one that is.

        Raises:
            OSError: there is no such sandbox, and why.
        """
        self._held, self._sandbox = held, sandbox
        waiting = self.process
        if waiting is None:
            return
        if sandbox is None:
            waiting.hold(held)
            return
        procs.send_signal(waiting.pid, signal.SIGKILL)
        os.waitpid(waiting.pid, 0)
        self.ended()
        self.start()

    def set_up(self, launch: Message, environ: Dict[str, str], work_dir: str) -> None:
        """Tells the kernel whose it is; it answers that it is ready.

        Of the launch it hears the session's id, `startup`, code that is to run first, and `jupyter`, which kernel it is
        to be a bridge to: see `Bridge`.
        """
        if self.process is None:
            return
        message = {"op": "setup", "session_id": launch["session_id"], "environ": environ, "cwd": work_dir}
        message["startup"] = launch.get("startup") or ""
        if launch.get("jupyter"):
            # its sockets are to be where both ends see them
            room = "/tmp" if self._sandbox is not None else launch["session_dir"]
            message["jupyter"] = dict(launch["jupyter"], room=room)
        self.process.send(message)

    def when_ready(self, tell: Callable[[Optional[str]], None]) -> None:
        """Has `tell` called once: with None when the kernel is ready, with the reason when it will never be."""
        self._waiting_ready.append(tell)

    def tell_ready(self, error: Optional[str]) -> None:
        """Calls those that wait for the kernel to be ready."""
        waiting, self._waiting_ready = self._waiting_ready, []
        for tell in waiting:
            tell(error)

    def ask(self, question: Message, answer: Any) -> None:
        """Has `answer` called with what the kernel has `said` of code: nothing while there is none that could say."""
        if self.process is None or not self.process.ready:
            answer(said={})
            return
        number = max(self._asked, default=0) + 1
        self._asked[number] = answer
        self.process.send(dict(question, id=number))

    def listen(self, paused: bool) -> None:
        """Has the selector watch what is of interest now: nothing while `paused`."""
        process = self.process
        if process is None:
            return
        wanted = 0
        if not paused and not process.deaf:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if process.has_output else 0)
        if wanted == process.awaited:
            return
        if not wanted:
            self._selector.unregister(process.sock)
        elif process.awaited:
            self._selector.modify(process.sock, wanted, self._on_events)
        else:
            self._selector.register(process.sock, wanted, self._on_events)
        process.awaited = wanted

    def _on_events(self, mask: int) -> None:
        process = self.process
        if process is None:
            return
        if mask & selectors.EVENT_WRITE:
            process.flush()
        if mask & selectors.EVENT_READ:
            frames = process.receive()
            if frames is None:
                # Its end of the socket is closed: dead, or made deaf by user code.
                procs.send_signal(process.pid, signal.SIGKILL)
                process.deaf = True
                return
            try:
                for frame in frames:
                    self._serve_frame(process, frame)
            except _NOT_OURS:
                # User code has written to the socket. Only its own kernel is to suffer from that.
                procs.send_signal(process.pid, signal.SIGKILL)
                process.deaf = True

    def _serve_frame(self, sender: KernelProcess, frame: Message) -> None:
        output = self._host.output
        if "done" in frame:
            self._host.cell_ended(int(frame["done"]), frame["stdout"].encode("latin-1"))
        elif "stderr" in frame or "stdout" in frame:
            kind = "stderr" if "stderr" in frame else "stdout"
            output.drain()
            output.add(*_rich([kind, frame[kind]]))
            if time.monotonic() >= output.deadline_s:
                output.flush()
            sender.ack()
        elif "record" in frame:
            output.drain()
            output.flush()
            self._host.record(_rich(frame["record"]))
            sender.ack()
        elif "input" in frame:
            output.drain()
            output.flush()
            self._host.record(["waiting-input", {"is_password": bool(frame["input"])}])
            sender.ack()
        elif "looked" in frame:
            said = _said(frame["answer"])
            answer = self._asked.pop(int(frame["looked"]), None)
            if answer is not None:
                answer(said=said)
        elif "failed" in frame:
            self.tell_ready(str(frame["failed"]))
        elif "ready" in frame:
            sender.ready = True
            self._host.kernel_ready(sender)
            self.tell_ready(None)

    def ended(self) -> None:
        """Lets go of a kernel that has ended; what it said before that counts."""
        gone, self.process = self.process, None
        assert gone is not None
        try:
            while not gone.deaf:
                frames = gone.receive()
                if not frames:
                    break
                for frame in frames:
                    self._serve_frame(gone, frame)
        except _NOT_OURS:  # its last words were user code's
            pass
        if gone.awaited:
            self._selector.unregister(gone.sock)
        gone.close()
        for answer in self._asked.values():
            answer(said={})
        self._asked.clear()
