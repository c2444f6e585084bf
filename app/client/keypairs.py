"""Keypairs of a server's users, in the GraphQL that Backend.AI's own client speaks; rotation is our backend's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..model.errors import Forbidden, NotImplementedHere, RemoteError
from .address import segment
from .errors import with_data
from .parsing import mapping, moment, number
from .transport import Transport
from .views import KeypairView, NewKeypair

_PAGE: Final = 100
_FIELDS: Final = "access_key user_id is_active is_admin created_at concurrency_used"
_REFUSED: Final = "no permission"
"""How a manager begins to say that only administrators may do that."""
_RATE_LIMIT: Final = 30000
"""Requests in 15 minutes; a manager wants a number, our backend has no use for it."""


async def keypairs(transport: Transport, user_id: str | None) -> Sequence[KeypairView]:
    """Returns the keypairs that we may see: those of our user, for an administrator all."""
    found: list[KeypairView] = []
    while True:
        data = await transport.graphql(
            "query($limit:Int!,$offset:Int!,$email:String){keypair_list(limit:$limit,offset:$offset,email:$email)"
            f"{{items{{{_FIELDS}}} total_count}}}}",
            {"limit": _PAGE, "offset": len(found), "email": user_id},
        )
        page = mapping(data.get("keypair_list"))
        rows = [row for row in page.get("items") or () if isinstance(row, Mapping)]
        found += [_view(row) for row in rows]
        if not rows or len(found) >= int(number(page.get("total_count")) or 0):
            return found


def _view(row: Mapping[str, Any]) -> KeypairView:
    used = number(row.get("concurrency_used"))
    return KeypairView(
        access_key=str(row.get("access_key") or ""),
        user_id=str(row.get("user_id") or ""),
        is_admin=row.get("is_admin") is True,
        is_active=row.get("is_active") is not False,
        created_at=moment(row.get("created_at")),
        sessions=None if used is None else int(used),
    )


async def add_keypair(transport: Transport, user_id: str | None, *, is_admin: bool, policy: str) -> NewKeypair:
    """Makes a keypair for a user, None = for our own.

    Raises:
        Forbidden: we are no administrator.
        RemoteError: the server refuses: a cluster wants the user to exist.
    """
    if user_id is None:
        me = mapping((await transport.graphql("query{keypair{user_id}}", {})).get("keypair"))
        user_id = str(me.get("user_id") or "")
    payload = await _change(
        transport,
        "add keypairs",
        "mutation($user_id:String!,$input:KeyPairInput!){create_keypair(user_id:$user_id,props:$input)"
        "{ok msg keypair{access_key secret_key}}}",
        {
            "user_id": user_id,
            "input": {
                "is_active": True,
                "is_admin": is_admin,
                "resource_policy": policy,
                "rate_limit": _RATE_LIMIT,
            },
        },
    )
    return _new(transport, payload.get("keypair"), user_id)


async def switch_keypair(transport: Transport, access_key: str, *, is_active: bool) -> None:
    """Switches a keypair off or on.

    Raises:
        Forbidden: we are no administrator.
        RemoteError: the server refuses.
    """
    await _change(
        transport,
        "switch keypairs on and off",
        "mutation($access_key:String!,$input:ModifyKeyPairInput!){modify_keypair(access_key:$access_key,props:$input)"
        "{ok msg}}",
        {"access_key": access_key, "input": {"is_active": is_active}},
    )


async def delete_keypair(transport: Transport, access_key: str) -> None:
    """Deletes a keypair.

    Raises:
        Forbidden: we are no administrator.
        RemoteError: the server refuses.
    """
    await _change(
        transport,
        "delete keypairs",
        "mutation($access_key:String!){delete_keypair(access_key:$access_key){ok msg}}",
        {"access_key": access_key},
    )


async def rotate_keypair(transport: Transport, access_key: str) -> NewKeypair:
    """Gives a keypair another secret key; the one before is refused from now on.

    Raises:
        NotImplementedHere: the server is a cluster.
        Forbidden: it is somebody else's, and we are no administrator.
    """
    if "keypairs" not in (await transport.info()).capabilities:
        raise with_data(
            NotImplementedHere,
            f"{transport.url} is a cluster and rotates no keypair: `bai-tui keypair add` makes a new one, then "
            "`bai-tui keypair revoke` switches the old one off",
        )
    answer = await transport.request("POST", f"/keypair/{segment(access_key)}/rotate")
    return _new(transport, answer, None)


def _new(transport: Transport, row: Any, user_id: str | None) -> NewKeypair:
    found = mapping(row)
    access_key, secret_key = found.get("access_key"), found.get("secret_key")
    if not (isinstance(access_key, str) and isinstance(secret_key, str)):
        raise RemoteError(f"{transport.url} made a keypair and does not tell it", http_status=0)
    return NewKeypair(access_key=access_key, secret_key=secret_key, user_id=user_id)


async def _change(transport: Transport, what: str, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the payload of a mutation that was carried out."""
    named = variables.get("user_id") or variables.get("access_key")
    try:
        data = await transport.graphql(query, variables, idempotent=False)
    except RemoteError as exc:
        if "UserRow" not in exc.message:  # a manager's own words are those of its database
            raise
        told = f"{transport.url} has no user {named}; `bai-tui keypair list` shows those it has"
        raise RemoteError(told, http_status=exc.http_status) from exc
    payload = mapping(next(iter(data.values()), None))
    if payload.get("ok") is True:
        return payload
    said = str(payload.get("msg") or f"{transport.url} refuses to {what} and does not say why")
    if said.startswith(_REFUSED):
        raise with_data(Forbidden, said.partition(": ")[2] or f"only an administrator of {transport.url} may {what}")
    if said.startswith("no matching "):
        said = f"there is no keypair {named}"
    raise RemoteError(said, http_status=400)
