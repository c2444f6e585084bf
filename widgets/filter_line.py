"""A line to filter a list by: what is typed counts at once; how many are left stands at its end."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from .session_filter import LONGEST


class FilterLine(Horizontal):
    """Shown while it holds a filter or has the focus."""

    DEFAULT_CSS = """
    FilterLine { height: 1; }
    FilterLine > #filter-mark { width: 2; }
    FilterLine > #filter { width: 1fr; border: none; height: 1; padding: 0; }
    FilterLine > #filter-told { width: auto; max-width: 60%; padding: 0 1; }
    """

    class Changed(Message):
        """Another filter was typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """Enter was pressed: the list is to have the focus."""

    def __init__(self, text: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = text
        self._told = ""
        # not by a class: what is typed right after it was opened is for it already
        self.display = bool(text)

    def compose(self) -> ComposeResult:
        yield Static("/", id="filter-mark", markup=False)
        yield Input(
            self._text,
            placeholder="name, status:busy, gpu:>0, !not, -f fuzzy",
            max_length=LONGEST,
            select_on_focus=False,
            compact=True,
            id="filter",
        )
        yield Static("", id="filter-told", markup=False)

    @property
    def text(self) -> str:
        """The filter as it was typed."""
        return self._text

    @property
    def field(self) -> Input:
        """Where it is typed."""
        return self.query_one("#filter", Input)

    @property
    def is_open(self) -> bool:
        """Whether it is seen."""
        return self.display

    def open(self) -> None:
        """Shows the line and puts the cursor into it."""
        self.display = True
        self.screen.set_focus(self.field)

    def close(self) -> None:
        """Empties the line and hides it."""
        self.display = False
        if self._text:
            self.field.value = ""
            self._take("")

    def tell(self, text: str, *, error: bool = False) -> None:
        """Says at its end how many are left, or what is wrong."""
        told = ("!" if error else "") + text
        if told != self._told:
            self._told = told
            end = self.query_one("#filter-told", Static)
            end.set_class(error, "-error")
            end.update(Content(text))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._take(event.value)

    def _take(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self.post_message(self.Changed(text))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if not self._text:
            self.display = False
        self.post_message(self.Left())
