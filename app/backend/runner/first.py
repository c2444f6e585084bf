"""The start of a runner that is the first process of a container.

Whatever is in the container ends with it: it has process id 1, and the system sees to that.
"""

import gc
import json
import os
import socket

from . import supervisor, warm
from .files import LOG
from .wire import Folder

START = "start.json"
"""In the session's folder: the settings of the shell, see `warm.build_shell`."""
DOOR = "start.sock"
"""At which the backend waits for the runner."""


def become_runner(folder: str) -> None:
    """Runs the session of `folder`. Never returns.

    Raises:
        OSError: the backend does not wait for it any more; whoever started the container hears of its end.
        ValueError: the settings are none.
    """
    log = os.open(os.path.join(folder, LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    with open(os.path.join(folder, START), encoding="utf-8") as file:
        settings = json.load(file)
    shell = warm.build_shell(settings)
    gc.collect()
    if hasattr(gc, "freeze"):
        gc.freeze()
    sock = socket.socket(socket.AF_UNIX)
    place = Folder(folder)
    sock.connect(place.address(DOOR))
    place.close()
    supervisor.run(shell, sock)
