"""What modal screens have in common, and the one that asks for a line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from .path_suggester import PathSuggester

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """A modal screen that loses no key: what is typed before its field is there is typed once more then."""

    def __init__(self) -> None:
        super().__init__()
        self._early: list[events.Key] = []

    def on_key(self, event: events.Key) -> None:
        if self.focused is None:
            event.stop()
            self._early.append(event)

    def on_descendant_focus(self) -> None:
        early, self._early = self._early, []
        for key in early:
            self.app.post_message(events.Key(key.key, key.character))


class PathPrompt(Dialog[str | None]):
    """Asks for a path, or another line. Says what is wrong with it and asks again, until escape.

    Of a path of this machine, how it may go on stands behind it; tab takes that.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", id="path-close", tooltip="Close without doing anything"),
        Binding("tab", "complete", "complete", id="path-complete", tooltip="Take what may follow", priority=True),
    ]

    def __init__(
        self,
        title: str,
        path: str,
        check: Callable[[str], Awaitable[str | None]],
        *,
        empty: str = "write a path",
        completes: bool = True,
    ) -> None:
        super().__init__()
        self._suggester = PathSuggester() if completes else None
        self._title = title
        self._path = path
        self._check = check
        self._empty = empty

    def compose(self) -> ComposeResult:
        with Vertical(id="path-prompt") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = ("" if self._suggester is None else "tab completes · ") + "enter · escape closes"
            yield Input(self._path, id="path", compact=True, suggester=self._suggester)
            yield Static("", id="path-error", markup=False)

    def action_close(self) -> None:
        self.dismiss(None)

    async def action_complete(self) -> None:
        field = self.query_one("#path", Input)
        typed = field.value
        # asked again: what stands behind the path may be late
        found = None if self._suggester is None else await self._suggester.get_suggestion(typed)
        if found is None:
            self.app.bell()
        elif field.value == typed:
            field.value = found
            field.cursor_position = len(found)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        # a worker, since a file may be on a disk that does not answer: escape must still lead out
        self.run_worker(self._try(event.value.strip()), name="path", exclusive=True)

    async def _try(self, path: str) -> None:
        wrong = await self._check(path) if path else self._empty
        if wrong is None:
            self.dismiss(path)
        else:
            self.query_one("#path-error", Static).update(wrong)
