"""A session with what belongs to it while it lives, and the register of them all."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ...model.images import Image
from ...model.sessions import Session
from ..ports import Kernel, Keypair

_RUNS_KEPT: Final = 256


@dataclass(slots=True, eq=False)
class Entry:
    """A live session: its record, and the tasks and handles around it."""

    session: Session
    image: Image | None = None
    """What it starts with; None for an adopted one, which has started."""
    kernel: Kernel | None = None
    launch: asyncio.Task[Any] | None = None
    ending: asyncio.Task[Any] | None = None
    watchers: list[asyncio.Task[Any]] = field(default_factory=list)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it runs or has ended: who waits for a start waits for this."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    open_streams: int = 0
    """Streams and runs that somebody follows: they keep it from idling."""
    death: str | None = None
    """Why the kernel process died; None while it lives."""
    revived: asyncio.Event = field(default_factory=asyncio.Event)
    reviving: asyncio.Lock = field(default_factory=asyncio.Lock)
    promised: bool = True
    """Whether the scheduler holds its resources."""
    run_starts: OrderedDict[str, int] = field(default_factory=OrderedDict)
    """Run id -> journal number before its first record, of the newest runs."""

    def remember_run(self, run_id: str, after: int) -> None:
        self.run_starts[run_id] = after
        while len(self.run_starts) > _RUNS_KEPT:
            self.run_starts.popitem(last=False)


class Register:
    """The live sessions by id and by (owner, name)."""

    def __init__(self) -> None:
        self._by_id: dict[str, Entry] = {}
        self._by_name: dict[tuple[str, str], Entry] = {}

    def add(self, entry: Entry) -> None:
        self._by_id[entry.session.id] = entry
        self._by_name[entry.session.access_key, entry.session.name] = entry

    def remove(self, entry: Entry) -> None:
        self._by_id.pop(entry.session.id, None)
        key = (entry.session.access_key, entry.session.name)
        if self._by_name.get(key) is entry:
            del self._by_name[key]

    def rename(self, entry: Entry, name: str) -> None:
        """Gives the entry's session another name, which must be free."""
        self.remove(entry)
        entry.session.name = name
        self.add(entry)

    def get(self, session_id: str) -> Entry | None:
        return self._by_id.get(session_id)

    def named(self, access_key: str, name: str) -> Entry | None:
        return self._by_name.get((access_key, name))

    def seen_by(self, caller: Keypair) -> Iterator[Entry]:
        """Yields what `caller` may see, newest last."""
        for entry in self._by_id.values():
            if caller.is_admin or entry.session.access_key == caller.access_key:
                yield entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)
