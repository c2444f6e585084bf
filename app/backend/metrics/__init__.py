"""What sessions and GPUs really use: `ProcSampler` fulfils `ports.Sampler`."""

from .sampler import ProcSampler

__all__ = ["ProcSampler"]
