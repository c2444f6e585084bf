"""What `bai-tui top` does: fetches one moment after the other, and shows them on a terminal or in a pipe."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from . import exit_codes
from .frames import SORTS, Moment, Style, as_json, lines

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import MachineView, SessionView, StatsView
    from ..model.endpoint import Endpoint

Show = Callable[[Moment], Coroutine[Any, Any, None]]
_RETRY_S: Final = 1.0
_SERVER_FAULT: Final = 500
_SLACK_S: Final = 0.3
"""A round that comes so much too early is shown: waiting for the next one would skip a beat."""
_FULL_WITHIN_S: Final = 2.5
"""`--once` waits so long for a round that tells of the whole machine too."""
_SHORT_QUEUE: Final = 100
"""Sessions that wait, which one request tells of."""
_QUEUE_EVERY_S: Final = 5.0
"""So often a longer queue is asked for."""
_CLUSTER_EVERY_S: Final = 10.0
"""So often a cluster is asked for its sums, which takes it several requests."""


class Follower:
    """Fetches one moment after the other, over restarts of the server."""

    def __init__(self, endpoint: Endpoint, interval_s: float) -> None:
        self._endpoint = endpoint
        self._interval_s = interval_s
        self._machine: MachineView | None = None
        self._machine_at = 0.0
        self._waiting: Sequence[SessionView] = ()
        self._waiting_at = 0.0

    async def once(self) -> Moment:
        """Returns what is known now.

        Raises:
            Unreachable: the server does not answer.
        """
        from ..client.api import ApiClient

        async with ApiClient(self._endpoint) as client:
            newest = None
            pushed = "stats" in (await client.info()).capabilities
            try:
                async with asyncio.timeout(_FULL_WITHIN_S), aclosing(client.stats()) as rounds:
                    async for newest in rounds:
                        if newest.mem_used_bytes or not pushed:
                            break
            except TimeoutError:
                if newest is None:
                    raise self._gone() from None
            assert newest is not None
            return await self._moment(client, newest)

    async def follow(self, show: Show, lost: Callable[[str], None]) -> None:
        """Shows moments until cancelled.

        Args:
            lost: is told why nothing newer comes, each time that the connection is lost.

        Raises:
            RemoteError: the server never answered, or refuses.
        """
        from ..client.api import ApiClient
        from ..model.errors import RemoteError, Unreachable

        seen = False
        while True:
            try:
                async with ApiClient(self._endpoint) as client, aclosing(client.stats()) as rounds:
                    due = 0.0
                    async for newest in rounds:
                        if time.monotonic() + _SLACK_S < due:
                            continue
                        due = time.monotonic() + self._interval_s
                        await show(await self._moment(client, newest))
                        seen = True
                raise self._gone()
            except RemoteError as exc:
                # one that is stopping or starting answers so, too
                if not seen or not (isinstance(exc, Unreachable) or exc.http_status >= _SERVER_FAULT):
                    raise
                lost(exc.message)
            await asyncio.sleep(_RETRY_S)  # the server is asked again, not hammered
            self._look_again()

    def _gone(self) -> Exception:
        from ..model.errors import Unreachable

        return Unreachable(f"{self._endpoint.url} has stopped telling: is it being restarted?")

    def _look_again(self) -> None:
        """Finds the backend that took the place of the one that went; starts none, the user may not want one."""
        from ..config import Paths
        from ..contexts import chosen_endpoint
        from ..local import running_backend
        from ..model.errors import ConfigError

        try:
            paths = Paths.of_user()
            self._endpoint = chosen_endpoint(paths) or running_backend(paths) or self._endpoint
        except ConfigError:
            return  # its keypair is just being written: next time

    async def _moment(self, client: ApiClient, newest: StatsView) -> Moment:
        sessions = await self._sessions(client)
        own = "devices" in (await client.info()).capabilities
        now = time.monotonic()
        if self._machine is None or own or now - self._machine_at > _CLUSTER_EVERY_S:
            self._machine, self._machine_at = await client.machine(), now
        server = "local" if self._endpoint.name == "local" and own else self._endpoint.url
        return Moment(server=server, stats=newest, sessions=sessions, machine=self._machine)

    async def _sessions(self, client: ApiClient) -> Sequence[SessionView]:
        """Returns all that live. A long queue is asked for less often: it takes the server page after page."""
        from ..model.sessions import LIVE, SessionStatus

        started = [status for status in SessionStatus if status in LIVE and status is not SessionStatus.PENDING]
        now = time.monotonic()
        if len(self._waiting) <= _SHORT_QUEUE or now - self._waiting_at > _QUEUE_EVERY_S:
            # before those that have started: one that starts meanwhile is seen twice then, not missed
            self._waiting, self._waiting_at = await client.all_sessions([SessionStatus.PENDING]), now
        found = await client.all_sessions(started)
        seen = {view.id for view in found}
        return [*found, *(view for view in self._waiting if view.id not in seen)]


async def printed(endpoint: Endpoint, interval_s: float, sort: str, *, once: bool, as_data: bool) -> int:
    """Writes samples one below the other."""
    import json
    import shutil

    from .output import Sink
    from .talk import NobodyReads, say

    follower, out = Follower(endpoint, interval_s), Sink(1)
    width = shutil.get_terminal_size().columns if out.is_terminal else None
    first = True

    async def show(moment: Moment) -> None:
        nonlocal first
        if as_data:
            text = json.dumps(as_json(moment)) + "\n"
        else:
            found = lines(moment, sort, width=width, height=None, style=Style(False))
            text = "".join(f"{line}\n" for line in ([] if first else [""]) + found)
        first = False
        try:
            await out.write(text)
        except BrokenPipeError:
            raise NobodyReads from None

    if once:
        await show(await follower.once())
        return exit_codes.OK
    told: list[str] = []

    async def show_and_forget(moment: Moment) -> None:
        told.clear()
        await show(moment)

    def lost(problem: str) -> None:
        if not told:
            say(problem)
            told.append(problem)

    await follower.follow(show_and_forget, lost)
    return exit_codes.OK


class Display:
    """One moment in place of the other, on a terminal."""

    def __init__(self, endpoint: Endpoint, interval_s: float, sort: str) -> None:
        from .screen import Screen

        self._follower = Follower(endpoint, interval_s)
        self._sort = sort
        self._style = Style(not os.environ.get("NO_COLOR"))
        self._moment: Moment | None = None
        self._signal = 0
        self._over = asyncio.Event()
        self._screen = Screen(on_key=self._on_key, on_resize=self._paint, on_signal=self._on_signal)

    async def run(self) -> int:
        async with self._screen:
            following = asyncio.create_task(self._follower.follow(self._show, self._lost), name="follow")
            leaving = asyncio.create_task(self._over.wait(), name="leave")
            try:
                await asyncio.wait({following, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()
            finally:
                following.cancel()
                leaving.cancel()
                await asyncio.gather(following, leaving, return_exceptions=True)
        # ctrl+c is how many leave a live display: no failure
        return exit_codes.OK if self._signal in (0, signal.SIGINT) else exit_codes.SIGNALLED + self._signal

    async def _show(self, moment: Moment) -> None:
        self._moment = moment
        self._paint()

    def _lost(self, problem: str) -> None:
        from dataclasses import replace

        if self._moment is not None:
            self._moment = replace(self._moment, problem=problem)
            self._paint()

    def _paint(self) -> None:
        if self._moment is not None:
            width, height = self._screen.size
            self._screen.paint(lines(self._moment, self._sort, width=width, height=height, style=self._style))

    def _on_key(self, key: str) -> None:
        if key in "qQ":
            self._over.set()
        elif key in "sS":
            self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
            self._paint()

    def _on_signal(self, number: int) -> None:
        self._signal = number
        self._over.set()
