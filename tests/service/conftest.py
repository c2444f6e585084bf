from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bai_tui.app.backend.ports import CreateOutcome, CreateRequest, Keypair
from bai_tui.app.backend.scheduler import DeviceSpec, Scheduler
from bai_tui.app.backend.service import LocalService, Policies, rules_of
from bai_tui.app.policies import SchedulerSettings

if TYPE_CHECKING:
    from bai_tui.tests.service import fakes
else:  # no package: loaded by its path
    _spec = importlib.util.spec_from_file_location("service_fakes", Path(__file__).parent / "fakes.py")
    fakes = importlib.util.module_from_spec(_spec)
    sys.modules["service_fakes"] = fakes
    _spec.loader.exec_module(fakes)

USER = Keypair(access_key="AKIAUSER", secret_key="s", user_id="user@localhost", user_uuid="uuid-user")
OTHER = Keypair(access_key="AKIAOTHER", secret_key="s", user_id="other@localhost", user_uuid="uuid-other")
ADMIN = Keypair(access_key="AKIAADMIN", secret_key="s", user_id="a@localhost", user_uuid="uuid-admin", is_admin=True)


@dataclass
class World:
    """A service with everything around it; `start` again makes the next daemon over the same store and runners."""

    root: Path
    engine: Any = field(default_factory=fakes.FakeEngine)
    catalogue: Any = field(default_factory=fakes.FakeCatalogue)
    devices: Any = field(default_factory=fakes.FakeDevices)
    store: Any = field(default_factory=fakes.MemoryStore)
    sampler: Any = field(default_factory=fakes.FakeSampler)
    policies: Policies = field(default_factory=Policies)
    scheduling: SchedulerSettings = field(default_factory=SchedulerSettings)
    now: float | None = None
    set_by_s: float = 0.0
    """What the clock was set by, while time went on."""
    service: LocalService = field(init=False)
    scheduler: Scheduler = field(init=False)
    user: Keypair = USER
    other: Keypair = OTHER
    admin: Keypair = ADMIN

    def steady(self) -> float:
        import time

        return time.time() if self.now is None else self.now

    def clock(self) -> float:
        return self.steady() + self.set_by_s

    async def start(self) -> LocalService:
        self.scheduler = Scheduler(
            [DeviceSpec(d.id, d.slot, d.capacity) for d in self.devices.list()],
            quantum=self.scheduling.quantum,
            rules=rules_of(self.scheduling, self.policies.limits),
        )
        self.service = LocalService(
            scheduler=self.scheduler,
            engine=self.engine,
            catalogue=self.catalogue,
            devices=self.devices,
            sampler=self.sampler,
            store=self.store,
            policies=self.policies,
            keypairs=[USER, OTHER, ADMIN],
            sessions_dir=self.root / "sessions",
            clock=self.clock,
            steady=self.steady,
        )
        self.sampler.running.clear()
        await self.service.start()
        await self.sampler.running.wait()
        return self.service

    async def restart(self, **changes: Any) -> LocalService:
        """The daemon is killed, and the next one starts, with other settings maybe."""
        await self.service._tasks.close()
        for name, value in changes.items():
            setattr(self, name, value)
        return await self.start()

    def at(self, seconds: float) -> None:
        """Lets so many seconds have passed since now, and looks who is due."""
        import time

        self.now = time.time() + seconds
        self.service._alarm.check()

    def set_clock(self, by_s: float) -> None:
        """Sets the clock, or wakes the machine up after a sleep of so long, and looks who is due."""
        self.set_by_s = by_s
        self.service._alarm.check()

    async def ended(self, outcome: CreateOutcome) -> Any:
        """Returns the session once it has ended."""
        entry = self.service._register.get(outcome.session.id)
        if entry is not None:
            await entry.ended.wait()
        return await self.service.get(USER, outcome.session.id)

    async def create(self, name: str | None = "sess-1", image: str = "python", **fields: Any) -> CreateOutcome:
        caller = fields.pop("caller", USER)
        return await self.service.create(caller, CreateRequest(name=name, image=image, **fields))

    def kernel(self, outcome: CreateOutcome) -> Any:
        return self.engine.kernels[outcome.session.id]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.start()
    yield world
    await world.service.stop()
    await world.engine.close()


@pytest.fixture
def names() -> Callable[[list[Any]], list[str]]:
    return lambda events: [event.name for event in events]
