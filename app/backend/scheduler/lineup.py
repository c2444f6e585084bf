"""The rules applied to the line: where the policy and the limits of its owner put each request that waits for room."""

from __future__ import annotations

import math

from .limits import Account, Capacity, Demand
from .policies import BY_OWNER, REVIEW_S, HalfLife, Use
from .queue import Entry, Key, Queue, Standing
from .types import PendingRequest, Policy, Rules


class LineUp:
    """The queue, and the owners whose requests lie in it."""

    def __init__(self, capacity: Capacity, rules: Rules) -> None:
        """
        Raises:
            ValueError: rules that make no sense.
        """
        self._capacity = capacity
        self._accounts: dict[str, Account] = {}
        self._reviewed_s = -math.inf
        self._half_life = _checked(rules)
        self.rules = rules
        self._by_owner = rules.policy in BY_OWNER
        self.queue = Queue()

    # --- owners ---

    def account(self, access_key: str) -> Account:
        """Returns an owner, a new one when nothing was ever heard of him."""
        account = self._accounts.get(access_key)
        if account is None:
            rules = self.rules
            account = self._accounts[access_key] = Account(
                access_key,
                rules.limits_of.get(access_key, rules.limits),
                float(rules.weights.get(access_key, 1)),
                Use(self._half_life),
            )
        return account

    def start(self, entry: Entry, now: float) -> None:
        """Takes an entry out of the line: its session holds resources from now on."""
        account, group = entry.account, entry.group
        account.take(entry.demand, now)
        if self._by_owner and group is not None:
            group.stream.standing = self._standing(account, now)
        self.queue.remove(entry)

    def adopt(self, account: Account, demand: Demand, since_s: float) -> None:
        """Notes that a session of an owner has held resources for a while."""
        account.take(demand, since_s)
        self._settle(account, since_s)

    def end(self, account: Account, demand: Demand, now: float) -> None:
        """Notes that a session of an owner gave back what it held."""
        account.give(demand, now)
        if self._by_owner or account.limited:
            self._settle(account, now)

    def _settle(self, account: Account, now: float) -> None:
        """Lets an owner's stream stand where what he holds now and his limits put it."""
        stream = self.queue.stream(account.access_key)
        if stream is not None:
            stream.standing = self._standing(account, now)
            self.queue.retop(stream)

    def _standing(self, account: Account, now: float) -> Standing:
        if not self._by_owner:
            return ()
        share = self._capacity.dominant(account.held) / account.weight
        if self.rules.policy is Policy.DRF:
            return (share,)
        return (account.use.rank(now) - math.log(account.weight), share)

    # --- in ---

    def key(self, request: PendingRequest) -> Key:
        """Returns what a request is sorted by in its stream."""
        order = -request.order if self.rules.policy is Policy.LIFO else request.order
        return (-request.priority, order, request.session_id)

    def add(self, entry: Entry, now: float) -> None:
        """Puts an entry that nothing of its own holds back in its place."""
        account, queue = entry.account, self.queue
        limited = account.limited
        name = account.access_key if self._by_owner or limited else None
        stream = queue.stream(name)
        if stream is None:
            stream = queue.open(name, self._standing(account, now), account if limited else None)
        kind = (entry.demand.shape, _duration_class(entry.request.duration_s) if self.rules.backfill else None)
        group = queue.add(entry, stream, kind)
        if not group.lost and self._capacity.incomplete and not self._capacity.possible(entry.demand):
            queue.set_lost(group, True)

    # --- devices ---

    def look_at_devices(self) -> None:
        """Sets those aside whom what is there of the machine can never serve, and lets the others take part again."""
        for stream in self.queue.streams():
            for group in list(stream.groups.values()):
                self.queue.set_lost(group, not self._capacity.possible(group.demand))

    # --- recent use ---

    @property
    def next_review_s(self) -> float:
        """When `review` has something to do; infinity when the policy does not look at recent use or nobody waits."""
        if self.rules.policy is Policy.FAIR_SHARE and len(self.queue):
            return self._reviewed_s + REVIEW_S
        return math.inf

    def review(self, now: float) -> None:
        """Lets owners stand where what they have used until now puts them."""
        self._reviewed_s = now
        for stream in self.queue.streams():
            account = self.account(stream.name or "")
            if account.use.grows:
                self._settle(account, now)


def _duration_class(duration_s: float | None) -> int | None:
    """Returns a number that durations share which differ by less than a factor of two.

    Only the first of equal needs is looked at for backfill: a short one must not be hidden behind a long one.
    """
    return None if duration_s is None else int(max(0.0, min(duration_s, 1e18))).bit_length()


def _checked(rules: Rules) -> HalfLife:
    """Returns the half-life of rules that make sense.

    Raises:
        ValueError: a half-life or a weight that is not positive and finite.
    """
    for access_key, weight in rules.weights.items():
        if not weight.is_finite() or weight <= 0:
            raise ValueError(
                f"the weight {weight} of the access key {access_key} makes no sense: take a positive number"
            )
    return HalfLife(rules.half_life_s)
