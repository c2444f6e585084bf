"""Every row of the action table, done with its key in its pane: the key arrives, and there is something to do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from bai_tui.app.tui.actions import ACTIONS, PANES, Action, of
from bai_tui.app.tui.actions.keys import Keys
from bai_tui.app.tui.app import BaiTuiApp
from bai_tui.app.tui.focus import pane_of
from bai_tui.app.tui.panes.console import ConsolePane
from bai_tui.app.tui.panes.pane import Pane
from bai_tui.tests.tui.fakes import FakeServer
from textual.dom import DOMNode

KEYS = Keys({}, ACTIONS)
ON_MAIN = [pane for pane in PANES if pane not in ("history", "images")]
"""History and launch form are screens of their own: see their tests."""


class Asked:
    """What was asked for, in place of doing it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.actions: list[tuple[str, str]] = []
        self.missing: list[str] = []

        async def run_action(
            app: BaiTuiApp,
            action: str,
            namespace: DOMNode | None = None,
            namespaces: Mapping[str, DOMNode] | None = None,
        ) -> bool:
            self.actions.append((pane_of(namespace) or "everywhere", action))
            node, name, _ = app._parse_action(action, namespace or app, namespaces)
            if not any(hasattr(node, f"{prefix}action_{name}") for prefix in ("", "_")):
                self.missing.append(action)
            return True

        monkeypatch.setattr(BaiTuiApp, "run_action", run_action)
        # the console begins a search at once, not by its binding, for what is typed in the same burst
        monkeypatch.setattr(ConsolePane, "open_search", lambda pane: self.actions.append(("console", "search")))


async def at(desk: Any, pane: str) -> None:
    """Goes to a pane."""
    desk.app.main.action_pane(pane)
    await desk.until(lambda: desk.app.main.focused_pane == pane, pane)


@pytest.mark.parametrize("pane", ON_MAIN)
async def test_every_key_of_a_pane_does_its_action(
    open_desk: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch, pane: str
) -> None:
    server.add("py-1", slots={"cpu": "1", "mem": "1g", "gpu": "0.5"})
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        await at(desk, "sessions" if pane == "everywhere" else pane)
        asked = Asked(monkeypatch)
        for action in of(pane):
            for key in KEYS.of(action):
                asked.actions.clear()
                await desk.press(key)
                assert (pane, action.action) in asked.actions, f"{action.id}: {key} did {asked.actions}"
        assert asked.missing == []


@pytest.mark.parametrize("pane", sorted(set(ON_MAIN) - {"everywhere", "terminal"}))
async def test_the_keys_of_everywhere_work_in_every_pane(
    open_desk: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch, pane: str
) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        await at(desk, pane)
        asked = Asked(monkeypatch)
        for action in of("everywhere"):
            if action.key and action.priority:
                asked.actions.clear()
                await desk.press(KEYS.of(action)[0])
                assert ("everywhere", action.action) in asked.actions, f"{action.id} in {pane}"


@pytest.mark.parametrize(
    "action",
    [action for action in ACTIONS if action.changes and action.target in ON_MAIN],
    ids=lambda action: action.id,
)
async def test_what_changes_something_is_refused_while_read_only(
    open_desk: Any, server: FakeServer, action: Action
) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        desk.app.bench.switch.on = True
        await at(desk, "sessions" if action.target == "everywhere" else action.target)
        before = len(desk.app.screen_stack)
        if action.key:
            await desk.press(KEYS.of(action)[0])
        else:
            pane = desk.app.main if action.target == "everywhere" else desk.app.main.pane(action.target)
            holder = pane if action.target == "everywhere" else cast("Pane", pane).focus_target()
            await holder.run_action(action.action)
        await desk.pilot.pause()
        assert len(desk.app.screen_stack) == before, "no form is opened that could not be sent"
        assert "read-only" in desk.hint or any("read-only" in toast for toast in desk.toasts)
        changed = {call for call, _ in server.calls} & {"create", "terminate", "execute", "extend", "prioritize"}
        assert not changed
