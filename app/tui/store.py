"""What is known of the sessions: list answers and events in, rows out. Pure: no Textual, no clock, no client.

The order is that of creation and never changes while one looks: new sessions come last, ended ones stay where they
are until they are dismissed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from ...widgets.rows import ImageProgress, SessionRow
from ..client.views import EventView, SessionView
from ..model.sessions import STARTING, TERMINAL, SessionStatus
from ..model.slots import ResourceSlots
from .reasons import failed_to_start
from .session_rows import Extra, first_end, row_of

KEPT_ENDED: Final = 50
"""Ended sessions that stay in the list; the oldest leaves first."""
LAUNCHING: Final = "launching-"
"""How the id of a session begins that the server has not named yet."""
_SAME_TIME_S: Final = 1.5
_CLOCKS_DIFFER: Final = timedelta(seconds=5)

_OF_EVENT: Final[Mapping[str, SessionStatus]] = {
    "session_enqueued": SessionStatus.PENDING,
    "session_scheduled": SessionStatus.SCHEDULED,
    "session_preparing": SessionStatus.PREPARING,
    "session_pulling": SessionStatus.PULLING,
    "session_creating": SessionStatus.CREATING,
    "session_started": SessionStatus.RUNNING,
    "session_terminating": SessionStatus.TERMINATING,
    "session_terminated": SessionStatus.TERMINATED,
    "session_cancelled": SessionStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What a new session is asked to be."""

    image: str
    name: str
    resources: dict[str, str]
    any_name: bool = False
    """The name was made up: another free one does as well."""
    environ: dict[str, str] = field(default_factory=dict)
    mounts: tuple[str, ...] = ()
    """Names of storage folders of a cluster."""
    count: int = 1
    """So many sessions of this kind; the others get names of their own."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What became different since somebody last asked."""

    rows: Sequence[SessionRow]
    """Those that changed or came."""
    gone: Sequence[str]
    """Ids of those that went."""
    everything: bool
    """The order is another one: all rows are to be read anew."""


_PLACE: Final = SessionRow(id="", name="")
"""Stands for a row that is not made yet."""


class SessionStore:
    """All rows by id. What changes costs what it changes, however many sessions there are."""

    def __init__(self) -> None:
        self._views: dict[str, SessionView] = {}
        self._extras: dict[str, Extra] = {}
        self._news = count(1)
        self._time = 0
        self._told: dict[str, int] = {}
        """Id -> when an event last set its status, in the store's own time."""
        self._renames: list[tuple[str, str]] = []
        self._real: dict[str, str] = {}
        """Passing id of a launch -> the id that the server gave it."""
        self._made: dict[str, SessionRow] = {}
        """Rows by id, in their order, but for those in `_stale`."""
        self._stale: set[str] = set()
        """Ids whose row is to be made anew."""
        self._rows: tuple[SessionRow, ...] | None = ()
        self._changed: dict[str, None] = {}
        """Ids whose row became another one since `take_changes`."""
        self._gone: list[str] = []
        self._reordered = False
        self._launching: dict[str, None] = {}
        """Passing ids."""
        self._ended: dict[str, None] = {}
        """Ids of sessions that ended, in that order."""
        self._launches = count(1)
        self._images: dict[str, ImageProgress] = {}
        """Images that are being built or pulled, by reference."""
        self.known = False
        """A list has come: what is not here is not there."""

    # -- reading -------------------------------------------------------------------------------------------------

    def rows(self) -> tuple[SessionRow, ...]:
        """Returns the rows in their order; the same object while nothing changed."""
        self._make()
        if self._rows is None:
            self._rows = tuple(self._made.values())
        return self._rows

    def take_changes(self) -> Changes:
        """Returns what became different since the last call."""
        self._make()
        if self._reordered:
            changes = Changes(self.rows(), (), everything=True)
        else:
            rows = [row for key in self._changed if (row := self._made.get(key)) is not None]
            changes = Changes(rows, self._gone, everything=False)
        self._changed, self._gone, self._reordered = {}, [], False
        return changes

    @property
    def live_count(self) -> int:
        """How many sessions have not ended."""
        return len(self._views) - len(self._ended)

    def view(self, session_id: str) -> SessionView | None:
        """Returns what the server last said of a session."""
        return self._views.get(session_id)

    def views(self) -> list[SessionView]:
        """Returns what the server last said of every session, in the order of the rows."""
        return list(self._views.values())

    def row(self, session_id: str) -> SessionRow | None:
        self._make()
        return self._made.get(session_id)

    def names(self) -> set[str]:
        """Returns the names that are taken."""
        return {view.name for view in self._views.values() if view.status not in TERMINAL}

    def now(self) -> int:
        """Returns the store's time: to be noted before a list is asked for."""
        return self._time

    def real_id(self, session_id: str) -> str:
        """Returns the id that the server gave to a launch, else the same."""
        return self._real.get(session_id, session_id)

    def take_renames(self) -> list[tuple[str, str]]:
        """Returns (old id, new id) of launches that the server named since the last call."""
        renames, self._renames = self._renames, []
        return renames

    # -- what the server says --------------------------------------------------------------------------------------

    def listed(self, views: Iterable[SessionView], asked_at: int, now_s: float | None = None) -> list[str]:
        """Takes a full list of live sessions that was asked for at store time `asked_at`, clock time `now_s`.

        Returns the ids of sessions that were live and are in the list no more: someone should ask what became of them.
        """
        listed = list(views)
        # what is known keeps its place
        fresh = [view for view in listed if view.id not in self._views]
        fresh.sort(key=lambda view: (view.created_at is not None and view.created_at.timestamp()) or 0.0)
        for view in fresh:
            self._adopt(view.id, view.name, view.created_at)
            self._put(view)
        seen = set()
        for view in listed:
            seen.add(view.id)
            old = self._views.get(view.id)
            if old is not None and self._told.get(view.id, 0) > asked_at:
                # an event that came while the list was on its way knows better
                view = replace(view, status=old.status, status_text=old.status_text, status_info=old.status_info)
            self._put(view)
            self._take_end(view, now_s)
        self.known = True
        return [
            view.id
            for view in self._views.values()
            if view.id not in seen
            and view.status not in TERMINAL
            and not view.id.startswith(LAUNCHING)
            and self._told.get(view.id, 0) <= asked_at
        ]

    def learned(self, view: SessionView) -> None:
        """Takes what the server says of one session."""
        old = self._views.get(view.id)
        if old is None and view.status in TERMINAL:
            return
        self._adopt(view.id, view.name, view.created_at)
        self._put(view)
        self._forget_old()

    def extended(self, session_id: str, ends_at_s: float | None) -> None:
        """Takes when an idle check ends a session, told by the answer to an extension; None = never."""
        self._extra(session_id).ends_at_s = ends_at_s

    def prioritized(self, session_id: str, priority: int) -> None:
        """Shows a session with another priority."""
        view = self._views.get(session_id)
        if view is not None:
            self._put(replace(view, priority=priority))

    def renamed(self, session_id: str, name: str) -> None:
        """Shows a session under another name."""
        view = self._views.get(session_id)
        if view is not None:
            self._put(replace(view, name=name))

    def ends_at_s(self, session_id: str) -> float | None:
        """Returns the clock time at which an idle check ends a session if nothing happens; None = never, not known."""
        extra = self._extras.get(session_id)
        return None if extra is None else extra.ends_at_s

    def images_told(self, progress: Mapping[str, ImageProgress]) -> None:
        """Takes which images are being built or pulled now."""
        for reference in {*self._images, *progress}:
            self.image_told(reference, progress.get(reference))

    def image_told(self, reference: str, progress: ImageProgress | None) -> None:
        """Shows the sessions that wait for an image how far it is; None = it is not being built any more."""
        if progress == self._images.get(reference):
            return
        if progress is None:
            del self._images[reference]
        else:
            self._images[reference] = progress
        self._stale.update(
            view.id for view in self._views.values() if view.image == reference and view.status in STARTING
        )

    def image_progress(self, session_id: str) -> ImageProgress | None:
        """Returns how far the image is that a session waits for; None when it waits for none."""
        view = self._views.get(session_id)
        return None if view is None or view.status not in STARTING else self._images.get(view.image)

    def lost(self, session_id: str) -> None:
        """Takes that the server knows a session no more."""
        view = self._views.get(session_id)
        if view is not None and view.status not in TERMINAL:
            self._put(replace(view, status=SessionStatus.TERMINATED, status_text="", busy=False))
            self._forget_old()

    def event(self, event: EventView) -> bool:
        """Takes an event; returns whether a list should be asked for."""
        if event.session_id is None:
            return event.name.startswith("session_")
        status = _OF_EVENT.get(event.name)
        if status is SessionStatus.TERMINATED and failed_to_start(event.reason):
            # the event is that of every end, the list of the server says more
            status = SessionStatus.ERROR
        if event.session_name:
            self._adopt(event.session_id, event.session_name)
        view = self._views.get(event.session_id)
        if view is None:
            if status is None or status in TERMINAL or not event.session_name:
                return event.name.startswith("session_")
            view = SessionView(id=event.session_id, name=event.session_name, status=status)
        elif status is not None and view.status not in TERMINAL:
            info = event.reason or (view.status_info if status is SessionStatus.PENDING else None)
            over = status in TERMINAL
            view = replace(view, status=status, status_text=status.value, status_info=info, busy=view.busy and not over)
        self._put(view)
        if status is not None:
            self._time = next(self._news)
            self._told[event.session_id] = self._time
            if event.session_id in self._extras:
                self._extras[event.session_id].note = ""
        self._forget_old()
        return True

    # -- what we do ------------------------------------------------------------------------------------------------

    def launching(self, name: str, image: str, slots: ResourceSlots, now: datetime) -> str:
        """Adds a row for a session that the server is only being asked for; returns its passing id."""
        session_id = f"{LAUNCHING}{next(self._launches)}"
        self._launching[session_id] = None
        self._put(
            SessionView(
                id=session_id,
                name=name,
                status=SessionStatus.PREPARING,
                image=image,
                requested_slots=slots,
                created_at=now,
            )
        )
        return session_id

    def launching_as(self, passing_id: str, name: str) -> None:
        """Takes that a launch goes on under another name."""
        view = self._views.get(passing_id)
        if view is not None:
            self._put(replace(view, name=name))

    def launched(self, passing_id: str, session_id: str, name: str) -> None:
        """Takes the id that the server gave to a launch."""
        view = self._views.get(passing_id)
        if view is not None:
            self._rename(passing_id, session_id, replace(view, name=name))

    def launch_failed(self, passing_id: str) -> None:
        """Takes a row away that never became a session."""
        self._drop(passing_id)

    def ending(self, session_id: str, value: bool = True) -> None:
        """Shows a session as ending before the server says so; False takes that back."""
        self._extra(session_id).ending = value

    def killing(self, session_id: str, at_s: float | None) -> None:
        """Shows when the end that the user asked for is sent; None = it is not."""
        self._extra(session_id).kill_at_s = at_s

    def alarm(self, session_id: str, text: str) -> None:
        """Shows what needs the user now in the row; empty = nothing."""
        self._extra(session_id).alarm = text

    def note(self, session_id: str, text: str) -> None:
        """Shows an error in the row until the session changes its state; empty = none."""
        self._extra(session_id).note = text

    def running(self, session_id: str, *, here: bool, asks: bool) -> None:
        """Takes whether a run of ours goes on in a session, and whether it waits for input."""
        extra = self._extras.get(session_id)
        if extra is None or (extra.running_here, extra.asks) != (here, asks):
            extra = self._extra(session_id)
            extra.running_here, extra.asks = here, asks

    def idle(self, session_id: str) -> None:
        """Takes that the run of ours has ended: until the next list says otherwise nothing runs there."""
        view = self._views.get(session_id)
        if view is not None and view.busy:
            self._put(replace(view, busy=False))

    def dismiss(self, session_id: str) -> None:
        """Takes an ended session off the list."""
        view = self._views.get(session_id)
        if view is not None and view.status in TERMINAL:
            self._drop(session_id)

    def is_busy(self, session_id: str) -> bool:
        """Whether code runs in a session, as far as we know."""
        view, extra = self._views.get(session_id), self._extras.get(session_id)
        return (view is not None and view.busy) or (extra is not None and extra.running_here)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _take_end(self, view: SessionView, now_s: float | None) -> None:
        """Notes when an idle check ends a session; what differs by the way of an answer only is the same time."""
        if now_s is None:
            return
        remaining, why = first_end(view)
        known = self._extras.get(view.id)
        if remaining is None:
            if known is not None:
                known.ends_at_s = None
            return
        extra = known or self._extras.setdefault(view.id, Extra())
        ends_at_s = now_s + remaining
        if extra.ends_at_s is None or abs(extra.ends_at_s - ends_at_s) > _SAME_TIME_S:
            extra.ends_at_s = ends_at_s
        extra.ends_why = why

    def _put(self, view: SessionView) -> None:
        """Takes what is known of a session now."""
        session_id = view.id
        if session_id not in self._made:
            # keeps its place until the row is made
            self._made[session_id] = _PLACE
        self._views[session_id] = view
        if view.status in TERMINAL:
            self._ended.setdefault(session_id)
        else:
            self._ended.pop(session_id, None)
        self._stale.add(session_id)

    def _make(self) -> None:
        """Makes the rows anew that may have become different."""
        if not self._stale:
            return
        stale, self._stale = self._stale, set()
        for session_id in stale if len(stale) < len(self._views) // 2 else self._views:
            if session_id in stale and (view := self._views.get(session_id)) is not None:
                row = row_of(view, self._extras.get(session_id), self._images.get(view.image))
                if row != self._made.get(session_id):
                    self._made[session_id] = row
                    self._changed[session_id] = None
                    self._rows = None

    def _extra(self, session_id: str) -> Extra:
        if session_id not in self._views:
            return Extra()
        self._stale.add(session_id)
        return self._extras.setdefault(session_id, Extra())

    def _adopt(self, session_id: str, name: str, created_at: datetime | None = None) -> None:
        """Gives a launch its id when the list or an event brings it before the answer does.

        A session that is older than the launch is somebody else's who took the name.
        """
        if session_id in self._views:
            return
        for passing_id in self._launching:
            view = self._views[passing_id]
            if view.name == name:
                if created_at and view.created_at and created_at < view.created_at - _CLOCKS_DIFFER:
                    return
                self._rename(view.id, session_id, view)
                return

    def _rename(self, old_id: str, new_id: str, view: SessionView) -> None:
        self._renames.append((old_id, new_id))
        self._real[old_id] = new_id
        known = self._views.get(new_id)
        merged = replace(known or view, id=new_id)
        self._launching.pop(old_id, None)
        self._views = {
            (new_id if key == old_id else key): (merged if key == old_id else value)
            for key, value in self._views.items()
            if key != new_id
        }
        if old_id in self._extras:
            self._extras[new_id] = self._extras.pop(old_id)
        self._made = {key: self._made.get(key, _PLACE) for key in self._views}
        self._changed.pop(old_id, None)
        self._reordered, self._rows = True, None
        self._put(merged)

    def _drop(self, session_id: str) -> None:
        self._views.pop(session_id, None)
        self._extras.pop(session_id, None)
        self._told.pop(session_id, None)
        self._ended.pop(session_id, None)
        self._launching.pop(session_id, None)
        self._changed.pop(session_id, None)
        if self._made.pop(session_id, None) is not None:
            self._rows = None
            self._gone.append(session_id)

    def _forget_old(self) -> None:
        while len(self._ended) > KEPT_ENDED:
            self._drop(next(iter(self._ended)))


def free_name(image: str, taken: Iterable[str]) -> str:
    """Returns a name for a session of `image` that nobody has: `py-1`, `r-base-2`."""
    language = image.rpartition("/")[2].partition(":")[0] or "session"
    prefix = {"python": "py"}.get(language, language.removeprefix("python-")[:20].strip("-._")) or "session"
    names = set(taken)
    for number in count(1):
        name = f"{prefix}-{number}"
        name = name if len(name) >= 4 else f"{prefix}-{number:0{4 - len(prefix) - 1}d}"
        if name not in names:
            return name
    raise AssertionError("numbers do not end")


def default_image(references: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Returns the image to start when nobody says which: `python` where there is one."""
    for reference, aliases in references:
        if "python" in aliases or reference.partition(":")[0].rpartition("/")[2] == "python":
            return "python" if "python" in aliases else reference
    return references[0][0] if references else "python"
