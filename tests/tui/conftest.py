from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.tui.app import BaiTuiApp
from bai_tui.app.tui.locate import FixedEndpoint
from bai_tui.tests.screens import parsed_once, short_waits
from bai_tui.tests.tui.fakes import ENDPOINT, Clock, FakeServer
from textual.pilot import Pilot

__all__ = ["parsed_once", "short_waits"]
"""Fixtures of others that hold here."""


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zone is UTC and the environment nobody's."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "TMUX", "TERM_PROGRAM", "KITTY_WINDOW_ID", "WSL_DISTRO_NAME")
    for name in ("NO_COLOR", "BACKEND_ENDPOINT", "BAI_TUI_ASCII", *screens):
        monkeypatch.delenv(name, raising=False)


class Desk:
    """An app under a pilot, beside its server."""

    def __init__(self, app: BaiTuiApp, server: FakeServer, pilot: Pilot[int], clock: Clock) -> None:
        self.app, self.server, self.pilot, self.clock = app, server, pilot, clock

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Lets the app go on until `condition` holds."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if condition():
                return
            # a turn of the loop, which is shared with the app
            await asyncio.sleep(0.002)
        raise AssertionError(f"never came: {what or condition}\n{self.console}")

    async def connected(self) -> None:
        await self.until(lambda: self.app.main.ready, "the panes")
        await self.until(lambda: self.app.bench.sync.connection.client is not None, "the connection")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def code(self, text: str) -> None:
        self.app.main.editor.load_text(text)
        await self.pilot.pause()

    @property
    def console(self) -> str:
        """What the console shows, as text."""
        console = self.app.main.console
        return "\n".join(console.render_line(y).text.rstrip() for y in range(console.size.height)).rstrip()

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.app.bench.store.rows()]

    @property
    def cursor(self) -> str | None:
        """Name of the session under the cursor."""
        row = self.app.bench.store.row(self.app.main.selected or "")
        return None if row is None else row.name

    @property
    def list_text(self) -> str:
        sessions = self.app.main.sessions.list
        return "\n".join(sessions.render_line(y).text.rstrip() for y in range(sessions.size.height)).rstrip()

    @property
    def hint(self) -> str:
        """What the border of the console says below."""
        return str(self.app.main.console_pane._border_subtitle)

    @property
    def toasts(self) -> list[str]:
        return [str(one.message) for one in self.app._notifications]


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def open_desk(server: FakeServer) -> Callable[..., Any]:
    @asynccontextmanager
    async def opened(
        *,
        size: tuple[int, int] = (120, 40),
        folder: Path | None = None,
        connected: bool = True,
        first: Any = None,
        locator: Any = None,
        **options: Any,
    ) -> AsyncIterator[Desk]:
        clock = Clock()
        app = BaiTuiApp(
            locator or FixedEndpoint(ENDPOINT),
            connect=server.connect,
            clock=clock,
            folder=folder,
            **options,
        )
        app.bench.sync.first = first
        async with app.run_test(size=size, notifications=True) as pilot:
            desk = Desk(app, server, pilot, clock)
            if server.up and connected:
                await desk.connected()
            yield desk
        await server.close()

    return opened
