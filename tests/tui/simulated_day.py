"""Time that flies: a workspace with all that happens to it in an hour, second by second, and what it keeps of that."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bai_tui.app.client.views import JournalLine
from bai_tui.app.model.metrics import CPU_UTIL, MEM_USED
from bai_tui.app.model.sessions import TERMINAL, SessionStatus
from bai_tui.app.tui.app import BaiTuiApp
from bai_tui.tests.tui.fakes import NOW_S, Clock, FakeServer, Script, Step
from textual.pilot import Pilot

RUN_EVERY_S: Final = 5
CYCLE_S: Final = 60
"""After so many seconds hands have done everything once."""
LIVE: Final = 6
"""Sessions at a time."""
KEPT_LINES: Final = 100
"""Of a journal that the server still has: what it has itself is not to be measured."""
SCROLLBACK_LINES: Final = 3_000
"""So few that an hour, and the minutes of a test, reach the bound."""
_WORN: Final = JournalLine(0, NOW_S, None, "stdout", "")
_SETTLE_S: Final = 20.0
_TURNS: Final = 20


def scripts() -> dict[str, Script]:
    """Returns pieces of code with what they write: colours, a progress bar, an error, a table."""
    lines: list[Step] = [
        ("out", f"\x1b[32mepoch {number}\x1b[0m loss \x1b[1m{1 / (number + 1):.4f}\x1b[0m\n") for number in range(40)
    ]
    bar: list[Step] = [("out", f"\r{'#' * number:40}| {number}/40") for number in range(41)]
    error: list[Step] = [
        ("err", 'Traceback (most recent call last):\n  File "<input>", line 1, in <module>\n'),
        ("err", "ValueError: a[/b] \x1b[999z\n"),
        ("exit", 1),
    ]
    table: list[Step] = [("html", "<table><tr><td>a</td><td>1</td></tr></table>")]
    return {
        "train()": Script(lines),
        "for _ in tqdm(range(40)): step()": Script([*bar, ("out", "\n")]),
        "int('x')": Script(error),
        "frame": Script(table),
    }


@dataclass(frozen=True, slots=True)
class Kept:
    """What the process holds at a time."""

    blocks: int
    """Pieces of memory that Python has handed out."""
    objects: Counter[str]
    """Type -> how many of them the collector knows."""

    @classmethod
    def now(cls) -> Kept:
        gc.collect()
        objects = Counter(type(one).__qualname__ for one in gc.get_objects())
        return cls(sys.getallocatedblocks(), objects)

    def grown(self, since: Kept, most: int = 8) -> str:
        """Returns of which types there are more now."""
        more = (self.objects - since.objects).most_common(most)
        return ", ".join(f"{name} +{count:,}" for name, count in more)


class Day:
    """Lets time go on.

    Args:
        app: Runs under `pilot`, connected to `server`; both take their time from `clock`.
    """

    def __init__(self, app: BaiTuiApp, server: FakeServer, pilot: Pilot[int], clock: Clock) -> None:
        self._app, self._server, self._pilot, self._clock = app, server, pilot, clock
        self._codes = list(scripts())
        server.scripts.update(scripts())
        self.seconds = 0
        self.runs = self.launches = self.ends = 0
        self.stayer = server.add("stays")
        for number in range(LIVE - 1):
            server.add(f"first-{number}")

    async def go(self, seconds: int) -> None:
        """Lets so many seconds pass."""
        for _ in range(seconds):
            self.seconds += 1
            self._clock.now += 1
            await self._second(self.seconds)
            await self._settle()

    async def _second(self, now: int) -> None:
        bench, main = self._app.bench, self._app.main
        live = self._live()
        self._server.measure(
            {
                one: {
                    CPU_UTIL: (now * 7 % 100, 100.0),
                    MEM_USED: (float((now * 31 + place) % 900 << 20), float(1 << 30)),
                }
                for place, one in enumerate(live)
            },
            cpu_pct=now % 100,
        )
        main._tick()
        if now % RUN_EVERY_S == 0:
            for session_id in {self.stayer, main.selected or self.stayer}:
                if not bench.store.is_busy(session_id):
                    bench.execute(session_id, self._codes[self.runs % len(self._codes)])
                    self.runs += 1
        if now % 7 == 0:
            main.sessions.select(live[now // 7 % len(live)])
        if now % 20 == 0:
            self._somebody_launches(now)
        if now % 60 == 10:
            bench.launching.default()
            self.launches += 1
        if now % 10 == 5:
            await self._hands(now)
        while len(live := self._live()) > LIVE:
            self._end(next(one for one in live if one != self.stayer))
        self._wear_off()

    def _live(self) -> Sequence[str]:
        return [one.view.id for one in self._server.sessions.values() if one.view.status not in TERMINAL]

    def _somebody_launches(self, now: int) -> None:
        session_id = self._server.add(f"other-{now}", status=SessionStatus.PENDING, age_s=0)
        self._server.tell("session_enqueued", session_id)
        self._server.start(session_id)
        self._server.warn("bai_idle_warning", session_id, check="utilization", ends_in=60)
        self.launches += 1

    def _end(self, session_id: str) -> None:
        self._server.change(session_id, status=SessionStatus.TERMINATED, status_info="idle-timeout")
        self._server.tell("session_terminated", session_id, "idle-timeout")
        run = self._server.sessions[session_id].run
        if run is not None:
            run.cancel()
        self.ends += 1

    async def _hands(self, now: int) -> None:
        """Does what hands do now and then."""
        keys = (
            ("f3", "a", "b", "backspace", "backspace", "f2"),
            ("f12", "f11", "f4", "f2"),
            ("f2", "n", "escape"),
            ("f1", "escape"),
            ("f4", "slash", "l", "o", "escape", "f2"),
            ("f2", "slash", "s", "t", "escape", "escape"),
        )
        await self._pilot.press(*keys[now // 10 % len(keys)])

    def _wear_off(self) -> None:
        """Takes from the server what it would keep itself: that is not what is measured."""
        server = self._server
        server.calls.clear()
        server.tasks = {task for task in server.tasks if not task.done()}
        ended = [one for one, session in server.sessions.items() if session.view.status in TERMINAL]
        for session_id in ended[:-LIVE]:
            del server.sessions[session_id]
        for session in server.sessions.values():
            if len(session.journal) > KEPT_LINES:
                worn = len(session.journal) - KEPT_LINES
                session.journal[:worn] = [_WORN] * worn

    async def _settle(self) -> None:
        """Waits until runs have ended and the app has taken all that came."""
        busy = [session.run for session in self._server.sessions.values() if session.run is not None]
        if going := [run for run in busy if not run.done()]:
            await asyncio.wait(going, timeout=_SETTLE_S)
        # a turn of the loop for each hand that a message goes through; what is late is taken in the next second
        for _ in range(_TURNS):
            await asyncio.sleep(0)
