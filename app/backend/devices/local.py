"""The devices of this machine behind the `Devices` joint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...model.sessions import Session
from ..ports import Device


class LocalDevices:
    """The devices that were found when it was made."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = tuple(devices)

    def list(self) -> Sequence[Device]:
        """Returns the devices in the order cpu, mem, GPUs."""
        return self._devices

    def environment(self, session: Session) -> Mapping[str, str]:
        """Returns the variables that tell a session's processes which devices are theirs."""
        raise NotImplementedError


def discover(cpu: int = 0, mem: str = "", mock_gpus: str = "") -> LocalDevices:
    """Looks at the machine. Reads a few files of /proc and /sys; takes about a millisecond.

    Args:
        cpu: cpu slots to offer; 0 = as many as this process may use.
        mem: mem to offer, e.g. `8g`; empty = all but a reserve for the system.
        mock_gpus: `N` or `N:MEMORY`, e.g. `2:16g`; empty = none.

    Raises:
        ConfigError: a setting that is none.
    """
    raise NotImplementedError
