"""The journal of a session on stdout and stderr, from where the user wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from ..client.patience import Patience, persist
from ..client.views import JournalLine, RunView
from ..model.console import ConsoleRecord, dropped_notice
from ..model.errors import BadRequest, NotImplementedHere, SessionNotFound
from ..model.notices import death_notice
from .finding import find_ended

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from .printing import Printer

LOCAL: Final = "local"
"""Name of the endpoint of the local backend."""
END: Final = 2**53
"""A number above those of all records."""
_CONTROL: Final = frozenset(
    {"run-started", "run-finished", "waiting-input", "clean-finished", "build-finished", "kernel-started"}
)
_LOOK_FIRST: Final = 200
_LOOK_MOST: Final = 5000


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin."""

    after: int
    """Journal number before the first record."""
    skip: int = 0
    """So many characters of that record are left out."""


async def find_session(client: ApiClient, patience: Patience, ref: str) -> str:
    """Returns the id of a live session, else of an ended one: see `find_ended`.

    Raises:
        SessionNotFound, AmbiguousReference.
    """
    if client.endpoint.name == LOCAL:
        # it was there a moment ago: if it does not answer now it was killed, and is started again
        await persist(client, patience, client.info)
    resume = patience if "follow" in (await client.info()).capabilities else None
    try:
        return await persist(client, resume, lambda: client.resolve(ref))
    except SessionNotFound:
        ended = await persist(client, resume, lambda: find_ended(client, ref))
        if ended is None:
            raise
        return ended


async def needs_follow(client: ApiClient, what: str) -> None:
    """Makes sure that the server pushes journals.

    Raises:
        NotImplementedHere: it is a cluster.
    """
    if "follow" not in (await client.info()).capabilities:
        raise NotImplementedHere(
            f"{client.endpoint.url} cannot do that: {what} needs the journal of the local backend, and a Backend.AI "
            "cluster has none; `bai-tui logs SESSION` shows what was written so far"
        )


async def newest(client: ApiClient, patience: Patience, session_id: str) -> int:
    """Returns the number of the newest record, 0 when there is none."""
    lines = await persist(client, patience, lambda: client.journal(session_id, before=END, limit=1))
    return lines[-1].seq if lines else 0


async def find_run(client: ApiClient, patience: Patience, session_id: str, ref: str) -> RunView:
    """Returns the run whose id begins with `ref`; `last` is the newest one.

    Raises:
        BadRequest: there is none, or several.
    """
    runs = await persist(client, patience, lambda: client.list_runs(session_id))
    found = runs[-1:] if ref == "last" else [run for run in runs if run.id == ref]
    found = found or [run for run in runs if ref and run.id.startswith(ref)]
    if not found:
        raise BadRequest(f"the session has no run {ref!r}; `bai-tui logs --runs SESSION` lists those it has")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} runs have ids that begin with {ref!r}: write more of it")
    return found[0]


async def tail(
    client: ApiClient, patience: Patience, session_id: str, count: int, *, floor: int, top: int, run_id: str | None
) -> Start:
    """Returns where the last `count` lines of text begin. Reads backwards, and keeps nothing of what it reads.

    Args:
        floor, top: the journal number before the first and that of the last record that counts.
        run_id: None = the text of all runs.
    """
    stop, limit, lines, last = top + 1, _LOOK_FIRST, 0, True
    while stop > floor + 1 and count:
        wanted, before = min(limit, stop - 1 - floor), stop
        found = await persist(client, patience, partial(client.journal, session_id, before=before, limit=wanted))
        for line in reversed(found):
            if line.kind not in ("stdout", "stderr") or line.seq <= floor or run_id not in (None, line.run_id):
                continue
            text = str(line.data)
            at = len(text) - 1 if last and text.endswith("\n") else len(text)
            last = False
            while (at := text.rfind("\n", 0, at)) >= 0:
                lines += 1
                if lines == count:
                    return Start(line.seq - 1, at + 1)
        if not found:
            break
        first = found[0]
        stop = int(first.data["first"]) if first.kind == "dropped" and isinstance(first.data, dict) else first.seq
        limit = min(limit * 2, _LOOK_MOST)
    return Start(top if not count else floor)


class JournalPrinter:
    """Prints what a journal says: stdout to stdout, everything else to stderr."""

    def __init__(self, printer: Printer, start: Start, run_id: str | None = None) -> None:
        """`run_id` None = the text of all runs."""
        self._printer = printer
        self._start = start
        self._run_id = run_id

    async def show(self, lines: Sequence[JournalLine]) -> None:
        """Prints records in their order.

        Raises:
            BrokenPipeError: nobody reads.
        """
        records: list[ConsoleRecord] = []
        for line in lines:
            if line.kind in _CONTROL or self._run_id not in (None, line.run_id):
                continue
            data = line.data
            if line.kind == "dropped":
                records.append(("stderr", f"{dropped_notice(data)}\n"))
            elif line.kind == "kernel-died":
                records.append(("stderr", f"{death_notice(data if isinstance(data, dict) else {})}\n"))
            elif line.kind in ("stdout", "stderr") and line.seq == self._start.after + 1:
                records.append((line.kind, str(data)[self._start.skip :]))
            else:
                records.append((line.kind, data))
        await self._printer.records(records)
