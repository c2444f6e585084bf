"""Small commands on one or more sessions: logs, interrupt, restart, rename."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..model.errors import BaiTuiError, Unreachable
from . import exit_codes
from .lazy import CONTEXT
from .talk import emit, say

if TYPE_CHECKING:
    from ..client.api import ApiClient


@click.command("logs", context_settings=CONTEXT)
@click.argument("session", metavar="ID_OR_NAME")
def logs(session: str) -> int:
    """Show what a session has written so far. An ended one is found by its full id."""
    from .endpoint import with_client
    from .output import TerminalFilter

    async def work(client: ApiClient) -> str:
        return await client.logs(await client.resolve(session))

    text = with_client(work)
    if sys.stdout.isatty():
        cleaner = TerminalFilter()
        text = cleaner.feed(text) + cleaner.end()
        text += "" if text.endswith("\n") or not text else "\n"
    emit(text.encode("utf-8", "replace").decode())
    return exit_codes.OK


def _each(sessions: Sequence[str], action: Callable[[ApiClient, str], Coroutine[Any, Any, None]]) -> int:
    """Does `action` to every session; returns 1 when one failed."""
    from .endpoint import with_client

    async def work(client: ApiClient) -> int:
        failed = 0
        for ref in dict.fromkeys(sessions):
            try:
                await action(client, await client.resolve(ref))
            except Unreachable:
                raise
            except BaiTuiError as exc:
                say(f"{ref}: {exc.message}")
                failed += 1
            else:
                emit(f"{ref}\n")
        return exit_codes.FAILED if failed else exit_codes.OK

    return with_client(work)


@click.command("interrupt", context_settings=CONTEXT)
@click.argument("sessions", metavar="ID_OR_NAME...", nargs=-1, required=True)
def interrupt(sessions: Sequence[str]) -> int:
    """Interrupt what runs in sessions, as ctrl+c would."""
    return _each(sessions, lambda client, sid: client.interrupt(sid))


@click.command("restart", context_settings=CONTEXT)
@click.argument("sessions", metavar="ID_OR_NAME...", nargs=-1, required=True)
def restart(sessions: Sequence[str]) -> int:
    """Restart the kernel of sessions; their files stay."""
    return _each(sessions, lambda client, sid: client.restart(sid))


@click.command("rename", context_settings=CONTEXT)
@click.argument("session", metavar="ID_OR_NAME")
@click.argument("name", metavar="NEW_NAME")
def rename(session: str, name: str) -> int:
    """Give a session another name."""
    return _each([session], lambda client, sid: client.rename(sid, name))
