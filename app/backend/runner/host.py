"""What runs and the kernel may ask of the runner that hosts them."""

from abc import ABC, abstractmethod
from typing import Any, Dict, List, Optional

from .kernel_process import KernelProcess
from .output import Output
from .sandbox import Sandbox


class Host(ABC):
    """The runner, seen from its parts."""

    output: Output

    @property
    @abstractmethod
    def work_dir(self) -> str:
        """The session's work folder."""

    @property
    @abstractmethod
    def cwd(self) -> str:
        """The work folder as the session's processes see it."""

    @property
    @abstractmethod
    def held(self) -> Dict[str, int]:
        """Limits of the session's processes, see `rlimits`."""

    @property
    @abstractmethod
    def sandbox(self) -> Optional[Sandbox]:
        """Where the session's processes are; None = they are not in any."""

    @property
    @abstractmethod
    def environ(self) -> Dict[str, str]:
        """A copy of the environment of the session's processes."""

    @property
    @abstractmethod
    def kernel(self) -> Optional[KernelProcess]:
        """None while no kernel lives."""

    @property
    @abstractmethod
    def is_ending(self) -> bool:
        """Whether the session's processes are being ended: nothing new may be started."""

    @abstractmethod
    def record(self, record: List[Any]) -> None:
        """Adds a record of the run that is going on."""

    @abstractmethod
    def finish_run(self, exit_code: int, signal_name: Optional[str] = None, rest: bytes = b"") -> None:
        """Ends the run that is going on; `rest` is the last of its stdout."""

    @abstractmethod
    def cell_ended(self, exit_code: int, rest: bytes) -> None:
        """Hears from the kernel that its cell has ended; `rest` is the last of its stdout."""

    @abstractmethod
    def kernel_ready(self, process: KernelProcess) -> None:
        """Hears that a kernel runs cells from now on."""
