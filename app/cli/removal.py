"""`bai-tui rm`, also `kill` and `destroy`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from ..model.errors import BaiTuiError, NotFound
from ..model.sessions import TERMINAL
from . import exit_codes
from .lazy import CONTEXT
from .options import complete_sessions

if TYPE_CHECKING:
    from ..client.api import ApiClient


@click.command("rm", context_settings=CONTEXT)
@click.argument("sessions", metavar="ID_OR_NAME...", nargs=-1, required=True, shell_complete=complete_sessions)
@click.option("-f", "--forced", is_flag=True, help="Do not wait for the session to end by itself.")
@click.option("-r", "--recursive", is_flag=True, help="The sessions that depend on it as well.")
@click.option("-s", "--stats", is_flag=True, help="Show what the session used.")
def rm(sessions: Sequence[str], forced: bool, recursive: bool, stats: bool) -> int:
    """End sessions and remove them, with every process in them.

    Ids, names and unique beginnings of either are understood. All are tried; the exit status is 1 when one failed.
    """
    from .endpoint import with_client

    return with_client(lambda client: _remove(client, dict.fromkeys(sessions), forced, recursive, stats))


async def _remove(client: ApiClient, refs: dict[str, None], forced: bool, recursive: bool, stats: bool) -> int:
    from ..model.errors import Unreachable
    from .stats import stats_text
    from .talk import emit, say

    failed = 0
    alive = await _alive(client, refs) if recursive else {}
    meant = await client.resolve_all([ref for ref in refs if ref not in alive])
    for ref in refs:
        used: Mapping[str, Any] = {}
        session_id = alive.get(ref) or meant[ref]
        try:
            if isinstance(session_id, BaiTuiError):
                raise session_id
            used = await client.terminate(session_id, forced=forced, recursive=recursive)
        except Unreachable:
            raise  # the others would fail alike, each after its time
        except BaiTuiError as exc:
            if ref not in alive or not isinstance(exc, NotFound):
                say(f"{ref}: {exc.message}")
                failed += 1
                continue
        emit(f"{ref}\n")
        if stats:
            emit(stats_text(used))
    return exit_codes.FAILED if failed else exit_codes.OK


async def _alive(client: ApiClient, refs: Iterable[str]) -> Mapping[str, str]:
    """Returns the ids of those that live now: the first of them may take the others along."""
    found = {}
    for ref in refs:
        with suppress(NotFound):
            view = await client.session(ref)
            if view.status not in TERMINAL:
                found[ref] = view.id
    return found
