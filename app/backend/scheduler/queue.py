"""The line of those who could start if there was room: who is next, who else may be looked at, who is how far.

Requests lie in streams (all of one owner where the policy or a limit tells owners apart, else one stream for all), and
in a stream in groups of equal needs. So one look at the first of a group answers for all of it, and a limit puts a
whole group or stream aside at once: nothing here costs more because more requests wait.
"""

from __future__ import annotations

import heapq
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
    group: Group | None = None
    """Where it lies in the line; None while something of its own holds it back."""


@dataclass(slots=True, eq=False)
class Group:
    """Requests of one stream with equal needs and about the same duration."""

    stream: Stream
    kind: Hashable
    demand: Demand
    line: Line[Key] = field(default_factory=Line)
    limited: bool = False
    """Its owner has no room for one of these within his limits."""
    lost: bool = False
    """What is left of the machine can never serve them."""

    @property
    def aside(self) -> bool:
        """Whether nobody of it takes part now."""
        return self.limited or self.lost


@dataclass(slots=True, eq=False)
class Stream:
    """Requests among which only priority and order decide."""

    name: str | None
    standing: Standing
    line: Line[Key] = field(default_factory=Line)
    """All of them."""
    groups: dict[Hashable, Group] = field(default_factory=dict)
    heads: Line[Key] = field(default_factory=Line)
    """The first of each group that is not aside."""
    aside: dict[Hashable, Group] = field(default_factory=dict)
    open: bool = True
    """False: its owner runs as many sessions as he may, so that nobody of it takes part."""
    top: _Top | None = None
    """As it is in the line of streams; None when nobody of it takes part."""

    def rank(self, key: tuple[int] | Key) -> int:
        """Returns how many of those who take part are before `key`."""
        return self.line.rank(key) - sum(group.line.rank(key) for group in self.aside.values())


class Queue:
    """Streams in the order of their first ones.

    Whoever is first and lacks room when something comes free is *stuck* to the first place of its priority: neither
    the policy nor newcomers of its priority take it away, so that it does not starve. Keeps nothing that time changes.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._streams: dict[str | None, Stream] = {}
        self._tops: Line[_Top] = Line()
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

    def add(self, entry: Entry, name: str | None, kind: Hashable, standing: Standing) -> Group:
        """Puts an entry in its place.

        Args:
            kind: of its group; equal only for equal demands.
            standing: of its stream, if it is the first of it.

        Returns:
            Its group; for the first one of a group, the caller says at once whether it is put aside.
        """
        key = entry.key
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(name, standing)
        group = stream.groups.get(kind)
        if group is None:
            group = stream.groups[kind] = Group(stream, kind, entry.demand)
        entry.group = group
        self._entries[key[2]] = entry
        stream.line.add(key)
        old = group.line.first()
        group.line.add(key)
        if not group.aside and (old is None or key < old):
            if old is not None:
                stream.heads.remove(old)
            stream.heads.add(key)
            self._retop(stream)
        return group

    def remove(self, entry: Entry) -> None:
        """Takes an entry out."""
        group, key = entry.group, entry.key
        if group is None:
            raise ValueError(f"the session {key[2]} is not in the line")
        stream = group.stream
        entry.group = None
        del self._entries[key[2]]
        if self._stuck.get(key[0]) is entry:
            del self._stuck[key[0]]
        stream.line.remove(key)
        was_head = group.line.first() == key
        group.line.remove(key)
        if was_head and not group.aside:
            stream.heads.remove(key)
            head = group.line.first()
            if head is not None:
                stream.heads.add(head)
        if not group.line:
            del stream.groups[group.kind]
            stream.aside.pop(group.kind, None)
        if was_head:
            self._retop(stream)
        if not stream.line:
            del self._streams[stream.name]

    # --- who takes part ---

    def restand(self, stream: Stream, standing: Standing) -> None:
        """Moves a stream to where its owner stands now."""
        if stream.standing != standing:
            stream.standing = standing
            self._retop(stream)

    def set_open(self, stream: Stream, is_open: bool) -> None:
        """Lets a whole stream take part, or not."""
        if stream.open != is_open:
            stream.open = is_open
            self._retop(stream)

    def put_aside(self, group: Group, *, limited: bool, lost: bool) -> None:
        """Keeps a group from taking part, or lets it."""
        was = group.aside
        group.limited, group.lost = limited, lost
        if was == group.aside:
            return
        head = group.line.first()
        if head is None:
            raise ValueError("an empty group is in the line")
        if group.aside:
            group.stream.aside[group.kind] = group
            group.stream.heads.remove(head)
        else:
            del group.stream.aside[group.kind]
            group.stream.heads.add(head)
        self._retop(group.stream)

    def _retop(self, stream: Stream) -> None:
        head = stream.heads.first() if stream.open else None
        top = (head[0], stream.standing, head[1], head[2]) if head is not None else None
        if top != stream.top:
            if stream.top is not None:
                self._tops.remove(stream.top)
            if top is not None:
                self._tops.add(top)
            stream.top = top

    def takes_part(self, entry: Entry) -> bool:
        """Whether only the lack of room can keep it from starting."""
        return entry.group is not None and not entry.group.aside and entry.group.stream.open

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
        top = self._tops.first()
        if top is None:
            return None
        if self._stuck:
            stuck = self._stuck.get(top[0])
            if stuck is not None and self.takes_part(stuck):
                return stuck
        return self._entries[top[3]]

    def leaders(self) -> Iterator[Entry]:
        """Yields the first of each group that takes part, in their order; nothing may change meanwhile.

        Only as many streams are looked at as are reached.
        """
        entries = self._entries
        tops = iter(self._tops)
        following = next(tops, None)
        if len(self._tops) == 1 and following is not None:
            for key in self._stream_of(following).heads:
                yield entries[key[2]]
            return
        merging: list[tuple[_Top, str, Iterator[Key], Stream]] = []
        while True:
            while following is not None and (not merging or following < merging[0][0]):
                stream = self._stream_of(following)
                heads = iter(stream.heads)
                next(heads)
                heapq.heappush(merging, (following, following[3], heads, stream))
                following = next(tops, None)
            if not merging:
                return
            top, _, heads, stream = merging[0]
            yield entries[top[3]]
            head = next(heads, None)
            if head is None:
                heapq.heappop(merging)
            else:
                heapq.heapreplace(merging, ((head[0], stream.standing, head[1], head[2]), head[2], heads, stream))

    def _stream_of(self, top: _Top) -> Stream:
        group = self._entries[top[3]].group
        if group is None:
            raise ValueError("somebody is in the line without a group")
        return group.stream

    def place(self, entry: Entry) -> int:
        """Returns 1 for the next, 2 for the one after it, ...; `entry` must take part.

        Exact where the policy does not tell owners apart. Where it does, each start changes who comes next, so this
        counts as if the owners took turns, in the order in which they stand now. Costs a bisection a stream.
        """
        if entry.group is None:
            raise ValueError(f"the session {entry.key[2]} is not in the line")
        streams = [stream for stream in self._streams.values() if stream.top is not None]
        priority = entry.key[:1]
        higher = sum(stream.rank(priority) for stream in streams)
        stuck = self._stuck.get(entry.key[0])
        if stuck is entry:
            return 1 + higher
        if stuck is not None and not self.takes_part(stuck):
            stuck = None
        if entry.group.stream.standing:
            among = self._turns_before(entry, entry.group.stream, stuck, streams)
        else:
            among = sum(stream.rank(entry.key) for stream in streams) - higher
            among -= stuck is not None and stuck.key < entry.key
        return 1 + higher + (stuck is not None) + among

    def _turns_before(self, entry: Entry, own: Stream, stuck: Entry | None, streams: list[Stream]) -> int:
        """Returns how many of its priority, but the stuck one, go before an entry if the owners take turns."""
        priority, below = entry.key[:1], (entry.key[0] + 1,)
        stuck_in = stuck.group.stream if stuck is not None and stuck.group is not None else None
        own_turn = own.rank(entry.key) - own.rank(priority)
        if stuck is not None and stuck_in is own and stuck.key < entry.key:
            own_turn -= 1
        turns = own_turn
        for stream in streams:
            if stream is not own and stream.top is not None and own.top is not None:
                waiting = stream.rank(below) - stream.rank(priority) - (stream is stuck_in)
                turns += min(waiting, own_turn + (stream.top[1:] < own.top[1:]))
        return turns
