"""Any history of a service with several owners, over daemons that are killed: no share booked twice or leaked, no
session lost, nobody shown what is not theirs."""

from __future__ import annotations

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from bai_tui.app.backend.ports import Exit, GpuReading
from bai_tui.app.model.errors import IllegalState, LaunchFailed
from bai_tui.app.model.sessions import HOLDING, LIVE, TERMINAL, SessionStatus
from bai_tui.tests.service import fakes
from bai_tui.tests.service.conftest import ADMIN, OTHER, USER, World
from bai_tui.tests.waiting import turns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

S = SessionStatus
OWNERS: Final = (USER, OTHER)
GPU_SHARES: Final = ("0", "0.25", "0.4", "0.5", "1", "2")
_TURNS: Final = 60
"""Of the event loop, in which what was begun comes to rest: everything here is in memory but small files."""

STEP = st.one_of(
    st.tuples(st.just("create"), st.integers(0, 1), st.sampled_from(GPU_SHARES), st.integers(1, 3), st.integers(0, 20)),
    st.tuples(st.just("batch"), st.integers(0, 1), st.sampled_from(GPU_SHARES), st.integers(0, 1)),
    st.tuples(st.just("terminate"), st.integers(0, 30), st.booleans()),
    st.tuples(st.just("runner dies"), st.integers(0, 30)),
    st.tuples(st.just("crash"), st.booleans()),
    st.tuples(st.just("gpu"), st.integers(0, 1), st.booleans()),
    st.tuples(st.just("launches fail"), st.booleans()),
    st.tuples(st.just("prioritize"), st.integers(0, 30), st.integers(0, 100)),
)


class History:
    """What was asked for, and a service that does it."""

    def __init__(self, root: Path) -> None:
        self.world = World(root, devices=fakes.FakeDevices(gpus=2))
        self.owners: dict[str, Any] = {}
        self.ended: dict[str, SessionStatus] = {}
        """Whoever was seen to have ended stays so."""
        self.endings: list[asyncio.Task[Any]] = []

    def pick(self, number: int) -> str | None:
        ids = list(self.owners)
        return ids[number % len(ids)] if ids else None

    async def step(self, kind: str, *values: Any) -> None:
        world = self.world
        if kind in ("create", "batch"):
            owner, gpu = OWNERS[values[0]], values[1]
            fields: dict[str, Any] = {"type": "batch", "startup_command": f"exit {values[2]}"}
            if kind == "create":
                fields = {"resources": {"cpu": str(values[2])}, "priority": values[3]}
            resources = fields.setdefault("resources", {})
            if gpu != "0":
                resources["gpu"] = gpu
            outcome = await world.create(f"sess-{len(self.owners)}", caller=owner, enqueue_only=True, **fields)
            self.owners[outcome.session.id] = owner
        elif kind == "terminate" and (session_id := self.pick(values[0])) is not None:
            if (await world.service.get(ADMIN, session_id)).status in LIVE:
                ending = world.service.terminate(self.owners[session_id], session_id, forced=values[1])
                self.endings.append(asyncio.create_task(ending, name="terminate"))
        elif kind == "runner dies" and (session_id := self.pick(values[0])) is not None:
            if (kernel := world.engine.kernels.get(session_id)) is not None:
                await kernel.end(Exit(None, "killed"))
        elif kind == "crash":
            if values[0]:
                await world.service._recorder.flush()
            for task in self.endings:
                task.cancel()
            await world.restart()
        elif kind == "gpu":
            world.sampler.gpus[f"gpu{values[0]}"] = GpuReading(device_id=f"gpu{values[0]}", present=values[1])
            world.sampler.round()
        elif kind == "launches fail":
            world.engine.refuse = LaunchFailed("no room") if values[0] else None
        elif kind == "prioritize" and (session_id := self.pick(values[0])) is not None:
            if (await world.service.get(ADMIN, session_id)).status is S.PENDING:
                await world.service.modify(self.owners[session_id], session_id, priority=values[1])
        await turns(_TURNS)
        await self.check()

    async def check(self) -> None:
        service = self.world.service
        # in one breath: what the books say, and what the sessions hold
        uses, occupied = service.devices(ADMIN), service.slots()[1]
        held = {
            (entry.session.id, slot): {device: Decimal(amount) for device, amount in devices.items()}
            for entry in service._register
            if entry.session.status in HOLDING
            for slot, devices in entry.session.allocation.items()
        }
        promised: dict[tuple[str, str], dict[str, Decimal]] = {}
        for use in uses:
            for slot, amounts in use.promised.items():
                assert sum(amounts.values()) <= use.device.capacity, f"{use.device.id} is booked twice: {amounts}"
                for session_id, amount in amounts.items():
                    promised.setdefault((session_id, slot), {})[use.device.id] = amount
        assert promised == held
        total: dict[str, Decimal] = {}
        for (_, slot), devices in held.items():
            total[slot] = total.get(slot, Decimal(0)) + sum(devices.values())
        assert {slot: amount for slot, amount in occupied.items() if amount} == total
        sessions = {key: await service.get(ADMIN, key) for key in self.owners}
        for key, session in sessions.items():
            assert self.ended.get(key, session.status) is session.status, "it had ended otherwise"
            if session.status in TERMINAL:
                self.ended[key] = session.status
        for owner in OWNERS:
            seen, count = await service.search(owner, statuses=None, access_key=None, limit=1000, offset=0)
            own = {key for key, other in self.owners.items() if other is owner}
            assert {session.id for session in seen} == own and count == len(own)

    async def finish(self) -> None:
        self.world.engine.refuse = None
        for session_id, owner in self.owners.items():
            if (await self.world.service.get(ADMIN, session_id)).status in LIVE:
                try:
                    await self.world.service.terminate(owner, session_id, forced=True)
                except IllegalState:
                    continue  # it has just ended
        await asyncio.gather(*self.endings, return_exceptions=True)
        await self.check()
        assert len(self.ended) == len(self.owners)
        assert not self.world.devices.ready, "devices are made ready for nobody"
        await self.world.service.stop()
        await self.world.engine.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=5, max_size=40))
def test_no_share_is_booked_twice_or_leaked_and_no_session_lost(steps: list[tuple[Any, ...]]) -> None:
    async def all_of_it() -> None:
        with tempfile.TemporaryDirectory() as folder:
            history = History(Path(folder))
            await history.world.start()
            for step in steps:
                await history.step(*step)
            await history.finish()

    asyncio.run(all_of_it())
