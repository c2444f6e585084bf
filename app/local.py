"""Finds the local backend, or starts it: what lets `bai-tui` work with no set-up at all.

Knows the backend only by its files (`config.Paths.state`) and by the command `bai-tui serve`.
"""

from __future__ import annotations

from .client.api import Endpoint
from .config import Paths


def running_backend(paths: Paths) -> Endpoint | None:
    """Returns the endpoint of the backend of this user, None when none runs. Reads `serve.json` and the keypair only."""
    raise NotImplementedError


def ensure_backend(paths: Paths) -> Endpoint:
    """Returns the endpoint of the local backend; starts one, detached, when none runs. Blocks until it is ready.

    Raises:
        ConfigError: it could not be started; the message holds the reason and the path of its log.
    """
    raise NotImplementedError


def current_endpoint(paths: Paths) -> Endpoint:
    """Returns where commands and TUI go: BACKEND_* of the environment if set, else the local backend (`ensure_backend`)."""
    raise NotImplementedError
