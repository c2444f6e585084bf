"""What this machine has: CPU cores, memory, mock GPUs."""

from .local import LocalDevices, discover

__all__ = ["LocalDevices", "discover"]
