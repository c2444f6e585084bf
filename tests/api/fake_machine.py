"""The machine under the fake backend: an image, two processors, one GPU, and what its sessions hold and use of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from bai_tui.app.backend.ports import (
    OTHERS,
    Device,
    DeviceUse,
    IdleCheck,
    Keypair,
    Layer,
    Sampled,
)
from bai_tui.app.model.metrics import Metrics
from bai_tui.app.model.sessions import HOLDING, Session, SessionStatus
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.policies import LimitSettings
from bai_tui.tests.api.fake_images import FakeImages
from bai_tui.tests.api.journals import Newest


class FakeMachine(FakeImages):
    """The part of the `Service` of `ports` that tells of the machine. What a test wants told, it sets."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, Session] = {}
        self.capacity = ResourceSlots({"cpu": 2, "mem": 8 * 1024**3, "cuda.shares": 1})
        self.wrong: list[str] = []
        """Notices of the backend."""
        self.lost: set[str] = set()
        """Ids of devices that are gone."""
        self.stats: dict[str, Metrics] = {}
        """Session id -> what it uses."""
        self.rounds: list[Newest[Sampled]] = []
        """Readers of the stream of measures."""
        self.last_round: Sampled | None = None
        self.own_policy = LimitSettings()
        self.enforced: list[Layer] = []
        self.checks: list[IdleCheck] = [IdleCheck("network_timeout", 1750.25)]

    def visible(self, caller: Keypair) -> list[Session]:
        return [s for s in self.sessions.values() if caller.is_admin or s.access_key == caller.access_key]

    def sample(self, sampled: Sampled) -> None:
        """Is a round of the sampler."""
        self.last_round = sampled
        self.stats.update(sampled.sessions)
        for reader in self.rounds:
            reader.put(sampled)

    def stop_measuring(self) -> None:
        for reader in self.rounds:
            reader.put(None)

    def stat(self, session: Session) -> Metrics:
        return self.stats.get(session.id, {})

    def sampled(self, caller: Keypair) -> Sampled | None:
        return self._cut(self.last_round, caller) if self.last_round is not None else None

    def _cut(self, sampled: Sampled, caller: Keypair) -> Sampled:
        mine = {s.id for s in self.visible(caller)}
        return replace(
            sampled,
            sessions={i: m for i, m in sampled.sessions.items() if i in mine},
            session_gpu_mem_bytes={i: m for i, m in sampled.session_gpu_mem_bytes.items() if i in mine},
        )

    async def samples(self, caller: Keypair) -> AsyncIterator[Sampled]:
        reader: Newest[Sampled] = Newest()
        self.rounds.append(reader)
        try:
            while (sampled := await reader.get()) is not None:
                yield self._cut(sampled, caller)
        finally:
            self.rounds.remove(reader)

    def layers(self, session: Session) -> Sequence[Layer]:
        return self.enforced

    def waiting(self, session: Session) -> Mapping[str, Any] | None:
        if session.status is not SessionStatus.PENDING:
            return None
        text = "waits for 1 cpu; 0 free; next in the queue"
        failed = [{"name": "resources", "msg": text}]
        return {"msg": text, "failed_predicates": failed, "passed_predicates": [], "retries": 2, "position": 1}

    def limits(self, keypair: Keypair) -> ResourceSlots | None:
        slots = self.own_policy.total_resource_slots
        return ResourceSlots.parse(slots) if slots else None

    def policy(self, keypair: Keypair) -> LimitSettings:
        return self.own_policy

    def idle_remaining_s(self, session: Session) -> float | None:
        if session.kept_until is not None:
            return 3600.0
        return min((check.remaining_s for check in self.idle_checks(session) if check.remaining_s), default=None)

    def idle_checks(self, session: Session) -> Sequence[IdleCheck]:
        return self.checks if session.status is SessionStatus.RUNNING else ()

    def notices(self) -> Sequence[str]:
        return self.wrong

    def devices(self, caller: Keypair) -> Sequence[DeviceUse]:
        shares: dict[str, Decimal] = {}
        for s in self.sessions.values():
            if s.status in HOLDING and "cuda.shares" in s.occupied_slots:
                key = s.id if caller.is_admin or s.access_key == caller.access_key else OTHERS
                shares[key] = shares.get(key, Decimal(0)) + s.occupied_slots["cuda.shares"]
        promised: dict[str, Mapping[str, Decimal]] = {"cuda.shares": shares}
        gpu = Device(
            id="gpu0",
            slot="cuda.shares",
            capacity=Decimal(1),
            uuid="GPU-0",
            model="Mock GPU",
            mem_bytes=2**34,
            kind="mock",
        )
        return [
            DeviceUse(Device(id="cpu0", slot="cpu", capacity=Decimal(2)), {}),
            DeviceUse(gpu, promised, lost=gpu.id in self.lost),
        ]

    def slots(self) -> tuple[ResourceSlots, ResourceSlots]:
        taken: dict[str, Decimal] = {}
        for session in self.sessions.values():
            if session.status in HOLDING:
                for slot, amount in session.occupied_slots.items():
                    taken[slot] = taken.get(slot, Decimal(0)) + amount
        return self.capacity, ResourceSlots(taken)
