"""The root of the GraphQL schema: queries and mutations, each answered by the service."""

from __future__ import annotations

import asyncio
import difflib
import platform
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar

from ...model.errors import BadRequest, Forbidden, NotImplementedHere, SessionNotFound
from ...model.sessions import HOLDING, Session, SessionStatus
from ..ports import Keypair, Service
from .agent import agent_row
from .context import acting_for
from .gql_images import Images
from .gql_people import People
from .gql_rows import (
    SCALING_GROUP_ROW,
    SESSION_FILTERS,
    KernelRow,
    SessionNodeRow,
    SessionRow,
    page_of,
)
from .gql_schema import global_id, row_id
from .minilang import parse_filter, parse_order
from .resources import EVERYTHING
from .sessionview import AGENT_ID, SCALING_GROUP, group_id

_AT_ONCE: Final = 10
"""Rows of a list that are answered before others get their turn."""
_NEVER_HERE: Final = frozenset({"DEPRIORITIZING", "RESERVED", "PREEMPTED", "RESCHEDULING"})
"""States of the newest manager that no session of this backend has; asked for, they find nothing."""


def parse_statuses(text: str | None) -> list[SessionStatus] | None:
    """Returns the statuses in a comma list, None for all.

    Raises:
        BadRequest: no such status; the nearest is named.
    """
    if text is None or not text.strip():
        return None
    found: list[SessionStatus] = []
    for part in text.split(","):
        word = part.strip().upper()
        if not word or word in _NEVER_HERE:
            continue
        if word not in SessionStatus.__members__:
            near = difflib.get_close_matches(word, SessionStatus.__members__, 1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise BadRequest(f"there is no session status {part.strip()!r}{hint}")
        found.append(SessionStatus[word])
    return found


T = TypeVar("T")
Rows: TypeAlias = Sequence[T] | AsyncIterable[T]


def unhurried(rows: Sequence[T]) -> Rows[T]:
    """Returns rows in a form that lets others in between: a row of a session costs a good part of a millisecond."""
    return rows if len(rows) <= _AT_ONCE else _one_by_one(rows)


async def _one_by_one(rows: Sequence[T]) -> AsyncIterator[T]:
    for number, row in enumerate(rows, 1):
        yield row
        if not number % _AT_ONCE:
            await asyncio.sleep(0)  # others have their turn in a long list


class Root(Images, People):
    """Root value of one request: its methods are the fields of Query and Mutation."""

    def __init__(
        self,
        service: Service,
        caller: Keypair,
        *,
        turn_out: Callable[[str], Awaitable[None]],
        version: str,
        since: datetime,
        agent_stat: bool = True,
    ) -> None:
        """Answers on behalf of `caller`.

        Args:
            turn_out: ends what an access key has under way.
            version: of this program.
            since: when this backend began to answer.
            agent_stat: False for a client that fails at the `live_stat` of an agent.
        """
        super().__init__(service, caller, turn_out)
        self._version = version
        self._since = since
        self._agent_stat = agent_stat

    # --- machine -------------------------------------------------------------------------------------------

    def _agent(self) -> dict[str, Any]:
        row = agent_row(
            self._service,
            self._caller,
            version=self._version,
            architecture=platform.machine() or "x86_64",
            since=self._since,
            with_stat=self._agent_stat,
        )
        return row | {"compute_containers": self._compute_containers}

    async def _compute_containers(self, _info: Any, status: str | None = None) -> Rows[KernelRow]:
        statuses = parse_statuses(status) or sorted(HOLDING)
        sessions, _ = await self._service.search(
            self._caller, statuses=statuses, access_key=None, limit=EVERYTHING, offset=0
        )
        return unhurried([KernelRow(self._service, session) for session in sessions])

    def _admin_only(self) -> None:
        if not self._caller.is_admin:
            raise Forbidden("Forbidden operation. (superadmin privilege required)")

    def agent(self, _info: Any, agent_id: str) -> dict[str, Any] | None:
        self._admin_only()
        return self._agent() if agent_id == AGENT_ID else None

    def agents(self, _info: Any, **wanted: Any) -> list[dict[str, Any]]:
        self._admin_only()
        return self._agents(**wanted)

    def agent_list(self, _info: Any, limit: int, offset: int, **wanted: Any) -> dict[str, Any]:
        self._admin_only()
        return self.agent_summary_list(_info, limit, offset, **wanted)

    def agent_summary(self, _info: Any, agent_id: str) -> dict[str, Any] | None:
        return self._agent() if agent_id == AGENT_ID else None

    def agent_summary_list(self, _info: Any, limit: int, offset: int, **wanted: Any) -> dict[str, Any]:
        limit, offset = page_of(limit, offset)
        found = self._agents(**wanted)
        return {"items": found[offset : offset + limit], "total_count": len(found)}

    def _agents(
        self,
        scaling_group: str | None = None,
        status: str | None = None,
        filter: str | None = None,
        order: str | None = None,
    ) -> list[dict[str, Any]]:
        if (scaling_group and scaling_group != SCALING_GROUP) or (status and "ALIVE" not in status.upper().split(",")):
            return []
        row = self._agent()
        fields = {name: lambda row, name=name: row[name] for name in row if not callable(row[name])}
        keep = parse_filter(filter or "", fields)
        return parse_order(order or "", fields)([row] if keep(row) else [])

    def scaling_group(self, _info: Any, name: str | None = None) -> Any:
        return SCALING_GROUP_ROW if name in (None, SCALING_GROUP) else None

    def scaling_groups(self, _info: Any, **_: Any) -> list[Any]:
        return [SCALING_GROUP_ROW]

    # --- sessions ------------------------------------------------------------------------------------------

    async def compute_session(self, _info: Any, id: str) -> SessionRow | None:
        try:
            session = await self._service.get(self._caller, id)
        except SessionNotFound:
            return None
        # only a full id is meant here: the service would take a prefix as well
        return SessionRow(self._service, session) if session.id == id.lower() else None

    async def compute_session_list(
        self,
        _info: Any,
        limit: int,
        offset: int,
        filter: str | None = None,
        order: str | None = None,
        access_key: str | None = None,
        status: str | None = None,
        group_id: str | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        limit, offset = page_of(limit, offset)
        sessions, total = await self._search(limit, offset, access_key, status, group_id, filter, order)
        rows = [SessionRow(self._service, session) for session in sessions]
        return {"items": unhurried(rows), "total_count": total}

    async def _search(
        self,
        limit: int,
        offset: int,
        access_key: str | None,
        status: str | None,
        group: str | None,
        filter: str | None,
        order: str | None,
    ) -> tuple[Sequence[Session], int]:
        owner = acting_for(self._caller, access_key, self._service) if access_key else None
        statuses = parse_statuses(status)
        if statuses == []:
            return [], 0
        key = owner.access_key if owner else None
        keep = parse_filter(filter or "", SESSION_FILTERS)
        sort = parse_order(order or "", SESSION_FILTERS)
        if not (filter or order or group):
            return await self._service.search(
                self._caller, statuses=statuses, access_key=key, limit=limit, offset=offset
            )
        found, _ = await self._service.search(
            self._caller, statuses=statuses, access_key=key, limit=EVERYTHING, offset=0
        )
        rows = [SessionRow(self._service, s) for s in found if group is None or group_id(s.group) == group]
        rows = sort([row for row in rows if keep(row)])
        return [row.session for row in rows[offset : offset + limit]], len(rows)

    async def compute_session_node(self, _info: Any, id: str) -> SessionNodeRow | None:
        row = await self.compute_session(_info, row_id(id))
        return SessionNodeRow(self._service, row.session) if row else None

    async def compute_session_nodes(
        self,
        _info: Any,
        project_id: str | None = None,
        filter: str | None = None,
        order: str | None = None,
        first: int | None = None,
        offset: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        if last is not None or before is not None:
            raise NotImplementedHere("this backend pages forward only: use first, after and offset")
        limit, start = page_of(20 if first is None else first, offset or 0)
        sessions, total = await self._search(EVERYTHING, 0, None, None, project_id, filter, order)
        if after is not None:
            ids = [session.id for session in sessions]
            if row_id(after) not in ids:
                raise BadRequest("the cursor in 'after' leads nowhere: begin again without it")
            start = ids.index(row_id(after)) + 1
        rows = [SessionNodeRow(self._service, session) for session in sessions[start : start + limit]]
        edges = [{"node": row, "cursor": global_id("ComputeSessionNode", row.session.id)} for row in rows]
        return {
            "count": total,
            "edges": unhurried(edges),
            "pageInfo": {
                "hasNextPage": start + len(rows) < total,
                "hasPreviousPage": start > 0,
                "startCursor": edges[0]["cursor"] if edges else None,
                "endCursor": edges[-1]["cursor"] if edges else None,
            },
        }

    async def modify_compute_session(self, _info: Any, input: dict[str, Any]) -> dict[str, Any]:
        row = await self.compute_session(_info, row_id(input["id"]))
        if row is None:
            raise SessionNotFound(f"there is no session {input['id']!r}")
        priority, name = input.get("priority"), input.get("name")
        if priority is not None and priority != row.session.priority:
            await self._service.modify(self._caller, row.session.id, priority=priority)
        if name is not None and name != row.session.name:
            await self._service.rename(self._caller, row.session.id, name)
        session = await self._service.get(self._caller, row.session.id)
        return {"item": SessionNodeRow(self._service, session), "clientMutationId": input.get("clientMutationId")}
