"""`bai-tui attach`: the command; `attachment.py` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import exit_codes
from .lazy import CONTEXT
from .options import complete_sessions

if TYPE_CHECKING:
    from ..client.api import ApiClient


@click.command("attach", context_settings=CONTEXT, epilog=exit_codes.HELP)
@click.argument("session", metavar="ID_OR_NAME", shell_complete=complete_sessions)
@click.option("-n", "--lines", metavar="LINES", type=click.IntRange(min=0), help="Begin with the last lines.")
@click.option("--run", "run_ref", metavar="ID", help="Watch this run, by the beginning of its id; last = the newest.")
def attach(session: str, lines: int | None, run_ref: str | None) -> int:
    """Watch the run that goes on in a session, from its beginning, and end with its exit status.

    Any number of terminals may watch a run. Its prompts can be answered from each of them. ctrl+c interrupts the
    code, a second one leaves. When nothing goes on, what runs next is shown as it comes, until the session ends.
    """
    from .attachment import Attachment
    from .endpoint import with_client

    async def work(client: ApiClient) -> int:
        return await Attachment(client, session, lines, run_ref).run()

    return with_client(work)
