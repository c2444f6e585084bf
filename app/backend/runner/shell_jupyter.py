"""What a zygote for Jupyter kernels holds ready: all that talks to one, but none of them yet.

These modules, `bridge` and `jupyter_*`, are the part of the runner that is not for any interpreter: they need pyzmq,
and run in the backend's own.
"""

import socket

from .bridge import Bridge


class JupyterShell:
    """Stands where a shell stands; cells are run by a kernel that is another process."""

    name = "jupyter"

    def serve(self, sock: socket.socket, ack_fd: int) -> None:
        """Is the life of the process that the runner takes for its kernel. Never returns."""
        Bridge(self.name, sock, ack_fd).serve()
