"""The log: follows the newest entry until one looks back, and stays on its entry when old ones leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bai_tui.widgets.log_list import LogLine, LogList
from textual.app import App, ComposeResult
from textual.pilot import Pilot


class LogApp(App[None]):
    def compose(self) -> ComposeResult:
        yield LogList(empty="nothing yet")


def lines(first: int, last: int) -> list[LogLine]:
    return [LogLine(float(number), "$", f"entry {number}") for number in range(first, last)]


@asynccontextmanager
async def log_of(count: int) -> AsyncIterator[tuple[LogList, Pilot[None]]]:
    app = LogApp()
    async with app.run_test(size=(40, 10)) as pilot:
        log = app.query_one(LogList)
        log.focus()
        log.set_lines(lines(0, count))
        await pilot.pause()
        yield log, pilot


def text(log: LogList) -> list[str]:
    return [log.render_line(y).text.strip() for y in range(log.size.height)]


async def test_it_says_what_would_fill_it() -> None:
    async with log_of(0) as (log, _):
        assert "nothing yet" in text(log)[0]
        assert log.cursor is None
        log.action_down()
        assert log.cursor is None


async def test_the_newest_entry_is_followed_until_one_looks_back() -> None:
    async with log_of(30) as (log, pilot):
        assert text(log)[-1].endswith("entry 29")
        log.go(9)
        log.set_lines(lines(0, 40))
        await pilot.pause()
        assert log.cursor == 9
        assert "entry 39" not in " ".join(text(log))
        log.action_last()
        log.set_lines(lines(0, 50))
        await pilot.pause()
        assert text(log)[-1].endswith("entry 49")


async def test_the_cursor_and_what_is_read_stay_when_the_oldest_leave() -> None:
    async with log_of(50) as (log, pilot):
        log.go(29)
        before = text(log)
        log.set_lines(lines(5, 55), gone=5)
        await pilot.pause()
        assert log.cursor == 24
        assert text(log) == before


async def test_a_click_goes_there_and_every_line_has_the_width_that_it_says() -> None:
    async with log_of(3) as (log, pilot):
        await pilot.click(LogList, offset=(5, 1))
        assert log.cursor == 1
        log.set_lines([LogLine(0.0, "$", "a[/b]\x1b[31m\x07 " + "wide 漢字 " * 20, "error")])
        await pilot.pause()
        strip = log.render_line(0)
        assert strip.cell_length == log.size.width
        assert "\x1b" not in strip.text
