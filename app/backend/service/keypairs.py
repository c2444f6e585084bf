"""The keypairs of this backend: in memory, where every request looks, and in the store. Fulfils `ports.Keyring`."""

from __future__ import annotations

import asyncio
import re
import secrets
import string
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ...model.errors import BadRequest, Forbidden, IllegalState, NotFound
from ..ports import Keypair, SessionStore

_ALPHABET: Final = string.ascii_uppercase + string.digits
_SECRET_ALPHABET: Final = string.ascii_letters + string.digits + "_-"
_USER: Final = re.compile(r"[\w.%+-]{1,64}(@[\w.-]{1,255})?")
_HERE: Final = "localhost"
"""Where users are at home whose name says nothing else."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def new_access_key() -> str:
    """Returns an access key that nobody has: 20 letters and digits, as Backend.AI makes them."""
    return "AKIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))


def new_secret_key() -> str:
    """Returns a secret key: 40 characters, 240 bits."""
    return "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(40))


def full_user_id(text: str) -> str:
    """Returns the name of a user in full: `alice` is `alice@localhost`.

    Raises:
        BadRequest: it holds something that no name has.
    """
    if not _USER.fullmatch(text):
        raise BadRequest(f"{text[:80]!r} is no name for a user: write a word, or an e-mail address")
    return text if "@" in text else f"{text}@{_HERE}"


@dataclass(frozen=True, slots=True)
class OwnKeypair:
    """The keypair of the commands and the TUI of the user who runs the backend."""

    access_key: str
    keep: Callable[[Keypair], None]
    """Writes it where those find it. Blocks; raises ConfigError."""


class LocalKeyring(Mapping[str, Keypair]):
    """Access key -> keypair. What changes here holds at once, for every request that is not answered yet.

    Changes are made one after the other: in memory first, so that a request whose client has left while it was carried
    out leaves memory and store alike.
    """

    def __init__(
        self,
        store: SessionStore,
        pairs: Iterable[Keypair],
        *,
        live_sessions: Callable[[str], int],
        own: OwnKeypair | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Knows `pairs`, which the store has.

        Args:
            live_sessions: access key -> how many sessions of it live.
            own: the keypair that must always open; None = there is no such.
        """
        self._store = store
        self._pairs = {pair.access_key: pair for pair in pairs}
        self._live_sessions = live_sessions
        self._own = own
        self._now = now
        self._changing = asyncio.Lock()

    # --- reading --------------------------------------------------------------------------------------------

    def __getitem__(self, access_key: str) -> Keypair:
        return self._pairs[access_key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}>"

    def check(self, caller: Keypair) -> None:
        """Refuses a keypair that was switched off or forgotten after its request was let in.

        Raises:
            Forbidden: it does not open any more.
        """
        known = self._pairs.get(caller.access_key)
        if known is None or not known.is_active:
            raise Forbidden(f"the access key {caller.access_key} is switched off: it makes no sessions")

    def seen_by(self, caller: Keypair) -> Sequence[Keypair]:
        """Returns the keypairs of the caller's user, for an admin all of them, the oldest first."""
        found = [pair for pair in self._pairs.values() if caller.is_admin or pair.user_uuid == caller.user_uuid]
        return sorted(found, key=lambda pair: (pair.created_at or _LONG_AGO, pair.access_key))

    # --- changing -------------------------------------------------------------------------------------------

    async def add(self, caller: Keypair, *, user_id: str, is_admin: bool = False, is_active: bool = True) -> Keypair:
        """Makes a keypair; a user who is not known yet comes with it. Cancelling does not undo it.

        Raises:
            Forbidden: the caller is no admin.
            BadRequest: no name for a user.
            ServiceUnavailable: the store refused; nothing has changed then.
        """
        self._admins_only(caller, "add keypairs")
        if self._of_user(user_id) is None:  # else it is a name, whatever it looks like
            user_id = full_user_id(user_id)
        async with self._changing:
            pair = Keypair(
                access_key=new_access_key(),
                secret_key=new_secret_key(),
                user_id=user_id,
                user_uuid=self._uuid_of(user_id),
                is_admin=is_admin,
                is_active=is_active,
                created_at=self._now(),
            )
            await self._put(pair)
        return pair

    async def modify(
        self, caller: Keypair, access_key: str, *, is_admin: bool | None = None, is_active: bool | None = None
    ) -> Keypair:
        """Gives a keypair another role, switches it off or on again; None = as it was. Its sessions go on.

        Raises:
            Forbidden: the caller is no admin, or it is the backend's own keypair.
            NotFound: there is no such access key.
            ServiceUnavailable: the store refused; nothing has changed then.
        """
        self._admins_only(caller, "change keypairs")
        async with self._changing:
            pair = self._known(access_key)
            if is_active is False or is_admin is False:
                self._not_our_own(access_key)
            changed = replace(
                pair,
                is_admin=pair.is_admin if is_admin is None else is_admin,
                is_active=pair.is_active if is_active is None else is_active,
            )
            if changed != pair:
                await self._put(changed)
        return changed

    async def remove(self, caller: Keypair, access_key: str) -> None:
        """Forgets a keypair; its sessions that have ended stay in the history.

        Raises:
            Forbidden: the caller is no admin, or it is the backend's own keypair.
            NotFound: there is no such access key.
            IllegalState: sessions of it live.
            ServiceUnavailable: the store refused; nothing has changed then.
        """
        self._admins_only(caller, "delete keypairs")
        async with self._changing:
            pair = self._known(access_key)
            self._not_our_own(access_key)
            if count := self._live_sessions(access_key):
                what = "a live session: end it" if count == 1 else f"{count} live sessions: end them"
                raise IllegalState(f"the keypair {access_key} has {what} first, or switch the keypair off instead")
            del self._pairs[access_key]
            try:
                await self._store.remove_keypair(access_key)
            except Exception:
                self._pairs[access_key] = pair
                raise

    async def rotate(self, caller: Keypair, access_key: str) -> Keypair:
        """Gives a keypair another secret key; the one before is refused from then on.

        Raises:
            Forbidden: the caller is no admin, and it is not an ordinary keypair of the caller's user.
            NotFound: there is no such access key.
            ConfigError: the backend's own keypair cannot be written to its file; nothing has changed then.
            ServiceUnavailable: the store refused; nothing has changed then.
        """
        async with self._changing:
            pair = self._pairs.get(access_key)
            if not (caller.is_admin or access_key == caller.access_key or _is_ordinary_of(caller, pair)):
                raise Forbidden("only an administrator may rotate the keypair of somebody else")
            pair = self._known(access_key)
            fresh = replace(pair, secret_key=new_secret_key())
            if self._own is None or access_key != self._own.access_key:
                await self._put(fresh)
                return fresh
            # The file first: if we end between the two, the next backend takes what the file says.
            await self._keep(self._own, fresh, pair)
            try:
                await self._put(fresh)
            except Exception:
                await self._keep(self._own, pair, pair)
                raise
        return fresh

    async def _keep(self, own: OwnKeypair, pair: Keypair, before: Keypair) -> None:
        self._pairs[pair.access_key] = pair
        try:
            await asyncio.to_thread(own.keep, pair)
        except Exception:
            self._pairs[pair.access_key] = before
            raise

    async def _put(self, pair: Keypair) -> None:
        before = self._pairs.get(pair.access_key)
        self._pairs[pair.access_key] = pair
        try:
            await self._store.add_keypair(pair)
        except Exception:
            if before is None:
                del self._pairs[pair.access_key]
            else:
                self._pairs[pair.access_key] = before
            raise

    # --- rules ----------------------------------------------------------------------------------------------

    def _admins_only(self, caller: Keypair, what: str) -> None:
        if not caller.is_admin:
            raise Forbidden(f"only an administrator may {what}")

    def _not_our_own(self, access_key: str) -> None:
        if self._own is not None and access_key == self._own.access_key:
            raise Forbidden(
                f"the keypair {access_key} is that of the commands and the workspace of this machine: it stays an "
                "administrator's and cannot be switched off or deleted; rotate it where its secret may be known"
            )

    def _known(self, access_key: str) -> Keypair:
        pair = self._pairs.get(access_key)
        if pair is None:
            raise NotFound(f"there is no access key {access_key[:80]!r} on this backend")
        return pair

    def _uuid_of(self, user_id: str) -> str:
        """Returns the id of a user: that of the user's keypairs, else one that depends on the name alone."""
        known = self._of_user(user_id)
        return known.user_uuid if known else str(uuid.uuid5(uuid.NAMESPACE_OID, f"user {user_id}"))

    def _of_user(self, user_id: str) -> Keypair | None:
        return next((pair for pair in self._pairs.values() if pair.user_id == user_id), None)


def _is_ordinary_of(caller: Keypair, pair: Keypair | None) -> bool:
    """Whether `pair` is of the caller's user. An ordinary keypair of an administrator is no way to the other's."""
    return pair is not None and pair.user_uuid == caller.user_uuid and not pair.is_admin
