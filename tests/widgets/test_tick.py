"""Boxes to tick."""

from __future__ import annotations

from bai_tui.widgets.tick import Tick
from textual.app import App, ComposeResult


class TicksApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Tick("colours", False, compact=True, id="off")
        yield Tick("everything", True, compact=True, id="on")


async def test_the_shape_tells_whether_it_is_on() -> None:
    app = TicksApp()
    async with app.run_test() as pilot:
        off, on = app.query_one("#off", Tick), app.query_one("#on", Tick)
        assert off.render_line(0).text.rstrip() == "[ ] colours"
        assert on.render_line(0).text.rstrip() == "[x] everything"
        await pilot.press("space")
        assert off.value
        assert off.render_line(0).text.rstrip() == "[x] colours"
        await pilot.click("#on")
        assert on.render_line(0).text.rstrip() == "[ ] everything"
