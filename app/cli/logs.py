"""`bai-tui logs`: what a session has written, whole, its end, of one run, or as it comes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

import click

from . import exit_codes
from .lazy import CONTEXT
from .options import complete_sessions
from .talk import emit, harmless, say

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import RunView

_PAGE = 5000


@click.command("logs", context_settings=CONTEXT)
@click.argument("session", metavar="ID_OR_NAME", shell_complete=complete_sessions)
@click.option("-f", "--follow", is_flag=True, help="Show what comes, too, until the session ends or ctrl+c.")
@click.option("-n", "--lines", metavar="LINES", type=click.IntRange(min=0), help="Only the last lines.")
@click.option("--run", "run_ref", metavar="ID", help="Only this run, by the beginning of its id; last = the newest.")
@click.option("--runs", "list_them", is_flag=True, help="List the runs instead: id, when, how they ended, code.")
def logs(session: str, follow: bool, lines: int | None, run_ref: str | None, list_them: bool) -> int:
    """Show what a session has written, also one that has ended.

    What its code wrote to stdout goes to stdout, everything else to stderr. With --run, -f ends with the run. A local
    backend that is killed meanwhile is started again, and nothing is shown twice.

    \b
      bai-tui logs -f -n 20 train
      bai-tui logs --run last train
    """
    if list_them and (follow or lines is not None or run_ref is not None):
        raise click.UsageError("--runs lists the runs and shows none: give no other option")
    from .endpoint import with_client

    async def work(client: ApiClient) -> int:
        from .endpoint import patience
        from .journals import find_session, needs_follow

        session_id = await find_session(client, patience(say), session)
        if list_them:
            await needs_follow(client, "--runs")
            emit(_table(await client.list_runs(session_id)))
        elif "follow" not in (await client.info()).capabilities:
            for option, given in (("-f", follow), ("--run", run_ref is not None)):
                if given:
                    await needs_follow(client, option)
            _plain(await client.logs(session_id), lines)
        else:
            await _show(client, session_id, follow, lines, run_ref)
        return exit_codes.OK

    return with_client(work)


async def _show(client: ApiClient, session_id: str, follow: bool, lines: int | None, run_ref: str | None) -> None:
    from ..client.patience import persist
    from .endpoint import patience
    from .journals import JournalPrinter, Start, find_run, newest, tail
    from .printing import Printer

    printer = Printer()

    def talk(text: str) -> None:
        printer.end_line()
        say(text)

    waiting = patience(talk)
    run = None if run_ref is None else await find_run(client, waiting, session_id, run_ref)
    run_id, floor = (None, 0) if run is None else (run.id, run.after)
    top = run.last_seq if run is not None and run.last_seq is not None else await newest(client, waiting, session_id)
    start = Start(floor)
    if lines is not None:
        start = await tail(client, waiting, session_id, lines, floor=floor, top=top, run_id=run_id)
    journal = JournalPrinter(printer, start, run_id)
    if follow and (run is None or run.last_seq is None):
        following = client.follow(session_id, after=start.after, patience=waiting)
        async with aclosing(following.batches()) as batches:
            async for batch in batches:
                await journal.show(batch)
                if run_id is not None and any(_ends(line.kind) and line.run_id == run_id for line in batch):
                    break
    else:
        at = start.after
        while at < top:
            batch = await persist(client, waiting, partial(client.journal, session_id, after=at, limit=_PAGE))
            if not batch:
                break
            await journal.show([line for line in batch if line.seq <= top])
            at = batch[-1].seq
    printer.end_line()


def _ends(kind: str) -> bool:
    return kind in ("run-finished", "kernel-died")


def _plain(text: str, lines: int | None) -> None:
    """Prints the log of a server that keeps no journal."""
    from .output import TerminalFilter

    if lines is not None:
        text = "".join(text.splitlines(keepends=True)[-lines:] if lines else [])
    if sys.stdout.isatty():
        cleaner = TerminalFilter()
        text = cleaner.feed(text) + cleaner.end()
        text += "" if text.endswith("\n") or not text else "\n"
    emit(text.encode("utf-8", "replace").decode())


def _table(runs: Sequence[RunView]) -> str:
    from datetime import UTC, datetime

    from .tables import moment, table

    rows = []
    for number, run in enumerate(runs):
        took = "" if run.ended_s is None else f"{max(0.0, run.ended_s - run.started_s):.1f} s"
        if run.ended_s is not None:
            state = "died" if run.died else "ok" if not run.exit_code else f"failed ({run.exit_code})"
        else:
            state = "running" if number == len(runs) - 1 else "lost"
        began = moment(datetime.fromtimestamp(run.started_s, UTC))
        rows.append([run.id[:12], began, took, state, harmless(run.title)])
    return table(("RUN", "STARTED", "TOOK", "STATE", "CODE"), rows, {4: 16})
