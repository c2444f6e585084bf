"""The console as a widget: the reader's line stays, runs fold, text is selected and clicked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from bai_tui.widgets.output_console import OutputConsole
from bai_tui.widgets.transcript import Media, Run, RunState, Transcript
from rich.segment import Segment
from textual import on
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget


class Pictures:
    """Rich output of as many rows as its data has letters; a click closes it."""

    def __init__(self) -> None:
        self.closed = False

    def attach(self, owner: Widget, prefix: str, changed: object) -> None:
        pass

    def height(self, media: Media, width: int) -> int:
        return 1 if self.closed else len(media.data)

    def strip(self, media: Media, width: int, row: int) -> Strip:
        return Strip([Segment(media.data[row] * 3)])

    def toggle(self, media: Media, width: int, row: int) -> bool:
        self.closed = not self.closed
        return True

    def forget_styles(self) -> None:
        pass

    def close(self) -> None:
        pass


class ConsoleApp(App[None]):
    CSS = "OutputConsole { height: 1fr; }"
    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.shown = OutputConsole(clock=lambda: 100.0, media=Pictures())
        self.places: list[OutputConsole.PlaceChosen] = []

    def compose(self) -> ComposeResult:
        yield self.shown

    @on(OutputConsole.PlaceChosen)
    def note_place(self, event: OutputConsole.PlaceChosen) -> None:
        self.places.append(event)


class Seen:
    """A console under a pilot."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot, self.console = app, pilot, app.shown
        self.transcript = Transcript(max_lines=1000)
        self.console.show(self.transcript)

    @property
    def rows(self) -> list[str]:
        return [self.console.render_line(y).text.rstrip() for y in range(self.console.size.height)]

    async def said(self, text: str = "", runs: int = 0) -> None:
        for number in range(runs):
            run = self.transcript.begin(f"work({number})\nmore()", 1.0)
            self.transcript.write("".join(f"run {number} line {line}\n" for line in range(30)))
            self.transcript.finish(run, RunState.OK, 2.0)
        self.transcript.write(text)
        self.console.sync()
        await self.pilot.pause()

    async def go(self, row: int) -> list[str]:
        self.console.scroll_to(y=row, animate=False)
        await self.pilot.pause()
        return self.rows


@asynccontextmanager
async def opened(size: tuple[int, int] = (60, 12)) -> AsyncIterator[Seen]:
    app = ConsoleApp()
    async with app.run_test(size=size) as pilot:
        yield Seen(app, pilot)


async def test_following_follows_and_pausing_pauses() -> None:
    async with opened() as seen:
        await seen.said("".join(f"{number}\n" for number in range(100)))
        assert (seen.rows[-1], seen.console.following) == ("99", True)
        seen.console.pause()
        before = seen.rows
        await seen.said("".join(f"{number}\n" for number in range(100, 150)))
        assert (seen.rows, seen.console.unseen) == (before, 50)
        seen.console.scroll_relative(y=20, animate=False)
        await seen.pilot.pause()
        # what was read meanwhile is not unseen any more
        assert (seen.console.unseen, seen.console.following) == (30, False)
        seen.console.follow()
        await seen.said("new\n")
        assert (seen.rows[-1], seen.console.unseen) == ("new", 0)


async def test_the_line_that_is_read_stays_when_lines_above_are_left_out() -> None:
    async with opened() as seen:
        await seen.said("".join(f"{number}\n" for number in range(1000)))
        before = await seen.go(400)
        for start in range(1000, 9000, 100):
            await seen.said("".join(f"{number}\n" for number in range(start, start + 100)))
            assert seen.rows == before
        assert len(seen.transcript.lines) <= 1100


async def test_the_line_that_is_read_stays_when_a_run_above_is_folded() -> None:
    async with opened() as seen:
        await seen.said(runs=5)
        before = await seen.go(70)
        seen.console.fold(seen.transcript.runs[0], True)
        await seen.pilot.pause()
        assert seen.rows == before
        seen.console.show_code(seen.transcript.runs[1], True)
        await seen.pilot.pause()
        assert seen.rows == before
        seen.console.fold(seen.transcript.runs[0], False)
        await seen.pilot.pause()
        assert seen.rows == before


async def test_the_line_that_is_read_stays_when_the_window_changes() -> None:
    async with opened() as seen:
        for number in range(60):
            seen.transcript.write(f"line {number} " + "word " * (number % 40) + "\n")
        await seen.said()
        await seen.go(60)
        top = seen.rows[0]
        number = seen.console.place_at(60).number
        for width, height in ((31, 12), (97, 20), (20, 8), (60, 12)):
            await seen.pilot.resize_terminal(width, height)
            await seen.pilot.pause()
            assert seen.console.place_at(seen.console.scroll_offset.y).number == number
        assert seen.rows[0] == top


async def test_a_run_folds_and_tells_how_many_lines_are_in_it() -> None:
    async with opened() as seen:
        await seen.said(runs=3)
        seen.console.fold_all(True)
        await seen.pilot.pause()
        assert [row.split()[:2] for row in seen.rows[:3]] == [["▸", f"[{number}]"] for number in (1, 2, 3)]
        assert all("30 lines" in row for row in seen.rows[:3])
        await seen.pilot.click(OutputConsole, offset=(4, 1))
        assert "▾ [2]" in seen.rows[1] and "run 1 line 0" in seen.rows[2]
        # the line that was clicked is where it was
        await seen.pilot.click(OutputConsole, offset=(4, 1))
        assert "▸ [2]" in seen.rows[1] and "[3]" in seen.rows[2]


async def test_a_run_that_goes_on_is_not_put_away_with_the_others() -> None:
    async with opened() as seen:
        await seen.said(runs=1)
        seen.transcript.begin("endless()", 3.0)
        await seen.said("still here\n")
        seen.console.fold_all(True)
        await seen.said("and here\n")
        assert "still here" in seen.rows and "and here" in seen.rows


async def test_the_whole_code_of_a_run_is_shown() -> None:
    async with opened() as seen:
        seen.transcript.begin("for x in y:\n    print(x)\n", 1.0)
        seen.console.language = "python"
        await seen.said("out\n")
        (run,) = seen.transcript.runs
        seen.console.show_code(run, True)
        assert seen.rows[1:4] == ["    for x in y:", "        print(x)", "out"]
        colours = {
            segment.style.color for segment in seen.console.render_line(1) if segment.style and segment.text.strip()
        }
        assert seen.console.render_line(1).text.startswith("    for") and colours


async def test_times_stand_before_lines_and_lines_go_on_to_the_right() -> None:
    async with opened() as seen:
        seen.transcript.now_s = 3_723.0
        await seen.said("x" * 100 + "end\n")
        seen.console.set_stamps(True)
        stamp = seen.rows[0].split()[0]
        assert stamp.count(":") == 2 and seen.rows[0].split()[1] == "x" * 50
        seen.console.set_wrap(False)
        await seen.pilot.pause()
        assert seen.rows[0] == f"{stamp} {'x' * 50}" and seen.rows[1] == ""
        seen.console.scroll_to(x=seen.console.max_scroll_x, animate=False)
        await seen.pilot.pause()
        assert seen.rows[0].startswith(stamp) and seen.rows[0].endswith("end")


async def test_a_search_goes_on_while_output_comes() -> None:
    async with opened() as seen:
        await seen.said("".join(f"{number}\n" for number in range(200)))
        seen.console.find("7")
        assert seen.console.search is not None and seen.console.match == seen.console.search.total
        assert "197" in seen.rows
        found = seen.console.search.total
        await seen.said("777\n")
        while not seen.console.search.done:
            await seen.pilot.pause(0.01)
        assert seen.console.search.total == found + 3
        seen.console.find_next(1)
        assert seen.console.match == found + 1
        seen.console.find_next(-1)
        assert seen.console.match == found
        assert not seen.console.following
        seen.console.find("no such thing")
        assert not seen.console.find_next(1)


async def test_a_match_in_a_folded_run_unfolds_it() -> None:
    async with opened() as seen:
        await seen.said(runs=4)
        seen.console.fold_all(True)
        seen.console.find("run 1 line 17")
        assert not seen.transcript.runs[1].folded and seen.transcript.runs[2].folded
        assert "run 1 line 17" in seen.rows


async def test_text_is_selected_with_the_mouse_and_copied_as_it_was_written() -> None:
    async with opened() as seen:
        await seen.said("x" * 70 + "\nsecond line\n漢字 third\n")
        await seen.pilot.mouse_down(OutputConsole, offset=(50, 0))
        await seen.pilot.hover(OutputConsole, offset=(6, 3))
        await seen.pilot.mouse_up(OutputConsole, offset=(6, 3))
        selected = seen.app.screen.get_selected_text()
        assert selected == "x" * 20 + "\nsecond line\n漢字 th"
        # it is the same text when lines come, go or are broken elsewhere
        seen.console.set_stamps(True)
        await seen.said("more\n" * 50)
        await seen.pilot.resize_terminal(30, 10)
        await seen.pilot.pause()
        assert seen.app.screen.get_selected_text() == selected


async def test_of_many_lines_only_the_selected_ones_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as seen:
        await seen.said("".join(f"{number}\n" for number in range(900)))
        selection = Selection(Offset(0, 700), Offset(2, 701))
        found = seen.console.get_selection(selection)
        assert found is not None and found[0] == "700\n70"


async def test_the_cursor_of_the_selection_is_seen_and_moves_the_view() -> None:
    async with opened() as seen:
        await seen.said("".join(f"line {number}\n" for number in range(100)))
        assert seen.console.begin_selection()
        assert seen.console.cursor is not None and seen.console.cursor.spot[0] == 99
        seen.console.begin_selection(by_line=True)
        seen.console.move_cursor(lambda cursor: cursor.move(-20, 0))
        assert "line 79" in seen.rows
        assert seen.console.selected_text() == "\n".join(f"line {number}" for number in range(79, 100))
        styles = {
            segment.style for segment in seen.console.render_line(seen.rows.index("line 79")) if segment.text.strip()
        }
        assert len(styles) == 2
        seen.console.end_selection()
        assert seen.console.selected_text() == "" and seen.console.cursor is None


async def test_places_in_code_are_gone_to_and_opened() -> None:
    async with opened() as seen:
        await seen.said('a\n  File "one.py", line 3, in f\nb\n' + "pad\n" * 40 + "two.py:7:5: bad\n")
        assert seen.console.step_place(-1) and "two.py:7:5: bad" in seen.rows
        assert seen.console.step_place(-1) and "b" in seen.rows
        assert not seen.console.step_place(-1)
        assert seen.console.open_place()
        await seen.pilot.pause()
        assert [(event.location.path, event.location.row) for event in seen.app.places] == [("one.py", 2)]
        row = seen.rows.index('  File "one.py", line 3, in f')
        await seen.pilot.click(OutputConsole, offset=(10, row))
        await seen.pilot.click(OutputConsole, offset=(40, row))
        await seen.pilot.pause()
        assert len(seen.app.places) == 2


async def test_a_place_in_a_cell_is_in_the_code_that_was_run() -> None:
    async with opened() as seen:
        runs: list[Run] = []
        for code in ("def f(x):\n    return 1 / x", "y = 2", "f(0)"):
            runs.append(seen.transcript.begin(code, 1.0))
        await seen.said(
            "Cell In[3], line 1\n----> 1 f(0)\n\n"
            "Cell In[1], line 2, in f(x)\n      1 def f(x):\n----> 2     return 1 / x\n"
        )
        assert seen.console.step_place(1) and seen.console.open_place()
        assert seen.console.step_place(1) and seen.console.open_place()
        await seen.pilot.pause()
        found = [seen.console.cell_of(event.location, event.number) for event in seen.app.places]
        assert found == [runs[2], runs[0]]


async def test_rich_output_takes_its_rows_and_gives_them_back() -> None:
    async with opened() as seen:
        seen.transcript.media(Media("image/png", "abc", alt="a picture"))
        await seen.said("below\n")
        assert seen.rows[:4] == ["aaa", "bbb", "ccc", "below"]
        await seen.pilot.click(OutputConsole, offset=(1, 1))
        assert seen.rows[:2] == ["aaa", "below"]


async def test_each_transcript_is_found_as_it_was_left() -> None:
    async with opened() as seen:
        await seen.said("".join(f"{number}\n" for number in range(100)))
        before = await seen.go(30)
        other = Transcript()
        other.write("other\n" * 50)
        seen.console.show(other)
        assert seen.console.following
        seen.console.show(seen.transcript)
        await seen.pilot.pause()
        assert seen.rows == before and not seen.console.following


@pytest.mark.parametrize("step", [-1, 1])
async def test_runs_are_gone_through(step: int) -> None:
    async with opened() as seen:
        await seen.said(runs=4)
        met = [run.number if (run := seen.console.step_run(step)) is not None else 0 for _ in range(5)]
        assert met == ([3, 2, 1, 1, 1] if step < 0 else [4] * 5)
        assert f"[{met[-1]}]" in seen.rows[0] or step > 0
        assert seen.console.run is seen.transcript.runs[met[-1] - 1]


async def test_a_run_that_ends_with_its_last_words_says_so_at_once() -> None:
    async with opened() as seen:
        run = seen.transcript.begin("x", 99.0)
        seen.transcript.write("one\n")
        seen.console.sync()
        await seen.pilot.pause()
        painted: list[bool] = []
        refresh = seen.console.refresh

        def counted(*regions: Any, **more: Any) -> Any:
            painted.append(not regions)
            return refresh(*regions, **more)

        seen.console.refresh = counted  # type: ignore[method-assign]  # to see whether all is painted
        seen.transcript.write("two\n")
        seen.transcript.finish(run, RunState.OK, 100.0)
        seen.console.sync()
        assert True in painted
