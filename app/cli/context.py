"""`bai-tui context`: list, use, add, rm, show."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..config import Paths
from ..contexts import (
    ENVIRONMENT,
    LOCAL,
    Choice,
    add,
    check_new,
    checked_secret,
    chosen,
    endpoint_of,
    keep,
    kept,
    named,
    remove,
)
from ..model.errors import ConfigError
from ..reach import endpoint_at_once, places, reach, state_of
from . import exit_codes
from .lazy import CONTEXT
from .options import complete_contexts
from .talk import emit, say

if TYPE_CHECKING:
    from ..client.probe import Probe

_NAME = click.argument("name", metavar="NAME", shell_complete=complete_contexts)


def _checked(paths: Paths, names: Sequence[str]) -> dict[str, Probe]:
    """Asks all servers at a time."""
    import asyncio

    async def every() -> list[Probe]:
        return await asyncio.gather(*(reach(paths, name) for name in names))

    return dict(zip(names, asyncio.run(every()), strict=True))


@click.command("list", context_settings=CONTEXT)
@click.option("--check", is_flag=True, help="Ask each server whether it is there.")
@click.option("-o", "--output", type=click.Choice(["console", "json"]), help="How it is printed.")
@click.pass_context
def list_(ctx: click.Context, check: bool, output: str | None) -> int:
    """List contexts: the local backend and the servers of config.toml. A star marks the one in force."""
    from .tables import table

    paths = Paths.of_user()
    found, choice = places(paths), chosen(paths)
    states = _checked(paths, [place.name for place in found]) if check else {}
    if (output or ctx.find_root().obj) == "json":
        items = [
            {
                "name": place.name,
                "current": place.name == choice.name,
                "endpoint": place.url or None,
                "access_key": place.access_key or None,
            }
            | (
                {"sessions": states[place.name].sessions, "problem": states[place.name].problem or None}
                if check
                else {}
            )
            for place in found
        ]
        emit(json.dumps(items, indent=2) + "\n")
        return exit_codes.OK
    cells = [
        ["*" if place.name == choice.name else " ", place.name, place.url or "(not running)", place.access_key]
        + ([state_of(states[place.name])] if check else [])
        for place in found
    ]
    emit(table(["", "NAME", "ENDPOINT", "ACCESS KEY", *(["STATE"] if check else [])], cells, ()))
    if choice.name not in {place.name for place in found}:
        say(f"the context in force, {choice.name!r} of {choice.why}, is none of these")
    return exit_codes.OK


@click.command("use", context_settings=CONTEXT)
@_NAME
def use(name: str) -> int:
    """Let commands and workspaces to come go to another context. `local` is the backend of this machine."""
    paths = Paths.of_user()
    _must_exist(paths, name)
    if name == ENVIRONMENT:
        raise ConfigError("the server of BACKEND_ENDPOINT is in force as long as that is set: there is nothing to keep")
    keep(paths, name)
    emit(f"{name}\n")
    choice = chosen(paths)
    if choice.name != name:
        say(f"{choice.why} wins over it here: {choice.name!r} is in force")
    return exit_codes.OK


def _must_exist(paths: Paths, name: str) -> None:
    if name not in {place.name for place in places(paths)}:
        endpoint_of(paths, name)  # its error names the nearest one


@click.command("add", context_settings=CONTEXT)
@click.argument("name", metavar="NAME")
@click.option("--endpoint", metavar="URL", help="Of the server.  [default: BACKEND_ENDPOINT]")
@click.option("--access-key", metavar="KEY", help="Of a keypair there.  [default: BACKEND_ACCESS_KEY]")
@click.option(
    "--secret-key-file", metavar="FILE", help="It holds the secret key, mode 0600. Without it the key is asked for."
)
@click.option("--domain", metavar="NAME", help="Domain of a cluster.")
@click.option("--group", metavar="NAME", help="Project (group) in which sessions are made.")
@click.option("--insecure", is_flag=True, help="Take any certificate of an https endpoint.")
@click.option("--replace", is_flag=True, help="There may be one of that name.")
def add_(
    name: str,
    endpoint: str | None,
    access_key: str | None,
    secret_key_file: str | None,
    domain: str | None,
    group: str | None,
    insecure: bool,
    replace: bool,
) -> int:
    """Add a server to config.toml.

    The secret key is asked for, or read from stdin, never given in the command line, where others could see it. It is
    kept in a file of its own that only you can read. With neither endpoint nor access key all is taken from BACKEND_*.
    """
    paths = Paths.of_user()
    check_new(paths, name, replace=replace)
    given = {"domain": domain, "group": group, "secret_key_file": _absolute(secret_key_file)}
    secret: str | None = None
    if endpoint is None and access_key is None:
        from ..config import remote_endpoint

        found = remote_endpoint()
        if found is None:
            raise click.UsageError("--endpoint and --access-key are missing, and BACKEND_ENDPOINT is not set")
        endpoint, access_key, secret = found.url, found.access_key, found.secret_key
        given = {"domain": found.domain, "group": found.group, **{key: text for key, text in given.items() if text}}
        insecure = insecure or not found.verify_tls
    elif endpoint is None or access_key is None:
        raise click.UsageError("--endpoint and --access-key belong together")
    if secret_key_file is not None:
        secret = None
    elif secret is None:
        secret = _asked(access_key)
    values: dict[str, Any] = {"endpoint": endpoint, "access_key": access_key}
    values |= {key: text for key, text in given.items() if text and text != "default"}
    if insecure:
        values["verify_tls"] = False
    add(paths, name, values, secret, replace=replace)
    emit(f"{name}\n")
    say(f"`bai-tui --context {name}` goes there; `bai-tui context use {name}` makes it the default")
    return exit_codes.OK


def _absolute(file: str | None) -> str | None:
    import os

    return None if file is None else os.path.abspath(os.path.expanduser(file))  # noqa: PTH100, PTH111 - a link stays one


def _asked(access_key: str) -> str:
    if sys.stdin.isatty():
        import getpass

        text = getpass.getpass(f"secret key of {access_key}: ")
    else:
        text = sys.stdin.readline(4096)
    return checked_secret(text.strip(), "what was given")


@click.command("rm", context_settings=CONTEXT)
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_contexts)
def rm(names: tuple[str, ...]) -> int:
    """Remove contexts from config.toml, and the secret keys that `add` has kept for them."""
    paths = Paths.of_user()
    for name in dict.fromkeys(names):
        if name in (LOCAL, ENVIRONMENT):
            raise ConfigError(f"the context {name} is no part of config.toml and cannot be removed")
        was_kept = kept(paths) == name
        remove(paths, name)
        emit(f"{name}\n")
        if was_kept:
            say(f"{name} was in use: the local backend is the default again")
    return exit_codes.OK


@click.command("show", context_settings=CONTEXT)
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_contexts)
@click.option("-o", "--output", type=click.Choice(["console", "json"]), help="How it is printed.")
@click.pass_context
def show(ctx: click.Context, name: str | None, output: str | None) -> int:
    """Show a context, by default the one in force: where it goes, who we are there, and whether it answers."""
    paths = Paths.of_user()
    choice = chosen(paths) if name is None else Choice(name, "")
    told = _told(paths, choice)
    if (output or ctx.find_root().obj) == "json":
        emit(json.dumps(told, indent=2) + "\n")
        return exit_codes.OK
    for key, value in told.items():
        if value not in (None, "") and key != "sessions":
            emit(f"{key.replace('_', ' '):<18}{'yes' if value is True else 'no' if value is False else value}\n")
    return exit_codes.OK


def _told(paths: Paths, choice: Choice) -> Mapping[str, Any]:
    from ..contexts import secret_path

    endpoint = endpoint_at_once(paths, choice.name)
    state = _checked(paths, [choice.name])[choice.name]
    told: dict[str, Any] = {"name": choice.name, "chosen_by": choice.why or None}
    if endpoint is not None:
        told |= {"endpoint": endpoint.url, "access_key": endpoint.access_key}
        told |= {"domain": endpoint.domain, "group": endpoint.group, "verify_tls": endpoint.verify_tls}
    if choice.name in (known := named(paths)):
        told["secret_key_file"] = str(secret_path(paths, choice.name, known[choice.name]))
    return {**told, "state": state_of(state), "sessions": state.sessions}
