"""Becomes a warmed interpreter of an image, and forks runners from it.

Started by path as `<interpreter> -s zygote.py FD`, since the image's interpreter knows nothing of bai-tui. FD is a
seqpacket socket: the first message holds the settings, each further one carries an end of a socket pair, for which
a runner is forked. The zygote ends with the socket's other end; runners live on. It must never start a thread: it
forks.
"""

import array
import gc
import json
import os
import signal
import socket
import sys
import types
from typing import Any


def main() -> None:
    """Runs the zygote."""
    folder = sys.path.pop(0)
    package = types.ModuleType("_bai_runner")
    package.__path__ = [folder]
    sys.modules["_bai_runner"] = package
    # The namespace of this file must outlive its place in sys.modules.
    package.__dict__["zygote_main"] = sys.modules["__main__"]

    from _bai_runner import procs  # type: ignore[import-not-found]  # made above

    procs.find_marker()
    listener = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(listener.recv(1 << 16).decode("utf-8"))
    os.set_inheritable(listener.fileno(), False)

    from _bai_runner import supervisor, warm

    shell = warm.build_shell(settings)
    # Children are reaped by the system; a runner says itself how it ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    if hasattr(gc, "freeze"):
        gc.freeze()
    serve(listener, shell, supervisor.run)


def serve(listener: socket.socket, shell: Any, run: Any) -> None:
    """Forks a runner for each message, until the other end is closed."""
    while True:
        try:
            data, ancillary, _flags, _address = listener.recvmsg(64, socket.CMSG_SPACE(4))
        except InterruptedError:
            continue
        if not data:
            return
        fds = array.array("i")
        for _level, _kind, payload in ancillary:
            fds.frombytes(payload[:4])
        if not fds:
            continue
        os.set_inheritable(fds[0], False)  # as it comes, every command that a runner starts would have it
        if os.fork() == 0:
            listener.close()
            run(shell, socket.socket(fileno=fds[0]))
        os.close(fds[0])


if __name__ == "__main__":
    main()
