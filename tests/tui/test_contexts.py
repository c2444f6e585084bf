"""Going to another server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from bai_tui.app.model.errors import ConfigError
from bai_tui.app.tui import app as app_module
from bai_tui.app.tui.app import BaiTuiApp
from bai_tui.app.tui.contexts import ContextsScreen
from bai_tui.tests.tui.conftest import Desk
from textual.widgets import Input, OptionList

Start = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def contexts(home: Path) -> Path:
    """A configuration with two servers that do not answer."""
    folder = home / ".config" / "bai-tui"
    (folder / "secrets").mkdir(parents=True)
    for name in ("lab", "far"):
        (folder / "secrets" / name).write_text("s")
        (folder / "secrets" / name).chmod(0o600)
    (folder / "config.toml").write_text(
        "[contexts.lab]\nendpoint = 'http://127.0.0.1:1'\naccess_key = 'A'\n"
        "[contexts.far]\nendpoint = 'http://127.0.0.1:2'\naccess_key = 'B'\n"
    )
    return folder


async def opened(desk: Desk) -> ContextsScreen:
    await desk.connected()
    desk.app.main.set_focus(desk.app.main.sessions.focus_target())
    await desk.press("ctrl+k")
    await desk.until(lambda: isinstance(desk.app.screen, ContextsScreen))
    screen = desk.app.screen
    assert isinstance(screen, ContextsScreen)
    await desk.until(lambda: isinstance(screen.focused, Input))
    return screen


def rows(screen: ContextsScreen) -> list[str]:
    options = screen.query_one(OptionList)
    return [" ".join(str(option.prompt).split()) for option in options.options]


async def test_every_server_is_there_with_its_state(open_desk: Start, contexts: Path) -> None:
    async with open_desk() as here:
        screen = await opened(here)
        await here.until(lambda: "asking" not in " ".join(rows(screen)) and len(rows(screen)) == 3)
        assert rows(screen) == [
            "● local this machine starts when needed",
            "lab http://127.0.0.1:1 does not answer: Connection refused",
            "far http://127.0.0.1:2 does not answer: Connection refused",
        ]
        await here.press("escape")
        await here.until(lambda: here.app.screen is here.app.main)
        assert here.app.next_context is None


async def test_what_is_typed_filters_and_enter_goes_there(open_desk: Start, contexts: Path) -> None:
    async with open_desk() as here:
        screen = await opened(here)
        await here.until(lambda: len(rows(screen)) == 3)
        await here.press("f", "a")
        await here.until(lambda: len(rows(screen)) == 1)
        await here.press("enter")
        await here.until(lambda: here.app.next_context is not None)
        assert here.app.next_context == "far"
        await here.until(lambda: not here.app.is_running or here.app.return_value == 0)


async def test_the_server_that_one_is_at_is_no_way_to_go(open_desk: Start, contexts: Path) -> None:
    async with open_desk() as here:
        screen = await opened(here)
        await here.until(lambda: len(rows(screen)) == 3)
        await here.press("down", "up", "enter")
        await here.until(lambda: here.app.screen is here.app.main)
        assert here.app.next_context is None


async def test_a_configuration_that_is_wrong_is_told(open_desk: Start, contexts: Path) -> None:
    (contexts / "config.toml").write_text("[contexts.lab]\nendpoint = 3\n")
    async with open_desk() as here:
        screen = await opened(here)
        await here.until(lambda: "contexts.lab.endpoint" in str(screen.query_one("#context-about").render()))
        assert rows(screen) == []


def test_one_screen_follows_the_other(monkeypatch: pytest.MonkeyPatch, contexts: Path) -> None:
    """Each in a context of its own, with its own memory."""
    seen: list[tuple[str, str]] = []

    def run(app: BaiTuiApp) -> None:
        seen.append((app.bench.sync.connection.place, app.bench.memory._place))
        if len(seen) < 3:
            app.next_context = ["lab", "local"][len(seen) - 1]

    monkeypatch.setattr(BaiTuiApp, "run", run)
    monkeypatch.setenv("BAI_TUI_CONTEXT", "far")
    assert app_module.run(None) == 0
    assert seen == [("far", "far"), ("lab", "lab"), ("local", "local")]


def test_a_context_that_there_is_not_is_told_before_there_is_a_screen(
    monkeypatch: pytest.MonkeyPatch, contexts: Path
) -> None:
    monkeypatch.setattr(BaiTuiApp, "run", lambda app: pytest.fail("there was a screen"))
    monkeypatch.setenv("BAI_TUI_CONTEXT", "lbb")
    with pytest.raises(ConfigError, match="did you mean 'lab'"):
        app_module.run(None)
