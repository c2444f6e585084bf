"""What this machine has: CPU cores, memory, NVIDIA GPUs, mock GPUs; and how a share of them is enforced."""

from .local import LocalDevices, discover

__all__ = ["LocalDevices", "discover"]
