"""Users and their keypairs in GraphQL: rows, queries and the mutations of administrators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, ClassVar, Final

from ...model.errors import BadRequest, Forbidden, NotFound
from ...model.sessions import HOLDING
from ...policies import LimitSettings
from ..ports import Keypair, Service
from .context import acting_for
from .gql_rows import Row, SessionRow, Table, constant, group_row, page_of
from .gql_told import told
from .minilang import parse_filter, parse_order
from .resources import EVERYTHING

POLICY: Final = "default"
"""Name of the resource policy of every keypair, whatever it says for one."""


class KeypairRow(Row):
    """A keypair. Its secret key is told to who signs with it, and to who has just made it."""

    __slots__ = ("keypair", "policy", "sessions", "told")

    def __init__(
        self, keypair: Keypair, sessions: list[SessionRow] | None, policy: LimitSettings, *, told: bool
    ) -> None:
        self.keypair = keypair
        self.sessions = sessions
        self.policy = policy
        self.told = told

    def compute_sessions(self, _info: Any, status: str | None = None) -> list[SessionRow] | None:
        if self.sessions is None:
            return None
        return [row for row in self.sessions if status is None or row.session.status.value == status.upper()]

    fields: ClassVar[Table] = {
        "id": lambda row: row.keypair.access_key,
        "user_id": lambda row: row.keypair.user_id,
        "full_name": lambda row: _name(row.keypair),
        "access_key": lambda row: row.keypair.access_key,
        "secret_key": lambda row: row.keypair.secret_key if row.told else None,
        "is_active": lambda row: row.keypair.is_active,
        "is_admin": lambda row: row.keypair.is_admin,
        "resource_policy": constant(POLICY),
        "created_at": lambda row: row.keypair.created_at,
        "last_used": constant(None),
        "rate_limit": constant(None),
        "num_queries": constant(None),
        "user": lambda row: row.keypair.user_uuid,
        "user_info": lambda row: {"email": row.keypair.user_id, "full_name": _name(row.keypair)},
        "concurrency_used": lambda row: None if row.sessions is None else len(row.sessions),
        "concurrency_limit": lambda row: row.policy.max_concurrent_sessions,
        "projects": constant(["default"]),
        "ssh_public_key": constant(None),
    }


_FILTERS: Final[Mapping[str, Callable[[KeypairRow], Any]]] = {
    **{
        name: KeypairRow.fields[name]
        for name in (
            "access_key", "full_name", "is_active", "is_admin", "resource_policy", "created_at", "last_used",
            "rate_limit", "num_queries", "ssh_public_key",
        )
    },
    "email": lambda row: row.keypair.user_id,
    "user_id": lambda row: row.keypair.user_uuid,
}  # fmt: skip
"""What `filter` and `order` of the list may name; there, as on a manager, `user_id` is the UUID."""


def _name(keypair: Keypair) -> str:
    return keypair.user_id.partition("@")[0]


def _is_of(keypair: Keypair, user: str) -> bool:
    """Whether a keypair is of a user, who may be named without the place where all are at home."""
    return user in (keypair.user_id, keypair.user_id.removesuffix("@localhost"))


def policy_row(policy: LimitSettings) -> dict[str, Any]:
    """Returns the limits of a keypair under the one name that they have; null = only the machine limits."""
    return {
        "name": POLICY,
        "created_at": None,
        "default_for_unspecified": "UNLIMITED",
        "total_resource_slots": dict(policy.total_resource_slots),
        "max_session_lifetime": int(policy.max_session_lifetime_s),
        "max_concurrent_sessions": policy.max_concurrent_sessions,
        "max_pending_session_count": policy.max_pending_session_count,
        "max_containers_per_session": 1,
        "max_concurrent_sftp_sessions": 0,
        "max_vfolder_count": 0,
        "max_vfolder_size": 0,
        "idle_timeout": None,
        "allowed_vfolder_hosts": {},
    }


class UserRow(Row):
    __slots__ = ("keypair",)

    def __init__(self, keypair: Keypair) -> None:
        self.keypair = keypair

    fields: ClassVar[Table] = {
        "id": lambda row: row.keypair.user_uuid,
        "uuid": lambda row: row.keypair.user_uuid,
        "username": lambda row: _name(row.keypair),
        "email": lambda row: row.keypair.user_id,
        "full_name": lambda row: _name(row.keypair),
        "description": constant(""),
        "is_active": lambda row: row.keypair.is_active,
        "status": lambda row: "active" if row.keypair.is_active else "inactive",
        "status_info": constant(None),
        "created_at": lambda row: row.keypair.created_at,
        "modified_at": constant(None),
        "domain_name": constant("default"),
        "role": lambda row: "superadmin" if row.keypair.is_admin else "user",
        "resource_policy": constant("default"),
        "main_access_key": lambda row: row.keypair.access_key,
        "groups": lambda row: [group_row("default")],
    }


class People:
    """The part of the root that is about users and keypairs."""

    def __init__(self, service: Service, caller: Keypair, turn_out: Callable[[str], Awaitable[None]]) -> None:
        """Answers on behalf of `caller`.

        Args:
            turn_out: ends what an access key has under way: it may not do any more what it could.
        """
        self._service = service
        self._caller = caller
        self._turn_out = turn_out

    # --- queries --------------------------------------------------------------------------------------------

    async def keypair(self, _info: Any, access_key: str | None = None, **_: Any) -> KeypairRow:
        return await self._keypair_row(acting_for(self._caller, access_key, self._service))

    async def keypairs(
        self, _info: Any, email: str | None = None, is_active: bool | None = None, **_: Any
    ) -> list[KeypairRow]:
        return [await self._keypair_row(pair) for pair in self._seen(email, is_active)]

    async def keypair_list(
        self,
        _info: Any,
        limit: int,
        offset: int,
        filter: str | None = None,
        order: str | None = None,
        email: str | None = None,
        is_active: bool | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        limit, offset = page_of(limit, offset)
        keep, sort = parse_filter(filter or "", _FILTERS), parse_order(order or "", _FILTERS)
        rows = sort([row for row in await self.keypairs(_info, email, is_active) if keep(row)])
        return {"items": rows[offset : offset + limit], "total_count": len(rows)}

    def _seen(self, email: str | None, is_active: bool | None) -> Collection[Keypair]:
        if email is not None and not (self._caller.is_admin or _is_of(self._caller, email)):
            raise Forbidden(f"only an administrator may see the keypairs of {email!r}")
        return [
            pair
            for pair in self._service.keyring.seen_by(self._caller)
            if (email is None or _is_of(pair, email)) and is_active in (None, pair.is_active)
        ]

    async def _keypair_row(self, keypair: Keypair, *, told: bool = False) -> KeypairRow:
        own = keypair.access_key == self._caller.access_key
        rows = None  # the sessions of a user's other keypairs are seen with those
        if own or self._caller.is_admin:
            sessions, _ = await self._service.search(
                self._caller, statuses=sorted(HOLDING), access_key=keypair.access_key, limit=EVERYTHING, offset=0
            )
            rows = [SessionRow(self._service, session) for session in sessions]
        return KeypairRow(keypair, rows, self._service.policy(keypair), told=told or own)

    def keypair_resource_policy(self, _info: Any, name: str | None = None) -> dict[str, Any] | None:
        return policy_row(self._service.policy(self._caller)) if name in (None, POLICY) else None

    def keypair_resource_policies(self, _info: Any) -> list[dict[str, Any]]:
        return [policy_row(self._service.policy(self._caller))]

    def user(self, _info: Any, email: str | None = None, **_: Any) -> UserRow:
        if not email or email == self._caller.user_id:
            return UserRow(self._caller)
        for pair in self._service.keyring.seen_by(self._caller):
            if pair.user_id == email:
                return UserRow(pair)
        raise NotFound(f"there is no user {email!r} that you may see")

    def groups(self, _info: Any, **_: Any) -> list[dict[str, Any]]:
        return [group_row("default")]

    # --- mutations ------------------------------------------------------------------------------------------

    async def create_keypair(self, _info: Any, user_id: str, props: dict[str, Any]) -> dict[str, Any]:
        async def create() -> dict[str, Any]:
            _check_policy(props)
            pair = await self._service.keyring.add(
                self._caller,
                user_id=user_id,
                is_admin=bool(props.get("is_admin")),
                is_active=props.get("is_active") is not False,
            )
            return {"keypair": await self._keypair_row(pair, told=True)}

        return await told(self._caller, "create_keypair", create)

    async def modify_keypair(self, _info: Any, access_key: str, props: dict[str, Any]) -> dict[str, Any]:
        async def modify() -> dict[str, Any]:
            _check_policy(props)
            if props.get("rate_limit") is not None:
                raise BadRequest("this backend limits no rate of requests: leave out the rate limit")
            is_active, is_admin = props.get("is_active"), props.get("is_admin")
            await self._service.keyring.modify(self._caller, access_key, is_admin=is_admin, is_active=is_active)
            if is_active is False or is_admin is False:
                await self._turn_out(access_key)
            return {}

        return await told(self._caller, "modify_keypair", modify)

    async def delete_keypair(self, _info: Any, access_key: str) -> dict[str, Any]:
        async def delete() -> dict[str, Any]:
            await self._service.keyring.remove(self._caller, access_key)
            await self._turn_out(access_key)
            return {}

        return await told(self._caller, "delete_keypair", delete)


def _check_policy(props: Mapping[str, Any]) -> None:
    if props.get("resource_policy") not in (None, POLICY):
        raise BadRequest(
            f"there is no resource policy {props['resource_policy']!r} here: the one is {POLICY!r}, and config.toml "
            "says what it grants to whom"
        )
