"""A Jupyter kernel for tests that does what well-behaved ones do not: each line of a cell is a command.

Started as `python tiny_kernel.py <connection file> [ipc-not] [deaf] [quiet-start]`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import sys
import time
from typing import Any

import zmq


class TinyKernel:
    def __init__(self, connection: dict[str, Any]) -> None:
        self.key = connection["key"].encode()
        self.context = zmq.Context()
        separator = "-" if connection["transport"] == "ipc" else ":"

        def bind(kind: int, channel: str) -> zmq.Socket[bytes]:
            sock = self.context.socket(kind)
            sock.setsockopt(zmq.SNDHWM, 0)
            sock.setsockopt(zmq.LINGER, 1000)
            sock.bind(f"{connection['transport']}://{connection['ip']}{separator}{connection[channel + '_port']}")
            return sock

        self.shell = bind(zmq.ROUTER, "shell")
        self.control = bind(zmq.ROUTER, "control")
        self.stdin = bind(zmq.ROUTER, "stdin")
        self.iopub = bind(zmq.PUB, "iopub")
        self.parent: dict[str, Any] = {}
        self.ids: list[bytes] = []
        self.quiet = "quiet-start" in sys.argv
        self.reply: dict[str, Any] | None = {}
        self.idle = True

    def sign(self, parts: list[bytes]) -> bytes:
        return hmac.new(self.key, b"".join(parts), hashlib.sha256).hexdigest().encode()

    def send(self, sock: zmq.Socket[bytes], kind: str, content: dict[str, Any], ids: list[bytes]) -> None:
        header = {"msg_id": os.urandom(8).hex(), "msg_type": kind, "session": "tiny", "version": "5.3"}
        parts = [json.dumps(part).encode() for part in (header, self.parent, {}, content)]
        sock.send_multipart([*ids, b"<IDS|MSG>", self.sign(parts), *parts])

    def receive(self, sock: zmq.Socket[bytes]) -> tuple[list[bytes], dict[str, Any], dict[str, Any]]:
        parts = sock.recv_multipart()
        at = parts.index(b"<IDS|MSG>")
        assert self.sign(parts[at + 2 :]) == parts[at + 1]
        return parts[:at], json.loads(parts[at + 2]), json.loads(parts[at + 5])

    def tell(self, kind: str, **content: Any) -> None:
        self.send(self.iopub, kind, content, [kind.encode()])

    def out(self, text: str, name: str = "stdout") -> None:
        self.tell("stream", name=name, text=text)

    def serve(self) -> None:
        while True:
            self.ids, self.parent, content = self.receive(self.shell)
            kind = self.parent["msg_type"]
            if kind == "kernel_info_request":
                if not self.quiet:
                    self.tell("status", execution_state="busy")
                    self.tell("status", execution_state="idle")
                self.answer("kernel_info_reply", {"status": "ok", "protocol_version": "5.3"})
            elif kind == "execute_request":
                self.execute(content["code"])
            elif kind == "complete_request":
                metadata = {"_jupyter_types_experimental": [{"text": "ab|c", "type": "function"}]}
                reply = {"matches": ["ab|c", "abd"], "cursor_start": 1, "cursor_end": 3, "metadata": metadata}
                self.answer("complete_reply", {"status": "ok", **reply})
            elif kind == "inspect_request":
                data = {"text/plain": f"\033[1mhelp\033[0m of {content['code']}"}
                self.answer("inspect_reply", {"status": "ok", "found": True, "data": data})

    def answer(self, kind: str, content: dict[str, Any]) -> None:
        self.send(self.shell, kind, content, self.ids)

    def execute(self, code: str) -> None:
        self.reply, self.idle = {"status": "ok"}, True
        self.tell("status", execution_state="busy")
        self.tell("execute_input", code=code)
        for line in code.splitlines():
            command, _, rest = line.partition(" ")
            getattr(self, "do_" + command)(rest)
        if self.reply is not None:
            self.answer("execute_reply", self.reply)
        if self.idle:
            self.tell("status", execution_state="idle")

    # --- commands

    def do_echo(self, rest: str) -> None:
        self.out(rest + "\n")

    def do_complain(self, rest: str) -> None:
        self.out(rest + "\n", "stderr")

    def do_flood(self, rest: str) -> None:
        for number in range(int(rest)):
            self.out(f"{number}\n")

    def do_bulk(self, rest: str) -> None:
        for _ in range(int(rest)):
            self.out("x" * 1023 + "\n")

    def do_show(self, rest: str) -> None:
        self.tell(rest.split(" ")[0], data=json.loads(rest.split(" ", 1)[1]), metadata={}, transient={})

    def do_clear(self, rest: str) -> None:
        self.tell("clear_output", wait=rest == "wait")

    def do_fail(self, rest: str) -> None:
        self.tell("error", ename="Oops", evalue=rest, traceback=[f"\033[31mOops\033[0m: {rest}"])
        self.reply = {"status": "error", "ename": "Oops", "evalue": rest, "traceback": []}

    def do_fail_in_reply(self, rest: str) -> None:
        self.reply = {"status": "error", "ename": "Oops", "evalue": rest, "traceback": []}

    def do_abort(self, rest: str) -> None:
        self.reply = {"status": "aborted"}

    def do_page(self, rest: str) -> None:
        self.reply = {"status": "ok", "payload": [{"source": "page", "data": {"text/plain": rest}}]}

    def do_no_idle(self, rest: str) -> None:
        self.idle = False

    def do_no_reply(self, rest: str) -> None:
        self.reply = None

    def do_idle_first(self, rest: str) -> None:
        self.tell("status", execution_state="idle")
        self.idle = False

    def do_late(self, rest: str) -> None:
        """Answers, and goes on talking."""
        assert self.reply is not None
        self.answer("execute_reply", self.reply)
        self.reply = None
        self.do_complain("after all")

    def do_raw(self, rest: str) -> None:
        os.write(1, rest.encode() + b"\n")

    def do_raw_error(self, rest: str) -> None:
        os.write(2, rest.encode() + b"\n")

    def do_garbage(self, rest: str) -> None:
        self.iopub.send_multipart([b"no", b"message"])
        self.iopub.send_multipart([b"stream", b"<IDS|MSG>", b"0" * 64, b"{}", b"{}", b"{}", b"{}"])
        for content in ([1], {"name": 3, "text": ["not", "text"]}):
            parts = [json.dumps(part).encode() for part in ({"msg_type": "stream"}, self.parent, {}, content)]
            self.iopub.send_multipart([b"", b"<IDS|MSG>", self.sign(parts), *parts])
        self.out("half of a pair: \ud83d\n")

    def do_die(self, rest: str) -> None:
        self.context.destroy(1000)  # what was said has left before
        if not rest.startswith("-"):
            os._exit(int(rest))
        os.kill(os.getpid(), -int(rest))

    def do_ask(self, rest: str) -> None:
        self.send(self.stdin, "input_request", {"prompt": rest + "? ", "password": rest == "secret"}, self.ids)
        self.out(f"<{self.receive(self.stdin)[2]['value']}>\n")

    def do_wait(self, rest: str) -> None:
        """Waits for an interrupt, by message or by signal."""
        self.out("waiting\n")
        try:
            _, parent, _ = self.receive(self.control)
            self.out(f"heard {parent['msg_type']}\n")
        except KeyboardInterrupt:
            self.out("heard SIGINT\n")

    def do_env(self, rest: str) -> None:
        self.out(" ".join(f"{name}={os.environ.get(name)}" for name in rest.split()) + "\n")

    def do_where(self, rest: str) -> None:
        self.out(f"{os.getcwd()} {os.getpid()} {self.transport} {os.path.dirname(sys.argv[1])}\n")

    transport = ""


def main() -> None:
    with open(sys.argv[1]) as file:
        connection = json.load(file)
    if "ipc-not" in sys.argv and connection["transport"] == "ipc":
        sys.exit("this kernel knows nothing but ports")
    if "deaf" in sys.argv:
        sys.stderr.write("a library is missing\n")
        sys.exit(3)
    if "by-message" in sys.argv:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    kernel = TinyKernel(connection)
    kernel.transport = connection["transport"]
    if "slow" in sys.argv:
        time.sleep(0.3)  # is what it is: slow
    kernel.serve()


if __name__ == "__main__":
    main()
