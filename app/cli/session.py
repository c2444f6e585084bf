"""Small commands on one or more sessions: interrupt, restart, rename, extend, set-priority."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import click

from .durations import duration
from .each import each
from .lazy import CONTEXT
from .options import complete_sessions
from .talk import say

if TYPE_CHECKING:
    from ..client.api import ApiClient


def _each(sessions: Sequence[str], action: Callable[[ApiClient, str, str], Coroutine[Any, Any, None]]) -> int:
    """Does `action` to every session, given its id and what the user called it; returns 1 when one failed."""

    async def act(client: ApiClient, ref: str) -> None:
        await action(client, await client.resolve(ref), ref)

    return each(sessions, act)


@click.command("interrupt", context_settings=CONTEXT)
@click.argument("sessions", metavar="ID_OR_NAME...", nargs=-1, required=True, shell_complete=complete_sessions)
def interrupt(sessions: Sequence[str]) -> int:
    """Interrupt what runs in sessions, as ctrl+c would."""
    return _each(sessions, lambda client, sid, _: client.interrupt(sid))


@click.command("restart", context_settings=CONTEXT)
@click.argument("sessions", metavar="ID_OR_NAME...", nargs=-1, required=True, shell_complete=complete_sessions)
def restart(sessions: Sequence[str]) -> int:
    """Restart the kernel of sessions; their files stay."""
    return _each(sessions, lambda client, sid, _: client.restart(sid))


@click.command("rename", context_settings=CONTEXT)
@click.argument("session", metavar="ID_OR_NAME", shell_complete=complete_sessions)
@click.argument("name", metavar="NEW_NAME")
def rename(session: str, name: str) -> int:
    """Give a session another name."""
    return _each([session], lambda client, sid, _: client.rename(sid, name))


@click.command("extend", context_settings=CONTEXT)
@click.argument("sessions", metavar="ID_OR_NAME...", nargs=-1, required=True, shell_complete=complete_sessions)
@click.option(
    "--by",
    metavar="DURATION",
    callback=duration,
    default="30m",
    show_default=True,
    help="From now on: 90, 30m, 2h, 1d.",
)
@click.option("--off", is_flag=True, help="Take an extension back.")
def extend(sessions: Sequence[str], by: str, off: bool) -> int:
    """Keep sessions from being ended by an idle check, for some time from now on.

    Each one's remaining time is said on stderr. The local backend only: a Backend.AI cluster has no such request.
    """
    from .tables import moment, remaining

    async def work(client: ApiClient, sid: str, ref: str) -> None:
        granted = await client.extend(sid, 0.0 if off else float(by))
        left = "no idle check ends it" if granted.remaining_s is None else f"{remaining(granted.remaining_s)} left"
        kept = f"kept until {moment(granted.kept_until)}" if granted.kept_until else "not extended"
        say(f"{ref}: {kept}, {left}")

    return _each(sessions, work)


@click.command("set-priority", context_settings=CONTEXT)
@click.argument("session", metavar="ID_OR_NAME", shell_complete=complete_sessions)
@click.argument("priority", type=click.IntRange(0, 100))
def set_priority(session: str, priority: int) -> int:
    """Give a session another PRIORITY, 0 to 100; of those that wait the higher goes first."""

    async def work(client: ApiClient, sid: str, ref: str) -> None:
        now = await client.prioritize(sid, priority)
        if now != priority:
            say(f"{ref}: the server gave it the priority {now}")

    return _each([session], work)
