"""Where the TUI goes: the endpoint it was given, that of the environment, or the local backend."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..model.endpoint import Endpoint

LOCAL = "local"
_PATIENCE = 2
"""Attempts to reach a local backend that went away before another one is started."""


def place_of_environment() -> str:
    """Returns what tells this endpoint from others, without looking for it."""
    return os.environ.get("BACKEND_ENDPOINT", "") or LOCAL


class FixedEndpoint:
    """An endpoint that was given."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    @property
    def place(self) -> str:
        return self._endpoint.name

    def locate(self, attempt: int, tell: Callable[[str], object]) -> Endpoint:
        return self._endpoint


class CurrentEndpoint:
    """The endpoint of the environment, else the local backend, which is started when there is none.

    A local backend that went away may be on its way back (an upgrade, a restart by hand): the first attempts only look
    for it.
    """

    @property
    def place(self) -> str:
        return place_of_environment()

    def locate(self, attempt: int, tell: Callable[[str], object]) -> Endpoint:
        from ..config import Paths
        from ..local import current_endpoint, running_backend

        paths = Paths.of_user()
        if 0 < attempt <= _PATIENCE and place_of_environment() == LOCAL:
            endpoint = running_backend(paths)
            if endpoint is None:
                from ..model.errors import Unreachable

                raise Unreachable("the local backend is gone")
            return endpoint
        return current_endpoint(paths, tell)


def state_folder() -> Path:
    """Returns the folder for what the TUI remembers."""
    from ..config import Paths

    return Paths.of_user().state
