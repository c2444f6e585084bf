"""What the user does to sessions that stay: extend, prioritize, rename, restart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from ...widgets.text import duration
from ..model.errors import BaiTuiError
from ..model.sessions import ANSWERING, TERMINAL, SessionStatus, check_session_name
from .acting import Acting
from .each import each, is_or_are, of
from .messages import Complained, SessionsChanged, Told
from .store import LAUNCHING

if TYPE_CHECKING:
    from ..client.views import ExtensionView, SessionView

EXTEND_S: Final = 1800.0
"""How much later a session ends after one press."""
PRIORITY_STEP: Final = 5
_HIGHEST: Final = 100


class Upkeep(Acting):
    """Calls that change how long sessions live, when they start, what they are called.

    What is asked for one is asked for many: those for which it means nothing are left out, and the answer says so.
    """

    # -- how long --------------------------------------------------------------------------------------------------

    def extend(self, ids: Sequence[str]) -> str | None:
        """Lets sessions end half an hour later than they would; returns why that cannot be, else None."""
        running = self._that(ids, lambda view: view.status in ANSWERING)
        if not running:
            return "only a session that runs can be extended"
        wanted: dict[str, float] = {}
        for view in running:
            ends_at_s = self._store.ends_at_s(view.id)
            wanted[view.id] = EXTEND_S + (max(0.0, ends_at_s - self._clock()) if ends_at_s is not None else 0.0)
        self._spawn(self._extend(running, wanted, len(ids) - len(running)), f"extend {running[0].id}")
        return None

    def take_back(self, ids: Sequence[str]) -> str | None:
        """Lets the idle checks of sessions count as if they had not been extended; returns why not, else None."""
        running = self._that(ids, lambda view: view.status in ANSWERING)
        if not running:
            return "only a session that runs can be extended"
        self._spawn(self._extend(running, {}, len(ids) - len(running)), f"extend {running[0].id}")
        return None

    async def _extend(self, views: Sequence[SessionView], wanted: dict[str, float], left_out: int) -> None:
        async def extend(session_id: str) -> ExtensionView:
            return await (await self._connected()).extend(session_id, round(wanted.get(session_id, 0.0)))

        done, refused = await each([view.id for view in views], extend)
        now_s = self._clock()
        for session_id, given in done:
            self._store.extended(session_id, None if given.remaining_s is None else now_s + given.remaining_s)
        if done:
            names = self._names([session_id for session_id, _ in done])
            by = f"{round(min(wanted.values()))}" if wanted else ""
            self._did("extend", *(("--by", by) if by else ("--off",)), *names)
            kept = [given.kept_until for _, given in done if given.kept_until is not None]
            remaining = [given.remaining_s for _, given in done if given.remaining_s is not None]
            what = f"{of(names)} {is_or_are(names)} "
            what += f"kept until {min(kept).astimezone():%H:%M}" if kept else "not extended any more"
            first = "the first " if len(names) > 1 else ""
            ends = f", {first}ends in {duration(min(remaining))} if nobody uses it" if remaining else ""
            self._post(Told(what + ends + _left_out(left_out, "not running")))
        self._finish(refused)

    # -- when ------------------------------------------------------------------------------------------------------

    def prioritize(self, ids: Sequence[str], direction: int) -> str | None:
        """Moves waiting sessions up (1) or down (-1) in the queue; returns why that cannot be, else None."""
        waiting = self._that(ids, lambda view: view.status is SessionStatus.PENDING)
        if not waiting:
            return "only a session that waits has use for a priority"
        wanted: dict[str, int] = {}
        for view in waiting:
            if view.priority is not None:
                priority = max(0, min(_HIGHEST, view.priority + direction * PRIORITY_STEP))
                if priority != view.priority:
                    wanted[view.id] = priority
        if not wanted:
            known = waiting[0].priority
            return "this server tells no priorities" if known is None else f"its priority is {known} already"
        for session_id, priority in wanted.items():
            self._store.prioritized(session_id, priority)
        self._post(SessionsChanged())
        self._spawn(self._prioritize(wanted, len(ids) - len(waiting)), f"prioritize {next(iter(wanted))}")
        return None

    async def _prioritize(self, wanted: dict[str, int], left_out: int) -> None:
        async def prioritize(session_id: str) -> int:
            return await (await self._connected()).prioritize(session_id, wanted[session_id])

        done, refused = await each(list(wanted), prioritize)
        for session_id, given in done:
            self._store.prioritized(session_id, given)
            self._did("session", "set-priority", *self._names([session_id]), str(given))
        if done:
            names, given_all = self._names([session_id for session_id, _ in done]), [given for _, given in done]
            least, most = min(given_all), max(given_all)
            span = f"{least}" if least == most else f"{least} to {most}"
            has = "has" if len(names) == 1 else "have"
            self._post(Told(f"{of(names)} {has} priority {span} now" + _left_out(left_out, "not waiting")))
        self._finish(refused)

    # -- what they are called --------------------------------------------------------------------------------------

    async def rename(self, session_id: str, name: str) -> str | None:
        """Gives a session another name; returns why that cannot be, else None. Cancelled, it may have been done."""
        view = self._store.view(session_id)
        if view is None or view.status in TERMINAL:
            return "it has ended"
        if name == view.name:
            return None
        try:
            check_session_name(name)
            if name in self._store.names():
                return f"there is a live session {name} already"
            await (await self._connected()).rename(session_id, name)
        except BaiTuiError as error:
            return error.message
        self._store.renamed(session_id, name)
        self._did("rename", view.name, name)
        self._finish([])
        return None

    # -- anew ------------------------------------------------------------------------------------------------------

    def restartable(self, ids: Sequence[str]) -> list[str]:
        """Returns those that run, and so can be restarted."""
        return [view.id for view in self._that(ids, lambda view: view.status in ANSWERING)]

    def restart(self, ids: Sequence[str]) -> None:
        """Restarts the kernels of sessions: what they hold in memory is lost, their files stay."""
        for session_id in ids:
            self._store.alarm(session_id, "restarting: what it held in memory is lost")
        self._post(SessionsChanged())
        self._spawn(self._restart(ids), f"restart {ids[0] if ids else ''}")

    async def _restart(self, ids: Sequence[str]) -> None:
        async def restart(session_id: str) -> None:
            await (await self._connected()).restart(session_id)

        try:
            done, refused = await each(ids, restart)
        finally:
            for session_id in ids:
                self._store.alarm(session_id, "")
        if done:
            names = self._names([session_id for session_id, _ in done])
            self._did("restart", *names)
            self._post(Told(f"{of(names)} {'has' if len(names) == 1 else 'have'} a fresh kernel"))
        self._finish(refused)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _that(self, ids: Sequence[str], test: Callable[[SessionView], bool]) -> list[SessionView]:
        views = [self._store.view(session_id) for session_id in ids if not session_id.startswith(LAUNCHING)]
        return [view for view in views if view is not None and test(view)]

    def _names(self, ids: Sequence[str]) -> list[str]:
        return [view.name for session_id in ids if (view := self._store.view(session_id)) is not None]

    def _finish(self, refused: Sequence[tuple[str, BaiTuiError]]) -> None:
        """Says why the server did not: in full, and in the row, which has place for a few words."""
        for session_id, error in refused:
            self._store.note(session_id, error.message)
        if refused:
            many = f"{len(refused):,} sessions: " if len(refused) > 1 else ""
            self._post(Complained(many + refused[0][1].message))
        self._post(SessionsChanged())
        self._sync.poke()


def _left_out(count: int, why: str) -> str:
    return f" ({count:,} {'is' if count == 1 else 'are'} {why})" if count else ""
