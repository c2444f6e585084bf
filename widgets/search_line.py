"""The line in which one writes what is searched, with how many were found."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from .console_search import Search
from .glyphs import Glyphs


class _Field(Input):
    """Gives the focus away at once when enter is pressed: the next key of the same burst is for who gets it."""

    leads_to: Widget | None = None

    async def _on_key(self, event: events.Key) -> None:
        if (focused := self.screen.focused) is not self and focused is not None:
            # sent here before the focus went: it is for who has it now
            event.stop()
            event.prevent_default()
            focused.post_message(events.Key(event.key, event.character))
        elif event.key == "enter" and self.leads_to is not None:
            # not by its binding, which comes after the keys that follow in the same burst
            event.stop()
            event.prevent_default()
            self.screen.set_focus(self.leads_to)
            await self.action_submit()
        else:
            await super()._on_key(event)


class SearchLine(Horizontal):
    """A field, two switches and a count. Shown with the class `-open`.

    Args:
        leads_to: Gets the focus when enter is pressed.
    """

    DEFAULT_CSS: ClassVar[str] = """
    SearchLine { height: 1; display: none; }
    SearchLine.-open { display: block; }
    SearchLine > Static { width: auto; padding: 0 1 0 0; }
    SearchLine > .search-switch { padding: 0 1; }
    SearchLine > Input { width: 1fr; }
    """

    class Changed(Message):
        """What is searched, or how, is another."""

        def __init__(self, pattern: str, regex: bool, case: bool | None) -> None:
            super().__init__()
            self.pattern = pattern
            self.regex = regex
            self.case = case
            """None = capitals count where the pattern has some."""

    class Entered(Message):
        """Enter was pressed."""

    def __init__(self, glyphs: Glyphs, leads_to: Widget | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._leads_to = leads_to
        self._regex = False
        self._case: bool | None = None

    def compose(self) -> ComposeResult:
        yield Static("/", markup=False, classes="search-mark")
        field = _Field(compact=True, select_on_focus=False, placeholder="search the output", classes="search-field")
        field.leads_to = self._leads_to
        yield field
        yield Static("", markup=False, classes="search-count")
        yield Static(".*", markup=False, classes="search-switch search-regex")
        yield Static("Aa", markup=False, classes="search-switch search-case")

    def on_mount(self) -> None:
        self.query_one(".search-regex").tooltip = "regular expression (alt+x)"
        self.query_one(".search-case").tooltip = "capitals count (alt+c)"
        self._show_switches()

    @property
    def field(self) -> Input:
        """Where the pattern is written."""
        return self.query_one(Input)

    def focus_field(self) -> None:
        """Puts the cursor into the field; what it holds is searched again."""
        self.screen.set_focus(self.field)
        # at once: the next key of the same burst writes over what was searched last
        self.field.action_select_all()
        if self.field.value:
            self._tell()

    def switch(self, option: str) -> None:
        """Switches `regex` or `case`."""
        if option == "regex":
            self._regex = not self._regex
        else:
            self._case = {None: True, True: False, False: None}[self._case]
        self._show_switches()
        self._tell()

    def show_count(self, search: Search | None, at: int) -> None:
        """Says how many were found, and which of them was gone to."""
        if search is None:
            text = ""
        elif search.error:
            text = search.error
        else:
            more = "" if search.done else self._glyphs.ellipsis
            text = f"{at:,} of {search.total:,}{more}" if at else f"{search.total:,}{more} found"
        count = self.query_one(".search-count", Static)
        count.set_class(search is not None and (bool(search.error) or (search.done and not search.total)), "-none")
        count.update(text)

    def _show_switches(self) -> None:
        self.query_one(".search-regex").set_class(self._regex, "-on")
        case = self.query_one(".search-case", Static)
        case.set_class(self._case is not None, "-on")
        case.update("aa" if self._case is False else "Aa")

    def _tell(self) -> None:
        self.post_message(self.Changed(self.field.value, self._regex, self._case))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._tell()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Entered())

    @on(events.Click, ".search-switch")
    def _clicked(self, event: events.Click) -> None:
        event.stop()
        self.switch("regex" if event.widget is not None and event.widget.has_class("search-regex") else "case")
