"""What is asked by GraphQL about sessions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.errors import AmbiguousReference, BaiTuiError, Forbidden, NotImplementedHere, RemoteError, SessionNotFound
from ..model.sessions import LIVE, TERMINAL, SessionStatus
from .cluster import explained, in_our_words, is_cluster, origin, tellable
from .errors import UNRESOLVED, with_data
from .parsing import session_view
from .transport import Transport, version_of
from .views import SessionView

SESSION_FIELDS = [
    "id",
    "name",
    "status",
    "status_info",
    "status_data",
    "status_changed",
    "image",
    "type",
    "access_key",
    "group_name",
    "tag",
    "result",
    "created_at",
    "terminated_at",
    "requested_slots",
    "occupying_slots",
    "idle_checks",
    "startup_command",
    "dependencies{name id}",
    "priority",
]
STAT_FIELDS = ["containers{live_stat last_stat}"]
"""What is asked for only where it is wanted: a cluster fetches it for every kernel from another store."""
PRIORITY_SINCE = (8, "20240915")
"""The API that brought priorities, and time limits of batch sessions."""
_NEW_STATUSES = frozenset({SessionStatus.PREPARED, SessionStatus.CREATING})
_NEW_STATUSES_SINCE = (8, "20240315")
"""Older servers refuse a list that names a status they do not know."""
_PAGE = 100
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_UNKNOWN = re.compile(r"Cannot query field ['\"](\w+)['\"]")
_ID_PREFIX = re.compile(r"[0-9a-f-]{4,36}")
_ENDED_MOST = 1000
"""So many ended sessions are looked through for the beginning of an id."""
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


async def ask(
    transport: Transport, head: str, root: str, fields: Sequence[str], wrap: str, variables: Mapping[str, Any]
) -> Any:
    """Asks for `root` with those of `fields` that the server can tell; learns which it cannot."""
    for _ in range(len(fields)):
        wanted = [f for f in fields if (root, f.partition("{")[0]) not in transport.unknown_fields]
        try:
            data = await transport.graphql(f"{head}{wrap % ' '.join(wanted)}}}", variables)
        except RemoteError as exc:
            refused = (*_UNKNOWN.findall(exc.message), *(exc.data or {}).get(UNRESOLVED, ()))
            unknown = {(root, name) for name in refused} - transport.unknown_fields
            if not unknown & {(root, f.partition("{")[0]) for f in wanted}:
                raise
            transport.unknown_fields |= unknown
            continue
        return data.get(root)
    return None


async def session_rows(
    transport: Transport,
    fields: Sequence[str],
    *,
    statuses: Sequence[SessionStatus] | None = None,
    limit: int = _PAGE,
    offset: int = 0,
    filter: str | None = None,
    order: str | None = None,
    access_key: str | None = None,
    lenient: bool = False,
    reasons: bool = False,
) -> tuple[Sequence[Mapping[str, Any]], int]:
    """Returns one page of raw rows and the total count.

    Args:
        lenient: leave out fields that the server cannot tell instead of failing.
        reasons: `status_data` of PENDING sessions says why they wait, which may take a request more.
    """
    info = await transport.info()
    version = version_of(info)
    if reasons and is_cluster(info):
        fields = list(dict.fromkeys([*fields, "id", "name", "status"]))
    if statuses is not None and version < _NEW_STATUSES_SINCE:
        statuses = [status for status in statuses if status not in _NEW_STATUSES]
    variables = {
        "limit": limit,
        "offset": offset,
        "status": None if statuses is None else ",".join(statuses),
        "access_key": access_key,
        "filter": filter,
        "order": order,
    }
    head = (
        "query($limit:Int!,$offset:Int!,$status:String,$access_key:String,$filter:String,$order:String){"
        "compute_session_list(limit:$limit,offset:$offset,status:$status,access_key:$access_key,"
        "filter:$filter,order:$order){"
    )
    wrap = "items{%s} total_count}"
    if lenient:
        if version < PRIORITY_SINCE:
            fields = [field for field in fields if field != "priority"]
        if is_cluster(info):
            fields = tellable(fields)
        page = await ask(transport, head, "compute_session_list", fields, wrap, variables)
    else:
        data = await transport.graphql(f"{head}{wrap % ' '.join(fields)}}}", variables)
        page = data.get("compute_session_list")
    page = page if isinstance(page, Mapping) else {}
    rows: Sequence[Mapping[str, Any]] = [row for row in page.get("items") or () if isinstance(row, Mapping)]
    if is_cluster(info):
        rows = [in_our_words(row) for row in rows]
        if reasons:
            rows = await explained(transport, rows)
    return rows, int(page.get("total_count") or 0)


async def list_sessions(
    transport: Transport,
    *,
    statuses: Sequence[SessionStatus] | None,
    limit: int,
    offset: int,
    filter: str | None = None,
    order: str | None = None,
    stats: bool = False,
) -> tuple[Sequence[SessionView], int]:
    rows, total = await session_rows(
        transport,
        [*SESSION_FIELDS, *(STAT_FIELDS if stats else ())],
        statuses=statuses,
        limit=limit,
        offset=offset,
        filter=filter,
        order=order,
        lenient=True,
        reasons=True,
    )
    return [session_view(row) for row in rows], total


async def all_sessions(
    transport: Transport, statuses: Sequence[SessionStatus], *, stats: bool = False
) -> Sequence[SessionView]:
    """Returns all sessions of these statuses, page after page."""
    views: list[SessionView] = []
    while True:
        page, total = await list_sessions(transport, statuses=statuses, limit=_PAGE, offset=len(views), stats=stats)
        views += page
        if not page or len(views) >= total:
            return views


async def all_rows(
    transport: Transport, fields: Sequence[str], statuses: Sequence[SessionStatus]
) -> Sequence[Mapping[str, Any]]:
    """Returns the raw rows of all sessions of these statuses, page after page."""
    rows: list[Mapping[str, Any]] = []
    while True:
        page, total = await session_rows(transport, fields, statuses=statuses, offset=len(rows), lenient=True)
        rows += page
        if not page or len(rows) >= total:
            return rows


async def resolve(transport: Transport, ref: str) -> str:
    """Returns the id of the live session that `ref` means; a full id is returned without asking.

    A whole name wins over a prefix, our own session over another user's.
    """
    return _meant(transport, ref, [] if UUID.fullmatch(ref) or not ref else await _live_rows(transport))


async def resolve_all(transport: Transport, refs: Sequence[str]) -> Mapping[str, str | BaiTuiError]:
    """Returns for each reference what `resolve` returns or raises, from one look at all that live."""
    rows = [] if all(map(UUID.fullmatch, refs)) else await _live_rows(transport)
    found: dict[str, str | BaiTuiError] = {}
    for ref in refs:
        try:
            found[ref] = _meant(transport, ref, rows if ref else [])
        except BaiTuiError as exc:
            found[ref] = exc
    return found


async def _live_rows(transport: Transport) -> Sequence[Mapping[str, Any]]:
    statuses = [status for status in SessionStatus if status in LIVE]
    return await all_rows(transport, ["id", "name", "status", "access_key"], statuses)


def _meant(transport: Transport, ref: str, rows: Sequence[Mapping[str, Any]]) -> str:
    if UUID.fullmatch(ref):
        return ref.lower()
    exact = [row for row in rows if row.get("name") == ref]
    own = [row for row in exact if row.get("access_key") == transport.endpoint.access_key]
    lowered = ref.lower()
    near = [r for r in rows if str(r.get("name")).startswith(ref) or str(r.get("id")).startswith(lowered)]
    found = own or exact or near
    if not found:
        raise with_data(SessionNotFound, _not_found(ref, [str(row.get("name")) for row in rows]))
    return str(_only(ref, found)["id"])


async def resolve_dependency(transport: Transport, ref: str) -> str:
    """Returns the id of a session to depend on: what `resolve` finds, else the last ended one of exactly that name.

    A short one may have succeeded before the next command names it.
    """
    try:
        return await resolve(transport, ref)
    except SessionNotFound:
        ended = await newest_ended(transport, ref)
        if ended is None:
            raise
        return ended.id


async def newest_ended(transport: Transport, name: str) -> SessionView | None:
    """Returns the newest of our own ended sessions of exactly that name; None when there is none."""
    if not _NAME.fullmatch(name):
        return None
    ended, _ = await session_rows(
        transport,
        ["id", "name", "status", "created_at", "terminated_at"],
        statuses=[status for status in SessionStatus if status in TERMINAL],
        limit=1,
        filter=f'name == "{name}"',
        order="-created_at",
        access_key=transport.endpoint.access_key,
    )
    return session_view(ended[0]) if ended and ended[0].get("name") == name else None


async def ended_by_id(transport: Transport, prefix: str) -> SessionView | None:
    """Returns the ended session whose id begins with `prefix`, of the newest thousand; None when there is none.

    Raises:
        AmbiguousReference: there are several.
    """
    prefix = prefix.lower()
    if not _ID_PREFIX.fullmatch(prefix):
        return None
    statuses = [status for status in SessionStatus if status in TERMINAL]
    fields = ["id", "name", "status", "created_at", "terminated_at"]
    found: list[Mapping[str, Any]] = []
    for offset in range(0, _ENDED_MOST, _PAGE):
        rows, total = await session_rows(transport, fields, statuses=statuses, offset=offset, order="-created_at")
        found += [row for row in rows if str(row.get("id")).startswith(prefix)]
        if offset + _PAGE >= total:
            break
    return session_view(_only(prefix, found)) if found else None


def _only(ref: str, found: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if len(found) == 1:
        return found[0]
    matches = [{"id": row["id"], "name": row.get("name"), "status": row.get("status")} for row in found]
    shown = ", ".join(f"{m['name']} ({str(m['id'])[:8]})" for m in matches[:5])
    more = ", ..." if len(matches) > 5 else ""
    raise with_data(
        AmbiguousReference,
        f"{ref!r} could mean {len(matches)} sessions: {shown}{more}; write more of it",
        {"matches": matches},
    )


def _not_found(ref: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(ref, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "; `bai-tui ps` lists what there is"
    return f"no live session has an id or name that begins with {ref!r}{hint}"


async def session(transport: Transport, ref: str, *, stats: bool = False) -> SessionView:
    """Returns one session; an ended one is found by its full id."""
    sid = await resolve(transport, ref)
    fields = [*SESSION_FIELDS, *(STAT_FIELDS if stats else ())]
    info = await transport.info()
    if version_of(info) < PRIORITY_SINCE:
        fields.remove("priority")
    if is_cluster(info):
        fields = tellable(fields)
    row = await ask(
        transport, "query($id:UUID!){compute_session(id:$id){", "compute_session", fields, "%s}", {"id": sid}
    )
    if not isinstance(row, Mapping):
        raise with_data(SessionNotFound, f"there is no session {ref!r}")
    if is_cluster(info):
        (row,) = await explained(transport, [in_our_words({**row, **(await origin(transport, row) if stats else {})})])
    return session_view(row)


async def prioritize(transport: Transport, ref: str, priority: int) -> int:
    """Gives a session another priority; returns the one it has then.

    Raises:
        NotImplementedHere: the server's API is older than priorities.
        RemoteError: the server refuses; a cluster lets its admins alone change them.
    """
    if version_of(await transport.info()) < PRIORITY_SINCE:
        raise with_data(NotImplementedHere, f"{transport.url} knows no priorities: they came with Backend.AI 24.09")
    sid = await resolve(transport, ref)
    try:
        data = await transport.graphql(
            "mutation($input:ModifyComputeSessionInput!){modify_compute_session(input:$input){item{name priority}}}",
            {"input": {"id": sid, "priority": priority}},
        )
    except RemoteError as exc:
        if "permission denied" in exc.message.lower():
            raise with_data(
                Forbidden, f"{transport.url} lets only its admins change a priority: give it when you create a session"
            ) from exc
        raise
    payload = data.get("modify_compute_session")
    item = payload.get("item") if isinstance(payload, Mapping) else None
    now = item.get("priority") if isinstance(item, Mapping) else None
    return now if isinstance(now, int) else priority
