"""The line of those who could start if there was room: who is next, who else may be looked at, who is how far.

Requests lie in streams (all of one owner where the policy or a limit tells owners apart, else one stream for all), and
in a stream in groups of equal needs. So one look at the first of a group answers for all of it, and a limit holds back
a whole group or stream at once: nothing here costs more because more requests wait.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from .limits import Account, Demand
from .line import Line
from .types import PendingRequest

Key = tuple[int, int, str]
"""(-priority, order or -order, session id): the smallest is first in its stream."""
Standing = tuple[float, ...]
"""Where an owner stands by the policy; the smallest goes first. Empty when the policy does not tell owners apart."""
_Top = tuple[int, Standing, int, str]
"""(-priority, standing, order or -order, session id): the smallest is first of all."""


@dataclass(slots=True, eq=False)
class Entry:
    """A request that waits."""

    request: PendingRequest
    demand: Demand
    account: Account
    since_s: float
    key: Key
    impossible: str | None = None
    """Why this machine can never serve it; only of one that was admitted by another machine or configuration."""
    group: Group | None = None
    """Where it lies in the line; None while something of its own holds it back."""


@dataclass(slots=True, eq=False)
class Group:
    """Requests of one stream with equal needs and about the same duration."""

    stream: Stream
    kind: Hashable
    demand: Demand
    line: Line[Key] = field(default_factory=Line)
    lost: bool = False
    """What is left of the machine can never serve them, so that they do not take part."""


@dataclass(slots=True, eq=False)
class Stream:
    """Requests among which only priority and order decide."""

    name: str | None
    standing: Standing
    account: Account | None
    """Whose limits hold for all of it; None where there are none."""
    line: Line[Key] = field(default_factory=Line)
    """All of them."""
    counts: dict[int, int] = field(default_factory=dict)
    """-priority -> how many of them."""
    groups: dict[Hashable, Group] = field(default_factory=dict)
    heads: Line[Key] = field(default_factory=Line)
    """The first of each group that is not lost."""
    lost: dict[Hashable, Group] = field(default_factory=dict)
    top: _Top | None = None
    """As it is in the line of streams; None when nobody of it takes part."""

    def resting(self) -> list[Group]:
        """Returns the groups that do not take part although the stream does."""
        if self.account is None or self.account.room is None:
            return list(self.lost.values())
        return [group for group in self.groups.values() if group.lost or not self.account.has_room(group.demand)]


class Queue:
    """Streams in the order of their first ones.

    Whoever is first and lacks room when something comes free is *stuck* to the first place of its priority: neither
    the policy nor newcomers of its priority take it away, so that it does not starve. Keeps nothing that time changes.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._streams: dict[str | None, Stream] = {}
        self._tops: list[_Top] = []
        """Sorted. A plain list: there are as many as owners."""
        self._stuck: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    # --- in and out ---

    def stream(self, name: str | None) -> Stream | None:
        """Returns a stream that somebody is in."""
        return self._streams.get(name)

    def streams(self) -> Iterator[Stream]:
        """Yields the streams that somebody is in; none may come or go meanwhile."""
        yield from self._streams.values()

    def open(self, name: str | None, standing: Standing, account: Account | None) -> Stream:
        """Makes a stream for the first one who will be in it."""
        stream = self._streams[name] = Stream(name, standing, account)
        return stream

    def add(self, entry: Entry, stream: Stream, kind: Hashable) -> Group:
        """Puts an entry in its place.

        Args:
            kind: of its group; equal only for equal demands.
        """
        key = entry.key
        group = stream.groups.get(kind)
        if group is None:
            group = stream.groups[kind] = Group(stream, kind, entry.demand)
        entry.group = group
        self._entries[key[2]] = entry
        stream.line.add(key)
        stream.counts[key[0]] = stream.counts.get(key[0], 0) + 1
        old = group.line.first()
        group.line.add(key)
        if not group.lost and (old is None or key < old):
            if old is not None:
                stream.heads.remove(old)
            stream.heads.add(key)
            self.retop(stream)
        return group

    def remove(self, entry: Entry) -> None:
        """Takes an entry out, and lets its stream stand where its standing and limits put it now."""
        group, key = entry.group, entry.key
        if group is None:
            raise ValueError(f"the session {key[2]} is not in the line")
        stream = group.stream
        entry.group = None
        del self._entries[key[2]]
        if self._stuck and self._stuck.get(key[0]) is entry:
            del self._stuck[key[0]]
        stream.line.remove(key)
        left = stream.counts[key[0]] - 1
        if left:
            stream.counts[key[0]] = left
        else:
            del stream.counts[key[0]]
        was_head = group.line.first() == key
        group.line.remove(key)
        head = group.line.first()
        if was_head and not group.lost:
            stream.heads.remove(key)
            if head is not None:
                stream.heads.add(head)
        if head is None:
            del stream.groups[group.kind]
            if group.lost:
                del stream.lost[group.kind]
        self.retop(stream)
        if not stream.line:
            del self._streams[stream.name]

    # --- who takes part ---

    def set_lost(self, group: Group, lost: bool) -> None:
        """Keeps a group from taking part, or lets it."""
        head = group.line.first()
        if group.lost == lost or head is None:
            return
        group.lost = lost
        if lost:
            group.stream.lost[group.kind] = group
            group.stream.heads.remove(head)
        else:
            del group.stream.lost[group.kind]
            group.stream.heads.add(head)
        self.retop(group.stream)

    def retop(self, stream: Stream) -> None:
        """Lets a stream stand where its standing and the limits of its owner put it now.

        Costs a look at each group before the first for which the limits leave room.
        """
        head = stream.heads.first()
        account = stream.account
        if account is not None and head is not None:
            head = self._allowed(stream, account)
        top = (head[0], stream.standing, head[1], head[2]) if head is not None else None
        if top != stream.top:
            tops = self._tops
            if stream.top is not None:
                del tops[bisect_left(tops, stream.top)]
            if top is not None:
                insort(tops, top)
            stream.top = top

    def _allowed(self, stream: Stream, account: Account) -> Key | None:
        """Returns the first of a stream that the limits of its owner let start."""
        if not account.may_start():
            return None
        if account.room is None:
            return stream.heads.first()
        entries = self._entries
        return next((head for head in stream.heads if account.has_room(entries[head[2]].demand)), None)

    def takes_part(self, entry: Entry) -> bool:
        """Whether only the lack of room can keep it from starting."""
        group = entry.group
        if group is None or group.lost:
            return False
        account = group.stream.account
        return account is None or (account.may_start() and account.has_room(group.demand))

    def leads(self, entry: Entry) -> bool:
        """Whether an entry is the first of its group, the one that is looked at for all."""
        return entry.group is not None and entry.group.line.first() == entry.key

    # --- the order ---

    def stick(self, entry: Entry) -> None:
        """Keeps the first place of its priority for an entry until it leaves the line."""
        self._stuck[entry.key[0]] = entry

    def is_stuck(self, entry: Entry) -> bool:
        """Whether the first place of its priority is kept for it."""
        return self._stuck.get(entry.key[0]) is entry

    def first(self) -> Entry | None:
        """Returns who is next, None when nobody takes part."""
        if not self._tops:
            return None
        top = self._tops[0]
        if self._stuck:
            stuck = self._stuck.get(top[0])
            if stuck is not None and self.takes_part(stuck):
                return stuck
        return self._entries[top[3]]

    def leaders(self) -> Iterator[Entry]:
        """Returns the first of each group that takes part, in their order; nothing may change meanwhile.

        Only as many streams are looked at as are reached.
        """
        return self._leaders_of(self._stream_of(self._tops[0])) if len(self._tops) == 1 else self._merged()

    def _merged(self) -> Iterator[Entry]:
        entries = self._entries
        tops = iter(self._tops)
        following = next(tops, None)
        merging: list[tuple[_Top, Iterator[Entry], Standing]] = []
        while True:
            while following is not None and (not merging or following < merging[0][0]):
                stream = self._stream_of(following)
                leaders = self._leaders_of(stream)
                next(leaders)  # the one that `following` names
                heapq.heappush(merging, (following, leaders, stream.standing))
                following = next(tops, None)
            if not merging:
                return
            top, leaders, standing = merging[0]
            yield entries[top[3]]
            entry = next(leaders, None)
            if entry is None:
                heapq.heappop(merging)
            else:
                key = entry.key
                heapq.heapreplace(merging, ((key[0], standing, key[1], key[2]), leaders, standing))

    def _leaders_of(self, stream: Stream) -> Iterator[Entry]:
        entries, account = self._entries, stream.account
        if account is None or account.room is None:
            for head in stream.heads:
                yield entries[head[2]]
        else:
            for head in stream.heads:
                entry = entries[head[2]]
                if account.has_room(entry.demand):
                    yield entry

    def _stream_of(self, top: _Top) -> Stream:
        group = self._entries[top[3]].group
        if group is None:
            raise ValueError("somebody is in the line without a group")
        return group.stream

    def place(self, entry: Entry) -> int:
        """Returns 1 for the next, 2 for the one after it, ...; `entry` must take part.

        Exact where the policy does not tell owners apart. Where it does, each start changes who comes next, so this
        counts as if the owners took turns, in the order in which they stand now. Costs a look at each stream, and a
        bisection for each group that does not take part.
        """
        if entry.group is None:
            raise ValueError(f"the session {entry.key[2]} is not in the line")
        own, priority = entry.group.stream, entry.key[0]
        stuck = self._stuck.get(priority)
        if stuck is not None and stuck is not entry and not self.takes_part(stuck):
            stuck = None
        before = int(stuck is not None and stuck is not entry)
        turn = 0
        if own.standing and stuck is not entry:
            turn = _rank(own, entry.key) - _rank(own, (priority,))
            turn -= stuck is not None and stuck is not entry and _in(stuck, own) and stuck.key < entry.key
        for stream in self._streams.values():
            if stream.top is None:
                continue
            if stuck is entry:
                before += _waiting(stream, (priority,))
            elif not own.standing:
                before += _rank(stream, entry.key)
            else:
                higher = _waiting(stream, (priority,))
                same = _waiting(stream, (priority + 1,)) - higher
                before += higher
                if stream is own:
                    before += turn
                elif own.top is not None:
                    same -= stuck is not None and _in(stuck, stream)
                    before += min(same, turn + (stream.top[1:] < own.top[1:]))
        if not own.standing and stuck is not None and stuck is not entry:
            before -= stuck.key < entry.key
        return 1 + before


def _in(entry: Entry, stream: Stream) -> bool:
    return entry.group is not None and entry.group.stream is stream


def _rank(stream: Stream, key: tuple[int] | Key) -> int:
    """Returns how many of those who take part are before `key`."""
    return stream.line.rank(key) - sum(group.line.rank(key) for group in stream.resting())


def _waiting(stream: Stream, below: tuple[int]) -> int:
    """Returns how many of those who take part have a -priority less than that."""
    count = sum(many for priority, many in stream.counts.items() if priority < below[0])
    return count - sum(group.line.rank(below) for group in stream.resting()) if count else 0
