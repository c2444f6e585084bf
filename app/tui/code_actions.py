"""What the main screen does about code beside running it: history and queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.screen import Screen

from ...widgets.queue_lines import QueueLines
from .messages import CodeAsked, ConsoleChanged, Hinted

if TYPE_CHECKING:
    from .code_screens import Pick, RunQueueScreen
    from .panes.editor import EditorPane
    from .workbench import Workbench


class CodeActions(Screen[None]):
    """A base of the main screen."""

    bench: Workbench
    editor_pane: EditorPane
    _queue_screen: RunQueueScreen | None = None

    @property
    def selected(self) -> str | None:
        """Id of the session under the cursor."""
        raise NotImplementedError

    def action_code_history(self) -> None:
        from .code_screens import CodeHistoryScreen

        def picked(pick: Pick | None) -> None:
            if pick is None:
                return
            what, code = pick
            if what == "run":
                self.post_message(CodeAsked(code))
            else:
                self.editor_pane.put(code)
                self.set_focus(self.editor_pane.focus_target())

        self.app.push_screen(CodeHistoryScreen(self.bench.history), picked)

    def action_run_queue(self) -> None:
        from .code_screens import RunQueueScreen

        session_id = self.selected
        view = None if session_id is None else self.bench.store.view(session_id)
        if session_id is None or view is None:
            self.post_message(Hinted("there is no session, so nothing waits"))
            return
        runs = self.bench.runs

        def changed() -> None:
            self.app.post_message(ConsoleChanged(session_id))

        def closed(_: None) -> None:
            self._queue_screen = None

        self._queue_screen = RunQueueScreen(
            runs.of(session_id).queue,
            view.name,
            go_on=lambda: runs.go_on(session_id),
            changed=changed,
        )
        self.app.push_screen(self._queue_screen, closed)

    @on(QueueLines.Clicked)
    def _queue_clicked(self) -> None:
        self.action_run_queue()

    def show_code(self) -> None:
        """Brings up to date what is shown of runs outside of the console."""
        self.editor_pane.show_runs(self.selected)
        if self._queue_screen is not None and self._queue_screen.is_mounted:
            self._queue_screen.show()
