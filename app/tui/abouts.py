"""What the details tell of a session that no list does: asked for once it is looked at, and kept for a while."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from ..client.views import AboutView
from ..model.errors import BaiTuiError
from ..model.sessions import ANSWERING
from .acting import Acting, Means
from .messages import AboutCame
from .store import LAUNCHING

log = logging.getLogger(__name__)

SETTLED_S: Final = 0.3
"""Whoever runs through the list asks for nothing."""
_GOOD_FOR_S: Final = 30.0
_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class About:
    """What was found out."""

    at_s: float
    view: AboutView
    files: int | None = None
    """Entries of the work folder; None = they cannot be listed now."""
    files_bytes: int = 0


class Abouts(Acting):
    """Asks for what is said of the session that is looked at."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._known: dict[str, About] = {}
        self._wanted = ""
        """The session that is looked at."""
        self._asking: set[str] = set()

    def of(self, session_id: str) -> About | None:
        """Returns what is known, and asks for it when that is nothing, or old."""
        self._wanted = session_id
        known = self._known.get(session_id)
        fresh = known is not None and 0 <= self._clock() - known.at_s < _GOOD_FOR_S
        view = self._store.view(session_id)
        live = view is not None and view.status in ANSWERING and not session_id.startswith(LAUNCHING)
        if live and not fresh and session_id not in self._asking:
            self._asking.add(session_id)
            self._spawn(self._ask(session_id), f"about {session_id}")
        return known

    async def _ask(self, session_id: str) -> None:
        try:
            await asyncio.sleep(SETTLED_S)  # the cursor may only be passing by
            if session_id != self._wanted:
                return
            client = await self._connected()
            view = await client.about(session_id)
            files, files_bytes = None, 0
            try:
                listed = await client.list_files(session_id)
            except BaiTuiError as error:
                log.info("the files of %s: %s", session_id, error)
            else:
                files, files_bytes = len(listed), sum(file.size_bytes for file in listed if not file.is_folder)
            self._known.pop(session_id, None)
            self._known[session_id] = About(self._clock(), view, files, files_bytes)
            while len(self._known) > _KEPT:
                self._known.pop(next(iter(self._known)))
            self._post(AboutCame())
        except BaiTuiError as error:
            # it may have ended meanwhile: what is known stays, and is asked for again in a while
            log.info("about %s: %s", session_id, error)
            self._known.setdefault(session_id, About(self._clock(), AboutView()))
        finally:
            self._asking.discard(session_id)
