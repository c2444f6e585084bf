"""What must be true of the sessions of a world, whatever happens to it. Pure: it is told what was done and seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from bai_tui.app.model.sessions import HOLDING, TERMINAL, SessionStatus

from .programs import Program

S = SessionStatus
Ending = tuple[SessionStatus, str]
"""A terminal status and how its reason begins."""

REMOVED: Final[tuple[Ending, ...]] = tuple(
    (status, word) for status in (S.TERMINATED, S.CANCELLED, S.ERROR) for word in ("user-requested", "force-terminated")
)
RUNNER_DIED: Final[tuple[Ending, ...]] = ((S.ERROR, "runner-died"),)
LAUNCH_CUT: Final[tuple[Ending, ...]] = ((S.ERROR, "failed-to-start"),)
"""Of whoever kills what is just starting."""
GIVEN_UP: Final[tuple[Ending, ...]] = ((S.ERROR, "failed-to-start: the backend ended"),)
"""Of a start that was cut off with its daemon time and again; once, it begins anew."""
BATCH_DONE: Final[tuple[Ending, ...]] = ((S.TERMINATED, "task-finished"), (S.TERMINATED, "task-failed"))
DEPENDENCY: Final[tuple[Ending, ...]] = ((S.CANCELLED, "dependency-failed"),)
FULL_DISK: Final[tuple[Ending, ...]] = (
    (S.ERROR, "failed-to-start"),
    (S.ERROR, "restarting failed"),
    (S.CANCELLED, "not-recorded"),
)
_BEFORE_RUNNING: Final = frozenset({S.PENDING, S.SCHEDULED, S.PREPARING, S.PULLING, S.PREPARED, S.CREATING})


_MOST_STARTS: Final = 3


class Violation(AssertionError):
    """Something that must never be was seen."""


@dataclass(slots=True)
class Run:
    """One run as the model knows it."""

    program: Program
    session: Tracked
    begun: bool = False
    """A frame of it was seen. False: whoever sent it was cut off, and it may never have begun."""
    cut: bool = False
    """Something was done that may end it early."""
    runner_lost: bool = False
    """Its runner was killed: the last words may be missing."""
    over: bool = False
    """Nothing more will come of it."""


@dataclass(slots=True)
class Tracked:
    """One session as the model knows it."""

    name: str
    kind: str
    """What was asked for; sessions of the same kind are equal requests."""
    gpu: Decimal
    asked_at: int
    """Step in which it was asked for."""
    names: set[str] = field(default_factory=set)
    id: str | None = None
    acked_at: int | None = None
    """Step in which the backend had answered; None = it may never have heard of it."""
    depends_on: list[Tracked] = field(default_factory=list)
    batch: Program | None = None
    runs: list[Run] = field(default_factory=list)
    allowed: set[Ending] = field(default_factory=set)
    removing: bool = False
    """Its end was asked for."""
    must_end: bool = False
    """Its end was acknowledged."""
    last: SessionStatus | None = None
    was_running: bool = False
    ending: Ending | None = None
    gone: bool = False
    """It is not live any more; how it ended is told once that is written."""
    losses: int = 0
    """Daemons that were ended before it was seen running."""
    reordered: bool = False
    """Its priority was changed."""

    def allow(self, endings: Sequence[Ending]) -> None:
        self.allowed.update(endings)

    @property
    def live(self) -> bool:
        """Known to the backend, and not known to have ended."""
        return self.id is not None and self.ending is None and not self.gone

    @property
    def current(self) -> Run | None:
        """The run that may be going on."""
        return self.runs[-1] if self.runs and not self.runs[-1].over else None

    def cut_runs(self, *, runner_lost: bool = False) -> None:
        """Something was done that may end what runs in it."""
        for run in self.runs:
            if not run.over:
                run.cut = True
                run.runner_lost = run.runner_lost or runner_lost


Row = Mapping[str, Any]
"""`id`, `name`, `status`, `info`, `gpu` (device -> Decimal), `changed` of a listed session."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the backend has answered for at one moment."""

    ids: frozenset[str]
    """Sessions that exist."""
    ended: frozenset[str]
    """Those of them that have ended."""


class Model:
    """All sessions that were ever asked for."""

    def __init__(self, capacity: Mapping[str, Decimal]) -> None:
        """`capacity` is GPU id -> shares."""
        self.capacity = dict(capacity)
        self.sessions: list[Tracked] = []
        self.crashes: list[datetime] = []

    def by_id(self) -> dict[str, Tracked]:
        return {one.id: one for one in self.sessions if one.id is not None}

    def live(self) -> list[Tracked]:
        return [one for one in self.sessions if one.live]

    def daemon_lost(self, now: datetime) -> None:
        """The daemon was ended: what was on its way up begins anew, at its old place in the queue."""
        self.crashes.append(now)
        for one in self.sessions:
            if one.ending is None and not one.was_running:
                one.losses += 1
                if one.losses >= _MOST_STARTS:
                    one.allow(GIVEN_UP)

    # --- what is seen

    def acknowledged(self) -> Acknowledged:
        """Returns what the backend has answered for by now: a list that is asked for from now on must show it."""
        known = self.by_id()
        return Acknowledged(frozenset(known), frozenset(key for key, one in known.items() if one.must_end))

    def observe(self, rows: Sequence[Row], told: Acknowledged) -> None:
        """Takes a complete list.

        Args:
            told: what was acknowledged before the list was asked for.

        Raises:
            Violation: it cannot be.
        """
        known = self.by_id()
        listed: dict[str, Row] = {}
        for row in rows:
            if row["id"] in listed:
                raise Violation(f"the session {row['id']} is listed twice")
            listed[row["id"]] = row
        for session_id, row in listed.items():
            if session_id not in known:
                known[session_id] = self._recognise(row)
            self._look(known[session_id], row, must_end=session_id in told.ended)
        for session_id, one in known.items():
            if session_id not in listed and session_id in told.ids:
                raise Violation(f"the session {one.name} ({session_id}) is lost: it was {one.last}")
        _no_name_twice(rows)

    def observe_live(self, rows: Sequence[Row], told: Acknowledged) -> None:
        """Takes a list of live sessions only: what is not in it must be free to have ended.

        Raises:
            Violation: it cannot be.
        """
        known = self.by_id()
        listed = {row["id"] for row in rows}
        for row in rows:
            if row["id"] not in known:
                known[row["id"]] = self._recognise(row)
            self._look(known[row["id"]], row, must_end=row["id"] in told.ended)
        for session_id in told.ids - listed:
            one = known[session_id]
            one.gone = True
            if one.ending is None and not one.allowed:
                raise Violation(f"the session {one.name} ({session_id}) is not live any more: it was {one.last}")
        _no_name_twice(rows)

    def _recognise(self, row: Row) -> Tracked:
        """Finds the request behind a session that nobody was told of: its answer was cut off."""
        for one in self.sessions:
            if one.id is None and row["name"] in one.names:
                one.id = row["id"]
                return one
        raise Violation(f"nobody has asked for the session {row['name']} ({row['id']})")

    def _look(self, one: Tracked, row: Row, *, must_end: bool) -> None:
        status, info = row["status"], row["info"] or ""
        if row["name"] not in one.names:
            raise Violation(f"the session {one.name} is suddenly named {row['name']}")
        if one.ending is not None:
            if status is not one.ending[0]:
                raise Violation(f"the session {one.name} had ended as {one.ending[0]} and is {status} now")
            return
        if one.was_running and status in _BEFORE_RUNNING:
            raise Violation(f"the session {one.name} was running and is {status} now")
        if status in TERMINAL:
            if not any(status is allowed and info.startswith(word) for allowed, word in one.allowed):
                told = ", ".join(sorted(f"{allowed}: {word}" for allowed, word in one.allowed)) or "nothing"
                raise Violation(f"the session {one.name} ended as {status}: {info!r}; allowed was {told}")
            one.ending = (status, info)
            one.cut_runs()
        elif must_end:
            raise Violation(f"the end of the session {one.name} was acknowledged, and it is {status}")
        if status is S.RUNNING:
            one.was_running = True
        one.last = status
        if status not in HOLDING and row["gpu"]:
            raise Violation(f"the session {one.name} is {status} and holds {row['gpu']}")
        if status is S.RUNNING and sum(row["gpu"].values(), Decimal(0)) != one.gpu:
            raise Violation(f"the session {one.name} asked for {one.gpu} of a GPU and holds {row['gpu']}")

    def observe_machine(
        self,
        before: Sequence[Row],
        promised: Mapping[str, Mapping[str, Decimal]],
        after: Sequence[Row],
        told: Acknowledged,
    ) -> None:
        """Compares what GPUs are promised with the lists of just before and just after.

        Args:
            told: what was acknowledged before all of it was asked for.
            promised: GPU id -> session id -> shares.
        """
        for gpu, shares in promised.items():
            total = sum(shares.values(), Decimal(0))
            if total > self.capacity[gpu]:
                raise Violation(f"{gpu} is double-booked: {total} of {self.capacity[gpu]} promised to {dict(shares)}")
        first = {row["id"]: row for row in before}
        second = {row["id"]: row for row in after}
        for gpu, shares in promised.items():
            for session_id in shares:
                had_ended = first[session_id]["status"] in TERMINAL if session_id in first else session_id in told.ids
                if had_ended:
                    raise Violation(f"{shares[session_id]} of {gpu} leaks: {session_id} has ended")
        for session_id, row in first.items():
            same = second.get(session_id)
            if same is None or (same["status"], same["changed"]) != (row["status"], row["changed"]):
                continue
            held = {gpu: shares[session_id] for gpu, shares in promised.items() if session_id in shares}
            if held != row["gpu"]:
                raise Violation(f"{row['name']} is {row['status']}, holds {row['gpu']}, but is promised {held}")

    # --- what is looked at in the end

    def check_order(self, times: Mapping[str, Mapping[str, datetime]]) -> None:
        """Checks that equal requests started in the order in which they were acknowledged.

        Args:
            times: session id -> status -> when it was entered.
        """
        queue = [one for one in self.sessions if one.acked_at is not None and one.id in times]
        for later in queue:
            began = times[later.id or ""].get(S.SCHEDULED)
            if began is None or later.reordered or later.depends_on:
                continue
            for earlier in queue:
                if earlier.kind != later.kind or earlier.reordered or earlier.depends_on:
                    continue
                assert earlier.acked_at is not None
                if earlier.acked_at >= later.asked_at:
                    continue
                own = times[earlier.id or ""]
                passed = own.get(S.SCHEDULED) or min(
                    (when for status, when in own.items() if SessionStatus(status) in TERMINAL), default=None
                )
                cut_off = passed is not None and any(began <= crash <= passed for crash in self.crashes)
                if passed is None or (passed > began and not cut_off):
                    raise Violation(
                        f"{later.name} was asked for after its equal {earlier.name} and was started before it: "
                        f"{began} and {passed}"
                    )

    def check_endings(self) -> None:
        """Checks that batch sessions ended as their commands did and that dependencies were kept."""
        for one in self.sessions:
            if one.ending is None:
                continue
            if one.ending[1].startswith("task-") and one.batch is not None:
                right = "task-failed" if one.batch.exit_code else "task-finished"
                if not one.ending[1].startswith(right):
                    raise Violation(f"{one.name} should have ended as {right}, and is {one.ending[1]}")
            if one.was_running or one.ending[1].startswith("task-"):
                for other in one.depends_on:
                    if other.ending is None or not other.ending[1].startswith("task-finished"):
                        raise Violation(f"{one.name} ran although {other.name} ended as {other.ending}")


def _no_name_twice(rows: Sequence[Row]) -> None:
    taken: dict[str, str] = {}
    for row in rows:
        if row["status"] not in TERMINAL:
            if row["name"] in taken:
                raise Violation(f"the sessions {taken[row['name']]} and {row['id']} are both named {row['name']}")
            taken[row["name"]] = row["id"]
