"""Where a server is. Lives in the model because the finding of the local backend and the client both need it,
and the first must not load the second's HTTP libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is and who we are to it."""

    url: str
    access_key: str
    secret_key: str = field(repr=False)
    name: str = "local"
    """What the user calls it."""
    connect_timeout_s: float = 10.0
    domain: str = "default"
    """Domain of a cluster; ours has one only."""
    group: str = "default"
    """Project (group) in which sessions are made."""
    verify_tls: bool = True
    """False = take any certificate of an https endpoint."""
    renew: Callable[[], Endpoint | None] | None = field(default=None, repr=False, compare=False)
    """Returns the endpoint as it is now, for when the server refuses our keypair: it may have another secret key.
    Blocks; None = we know of no other. Absent where nobody can tell."""
