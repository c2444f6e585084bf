"""Claim 7: decisions of the scheduler core with a long queue; beside it Ray placement groups and Slurm's gres/shard."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from decimal import Decimal

from bai_tui.app.backend.scheduler import DeviceSpec, PendingRequest, Policy, Rules, Scheduler, Start
from bai_tui.app.backend.simulation.samples import SplitMix
from bai_tui.app.model.slots import ResourceSlots

from .harness import Case, Claim, interleave
from .peers.ray_groups import RayGroups
from .peers.slurm_shards import SlurmShards

GPUS = 1_000
OWNERS = 40
GOAL_PER_S = 30_000
OURS = "bai-tui core, 100,000 pending"
SHORT = "bai-tui core, 10,000 pending"
RAY = "Ray, one placement group"
SLURM = "Slurm gres/shard, one job"

_TENTHS = [ResourceSlots({"cuda.shares": Decimal(tenths) / 10}) for tenths in range(21)]


class LongQueue:
    """A full cluster with a queue that is kept as long as it is: each one that starts is followed by a new one."""

    def __init__(self, pending: int, rules: Rules = Rules(), *, known: bool = False) -> None:  # noqa: B008
        """Fills the cluster and lines up `pending` requests.

        Args:
            known: the requests say how long they last.
        """
        self._scheduler = Scheduler(
            [DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(GPUS)], rules=rules
        )
        self._rng = SplitMix(7)
        self._count = 0
        self._known = known
        self._running: deque[str] = deque()
        self.now = 0.0
        self.cpu_us: list[float] = []
        """CPU time of a decision in each round."""
        waiting = 0
        while waiting < pending:
            waiting += 1 - self._enqueue()

    def _enqueue(self) -> int:
        """Returns how many started."""
        self._count += 1
        request = PendingRequest(
            session_id=str(self._count),
            slots=_TENTHS[1 + self._rng.below(20)],
            order=self._count,
            access_key=f"owner{self._rng.below(OWNERS)}",
            duration_s=100.0 + self._rng.below(1000) if self._known else None,
        )
        return self._follow(self._scheduler.enqueue(request, self.now))

    def _follow(self, instructions: object) -> int:
        started = [one.session_id for one in instructions if isinstance(one, Start)]  # type: ignore[attr-defined]
        self._running.extend(started)
        return len(started)

    def decide(self, count: int) -> float:
        """Returns the microseconds that each of `count` starts costs, with the ends that make room for them.

        Afterwards the queue is filled up again, off the clock.
        """
        cpu_s, begun_s, done = time.process_time(), time.perf_counter(), 0
        while done < count:
            self.now += 1.0
            done += self._follow(self._scheduler.release(self._running.popleft(), self.now, succeeded=True))
        taken_s = time.perf_counter() - begun_s
        self.cpu_us.append((time.process_time() - cpu_s) / done * 1e6)
        for _ in range(done):
            self._enqueue()
        return taken_s / done * 1e6

    def admit(self, count: int) -> float:
        """Returns the microseconds that the admission of one of `count` more requests costs."""
        begun_s = time.perf_counter()
        for _ in range(count):
            self._enqueue()
        return (time.perf_counter() - begun_s) / count * 1e6


async def measure(*, rounds: int, quick: bool) -> Claim:
    """Measures the core with both lengths of the queue, and the peers that can be had here."""
    decisions = 1_000 if quick else 4_000
    queues = {SHORT: LongQueue(10_000), OURS: LongQueue(20_000 if quick else 100_000)}
    others = {
        "the same with known durations": LongQueue(10_000, known=True),
        "the same under DRF, 40 owners": LongQueue(10_000, Rules(policy=Policy.DRF)),
        "the same without backfill": LongQueue(10_000, Rules(backfill=False)),
    }

    def deciding(queue: LongQueue) -> Case:
        async def case() -> float:
            return queue.decide(decisions)

        return case

    samples = await interleave({name: deciding(queue) for name, queue in queues.items()}, rounds)
    notes = []
    # one after the other: the idle daemons of a peer take a part of both cores as long as they run
    for name, peer, count in ((RAY, RayGroups(), 50 if quick else 300), (SLURM, SlurmShards(), 20 if quick else 100)):
        try:
            if (problem := await asyncio.to_thread(peer.start)) is None:
                samples += await interleave({name: peer.case(count)}, rounds)
            else:
                notes.append(f"{name.partition(',')[0].partition(' ')[0]} could not be run here: {problem}.")
        finally:
            await asyncio.to_thread(peer.end)
    claim = Claim(
        title="7. A decision of the scheduler core, 1,000 GPUs, demands of 0.1 to 2.0",
        unit="us",
        how="A full cluster with a long queue: sessions end one after the other and whoever fits starts; the time of "
        "all that, divided by the number of those that started. One core, pure Python, FIFO with backfill; nobody says "
        "how long he lasts. Ray: placement groups of one bundle of 0.1 to 0.9 GPU made and awaited many at a time in a "
        "cluster that has room, the removal not counted. Slurm: jobs of one `gres/shard` each that run `true`, from "
        "`sbatch` until all have ended.",
        samples=samples,
        ours=OURS,
        notes=notes,
    )
    per_s = 1e6 / claim.sample(OURS).median
    claim.goals.append((f"at least {GOAL_PER_S:,} decisions a second: {per_s:,.0f}", per_s >= GOAL_PER_S))
    growth = claim.sample(OURS).median / claim.sample(SHORT).median
    claim.goals.append((f"flat from 10,000 to 100,000 pending, within 1.25 times: {growth:.2f} times", growth <= 1.25))
    for sample in samples:
        if sample.name in (RAY, SLURM):
            claim.goal_factor(sample.name, 10)
    claim.notes.append(
        f"CPU time of our process for a decision with the long queue: {statistics.median(queues[OURS].cpu_us):.1f} us "
        "(the median); the rest went to others on this machine."
    )
    claim.notes.append(
        f"The admission of one more request into the long queue: {queues[OURS].admit(decisions):.1f} us, once."
    )
    for name, queue in others.items():
        claim.notes.append(f"10,000 pending, {name}: {queue.decide(decisions):.1f} us, once.")
    claim.notes.append(
        "The peers do more for a decision: Ray tells a process of another kind by a remote call, Slurm starts one. "
        "Claim 8 is the way through our own API and store."
    )
    return claim
