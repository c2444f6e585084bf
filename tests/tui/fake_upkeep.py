"""The part of the fake client that changes sessions: how long they live, when they start, names, kernels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bai_tui.app.client.views import ExtensionView, IdleCheckView
from bai_tui.app.model.errors import SessionExists
from bai_tui.app.model.sessions import TERMINAL

if TYPE_CHECKING:
    from bai_tui.tests.tui.fakes import FakeServer


class FakeUpkeep:
    """Keeps, prioritizes, renames and restarts sessions of the fake server."""

    _server: FakeServer

    async def rename(self, ref: str, name: str) -> None:
        server = self._server
        server.check()
        server.calls.append(("rename", (ref, name)))
        if name in {one.view.name for one in server.sessions.values() if one.view.status not in TERMINAL}:
            raise SessionExists(f"there is a live session {name!r} already")
        server.change(ref, name=name)

    async def restart(self, ref: str) -> None:
        server = self._server
        server.check()
        server.calls.append(("restart", ref))
        if server.refuse_restart is not None:
            raise server.refuse_restart

    async def extend(self, ref: str, seconds: float) -> ExtensionView:
        server = self._server
        server.check()
        server.calls.append(("extend", (ref, seconds)))
        if server.refuse_extend is not None:
            raise server.refuse_extend
        if not seconds:
            return ExtensionView(None, server.find(ref).view.idle_remaining_s)
        server.change(ref, idle_checks={"network_timeout": IdleCheckView(seconds)})
        return ExtensionView(datetime.fromtimestamp(server.clock() + seconds, UTC), seconds)

    async def prioritize(self, ref: str, priority: int) -> int:
        server = self._server
        server.check()
        server.calls.append(("prioritize", (ref, priority)))
        if server.refuse_priority is not None:
            raise server.refuse_priority
        server.change(ref, priority=priority)
        return priority
