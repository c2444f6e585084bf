"""What the keys of the console do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.containers import Vertical

from ....widgets.console_export import everything, output_of
from ....widgets.console_select import TextCursor
from ....widgets.glyphs import ASCII
from ....widgets.lines import Media, Run
from ....widgets.output_console import OutputConsole
from .. import clipboard
from ..messages import LocationAsked

if TYPE_CHECKING:
    from ..workbench import Workbench


class ConsoleHands(Vertical):
    """The actions of the console pane. Some keys mean another thing while text is being selected by keys."""

    bench: Workbench
    console: OutputConsole

    def hint(self, text: str, *, stays: bool = False) -> None:
        """Says something in the border for a few seconds."""
        raise NotImplementedError

    def open_search(self) -> None:
        """Shows the line to write in what is searched."""
        raise NotImplementedError

    def close_search(self) -> bool:
        """Ends the search; returns whether there was one."""
        raise NotImplementedError

    def _move(self, lines: int, chars: int) -> bool:
        """Moves the cursor of the selection; returns whether there is one."""
        if self.console.cursor is None:
            return False
        self.console.move_cursor(lambda cursor: cursor.move(lines, chars))
        return True

    def _cursor(self, move: str, *values: int) -> bool:
        if self.console.cursor is None:
            return False
        self.console.move_cursor(lambda cursor: getattr(cursor, move)(*values))
        return True

    # -- moving ------------------------------------------------------------------------------------------------

    def action_line(self, step: int) -> None:
        if not self._move(step, 0):
            self.console.scroll_relative(y=step, animate=False)

    def action_page(self, step: int) -> None:
        rows = max(1, self.console.scrollable_content_region.height - 1)
        if not self._move(step * rows, 0):
            self.console.scroll_relative(y=step * rows, animate=False)

    def action_sideways(self, step: int) -> None:
        if not self._move(0, step):
            if self.console.wrap:
                self.hint("lines are wrapped: w lets them go on to the right")
            else:
                self.console.scroll_relative(x=step * 8, animate=False)

    def action_top(self) -> None:
        console = self.console
        if console.cursor is not None:
            console.move_cursor(lambda cursor: cursor.go(console.transcript.first, 0))
        else:
            console.scroll_to(y=0, animate=False)

    def action_end(self) -> None:
        console = self.console
        if console.cursor is not None:
            console.move_cursor(lambda cursor: cursor.go(console.transcript.end - 1, 0))
        else:
            console.follow()

    def action_follow(self) -> None:
        self.console.end_selection()
        if self.console.following:
            self.console.pause()
        else:
            self.console.follow()

    def action_line_end(self, step: int) -> None:
        if not self._cursor("line_end", step):
            self.console.scroll_to(x=0 if step < 0 else self.console.max_scroll_x, animate=False)

    # -- runs --------------------------------------------------------------------------------------------------

    def action_run_step(self, step: int) -> None:
        if self.console.step_run(step) is None:
            self.hint("nothing was run here yet")

    def action_fold(self) -> None:
        if self.console.cursor is not None:
            self.console.move_cursor(TextCursor.swap)
        elif (run := self._chosen()) is not None:
            self.console.fold(run, not run.folded)

    def action_fold_all(self) -> None:
        runs = self.console.transcript.runs
        if not runs:
            self.hint("nothing was run here yet")
        self.console.fold_all(any(not run.folded and not run.going for run in runs))

    def action_code(self) -> None:
        if (run := self._chosen()) is not None:
            self.console.show_code(run, not run.code_shown)

    def _chosen(self) -> Run | None:
        run = self.console.run
        if run is None:
            self.hint("nothing was run here yet")
        return run

    # -- the look ----------------------------------------------------------------------------------------------

    def action_wrap(self) -> None:
        if not self._cursor("word", 1):
            self.console.set_wrap(not self.console.wrap)
            self.hint(
                "long lines are wrapped" if self.console.wrap else "long lines go on to the right: h and l go there"
            )

    def action_stamps(self) -> None:
        self.console.set_stamps(not self.console.stamps)

    def action_clear(self) -> None:
        self.console.end_selection()
        self.console.transcript.clear()
        self.console.sync()

    # -- searching ---------------------------------------------------------------------------------------------

    def action_search(self) -> None:
        self.open_search()

    def action_match(self, direction: int) -> None:
        if self.console.search is None:
            self.hint("nothing is searched: / begins")
        elif not self.console.find_next(direction):
            self.hint(self.console.search.error or f"not found: {self.console.search.pattern}")

    # -- selecting and copying ---------------------------------------------------------------------------------

    def action_select(self) -> None:
        """Shows the cursor; pressed there, begins and ends a selection."""
        self._select(None if self.console.cursor is None else False)

    def action_select_lines(self) -> None:
        self._select(True)

    def _select(self, by_line: bool | None) -> None:
        if not self.console.begin_selection(by_line=by_line):
            self.hint("there is nothing to select yet")

    def action_copy(self) -> None:
        """Copies what is selected, else the line of the cursor, else what the run said."""
        console = self.console
        text = console.selected_text()
        if text:
            self._copy(text)
        elif console.cursor is not None:
            console.begin_selection(by_line=True)
            self._copy(console.selected_text())
        elif (run := self._chosen()) is not None:
            self._copy(output_of(console.transcript, run), f"what [{run.number}] said")

    def action_copy_run(self) -> None:
        if (run := self._chosen()) is not None:
            text = output_of(self.console.transcript, run, code=True)
            self._copy(text, f"[{run.number}] with its code")

    def action_copy_all(self) -> None:
        self._copy(everything(self.console.transcript), "the whole console")

    def _copy(self, text: str, what: str = "") -> None:
        self.console.end_selection()
        self.screen.clear_selection()
        if not text:
            self.hint("there is nothing to copy")
            return
        self.app.copy_to_clipboard(text)
        self.hint(clipboard.said(text, what))

    def action_save(self) -> None:
        from ..save_output import SaveOutput

        run = self.console.run
        name = "output.txt" if run is None else f"run-{run.number}.txt"

        def saved(path: str | None) -> None:
            if path is not None:
                self.hint(f"saved as {path}")

        self.app.push_screen(SaveOutput(self.console.transcript, run, str(Path.cwd() / name)), saved)

    # -- rich output -------------------------------------------------------------------------------------------

    def action_media(self) -> None:
        media = self.console.media_in_view()
        if media is None:
            self.hint("no picture, table or other rich output is here")
        else:
            self.show_media(media)

    def show_media(self, media: Media) -> None:
        """Shows rich output on the whole screen."""
        from ..media_screen import MediaScreen

        pieces = self.console.media()
        settings, ascii_only = self.bench.settings, self.bench.glyphs is ASCII
        at = next((index for index, piece in enumerate(pieces) if piece is media), None)
        if at is not None:
            self.app.push_screen(
                MediaScreen(pieces, at, images=settings.images, ascii_only=ascii_only, where=Path.cwd())
            )

    # -- places in code ----------------------------------------------------------------------------------------

    def action_place(self, direction: int) -> None:
        if not self.console.step_place(direction):
            self.hint("no place in code is named " + ("below" if direction > 0 else "above"))

    def action_enter(self) -> None:
        """Copies the selection, opens the place in code, or folds the run: whatever one is at."""
        if self.console.cursor is not None:
            self.action_copy()
        elif not self.console.open_place():
            self.action_fold()

    def open_place(self, chosen: OutputConsole.PlaceChosen) -> None:
        """Goes to a place in code: a file in the editor, a cell in the code that was run."""
        place = chosen.location
        if place.cell is None:
            self.post_message(LocationAsked(place.path, place.row, place.column))
            return
        run = self.console.cell_of(place, chosen.number)
        if run is None:
            self.hint(f"the code of cell {place.cell} is not here")
            return
        self.post_message(LocationAsked("", place.row, place.column, code=run.code))

    def show_code_of(self, asked: LocationAsked) -> bool:
        """Shows a place in code that was run, where that is still known, in the console; returns whether it is."""
        console = self.console
        run = next((run for run in reversed(console.transcript.runs) if asked.code and run.code == asked.code), None)
        if run is None:
            return False
        console.show_code(run, True)
        console.go_to_code(run, asked.row)
        self.hint("the editor has this code no more: here is what was run")
        return True

    # -- back --------------------------------------------------------------------------------------------------

    def step_back(self) -> bool:
        """Ends the selection, or the search; returns whether there was one."""
        if self.console.cursor is not None:
            self.console.end_selection()
            return True
        return self.close_search()
