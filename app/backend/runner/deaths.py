"""What is told of a kernel that has ended: in the journal, to the backend, and to who waited for it."""

import os
from typing import Any, Dict, Optional

from .batch import shell_exit_code, signal_of


class KernelDeath:
    """The end of a kernel that nobody asked for."""

    def __init__(self, status: int, out_of_memory: Optional[str]) -> None:
        """Takes what `waitpid` says, and what to tell where the limit of memory was hit."""
        name = signal_of(status)
        reason = "killed by %s" % name if name else "ended with exit code %d" % os.WEXITSTATUS(status)
        self.sentence = "the kernel was " + reason if name else "the kernel " + reason
        if out_of_memory is not None and name == "SIGKILL":
            self.sentence = reason = out_of_memory
        self.record: Dict[str, Any] = {"exitCode": shell_exit_code(status), "reason": self.sentence}
        """Data of the record `kernel-died`."""
        if name:
            self.record["signal"] = name
        code = -os.WTERMSIG(status) if name else os.WEXITSTATUS(status)
        self.state: Dict[str, Any] = {"code": code, "reason": reason}
        """What backends are told while there is no other kernel."""
