"""Who may come in, and what the API asks of whoever keeps their keypairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypair:
    access_key: str
    secret_key: str = field(repr=False)
    user_id: str
    """E-mail-like name of the user."""
    user_uuid: str
    is_admin: bool = False
    is_active: bool = True
    created_at: datetime | None = None


class Keyring(Protocol):
    """The keypairs of one backend. Every change holds for the next request, and is in the store when it returns.

    Raises, each of them: ServiceUnavailable, when the store refused; nothing has changed then.
    """

    def seen_by(self, caller: Keypair) -> Sequence[Keypair]:
        """Returns the keypairs of the caller's user, for an admin all of them, the oldest first."""

    async def add(self, caller: Keypair, *, user_id: str, is_admin: bool = False, is_active: bool = True) -> Keypair:
        """Makes a keypair; a user who is not known yet comes with it.

        Raises: Forbidden (no admin), BadRequest (no name for a user).
        """

    async def modify(
        self, caller: Keypair, access_key: str, *, is_admin: bool | None = None, is_active: bool | None = None
    ) -> Keypair:
        """Gives a keypair another role, switches it off or on again; None = as it was. Its sessions go on.

        Raises: Forbidden (no admin, or it is the backend's own), NotFound.
        """

    async def remove(self, caller: Keypair, access_key: str) -> None:
        """Forgets a keypair.

        Raises: Forbidden (no admin, or it is the backend's own), NotFound, IllegalState (it has live sessions).
        """

    async def rotate(self, caller: Keypair, access_key: str) -> Keypair:
        """Gives a keypair another secret key; the one before is refused from then on.

        Raises: Forbidden (no admin, and not an ordinary keypair of the caller's user), NotFound.
        """
