"""`bai-tui shell`: the command; `raw_terminal.py` does it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .lazy import CONTEXT
from .options import complete_sessions

if TYPE_CHECKING:
    from ..client.api import ApiClient


@click.command("shell", context_settings=CONTEXT)
@click.argument("session", metavar="ID_OR_NAME", shell_complete=complete_sessions)
def shell(session: str) -> int:
    """Open a terminal in a session: its shell, in its work folder, with its limits.

    Every key goes to the shell, ctrl+c too; ctrl+] leaves, and the shell goes on: the next `bai-tui shell`, or the
    workspace, finds it as it was. Ends with the exit status of the shell, or with 0 when it was left. As with ssh, what
    programs write there reaches this terminal as it is.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("a shell needs a terminal; `bai-tui run --exec` runs commands without one")
    from .endpoint import with_client

    async def work(client: ApiClient) -> int:
        from .raw_terminal import RawTerminal

        return await RawTerminal(client, session).run()

    return with_client(work)
