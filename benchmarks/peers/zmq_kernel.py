"""An ipykernel with nothing between: jupyter_client's manager and raw ZMQ sockets."""

from __future__ import annotations

import os
import uuid
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager


class ZmqKernel:
    """A kernel of its own process. Blocking: call it where nothing else is measured."""

    def __init__(self) -> None:
        self._manager = KernelManager(kernel_name="python3", transport="ipc")
        self._client: BlockingKernelClient | None = None

    def start(self) -> None:
        """Starts the kernel and waits until it answers."""
        # ipykernel warns about frozen modules before its first output on Python 3.11 and later.
        self._manager.start_kernel(env={**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
        self._client = self._manager.client()
        self._client.start_channels(hb=False, stdin=False, control=False)
        self._client.wait_for_ready(timeout=60)

    @property
    def pid(self) -> int:
        provisioner: Any = self._manager.provisioner
        return int(provisioner.pid)

    def execute(self, code: str) -> list[str]:
        """Runs `code`; returns stream output and results, when reply and idle status have both come."""
        assert self._client is not None, "start the kernel first"
        session, shell, iopub = (
            self._client.session,
            self._client.shell_channel.socket,
            self._client.iopub_channel.socket,
        )
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        message = session.msg("execute_request", content)
        message["header"]["msg_id"] = msg_id = uuid.uuid4().hex
        session.send(shell, message)
        output: list[str] = []
        while True:
            _, reply = session.recv(iopub, mode=0)
            if reply["parent_header"].get("msg_id") != msg_id:
                continue
            if reply["msg_type"] == "stream":
                output.append(reply["content"]["text"])
            elif reply["msg_type"] == "execute_result":
                output.append(reply["content"]["data"]["text/plain"])
            elif reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle":
                break
        while session.recv(shell, mode=0)[1]["parent_header"].get("msg_id") != msg_id:
            pass
        return output

    def end(self) -> None:
        if self._client is not None:
            self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
