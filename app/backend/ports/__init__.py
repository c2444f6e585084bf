"""The joints between the rooms of the backend.

Each Protocol is what one room asks of another; `daemon.py` alone knows who fulfils it. Nothing here does anything.

    api      -> Service
    service  -> ImageCatalogue, Engine, Kernel, SessionStore, Devices, Sampler (and the scheduler core, which is pure)
"""

from __future__ import annotations

from .devices import Device, Devices, GpuReading, Guarantee, Layer
from .engines import MACHINE_RESTARTED, WALL_TIME, Engine, Exit, Kernel, LaunchSpec, Terminal, TerminalNews
from .images import Alias, ImageCatalogue, Progress, Resolution, Tell
from .imageservice import IMAGE_BACK, IMAGE_GONE, IMAGE_PROGRESS, ImageService, TaskNews
from .journal import UPLOAD_PREFIX, JournalRecord, RunSummary
from .keypairs import Keypair, Keyring
from .metrics import Sampled, Sampler, Watched
from .service import (
    OTHERS,
    CreateOutcome,
    CreateRequest,
    DeviceUse,
    IdleCheck,
    Run,
    Service,
    SessionEvent,
    SessionTerminal,
)
from .store import PastUse, SessionStore

__all__ = [
    "IMAGE_BACK",
    "IMAGE_GONE",
    "IMAGE_PROGRESS",
    "MACHINE_RESTARTED",
    "OTHERS",
    "UPLOAD_PREFIX",
    "WALL_TIME",
    "Alias",
    "CreateOutcome",
    "CreateRequest",
    "Device",
    "DeviceUse",
    "Devices",
    "Engine",
    "Exit",
    "GpuReading",
    "Guarantee",
    "IdleCheck",
    "ImageCatalogue",
    "ImageService",
    "JournalRecord",
    "Kernel",
    "Keypair",
    "Keyring",
    "LaunchSpec",
    "Layer",
    "PastUse",
    "Progress",
    "Resolution",
    "Run",
    "RunSummary",
    "Sampled",
    "Sampler",
    "Service",
    "SessionEvent",
    "SessionStore",
    "SessionTerminal",
    "TaskNews",
    "Tell",
    "Terminal",
    "TerminalNews",
    "Watched",
]
