"""Who may pass the first one while it waits for room: only those who cannot delay it.

EASY backfill: the first one that lacks room gets a reservation (`Ledger.forecast`), and a later one starts before it
only out of what the reservation leaves over, however long it may last, or if it is back before the reservation's time.
When nobody knows when that is, it starts only out of what the first one does not need.

What did not fit is remembered by its needs until something comes free, so that a hundred thousand equal requests cost
one look.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain, islice
from typing import Final

from .holds import Endings
from .ledger import Grant, Ledger, Reservation, Shape
from .limits import Demand, NeedKind
from .queue import Entry, Queue

LOOKS: Final = 64
"""So many groups are looked at in search of one that may pass."""


class _Unfit:
    """Needs that there is no room for. Whoever needs as much or more of the same kind has none either.

    That follows from what the maps promise: a plan exists exactly when there is a way to grant a need, and what can
    be granted can be granted in part. The maps of one request do not depend on each other.
    """

    __slots__ = ("_least", "_maps")

    def __init__(self) -> None:
        self._least: dict[NeedKind, int] = {}
        self._maps: frozenset[int] = frozenset()

    def clear(self, closed: frozenset[int] = frozenset()) -> None:
        """Knows of nothing any more but that nothing comes from the maps `closed`."""
        self._least.clear()
        self._maps = closed

    def learn(self, other: _Unfit) -> None:
        """Knows what another knows as well."""
        for kind, units in other._least.items():
            if units < self._least.get(kind, math.inf):
                self._least[kind] = units

    def covers(self, demand: Demand) -> bool:
        """Whether it is known that there is no room for a demand."""
        least = self._least
        for kind, units in demand.needs:
            known = least.get(kind)
            if (known is not None and units >= known) or kind[0] in self._maps:
                return True
        return False

    def add(self, demand: Demand, fits: Callable[[Shape], bool]) -> None:
        """Learns from a demand that there is no room for.

        Args:
            fits: whether there is room for one need alone.
        """
        for need, (kind, units) in zip(demand.shape, demand.needs, strict=True):
            if (kind not in self._least or units < self._least[kind]) and (len(demand.shape) == 1 or not fits((need,))):
                self._least[kind] = units


class Backfill:
    """Knows the first one that lacks room, and what was looked at since something came free last."""

    def __init__(self, ledger: Ledger, endings: Endings) -> None:
        self._ledger = ledger
        self._endings = endings
        self.blocked: Entry | None = None
        """The first one, which lacked room when it was looked at; nothing has come free since."""
        self._unfit = _Unfit()
        """There is no room for it even if nobody was before it."""
        self._unfit_beside = _Unfit()
        """There is no room for it beside what is kept for the first one."""
        self._reservation: Reservation | None = None
        self._forecast = False
        """Whether `_reservation` is what a forecast has said; None means then that nobody knows."""

    # --- what happens ---

    def freed(self, now: float) -> None:
        """Something came free: everybody is worth a look again."""
        self._unfit.clear()
        self._unfit_beside.clear()
        if self._reservation is None or self._reservation.when_s < now:
            self._forecast = False

    def block(self, entry: Entry | None) -> None:
        """Notes who is first and lacks room; None when nobody is."""
        if entry is not self.blocked:
            self.blocked = entry
            self.forget()

    def forget(self) -> None:
        """Makes the next look ask for a new reservation."""
        self._reservation = None
        self._forecast = False
        self._unfit_beside.clear()

    def end_moved(self, session_id: str, ends_at_s: float | None) -> None:
        """Notes that a session will end at another time than was known."""
        counted_on = self._reservation is not None and session_id in self._reservation.expected
        if self._reservation is None or (counted_on and (ends_at_s is None or ends_at_s > self._reservation.when_s)):
            self.forget()

    # --- looking ---

    def plan(self, entry: Entry) -> Grant | None:
        """Returns what an entry would get now if nobody was before it."""
        demand = entry.demand
        if self._unfit.covers(demand):
            return None
        grant = self._ledger.plan(demand.shape)
        if grant is None:
            self._unfit.add(demand, self._ledger.fits)
            self._unfit_beside.learn(self._unfit)
        return grant

    def reservation(self, blocked: Entry) -> Reservation | None:
        """Returns what the first one will get and when at the latest; None when nobody knows."""
        if self._reservation is not None and not self._reservation.valid:
            self.forget()
        if not self._forecast:
            shape = blocked.demand.shape
            self._reservation = self._ledger.forecast(shape, self._endings)[1] if self._endings else None
            self._forecast = True
            closed = () if self._reservation else (need[0] for need in shape if not self._ledger.fits((need,)))
            self._unfit_beside.clear(frozenset(closed))
            self._unfit_beside.learn(self._unfit)
        return self._reservation

    def expected(self, blocked: Entry) -> Reservation | None:
        """Returns the same for people: to ask it changes nothing of what is decided."""
        if self._forecast and (self._reservation is None or self._reservation.valid):
            return self._reservation
        return self._ledger.forecast(blocked.demand.shape, self._endings)[1] if self._endings else None

    def beside(self, entry: Entry, blocked: Entry, now: float) -> Grant | None:
        """Returns what an entry may get although `blocked` is before it, None when it has to wait.

        Of the limits of their owner, what `blocked` will need is kept as well.
        """
        demand = entry.demand
        if self._unfit.covers(demand):
            return None
        reservation = self.reservation(blocked)
        if (
            entry.account is blocked.account
            and entry.account.limited
            and not entry.account.has_room_for_both(demand, blocked.demand)
        ):
            return None
        duration_s = entry.request.duration_s
        if reservation is not None and duration_s is not None and now + duration_s <= reservation.when_s:
            return self.plan(entry)
        if self._unfit_beside.covers(demand):
            return None
        grant = self._ledger.plan_beside(demand.shape, reservation, blocked.demand.shape)
        if grant is None:
            plan_beside, first = self._ledger.plan_beside, blocked.demand.shape
            self._unfit_beside.add(demand, lambda need: plan_beside(need, reservation, first) is not None)
        return grant

    def at_once(self, queue: Queue, newcomer: Entry, now: float, *, may_pass: bool) -> Grant | None:
        """Returns what a newcomer in the line gets when nothing else has happened; None when it has to wait.

        Args:
            may_pass: it need not be the first.
        """
        first = queue.first()
        if first is newcomer:
            return self.plan(newcomer)
        if may_pass and first is not None and first is self.blocked and queue.takes_part(newcomer):
            return self.beside(newcomer, first, now) if queue.leads(newcomer) else None
        return None

    def next(self, queue: Queue, blocked: Entry, now: float) -> tuple[Entry, Grant] | None:
        """Returns the first one that may pass `blocked`, None when none of the first `LOOKS` groups may."""
        unfit, unfit_beside = self._unfit.covers, self._unfit_beside.covers
        leaders = islice(queue.leaders(), LOOKS)
        fitting = next((entry for entry in leaders if not unfit(entry.demand)), None)
        if fitting is None:
            return None  # without a forecast, which is dear
        reservation = self.reservation(blocked)
        in_time_s = reservation.when_s - now if reservation is not None else -math.inf
        for entry in chain((fitting,), leaders):
            duration_s = entry.request.duration_s
            if (
                not (unfit_beside if duration_s is None or duration_s > in_time_s else unfit)(entry.demand)
                and entry is not blocked
                and (grant := self.beside(entry, blocked, now)) is not None
            ):
                return entry, grant
        return None
