"""A session with what belongs to it while it lives, and the register of them all."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from ...model.images import Image
from ...model.sessions import Session
from ..ports import OTHERS, Kernel, Keypair
from .elapsed import Elapsed
from .idlechecks import Standing

_RUNS_KEPT: Final = 256
_NAMES_KEPT: Final = 4096
"""Names of ended sessions: those who waited for them are told by name."""


class Gate:
    """Something that happens once and can be waited for: lighter than an event while nobody waits."""

    __slots__ = ("_event", "_open")

    def __init__(self) -> None:
        self._open = False
        self._event: asyncio.Event | None = None

    def set(self) -> None:
        """Lets everybody through, now and later."""
        self._open = True
        if self._event is not None:
            self._event.set()

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._open

    async def wait(self) -> None:
        """Returns when it has happened. Safe to cancel."""
        if not self._open:
            if self._event is None:
                self._event = asyncio.Event()
            await self._event.wait()


@dataclass(slots=True, eq=False)
class Entry:
    """A live session: its record, and the tasks and handles around it. One that waits has next to none of them."""

    session: Session
    image: Image | None = None
    """What it starts with; None for an adopted one, which has started."""
    kernel: Kernel | None = None
    launch: asyncio.Task[Any] | None = None
    pull: asyncio.Task[Image] | None = None
    """Builds or pulls its image while the launch waits."""
    ending: asyncio.Task[Any] | None = None
    watchers: Sequence[asyncio.Task[Any]] = ()
    settled: Gate = field(default_factory=Gate)
    """Set when it runs or has ended: who waits for a start waits for this."""
    ended: Gate = field(default_factory=Gate)
    open_streams: int = 0
    """Streams and runs that somebody follows: they keep it from idling."""
    death: str | None = None
    """Why the kernel process died; None while it lives."""
    shortfall: str | None = None
    """What of its resources this machine does not have any more; None = it is promised all that it holds."""
    began_s: float = 0.0
    """When it started, as `Elapsed` counts; so are the next two. Of one that has started only."""
    used_s: float = 0.0
    """When something of it was used last."""
    kept_s: float = -math.inf
    """Until when its owner has extended it."""
    _revived: asyncio.Event | None = None
    _reviving: asyncio.Lock | None = None
    _run_starts: OrderedDict[str, int] | None = None

    @property
    def revived(self) -> asyncio.Event:
        """Set while no death of the kernel is to be made good."""
        if self._revived is None:
            self._revived = asyncio.Event()
        return self._revived

    @property
    def reviving(self) -> asyncio.Lock:
        """Held by who gives it another kernel."""
        if self._reviving is None:
            self._reviving = asyncio.Lock()
        return self._reviving

    @property
    def is_active(self) -> bool:
        """Whether a run is going on or watched."""
        return self.open_streams > 0 or (self.kernel is not None and self.kernel.busy_run is not None)

    @property
    def standing(self) -> Standing:
        """What the idle checks look at."""
        used_s = max(self.used_s, self.kernel.last_activity) if self.kernel is not None else self.used_s
        return Standing(self.began_s, used_s, active=self.is_active, kept_s=self.kept_s)

    def count(self, elapsed: Elapsed) -> None:
        """Has time counted from what the record says: for a session that has just started, or was taken over."""
        session = self.session
        began = session.starts_at or session.created_at
        self.began_s = elapsed.since(began)
        self.used_s = elapsed.since(session.last_used_at or began)
        self.kept_s = elapsed.at(session.kept_until) if session.kept_until is not None else -math.inf

    def touch(self, elapsed: Elapsed) -> None:
        """Notes that something of the session was used just now."""
        self.session.last_used_at = datetime.fromtimestamp(elapsed.unix(), UTC)
        self.used_s = elapsed.now()

    def remember_run(self, run_id: str, after: int) -> None:
        """Notes the journal number before the first record of a run; kept of the newest runs."""
        if self._run_starts is None:
            self._run_starts = OrderedDict()
        self._run_starts[run_id] = after
        while len(self._run_starts) > _RUNS_KEPT:
            self._run_starts.popitem(last=False)

    def run_start(self, run_id: str) -> int | None:
        """Returns what `remember_run` noted, None when that is not known (any more)."""
        return self._run_starts.get(run_id) if self._run_starts is not None else None


class Register:
    """The live sessions by id and by (owner, name)."""

    def __init__(self) -> None:
        self._by_id: dict[str, Entry] = {}
        self._by_name: dict[tuple[str, str], Entry] = {}
        self._ended_names: OrderedDict[str, str] = OrderedDict()
        self._newest = 0
        """Highest position of an admission."""
        self._in_order = True
        """`_by_id` is in the order of admission: always, but after a restart."""

    def add(self, entry: Entry) -> None:
        self._in_order = self._in_order and entry.session.enqueue_order >= self._newest
        self._newest = max(self._newest, entry.session.enqueue_order)
        self._by_id[entry.session.id] = entry
        self._by_name[entry.session.access_key, entry.session.name] = entry

    def remove(self, entry: Entry) -> None:
        self._by_id.pop(entry.session.id, None)
        self._ended_names[entry.session.id] = entry.session.name
        if len(self._ended_names) > _NAMES_KEPT:
            self._ended_names.popitem(last=False)
        key = (entry.session.access_key, entry.session.name)
        if self._by_name.get(key) is entry:
            del self._by_name[key]

    def rename(self, entry: Entry, name: str) -> None:
        """Gives the entry's session another name, which must be free."""
        self._by_name.pop((entry.session.access_key, entry.session.name), None)
        entry.session.name = name
        self._by_name[entry.session.access_key, name] = entry

    def get(self, session_id: str) -> Entry | None:
        return self._by_id.get(session_id)

    def name_of(self, session_id: str) -> str | None:
        """Returns the name of a session that lives or has ended not long ago."""
        entry = self._by_id.get(session_id)
        return entry.session.name if entry is not None else self._ended_names.get(session_id)

    def named(self, access_key: str, name: str) -> Entry | None:
        return self._by_name.get((access_key, name))

    def count_of(self, access_key: str) -> int:
        """Returns how many sessions of an owner live."""
        return sum(entry.session.access_key == access_key for entry in self._by_id.values())

    def seen_by(self, caller: Keypair) -> Iterator[Entry]:
        """Yields what `caller` may see, newest last."""
        for entry in self._by_id.values():
            if caller.is_admin or entry.session.access_key == caller.access_key:
                yield entry

    def seen_of(
        self, caller: Keypair, promised: Mapping[str, Mapping[str, Decimal]]
    ) -> Mapping[str, Mapping[str, Decimal]]:
        """Returns slot -> session id -> amount, the sessions that `caller` may not see taken together as `OTHERS`."""
        if caller.is_admin:
            return promised
        told: dict[str, dict[str, Decimal]] = {}
        for slot, amounts in promised.items():
            of_slot = told[slot] = {}
            for session_id, amount in amounts.items():
                entry = self._by_id.get(session_id)
                own = entry is not None and entry.session.access_key == caller.access_key
                key = session_id if own else OTHERS
                of_slot[key] = of_slot.get(key, Decimal(0)) + amount
        return told

    def newest_first(self) -> Iterable[Entry]:
        """Returns all, the newest admission first: a view, to be read at once. Costs nothing however many there are."""
        if not self._in_order:
            self._by_id = dict(sorted(self._by_id.items(), key=lambda item: item[1].session.enqueue_order))
            self._in_order = True
        return reversed(self._by_id.values())

    def started(self) -> list[Entry]:
        """Returns the sessions that have processes."""
        return [entry for entry in self._by_id.values() if entry.kernel is not None]

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)
