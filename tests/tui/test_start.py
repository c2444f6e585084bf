"""What a start does before the first frame, and a change of the focus after it: no more than it must."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from bai_tui.tests.tui.fakes import FakeServer
from textual.color import Color
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode


@pytest.fixture
def styled(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each widget with an id got its styles, and under `parsed` how often all sheets were parsed anew."""
    counts: Counter[str] = Counter()
    apply, reparse = Stylesheet.apply, Stylesheet.reparse

    def counted_apply(self: Stylesheet, node: DOMNode, **more: Any) -> None:
        if node.id is not None:
            counts[node.id] += 1
        apply(self, node, **more)

    def counted_reparse(self: Stylesheet) -> None:
        counts["parsed"] += 1
        reparse(self)

    monkeypatch.setattr(Stylesheet, "apply", counted_apply)
    monkeypatch.setattr(Stylesheet, "reparse", counted_reparse)
    return counts


async def test_a_start_makes_no_styles_over_that_nothing_changed(
    open_desk: Any, server: FakeServer, styled: Counter[str]
) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: "py-1" in desk.list_text and styled["body"] >= 2)
        assert styled["parsed"] == 1
        # as they are mounted, and when the machine that became known gave the map its place
        parts = ("body", "work", "strip", "editor", "find-bar", "console", "map")
        # (in two steps where what is free of it comes later): it was five times and more
        assert all(2 <= styled[name] <= 3 for name in parts), styled


async def test_the_focus_goes_from_pane_to_pane_without_new_styles_for_the_others(
    open_desk: Any, server: FakeServer, styled: Counter[str]
) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: "py-1" in desk.list_text and desk.app.bench.sync.connection.machine is not None)
        # the machine that became known gave the map its place
        await desk.pilot.pause()
        styled.clear()
        await desk.press("f3")
        await desk.until(lambda: styled["editor-pane"] and styled["sessions"])
        assert not styled.keys() & {"body", "strip", "dock", "console", "terminal", "map", "details", "keys"}
        for key, pane in (("f4", "console"), ("f11", "files"), ("f12", "events"), ("f10", "terminal")):
            await desk.press(key)
            await desk.until(lambda pane=pane: desk.app.main.focused_pane == pane)
            accent = Color.parse(desk.app.theme_variables["accent"])
            await desk.until(lambda pane=pane, accent=accent: desk.app.main.pane(pane).styles.border_top[1] == accent)
