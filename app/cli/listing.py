"""`bai-tui ps`, also `session list`, `admin sessions` and `admin session list`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..model.sessions import LIVE, TERMINAL, SessionStatus
from .fields import JSON_DEFAULT, JSON_DETAIL, Field, cell, field_of, selections
from .lazy import CONTEXT
from .talk import emit

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import SessionView

S = SessionStatus
_ACTIVE = tuple(status for status in S if status in LIVE)
_RUNNING = (S.PREPARING, S.CREATING, S.RUNNING, S.RUNNING_DEGRADED)
_DEAD = tuple(status for status in S if status in TERMINAL)
_ALL = tuple(S)
_PAGE = 100


def _statuses(status: str | None, running: bool, dead: bool, all_: bool) -> tuple[SessionStatus, ...]:
    if all_:
        return _ALL
    if dead or running:
        return (*(_RUNNING if running else ()), *(_DEAD if dead else ()))
    if status is None:
        return _ACTIVE
    names = [name.strip().upper() for name in status.split(",") if name.strip()]
    if "ALL" in names:
        return _ALL
    for name in names:
        if name not in S.__members__:
            from difflib import get_close_matches

            near = get_close_matches(name, [*S.__members__, "ALL"], n=1)
            raise click.BadParameter(
                f"{name!r} is no status" + (f"; did you mean {near[0]}?" if near else f": {', '.join(S)}, ALL"),
                param_hint="--status",
            )
    return tuple(S(name) for name in names)


async def _rows(client: ApiClient, fields: Sequence[str], query: dict[str, Any]) -> tuple[list[Mapping[str, Any]], int]:
    """Returns rows of exactly `fields`, page after page up to the limit, and the total count."""
    limit, offset = query.pop("limit"), query.pop("offset")
    rows: list[Mapping[str, Any]] = []
    while True:
        wanted = _PAGE if limit is None else min(_PAGE, limit - len(rows))
        page, total = await client.session_rows(fields, limit=wanted, offset=offset + len(rows), **query)
        rows += page
        if not page or offset + len(rows) >= total or (limit is not None and len(rows) >= limit):
            return rows, total


async def _rows_and_news(
    client: ApiClient, fields: Sequence[str], query: dict[str, Any]
) -> tuple[tuple[list[Mapping[str, Any]], int], str]:
    """Returns what `_rows` returns, and what the server tells everybody."""
    news = await client.announcement()
    return await _rows(client, fields, query), news


_BRIEF = ("NAME", "ID", "STATUS", "IMAGE", "SLOTS", "AGE")
_DETAIL = ("CPU", "MEM", "GPU-MEM", "GPU", "IDLE", "PRIORITY", "TAG", "CREATED", "ENFORCED", "INFO")
_FLEXIBLE = {"NAME": 16, "IMAGE": 16, "SLOTS": 16, "TAG": 10, "INFO": 40}
"""Cut on a narrow terminal, but before they are shorter than this the optional ones go."""
_OPTIONAL = ("ENFORCED", "CREATED", "TAG", "PRIORITY", "GPU", "GPU-MEM", "IDLE")
"""Left out of a narrow terminal, in this order."""


def _brief(views: Sequence[SessionView], detail: bool) -> str:
    """Returns the table for people."""
    import sys

    from .tables import age, slots, table

    short = sys.stdout.isatty()
    header = (*_BRIEF, *(_DETAIL if detail else ()))
    rows = []
    for view in views:
        row = [
            view.name,
            view.id[:8] if short else view.id,
            view.status_text,
            view.image,
            slots(view.occupying_slots or view.requested_slots),
            age(view.created_at),
        ]
        rows.append([*row, *_details(view)] if detail else row)
    flexible = {header.index(name): width for name, width in _FLEXIBLE.items() if name in header}
    return table(header, rows, flexible, optional=[header.index(name) for name in _OPTIONAL if name in header])


def _details(view: SessionView) -> list[str]:
    from .tables import moment, remaining
    from .usage import usage_of

    used = usage_of(view)
    return [
        used.cpu,
        used.mem,
        used.gpu_mem,
        used.gpu,
        "" if view.idle_remaining_s is None else remaining(view.idle_remaining_s),
        "" if view.priority is None else str(view.priority),
        view.tag or "",
        moment(view.created_at),
        ",".join(dict.fromkeys(layer.name for layer in view.layers)),
        view.waiting.text if view.waiting else view.status_info or "",
    ]


def _json(rows: Sequence[Mapping[str, Any]], total: int, fields: Sequence[Field]) -> str:
    import json

    items = [{field.name: field.of(row) for field in fields} for row in rows]
    return json.dumps({"count": len(items), "total_count": total, "items": items}, indent=2) + "\n"


def _columns(fields: Sequence[Field], names: Sequence[str], rows: Sequence[Mapping[str, Any]], plain: bool) -> str:
    from .tables import table

    header = None if plain else [name.upper() for name in names]
    return table(header, [[cell(field.of(row)) for field in fields] for row in rows], range(len(fields)))


@click.command("ps", context_settings=CONTEXT)
@click.option(
    "-s", "--status", metavar="STATUS", help="Only sessions of this status (or several, with commas; or ALL)."
)
@click.option("--running", is_flag=True, help="Only sessions that run or start. Ignores --status.")
@click.option("--dead", is_flag=True, help="Only sessions that have ended. Ignores --status.")
@click.option("-a", "--all", "all_", is_flag=True, help="Sessions of every status. Ignores --status.")
@click.option("-f", "--format", "format_", metavar="FIELDS", help="Exactly these fields, with commas: name,session_id.")
@click.option("--detail", is_flag=True, help="What each uses, how long it may idle, what it waits for, and more.")
@click.option("--name-only", is_flag=True, help="Names only, one a line.")
@click.option("--plain", is_flag=True, help="No header.")
@click.option("--filter", "filter_", metavar="EXPR", help='A filter such as: status == "RUNNING" & name like "my%".')
@click.option("--order", metavar="FIELDS", help="Order by fields, with commas; -field is descending.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many sessions.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Leave out so many sessions.")
@click.option("--access-key", metavar="KEY", help="Sessions of this key (admins).")
@click.option("--output", type=click.Choice(["console", "json"]), help="How the list is printed.")
@click.pass_context
def ps(
    ctx: click.Context,
    status: str | None,
    running: bool,
    dead: bool,
    all_: bool,
    format_: str | None,
    detail: bool,
    name_only: bool,
    plain: bool,
    filter_: str | None,
    order: str | None,
    limit: int | None,
    offset: int,
    access_key: str | None,
    output: str | None,
) -> int:
    """List sessions: those that live, unless told otherwise.

    In a terminal the table is cut to its width and ids to their first 8 characters, which is enough for `rm` and
    the other commands. In a pipe nothing is cut.

    \b
    --detail adds what is used of what was asked for:
      CPU      percent of one core        MEM   of the machine's memory
      GPU-MEM  of the share's memory      GPU   percent of one GPU
      IDLE     time until an idle check ends it (`bai-tui extend` puts that off)
      ENFORCED the layers that hold it to its share (`session info` says what each is worth)
      INFO     what a PENDING session waits for, or why another stands as it does
    """
    names = [name.strip() for name in format_.split(",") if name.strip()] if format_ else []
    if format_ is not None and not names:
        raise click.BadParameter("name at least one field", param_hint="--format")
    fields = [field_of(name) for name in names]
    query: dict[str, Any] = {
        "statuses": _statuses(status, running, dead, all_),
        "limit": limit,
        "offset": offset,
        "filter": filter_,
        "order": order,
        "access_key": access_key,
    }
    as_json = (output or ctx.find_root().obj) == "json"
    emit(_listed(fields, names, query, as_json, detail, name_only, plain))
    return 0


def _listed(
    fields: Sequence[Field],
    names: Sequence[str],
    query: dict[str, Any],
    as_json: bool,
    detail: bool,
    name_only: bool,
    plain: bool,
) -> str:
    from ..client.parsing import session_view
    from ..client.queries import SESSION_FIELDS, STAT_FIELDS
    from .endpoint import with_client
    from .talk import harmless, say

    if name_only:
        fields = (field_of("name"),)
    elif as_json and not fields:
        fields = (*JSON_DEFAULT, *(JSON_DETAIL if detail else ()))
        query["lenient"] = detail  # what a server does not know is null then
    query["reasons"] = detail or any(field.selection == "status_data" for field in fields)
    if fields:
        wanted = selections(fields)
    else:
        wanted = [*SESSION_FIELDS, *(STAT_FIELDS if detail else ())]
        query["lenient"] = True
    (rows, total), told = with_client(lambda client: _rows_and_news(client, wanted, query))
    for line in told.splitlines():
        say(harmless(line))
    if as_json:
        return _json(rows, total, fields)
    if name_only:
        return "".join(f"{harmless(str(row.get('name') or ''))}\n" for row in rows)
    if fields:
        return _columns(fields, names, rows, plain)
    text = _brief([session_view(row) for row in rows], detail)
    return text.partition("\n")[2] if plain else text
