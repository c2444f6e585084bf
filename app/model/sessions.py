"""What a session is: its states and the moves between them, its kinds, its record.

States and their sets: `protocol.md` 4 of the wire contract, which follows Backend.AI's manager.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from .errors import BadRequest, IllegalState
from .slots import ResourceSlots


class SessionStatus(StrEnum):
    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    PREPARING = "PREPARING"
    PULLING = "PULLING"
    PREPARED = "PREPARED"
    CREATING = "CREATING"
    RUNNING = "RUNNING"
    RESTARTING = "RESTARTING"
    RUNNING_DEGRADED = "RUNNING_DEGRADED"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"


S = SessionStatus
TERMINAL = frozenset({S.TERMINATED, S.ERROR, S.CANCELLED})
"""Nothing can follow."""
LIVE = frozenset(S) - TERMINAL
"""The name is taken, the session shows in `ps`."""
STARTING = frozenset({S.SCHEDULED, S.PREPARING, S.PULLING, S.PREPARED, S.CREATING})
"""Granted resources, not yet answering."""
ANSWERING = frozenset({S.RUNNING, S.RUNNING_DEGRADED})
"""Takes code."""
HOLDING = frozenset(S) - TERMINAL - {S.PENDING}
"""Resources are held."""

_MOVES: dict[SessionStatus, frozenset[SessionStatus]] = {
    S.PENDING: frozenset({S.SCHEDULED, S.CANCELLED, S.ERROR}),
    S.SCHEDULED: frozenset({S.PREPARING, S.TERMINATING, S.ERROR, S.PENDING}),
    # back to PENDING: the backend was killed in the middle of the start, and the next one begins it anew
    S.PREPARING: frozenset({S.PULLING, S.PREPARED, S.CREATING, S.TERMINATING, S.ERROR, S.PENDING}),
    S.PULLING: frozenset({S.PREPARED, S.CREATING, S.TERMINATING, S.ERROR, S.PENDING}),
    S.PREPARED: frozenset({S.CREATING, S.TERMINATING, S.ERROR, S.PENDING}),
    S.CREATING: frozenset({S.RUNNING, S.TERMINATING, S.ERROR, S.PENDING}),
    S.RUNNING: frozenset({S.RESTARTING, S.RUNNING_DEGRADED, S.TERMINATING, S.TERMINATED, S.ERROR}),
    S.RUNNING_DEGRADED: frozenset({S.RESTARTING, S.RUNNING, S.TERMINATING, S.TERMINATED, S.ERROR}),
    S.RESTARTING: frozenset({S.RUNNING, S.TERMINATING, S.ERROR}),
    S.TERMINATING: frozenset({S.TERMINATED, S.ERROR}),
    S.TERMINATED: frozenset(),
    S.ERROR: frozenset(),
    S.CANCELLED: frozenset(),
}


def check_move(old: SessionStatus, new: SessionStatus) -> None:
    """Refuses a move that the state machine does not have.

    Raises:
        IllegalState: `new` cannot follow `old`.
    """
    if new not in _MOVES[old]:
        raise IllegalState(f"a session that is {old} cannot become {new}")


class SessionType(StrEnum):
    INTERACTIVE = "interactive"
    BATCH = "batch"
    INFERENCE = "inference"
    SYSTEM = "system"


class SessionResult(StrEnum):
    UNDEFINED = "UNDEFINED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"


_NAME = re.compile(r"(?=.{4,64}\Z)\w[\w.-]*\w", re.ASCII)
RESERVED_NAMES = frozenset({"from-template"})


def check_session_name(name: str) -> str:
    """Returns `name` if it can name a session.

    Raises:
        BadRequest: not 4 to 64 letters, digits, `_`, `.`, `-`, or a reserved word.
    """
    if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise BadRequest(
            f"the session name {name!r} cannot be used: take 4 to 64 ASCII letters, digits, '_', '.' or '-', "
            "beginning and ending with a letter, digit or '_'"
        )
    return name


def new_session_name(prefix: str = "bai") -> str:
    """Returns a fresh name such as `bai-4f09c2d1`."""
    return f"{prefix}-{secrets.token_hex(4)}"


@dataclass(slots=True, kw_only=True)
class Session:
    """One session as the backend knows it: what was asked, what was granted, where it stands.

    Times are aware datetimes in UTC. The service is the only writer; everyone else gets copies or reads.
    """

    id: str
    """UUID text."""
    kernel_id: str
    """UUID text of its one kernel."""
    name: str
    access_key: str
    """Owner."""
    image: str
    """Canonical reference of the image that really runs."""
    image_asked: str
    """The reference as the user typed it."""
    image_notice: str | None = None
    """One line when `image` is not literally what was asked for, else None."""
    architecture: str = "x86_64"
    type: SessionType = SessionType.INTERACTIVE
    priority: int = 10
    tag: str | None = None
    domain: str = "default"
    group: str = "default"
    status: SessionStatus = SessionStatus.PENDING
    status_info: str | None = None
    """Reason in Backend.AI's words (`user-requested`, `idle-timeout`, ...) or why the session waits."""
    status_data: dict[str, Any] | None = None
    status_history: dict[str, datetime] = field(default_factory=dict)
    """Status name -> when it was entered last."""
    created_at: datetime
    starts_at: datetime | None = None
    """When it began to run."""
    terminated_at: datetime | None = None
    result: SessionResult = SessionResult.UNDEFINED
    exit_code: int | None = None
    """Of a batch session's start-up command, or of a kernel that ended by itself; negative = signal."""
    requested_slots: ResourceSlots
    occupied_slots: ResourceSlots = field(default_factory=ResourceSlots)
    """Empty unless resources are held."""
    allocation: dict[str, dict[str, str]] = field(default_factory=dict)
    """Slot name -> device id -> amount as a decimal string, e.g. {"cuda.shares": {"gpu0": "0.5"}}."""
    resource_opts: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    mounts: list[str] = field(default_factory=list)
    startup_command: str | None = None
    bootstrap_script: str | None = None
    callback_url: str | None = None
    idle_timeout_s: float = 1800.0
    """0 = never."""
    last_used_at: datetime | None = None
    """End of the last activity: the idle clock counts from here."""
    num_queries: int = 0
    enqueue_order: int = 0
    """Position in the sequence of all admissions; a restarted backend queues in this order."""
    depends_on: list[str] = field(default_factory=list)
    """Ids of the sessions that must end with SUCCESS before this one starts."""
    not_before: datetime | None = None
    """It starts no earlier (`starts_at` of the request; batch sessions)."""
    batch_timeout_s: float = 0.0
    """The start-up command is ended after so long; 0 = never."""
    pending_timeout_s: float = 0.0
    """It is cancelled when it has waited so long; 0 = never."""
    wall_time_s: float = 0.0
    """It is ended so long after its start, whatever it does; 0 = never."""
    isolation: str = ""
    """`bwrap` = fenced off from the machine and from other sessions; empty = a plain process of the backend's user."""
    no_network: bool = False
    """It reaches nothing but itself; only with isolation."""
    split_shares: bool = False
    """A fraction of a GPU may come from several devices (`resource_opts.allow_fractional_resource_fragmentation`)."""
    kept_until: datetime | None = None
    """No idle check ends it before: the owner has extended it. None = not extended."""
    last_stat: dict[str, dict[str, str]] = field(default_factory=dict)
    """Metrics in Backend.AI's form as measured last, kept after the end."""
    runner: dict[str, Any] = field(default_factory=dict)
    """What the engine needs to find the session's runner again after a restart of the backend."""

    @property
    def status_changed(self) -> datetime:
        return self.status_history.get(self.status.value, self.created_at)
