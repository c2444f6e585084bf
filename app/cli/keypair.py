"""`bai-tui keypair`: list, add, rotate, revoke, activate, rm."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import exit_codes
from .each import each
from .lazy import CONTEXT
from .talk import emit, exports

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import NewKeypair

F = TypeVar("F", bound=Callable[..., Any])
_OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["console", "json"]), help="How it is printed; json for other programs."
)
_ENV = click.option("--env", "as_env", is_flag=True, help='As variables: eval "$(bai-tui keypair add --env)".')


def _wants_json(ctx: click.Context, output: str | None) -> bool:
    return (output or ctx.find_root().obj) == "json"


@click.command("list", context_settings=CONTEXT)
@click.option("-u", "--user", "--user-id", "user", metavar="USER", help="Those of one user.")
@_OUTPUT
@click.pass_context
def list_(ctx: click.Context, user: str | None, output: str | None) -> int:
    """List keypairs: those of your user, as an administrator those of all. Secret keys are not shown."""
    import dataclasses

    from .endpoint import with_client
    from .tables import moment, table

    found = with_client(lambda client: client.keypairs(user))
    if _wants_json(ctx, output):
        items = [{**dataclasses.asdict(pair), "created_at": moment(pair.created_at) or None} for pair in found]
        emit(json.dumps({"count": len(items), "total_count": len(items), "items": items}, indent=2) + "\n")
        return exit_codes.OK
    rows = [
        [
            pair.access_key,
            pair.user_id,
            "admin" if pair.is_admin else "user",
            "active" if pair.is_active else "revoked",
            "" if pair.sessions is None else str(pair.sessions),
            moment(pair.created_at),
        ]
        for pair in found
    ]
    emit(table(["ACCESS KEY", "USER", "ROLE", "STATE", "SESSIONS", "CREATED"], rows, (1,)))
    return exit_codes.OK


@click.command("add", context_settings=CONTEXT)
@click.option("-a", "--admin", is_flag=True, help="It may see, change and end what is anybody's.")
@click.option(
    "-u", "--user", "--name", "user", metavar="USER", help="Whose it is, such as alice or alice@example.com. [you]"
)
@click.option("--policy", metavar="NAME", default="default", help="Resource policy, where a cluster has several.")
@_ENV
@_OUTPUT
@click.pass_context
def add(ctx: click.Context, admin: bool, user: str | None, policy: str, as_env: bool, output: str | None) -> int:
    """Make a keypair. Prints its access key and its secret key, the latter this once.

    The sessions of a keypair are seen by it and by administrators. On the local backend a user needs no more than a
    keypair; on a cluster there must be the user.
    """
    from .endpoint import with_client

    return with_client(
        lambda client: _made(client, client.add_keypair(user, is_admin=admin, policy=policy), ctx, as_env, output)
    )


@click.command("rotate", context_settings=CONTEXT)
@click.argument("access_key", metavar="[ACCESS_KEY]", required=False)
@_ENV
@_OUTPUT
@click.pass_context
def rotate(ctx: click.Context, access_key: str | None, as_env: bool, output: str | None) -> int:
    """Give a keypair, your own when none is named, another secret key, and print it. The one before is refused at once.

    Sessions go on; streams that are open are closed. Commands and workspaces of the user who runs the local backend
    find their new secret key by themselves.
    """
    from .endpoint import with_client

    async def work(client: ApiClient) -> int:
        return await _made(client, client.rotate_keypair(access_key or client.endpoint.access_key), ctx, as_env, output)

    return with_client(work)


async def _made(
    client: ApiClient, making: Coroutine[Any, Any, NewKeypair], ctx: click.Context, as_env: bool, output: str | None
) -> int:
    pair = await making
    if as_env:
        emit(exports(client.endpoint.url, pair.access_key, pair.secret_key))
    elif _wants_json(ctx, output):
        said = {"user_id": pair.user_id} if pair.user_id else {}
        emit(json.dumps({**said, "access_key": pair.access_key, "secret_key": pair.secret_key}, indent=2) + "\n")
    else:
        emit(f"{pair.access_key} {pair.secret_key}\n")
    return exit_codes.OK


@click.command("revoke", context_settings=CONTEXT)
@click.argument("access_keys", metavar="ACCESS_KEY...", nargs=-1, required=True)
def revoke(access_keys: Sequence[str]) -> int:
    """Switch keypairs off: what they sign is refused at once, and their open streams are closed.

    Their sessions go on, seen by administrators, and count as before. `activate` takes it back.
    """
    return each(access_keys, lambda client, key: client.switch_keypair(key, is_active=False), alone=True)


@click.command("activate", context_settings=CONTEXT)
@click.argument("access_keys", metavar="ACCESS_KEY...", nargs=-1, required=True)
def activate(access_keys: Sequence[str]) -> int:
    """Switch keypairs on again."""
    return each(access_keys, lambda client, key: client.switch_keypair(key, is_active=True), alone=True)


@click.command("rm", context_settings=CONTEXT)
@click.argument("access_keys", metavar="ACCESS_KEY...", nargs=-1, required=True)
def rm(access_keys: Sequence[str]) -> int:
    """Delete keypairs for good. One with live sessions stays: end them first, or revoke it."""
    return each(access_keys, lambda client, key: client.delete_keypair(key), alone=True)
