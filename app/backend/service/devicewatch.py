"""GPUs that vanish and come back while sessions run: nobody is killed, nobody new is put on them, everyone is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from ...model.sessions import Session, SessionStatus
from ...model.shares import gpu_shares
from ..ports import GpuReading
from ..scheduler import Instruction
from .entries import Register
from .queue import Queue
from .states import States

log = logging.getLogger(__name__)
S = SessionStatus


class DeviceWatch:
    """Compares what the machine has with what was promised of it."""

    def __init__(
        self,
        queue: Queue,
        register: Register,
        states: States,
        known: Collection[str],
        carry_out: Callable[[Sequence[Instruction]], None],
    ) -> None:
        """`known` are the ids of the devices that there are, lost ones too."""
        self._queue = queue
        self._register = register
        self._states = states
        self._known = frozenset(known)
        self._carry_out = carry_out
        self._problems: dict[str, str] = {}
        """Lost device -> what is the matter with it."""
        self._told: dict[str, dict[str, str]] = {}
        """Session -> what its owner was told is missing."""

    def look(self, readings: Sequence[GpuReading]) -> None:
        """Takes note of one round of readings."""
        for reading in readings:
            device_id, lost = reading.device_id, reading.device_id in self._problems
            if device_id not in self._known or reading.present is not lost:
                continue
            if lost:
                log.warning("%s is back", device_id)
                del self._problems[device_id]
                self._carry_out(self._queue.found(device_id))
            else:
                problem = self._problems[device_id] = reading.problem or "it does not answer"
                log.error("%s is lost (%s): sessions on it go on, new ones do not go there", device_id, problem)
                self._carry_out(self._queue.lose(device_id))
        for entry in self._register.started():
            self._settle(entry.session)

    def forget(self, session_id: str) -> None:
        """Drops what is known of a session that has ended."""
        self._told.pop(session_id, None)

    def _settle(self, session: Session) -> None:
        if session.status not in (S.RUNNING, S.RUNNING_DEGRADED):
            return
        missing, told = self._missing(session), self._told.get(session.id, {})
        degraded = session.status is S.RUNNING_DEGRADED
        if missing == told and degraded is bool(missing):
            return
        info = "; ".join(f"{device} is lost: {problem}" for device, problem in missing.items()) or None
        if missing:
            self._told[session.id] = missing
        else:
            self.forget(session.id)
        if degraded is bool(missing):
            session.status_info = info
        else:
            self._states.move(session, S.RUNNING_DEGRADED if missing else S.RUNNING, info, told=False)
        for device, problem in missing.items():
            if device not in told:
                extra = {"device": device, "problem": problem}
                self._states.tell(session, "bai_device_lost", reason=f"{device} is lost: {problem}", extra=extra)
        for device in told or (gpu_shares(session.allocation) if degraded else {}):
            if device not in missing:
                extra = {"device": device, "problem": ""}
                self._states.tell(session, "bai_device_returned", reason=f"{device} is back", extra=extra)

    def _missing(self, session: Session) -> dict[str, str]:
        """Returns device -> problem of the GPUs that a session holds and that are not there."""
        return {
            device: self._problems.get(device, "this machine does not have it any more")
            for device in sorted(gpu_shares(session.allocation), key=lambda device: (len(device), device))
            if device in self._problems or device not in self._known
        }
