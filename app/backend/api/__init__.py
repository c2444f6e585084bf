"""The HTTP face of the backend: Backend.AI's public API over aiohttp, calling the `Service` and nothing else.

Rooms behind it (engines, store, scheduler) are never imported here; `daemon.py` wires the service in.
"""

from .app import create_app, create_runner
from .connections import ConnectionLimits
from .replays import Replays
from .token import metrics_token

__all__ = ["ConnectionLimits", "Replays", "create_app", "create_runner", "metrics_token"]
