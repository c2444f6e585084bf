"""Where the TUI goes: the endpoint it was given, that of the context in force, or the local backend."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..config import Paths
from ..contexts import ENVIRONMENT, LOCAL, chosen, endpoint_of
from ..model.endpoint import Endpoint

_PATIENCE = 2
"""Attempts to reach a local backend that went away before another one is started."""


class FixedEndpoint:
    """An endpoint that was given."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    @property
    def place(self) -> str:
        return self._endpoint.name

    @property
    def memory(self) -> str:
        """What tells what is remembered of this endpoint from that of others."""
        return LOCAL if self._endpoint.name == LOCAL else self._endpoint.url

    def locate(self, attempt: int, tell: Callable[[str], object]) -> Endpoint:
        return self._endpoint


class CurrentEndpoint:
    """The endpoint of the context in force, or the local backend, which is started when there is none.

    What is in force when this is made stays so, whatever `bai-tui context use` says elsewhere meanwhile. A local
    backend that went away may be on its way back (an upgrade, a restart by hand): the first attempts only look for it.
    """

    def __init__(self) -> None:
        """Finds out which it is.

        Raises:
            ConfigError: there is no such context, or it cannot be read: better told before there is a screen.
        """
        paths = Paths.of_user()
        self._choice = chosen(paths)
        if self._choice.name != LOCAL:
            endpoint_of(paths, self._choice.name, self._choice.why)

    @property
    def place(self) -> str:
        return os.environ.get("BACKEND_ENDPOINT", "") if self._choice.name == ENVIRONMENT else self._choice.name

    @property
    def memory(self) -> str:
        """What tells what is remembered of this endpoint from that of others."""
        return self.place

    def locate(self, attempt: int, tell: Callable[[str], object]) -> Endpoint:
        from ..local import ensure_backend, running_backend

        paths = Paths.of_user()
        if self._choice.name != LOCAL:
            return endpoint_of(paths, self._choice.name, self._choice.why)
        if 0 < attempt <= _PATIENCE:
            endpoint = running_backend(paths)
            if endpoint is None:
                from ..model.errors import Unreachable

                raise Unreachable("the local backend is gone")
            return endpoint
        return ensure_backend(paths, tell)
