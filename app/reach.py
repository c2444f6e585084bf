"""The contexts that there are, and whether their servers answer: what `bai-tui context` and the switcher show."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .config import Paths
from .contexts import ENVIRONMENT, LOCAL, endpoint_of, named
from .local import read_running, running_backend
from .model.errors import BaiTuiError

if TYPE_CHECKING:
    from .client.probe import Probe
    from .model.endpoint import Endpoint

PATIENCE_S: Final = 3.0
"""How long a server may take to answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """A context."""

    name: str
    url: str = ""
    """Empty = the local backend, which does not run."""
    access_key: str = ""


def places(paths: Paths) -> list[Place]:
    """Returns the local backend, the server of BACKEND_* if they are set, and the contexts of `config.toml`.

    Raises:
        ConfigError: the file cannot be read, or what it says of contexts is wrong.
    """
    running = read_running(paths)
    found = [Place(LOCAL, "" if running is None else running.endpoint)]
    if url := os.environ.get("BACKEND_ENDPOINT", ""):
        found.append(Place(ENVIRONMENT, url, os.environ.get("BACKEND_ACCESS_KEY", "")))
    return [*found, *(Place(name, context.endpoint, context.access_key) for name, context in named(paths).items())]


def endpoint_at_once(paths: Paths, name: str) -> Endpoint | None:
    """Returns where a context is, None for a local backend that does not run; starts none.

    Raises:
        ConfigError: as `contexts.chosen_endpoint`.
    """
    return running_backend(paths) if name == LOCAL else endpoint_of(paths, name)


async def reach(paths: Paths, name: str) -> Probe:
    """Returns whether the server of a context answers our keypair. Nothing is lost when cancelled."""
    from .client.probe import Probe, probe

    try:
        endpoint = await asyncio.to_thread(endpoint_at_once, paths, name)
    except BaiTuiError as exc:
        return Probe(None, exc.message)
    return Probe(None, "starts when needed") if endpoint is None else await probe(endpoint, PATIENCE_S)


def state_of(found: Probe) -> str:
    """Returns what became of asking, in a few words or the sentence that says why not."""
    if found.sessions is None:
        return found.problem
    return "1 session" if found.sessions == 1 else f"{found.sessions:,} sessions"
