"""Claim: an hour of events in fast time leaves the memory of the screen where it was after ten minutes."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bai_tui.app.tui.app import BaiTuiApp
from bai_tui.app.tui.locate import FixedEndpoint
from bai_tui.app.tui_settings import TuiSettings
from bai_tui.tests.tui.fakes import ENDPOINT, Clock, FakeServer
from bai_tui.tests.tui.simulated_day import SCROLLBACK_LINES, Day, Kept

from .harness import Claim, Sample
from .painting import SIZE

EARLY_S, LATE_S = 600, 3_600
GROWTH_MIB = 4.0
_TIMEOUT_S = 60.0


def _anonymous_mib() -> float:
    """Returns the memory of this process that no file has."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not tell the memory of a process")


async def measure(*, early_s: int = EARLY_S, late_s: int = LATE_S) -> Claim:
    """Lets an hour pass, as fast as it goes."""
    clock = Clock()
    server = FakeServer(clock=clock)
    settings = TuiSettings(scrollback_lines=SCROLLBACK_LINES)
    with tempfile.TemporaryDirectory(prefix="bb-") as folder:
        app = BaiTuiApp(
            FixedEndpoint(ENDPOINT), connect=server.connect, clock=clock, folder=Path(folder), settings=settings
        )
        began = time.perf_counter()
        async with app.run_test(size=SIZE) as pilot:
            async with asyncio.timeout(_TIMEOUT_S):
                while not (app.main.ready and app.bench.sync.connection.client):  # noqa: ASYNC110 - no one event tells
                    await asyncio.sleep(0.01)
            day = Day(app, server, pilot, clock)
            await day.go(early_s)
            early, early_mib = Kept.now(), _anonymous_mib()
            await day.go(late_s - early_s)
            late, late_mib = Kept.now(), _anonymous_mib()
        await server.close()
        took_s = time.perf_counter() - began
    growth = late_mib - early_mib
    claim = Claim(
        title=f"15. Memory of the screen, {late_s // 60} minutes in fast time",
        unit="MiB",
        how="The whole app without a terminal, beside a server in memory that forgets what it need not know: a round "
        "of measuring each second, runs with colours, progress bars and errors, launches and ends, dialogs opened and "
        f"keys pressed; {day.runs} runs, {day.launches} launches, {day.ends} ends. Anonymous memory of the "
        f"process after a full collection. The scrollback is bounded at {SCROLLBACK_LINES:,} lines, so that "
        "minutes reach the bound.",
        samples=[
            Sample(f"after {late_s // 60} minutes", (late_mib,)),
            Sample(f"after {early_s // 60} minutes", (early_mib,)),
        ],
        ours=f"after {late_s // 60} minutes",
    )
    claim.goals.append((f"grows by less than {GROWTH_MIB:g} MiB: {growth:+.1f} MiB", growth < GROWTH_MIB))
    blocks = late.blocks - early.blocks
    claim.notes += [
        f"Pieces of memory that Python has handed out: {early.blocks:,}, then {late.blocks:,} ({blocks:+,}).",
        f"Of which types there are more: {late.grown(early) or 'none'}.",
        f"It took {took_s:.0f} s.",
    ]
    return claim
