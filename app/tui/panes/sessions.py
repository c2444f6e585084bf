"""The session list with its keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.binding import BindingType
from textual.content import Content

from ....widgets.rows import SessionUse
from ....widgets.session_columns import OF_LIVE
from ...model.metrics import CPU_UTIL, CUDA_MEM, CUDA_UTIL, MEM_USED
from ..actions import bindings
from ..each import is_or_are, of
from ..ending import How
from ..store import LAUNCHING
from .browser import Browser, ListSection

if TYPE_CHECKING:
    from ..workbench import Workbench

_HOW: Final = (
    ("i", "INT", "interrupt what runs; the session stays", How.INTERRUPT),
    ("t", "TERM", "end the session; its processes may clean up", How.TERMINATE),
    ("k", "KILL", "end the session at once", How.FORCE),
)


class SessionsPane(Browser):
    """The sessions of the store; what its keys do, they do to the marked ones, else to the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("sessions")]
    pane_name: ClassVar[str] = "sessions"

    def __init__(self, bench: Workbench, *, empty: Sequence[str], id: str) -> None:
        super().__init__(bench, memory=bench.memory.of(ListSection), offered=OF_LIVE, empty=empty, use=self._use, id=id)
        self._said = ""

    def show_session(self, session_id: str | None) -> None:
        """Does nothing: the session that is selected is the one under its cursor."""

    # -- what the screen tells -------------------------------------------------------------------------------------

    def set_empty(self, lines: Sequence[str]) -> None:
        """Sets what stands in the empty list."""
        self.list.set_empty(lines)

    def rename_row(self, old_id: str, new_id: str) -> None:
        """Lets cursor, marks and pins go along when a session gets its real id."""
        self.list.rename_row(old_id, new_id)
        pins = self._memory.pins
        self._memory.pins = [new_id if one == old_id else one for one in pins]

    def show_rows(self) -> None:
        """Shows what changed in the store since the last call."""
        changes = self.bench.store.take_changes()
        if changes.everything:
            self.list.set_rows(changes.rows)
        elif changes.rows or changes.gone:
            self.list.change_rows(changes.rows, changes.gone)
        else:
            return
        self._count()

    def tick(self) -> None:
        """Shows what time changes."""
        self.list.tick()

    def live_changed(self) -> None:
        """Shows a round of measuring."""
        self.list.live_changed()

    def _use(self, session_id: str) -> SessionUse | None:
        metrics = self.bench.sync.live.metrics(session_id)
        if not metrics:
            return None
        found = [metrics.get(name) for name in (CPU_UTIL, MEM_USED, CUDA_UTIL, CUDA_MEM)]
        return SessionUse(*(None if metric is None else metric.current for metric in found))

    @on(Browser.Counted)
    def _counted(self, event: Browser.Counted) -> None:
        """Says below how many live, how many are marked, and what they are sorted by."""
        event.stop()
        live, marked = self.bench.store.live_count, len(self.list.table.marks)
        parts = [f"{marked:,} marked"] if marked else []
        parts += [told] if (told := self.sort_told) else []
        parts += [f"{live:,}"] if len(self.list.table) else []
        said = f" {self.bench.glyphs.dot} ".join(parts)
        if said != self._said:
            # a border title that is set paints its pane anew
            self._said = said
            self.border_subtitle = Content(said)

    # -- ending ----------------------------------------------------------------------------------------------------

    def action_kill(self) -> None:
        """Ends idle sessions, with some seconds to take it back; asks for busy ones; takes ended ones off."""
        ids = self._acting()
        if ids is None:
            return
        ending = self.bench.ending
        plan = ending.plan(ids)
        if plan.ended:
            ending.dismiss(plan.ended)
        ending.doom(plan.idle)
        if len(plan.idle) > 1 or (plan.idle and plan.busy):
            self.say(f"{of(self._names(plan.idle))} will end in {ending.undo_s:.0f} s: u takes it back")
        if plan.busy:
            self._ask(plan.busy)
        elif plan.doomed and not plan.idle:
            self.say("it is about to end: u takes it back, X ends it now")
        if len(ids) > 1:
            self.list.action_clear_marks()

    def _ask(self, ids: Sequence[str]) -> None:
        from ..choice_box import Choice, ChoiceBox

        names = self._names(ids)
        ask = "It runs code, or is ending already." if len(ids) == 1 else f"All {len(ids):,} run code, or are ending."
        box = ChoiceBox(f"End {of(names)}?", names, [Choice(*one) for one in _HOW], ask=ask)
        self.app.push_screen(box, partial(self._asked, ids))

    def _asked(self, ids: Sequence[str], how: str | None) -> None:
        if how:
            self.bench.ending.signal(ids, How(how))

    def action_force(self) -> None:
        """Ends sessions at once, busy or not."""
        ids = self._acting()
        if ids is None:
            return
        plan = self.bench.ending.plan(ids)
        if plan.ended:
            self.bench.ending.dismiss(plan.ended)
        if live := [*plan.idle, *plan.busy, *plan.doomed]:
            names = self._names(live)
            self.bench.ending.signal(live, How.FORCE)
            self.say(f"{of(names)} {is_or_are(names)} being forced to end")
        if len(ids) > 1:
            self.list.action_clear_marks()

    def action_undo(self) -> None:
        """Takes the last end back while it was not sent."""
        self.say(self.bench.ending.undo())

    # -- keeping ---------------------------------------------------------------------------------------------------

    def action_extend(self) -> None:
        self._with(self.bench.upkeep.extend)

    def action_take_back(self) -> None:
        self._with(self.bench.upkeep.take_back)

    def action_prioritize(self, direction: int) -> None:
        self._with(lambda ids: self.bench.upkeep.prioritize(ids, direction))

    def action_restart(self) -> None:
        """Asks, and gives sessions a fresh kernel."""
        ids = self._acting()
        if ids is None:
            return
        running = self.bench.upkeep.restartable(ids)
        if not running:
            self.say("only a session that runs can be restarted")
            return
        from ..choice_box import Choice, ChoiceBox

        names = self._names(running)
        box = ChoiceBox(
            f"Restart {of(names)}?",
            names,
            (Choice("r", "restart", "what it holds in memory is lost, its files stay", "restart"),),
        )
        self.app.push_screen(box, partial(self._restart, running))

    def _restart(self, ids: Sequence[str], answer: str | None) -> None:
        if answer:
            self.bench.upkeep.restart(ids)

    def action_rename(self) -> None:
        """Asks for another name of the session under the cursor."""
        ids = self._acting()
        if ids is None:
            return
        if len(ids) > 1:
            self.say("only one session at a time can be renamed: backspace takes the marks back")
            return
        row = self.bench.store.row(ids[0])
        if row is None or row.ended or ids[0].startswith(LAUNCHING):
            self.say("only a session that lives can be renamed")
            return
        from ..dialogs import PathPrompt

        check = partial(self.bench.upkeep.rename, ids[0])
        self.app.push_screen(PathPrompt(f"Rename {row.name}", row.name, check, empty="write a name", completes=False))

    def action_again(self) -> None:
        """Launches another session like each of these: the same image and slots."""
        ids = self._acting()
        if ids is None:
            return
        views = [view for session_id in ids if (view := self.bench.store.view(session_id)) is not None]
        for view in views:
            self.bench.launching.like(view)
        if len(views) > 1:
            self.say(f"{len(views):,} sessions like the marked ones are asked for")

    def action_pin(self) -> None:
        """Pins sessions before all others, or unpins them."""
        ids = self.targets
        if ids:
            names = self._names(ids)
            pinned = self.pin(ids)
            self.say(f"{of(names)} {is_or_are(names)} {'pinned' if pinned else 'not pinned any more'}")

    def action_history(self) -> None:
        """Shows the sessions that ended."""
        from ..history_screen import HistoryScreen

        self.app.push_screen(HistoryScreen(self.bench))

    def action_image_log(self) -> None:
        """Shows the log of how the image of the session under the cursor is built or pulled, or was."""
        view = None if self.cursor is None else self.bench.store.view(self.cursor)
        if view is None or not view.image:
            return
        if not self.bench.sync.connection.tells_images:
            self.say("this server keeps no log of its images")
            return
        from ..image_log_screen import ImageLogScreen

        self.bench.did("image", "log", view.image)
        self.app.push_screen(ImageLogScreen(self.bench, view.image))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _acting(self) -> list[str] | None:
        """Returns whom a key that changes something is for; None where it is for nobody."""
        ids = self.targets
        table = self.list.table
        if hidden := sum(1 for one in table.marks if one not in table.places):
            self.say(f"{hidden:,} marked {'one is' if hidden == 1 else 'ones are'} hidden by the filter and left out")
        return ids or None

    def _with(self, act: Callable[[Sequence[str]], str | None]) -> None:
        """Does something to sessions; says why where that cannot be."""
        ids = self._acting()
        if ids is not None:
            wrong = act(ids)
            if wrong is not None:
                self.notify(wrong, severity="warning", markup=False, timeout=3)

    def _names(self, ids: Sequence[str]) -> list[str]:
        return [row.name for session_id in ids if (row := self.bench.store.row(session_id)) is not None]
