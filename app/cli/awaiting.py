"""Why a session that was asked for does not run yet: the queue, or an image that is built or pulled first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from ..client.events import CONNECTED
from ..model.errors import BaiTuiError

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import EventView, SessionView
    from .progress import ProgressLine

_PULLING: Final = ("session_pulling", "kernel_pulling")
_NEWS: Final = ("session_enqueued", *_PULLING)
"""After these of the session it is looked where it stands."""


def why(view: SessionView) -> str:
    """Returns why a session stands where it stands, as the end of a sentence."""
    reason = view.waiting.text if view.waiting else view.status_info
    return f": {reason}" if reason else ""


class Awaited:
    """A session that has been asked for, and what is told of it until it runs.

    Args:
        name: of the session; it may not be there yet.
        talk: says one line.
    """

    def __init__(self, client: ApiClient, name: str, talk: Callable[[str], None]) -> None:
        self._client = client
        self._name = name
        self._talk = talk
        self._line: ProgressLine | None = None
        self._image = ""
        """What the session waits for, while that is built or pulled."""
        self._told: set[str] = set()

    async def look(self) -> None:
        """Tells of a session that is in the queue, or of a cluster whose image is pulled: that tells no more of it."""
        try:
            view = await self._client.session(self._name)
        except BaiTuiError:
            return  # it has no such session yet
        if view.status_text == "PENDING":
            self._once(f"the session {view.name} is in the queue{why(view)}")
        elif view.status_text == "PULLING":
            self._image = view.image
            if not (await self._client.info()).capabilities:
                self._once(f"the image {view.image} is being pulled")

    async def watch(self) -> None:
        """Tells until it is cancelled. Has nothing to say of a lost connection: whoever waits for the answer has."""
        try:
            with suppress(BaiTuiError):
                async with aclosing(self._client.events(progress=True)) as events:
                    async for event in events:
                        await self._on_event(event)
        finally:
            if self._line is not None:
                self._line.clear()

    async def _on_event(self, event: EventView) -> None:
        if event.name == CONNECTED or (event.name in _NEWS and event.session_name == self._name):
            await self.look()
        elif event.progress is not None and event.image == self._image:
            if self._line is None:
                from .progress import ProgressLine

                self._line = ProgressLine(event.image)
            self._line.show(event.progress.current, event.progress.total, event.progress.message)

    def _once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            if self._line is not None:
                self._line.clear()
            self._talk(text)
