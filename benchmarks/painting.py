"""A terminal that nobody reads: it takes what an app paints and says when a text was there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from textual import events
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.widget import Widget

SIZE = (120, 40)
_TIMEOUT_S = 300.0


class PaintingDriver(HeadlessDriver):
    """Takes what is painted, and says when a text was."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.waiting: dict[str, asyncio.Future[float]] = {}
        self.painted_chars = 0

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.painted_chars += len(data)
        for text in [text for text in self.waiting if text in data]:
            found = self.waiting.pop(text)
            if not found.done():
                found.set_result(time.perf_counter())

    def press(self, key: str, character: str | None = None) -> None:
        """Does what a key of a terminal does."""
        self.process_message(events.Key(key, character))

    def painted(self, text: str) -> asyncio.Future[float]:
        """Returns what tells when a text is painted for the first time."""
        found: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.waiting[text] = found
        return found


def driver_of(app: App[Any]) -> PaintingDriver:
    """Returns the driver of a running app that was made with `PaintingDriver`."""
    driver = app._driver
    assert isinstance(driver, PaintingDriver)
    return driver


class Alone(App[None]):
    """One widget on the whole screen."""

    def __init__(self, widget: Widget) -> None:
        super().__init__(driver_class=PaintingDriver)
        self._widget = widget
        self.ready = asyncio.Event()

    def compose(self) -> ComposeResult:
        yield self._widget

    def on_mount(self) -> None:
        self._widget.focus()
        self.call_after_refresh(self.ready.set)


@asynccontextmanager
async def alone(widget: Widget) -> AsyncIterator[PaintingDriver]:
    """Shows a focused widget; yields when it has been painted for the first time.

    Raises:
        TimeoutError: what is done with it took longer than five minutes.
    """
    app = Alone(widget)
    running = asyncio.create_task(app.run_async(size=SIZE), name="app")
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await app.ready.wait()
            yield driver_of(app)
    finally:
        app.exit()
        await running
