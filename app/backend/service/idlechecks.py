"""When a session that nobody uses is ended: network timeout, session lifetime, utilization. Pure; time is an argument.

The names and the form are Backend.AI's idle checkers. A check tells how long it would take *if nothing happens from now
on*: activity moves an end only later, so whoever waits for the earliest of them never comes too late.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ...model.metrics import CUDA_MEM, CUDA_UTIL, Metrics
from ...model.sessions import Session, SessionType
from ...policies import IdleSettings, UtilizationSettings
from ..ports import IdleCheck

NETWORK_TIMEOUT: Final = "network_timeout"
SESSION_LIFETIME: Final = "session_lifetime"
UTILIZATION: Final = "utilization"
REASONS: Final[Mapping[str, str]] = {
    NETWORK_TIMEOUT: "idle-timeout",
    SESSION_LIFETIME: "idle-session-lifetime",
    UTILIZATION: "idle-utilization",
}
"""Check -> `status_info` of a session that it ends, in Backend.AI's words."""
_BUCKETS: Final = 60
"""Parts of a time window that are kept apart: the mean is over the window, give or take one of them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of a session until now, in the time of who asks."""

    began_s: float
    used_s: float
    """When the last use ended."""
    active: bool = False
    """It is in use now."""
    kept_s: float = -math.inf
    """Until when its owner has extended it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about a session now."""

    ends: IdleCheck | None
    """The check that ends it."""
    warns: IdleCheck | None
    """The check that will end it soon and was not told of yet."""
    look_at_s: float
    """When to ask again; infinity when no check is on."""


@dataclass(slots=True)
class _Bucket:
    until_s: float
    length_s: float = 0.0
    """Time that the samples of it stand for."""
    sums: dict[str, float] = field(default_factory=dict)
    """Metric -> percent x seconds."""


@dataclass(slots=True)
class _Window:
    """What a session has used lately."""

    since_s: float
    """First sample."""
    last_s: float
    buckets: deque[_Bucket] = field(default_factory=deque)


class IdleChecks:
    """The checks of all sessions."""

    def __init__(self, settings: IdleSettings, lifetime_s: Callable[[str], float]) -> None:
        """Begins with nothing measured.

        Args:
            lifetime_s: access key -> longest life of its sessions in seconds; 0 = no limit.
        """
        self._settings = settings
        self._lifetime_s = lifetime_s
        self._windows: dict[str, _Window] = {}
        self._warned: dict[str, str] = {}

    def sample(self, session_id: str, metrics: Metrics, now: float) -> None:
        """Takes note of what a session uses now; each sample stands for the time since the one before."""
        rules = self._settings.utilization
        if not rules.thresholds:
            return
        window = self._windows.get(session_id)
        if window is None:
            window = self._windows[session_id] = _Window(now, now)
        passed_s, window.last_s = max(now - window.last_s, 0.0), now
        width_s = rules.time_window_s / _BUCKETS
        if not window.buckets or window.buckets[-1].until_s <= now:
            window.buckets.append(_Bucket(now + width_s))
        bucket = window.buckets[-1]
        bucket.length_s += passed_s
        for name in rules.thresholds:
            if name in metrics:
                bucket.sums[name] = bucket.sums.get(name, 0.0) + metrics[name].pct * passed_s
        while window.buckets[0].until_s <= now - rules.time_window_s:
            window.buckets.popleft()

    def forget(self, session_id: str) -> None:
        """Drops what is known of a session that has ended."""
        self._windows.pop(session_id, None)
        self._warned.pop(session_id, None)

    def checks(self, session: Session, standing: Standing, now: float) -> Sequence[IdleCheck]:
        """Returns the checks that are on for a session that runs."""
        active = standing.active
        found = []
        if session.idle_timeout_s > 0:
            left_s = session.idle_timeout_s if active else standing.used_s + session.idle_timeout_s - now
            found.append(IdleCheck(NETWORK_TIMEOUT, self._kept(standing, left_s, now), in_grace=active))
        lifetime_s = self._lifetime_s(session.access_key)
        if lifetime_s > 0:
            left_s = standing.began_s + lifetime_s - now
            found.append(IdleCheck(SESSION_LIFETIME, self._kept(standing, left_s, now)))
        utilization = self._utilization(session, standing, now)
        if utilization is not None:
            found.append(utilization)
        return found

    def verdict(self, session: Session, standing: Standing, now: float) -> Verdict:
        """Returns what is to be done about a session that runs. A warning is returned once per approach."""
        look_at_s = math.inf
        ends = soonest = None
        for check in self.checks(session, standing, now):
            if check.remaining_s is None:
                continue
            if check.remaining_s <= 0 and not check.in_grace:
                ends = ends or check
                continue
            warn_s = min(self._settings.warn_before_s, self._length_s(session, check.name) / 2)
            if warn_s <= 0 or check.remaining_s > warn_s:
                look_at_s = min(look_at_s, now + check.remaining_s - max(warn_s, 0.0))
                continue
            look_at_s = min(look_at_s, now + check.remaining_s)
            if not check.in_grace and (soonest is None or check.remaining_s < (soonest.remaining_s or 0.0)):
                soonest = check
        told = self._warned.get(session.id)
        if soonest is None:
            self._warned.pop(session.id, None)
        else:
            self._warned[session.id] = soonest.name
        return Verdict(ends, soonest if soonest is not None and soonest.name != told else None, look_at_s)

    def _length_s(self, session: Session, check: str) -> float:
        """Returns the time that a check takes from its beginning to its end."""
        if check == NETWORK_TIMEOUT:
            return session.idle_timeout_s
        if check == SESSION_LIFETIME:
            return self._lifetime_s(session.access_key)
        return self._settings.utilization.time_window_s

    @staticmethod
    def _kept(standing: Standing, left_s: float, now: float) -> float:
        """Returns the time left of a check with what the owner has extended it by."""
        return max(left_s, standing.kept_s - now, 0.0)

    def _utilization(self, session: Session, standing: Standing, now: float) -> IdleCheck | None:
        rules = self._settings.utilization
        thresholds = applicable(rules, session)
        if not thresholds or session.type is SessionType.BATCH:  # batch sessions end with their command
            return None
        window = self._windows.get(session.id)
        # nothing is known of the time before the first sample, such as under an earlier daemon
        begins_s = max(standing.began_s + rules.initial_grace_s, window.since_s if window else now)
        left_s = max(begins_s + rules.time_window_s - now, self._busy_for_s(rules, thresholds, window, now))
        means = {name: self._mean(window, name) for name in thresholds}
        return IdleCheck(
            UTILIZATION,
            self._kept(standing, left_s, now),
            in_grace=now < begins_s,
            extra={"resources": {name: [round(means[name], 3), limit] for name, limit in thresholds.items()}},
        )

    @staticmethod
    def _mean(window: _Window | None, name: str) -> float:
        """Returns the mean percent over the window, or over what is known of it."""
        if window is None:
            return 0.0
        length_s = sum(bucket.length_s for bucket in window.buckets)
        total = sum(bucket.sums.get(name, 0.0) for bucket in window.buckets)
        return total / length_s if length_s > 0 else 0.0

    @staticmethod
    def _busy_for_s(
        rules: UtilizationSettings, thresholds: Mapping[str, float], window: _Window | None, now: float
    ) -> float:
        """Returns how long the use so far keeps the session above its thresholds if it uses nothing from now on."""
        if window is None:
            return 0.0
        ends = []
        for name, limit in thresholds.items():
            left = sum(bucket.sums.get(name, 0.0) for bucket in window.buckets)
            below_at_s = now
            for bucket in window.buckets:
                if left < limit * rules.time_window_s:
                    break
                left -= bucket.sums.get(name, 0.0)
                below_at_s = bucket.until_s + rules.time_window_s
            ends.append(below_at_s - now)
        # `and`: every one must be low, so the last counts; `or`: the first one that is low ends it
        return max(ends) if rules.operator == "and" else min(ends)


def applicable(rules: UtilizationSettings, session: Session) -> Mapping[str, float]:
    """Returns the thresholds that mean something for a session: those of GPUs only where it holds one."""
    if any(slot.startswith("cuda.") for slot in session.allocation):
        return rules.thresholds
    return {name: limit for name, limit in rules.thresholds.items() if name not in (CUDA_MEM, CUDA_UTIL)}
