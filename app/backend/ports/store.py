"""What the service asks of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ...model.sessions import Session, SessionStatus
from ...model.slots import ResourceSlots
from .keypairs import Keypair


@dataclass(frozen=True, slots=True, kw_only=True)
class PastUse:
    """What a session held that has ended."""

    access_key: str
    slots: ResourceSlots
    since_s: float
    """Unix time."""
    until_s: float


class SessionStore(Protocol):
    """SQLite behind a thread of its own. Every write is durable against the end of this process when it returns."""

    @property
    def notice(self) -> str:
        """What the user should hear of what befell the database; empty when it was in order."""

    @property
    def problem(self) -> str:
        """Why nothing can be written at present; empty when it can."""

    def on_loss(self, call: Callable[[], None]) -> None:
        """Has `call` called, in the loop of the caller, when records may be gone: to be written again then."""

    async def save(self, session: Session) -> None: ...

    async def save_all(self, sessions: Iterable[Session]) -> None:
        """Writes sessions in one transaction.

        Raises:
            ServiceUnavailable: the database refused; nothing is written then.
        """

    async def last_enqueue_order(self) -> int:
        """Returns the highest position ever given to an admission; 0 when there was none."""

    async def load_live(self) -> Sequence[Session]:
        """Returns the sessions whose status is not terminal, in the order of admission."""

    async def get(self, session_id: str) -> Session | None: ...

    async def search(
        self, *, access_key: str | None, statuses: Sequence[SessionStatus] | None, limit: int, offset: int
    ) -> tuple[Sequence[Session], int]:
        """Returns one page, newest first, and the total count."""

    async def used_since(self, when: datetime) -> Sequence[PastUse]:
        """Returns what sessions held that have started, and ended at `when` or later, in the order of their ends."""

    async def keypairs(self) -> Sequence[Keypair]: ...

    async def add_keypair(self, keypair: Keypair) -> None:
        """Adds a keypair, or replaces the one with the same access key."""

    async def remove_keypair(self, access_key: str) -> None:
        """Removes a keypair; nothing happens when there is none."""

    async def close(self) -> None: ...
