"""What the configuration says to the service and, through it, to the scheduler."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...model.slots import ResourceSlots
from ...policies import (
    GpuSettings,
    IdleSettings,
    JournalSettings,
    KeypairLimits,
    LimitSettings,
    MemorySettings,
    SandboxSettings,
    SchedulerSettings,
)
from ..scheduler import Limits, Policy, Rules
from .admission import Defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What holds for sessions, from the configuration."""

    defaults: Defaults = field(default_factory=Defaults)
    limits: KeypairLimits = field(default_factory=KeypairLimits)
    idle: IdleSettings = field(default_factory=IdleSettings)
    gpu: GpuSettings = field(default_factory=GpuSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)


def slot_limit(settings: LimitSettings) -> ResourceSlots | None:
    """Returns what one owner may hold in all; None = no limit. Slots that are not named are not limited."""
    if not settings.total_resource_slots:
        return None
    return ResourceSlots.parse(settings.total_resource_slots, known=dict.fromkeys(settings.total_resource_slots, ""))


def rules_of(scheduler: SchedulerSettings, limits: KeypairLimits) -> Rules:
    """Returns how the queue is kept, as the configuration says."""
    return Rules(
        policy=Policy(scheduler.policy),
        backfill=scheduler.backfill,
        half_life_s=scheduler.half_life_s,
        weights=scheduler.weights,
        limits=_limits(limits.general),
        limits_of={key: _limits(own) for key, own in limits.own.items()},
    )


def _limits(settings: LimitSettings) -> Limits:
    return Limits(
        slots=slot_limit(settings),
        sessions=settings.max_concurrent_sessions,
        pending=settings.max_pending_session_count,
    )
