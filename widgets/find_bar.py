"""The line in which one looks for text, and replaces it."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from .text_find import MAX_COUNTED, Query


class Toggle(Static):
    """A word that is on or off."""

    ALLOW_SELECT = False

    class Turned(Message):
        """It was clicked."""

        def __init__(self, toggle: Toggle) -> None:
            super().__init__()
            self.toggle = toggle

    def __init__(self, label: str, *, id: str, tooltip: str) -> None:
        super().__init__(label, id=id, markup=False)
        self.on = False
        self.tooltip = tooltip

    def set(self, on: bool) -> None:
        """Turns it on or off."""
        self.on = on
        self.set_class(on, "-on")

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Turned(self))


class FindBar(Vertical):
    """Asks what is looked for, and what stands in its place.

    `enter` goes to the next match, and in the lower field replaces one; the other keys are its owner's.
    """

    DEFAULT_CSS = """
    FindBar {
        height: auto;
        display: none;
        & Horizontal { height: 1; }
        & .find--label { width: 9; padding: 0 1; }
        & Input { width: 1fr; border: none; height: 1; padding: 0; }
        & Toggle { width: auto; padding: 0 1; }
        & Toggle.-on { text-style: reverse; }
        & #find-count { width: auto; min-width: 12; padding: 0 1; text-align: right; }
        & #replace-row { display: none; }
        &.-replaces #replace-row { display: block; }
        &.-open { display: block; }
    }
    """
    TOGGLES: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("case", "Aa", "Upper and lower case differ"),
        ("word", "ab|", "Whole words only"),
        ("regex", ".*", "A regular expression"),
    )

    class Asked(Message):
        """Something else is looked for."""

        def __init__(self, query: Query) -> None:
            super().__init__()
            self.query = query

    class Stepped(Message):
        """The next match (1) or the previous one (-1) is wanted."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    class Replaced(Message):
        """One match is to be replaced, or every one."""

        def __init__(self, every: bool) -> None:
            super().__init__()
            self.every = every

    def compose(self) -> ComposeResult:
        with Horizontal(id="find-row"):
            yield Static("find", classes="find--label", markup=False)
            yield Input(id="find-text", compact=True, select_on_focus=True)
            for name, label, tooltip in self.TOGGLES:
                yield Toggle(label, id=f"find-{name}", tooltip=tooltip)
            yield Static("", id="find-count", markup=False)
        with Horizontal(id="replace-row"):
            yield Static("replace", classes="find--label", markup=False)
            yield Input(id="replace-text", compact=True, select_on_focus=True)
            yield Toggle("one", id="replace-one", tooltip="Replace the match at the cursor and go to the next")
            yield Toggle("all", id="replace-all", tooltip="Replace every match, as one step to undo")

    @property
    def query_now(self) -> Query:
        """What is looked for."""
        return Query(
            self.query_one("#find-text", Input).value,
            regex=self.query_one("#find-regex", Toggle).on,
            case=self.query_one("#find-case", Toggle).on,
            word=self.query_one("#find-word", Toggle).on,
        )

    @property
    def replacement(self) -> str:
        """What is to stand in place of a match."""
        return self.query_one("#replace-text", Input).value

    @property
    def is_open(self) -> bool:
        """Whether it is seen."""
        return self.has_class("-open")

    def open(self, *, replaces: bool, text: str | None = None) -> None:
        """Shows it, with another text to look for if there is one, and puts the cursor there."""
        self.add_class("-open")
        self.set_class(replaces, "-replaces")
        field = self.query_one("#find-text", Input)
        if text is not None:
            field.value = text
        field.select_all()
        self.screen.set_focus(field)
        self.post_message(self.Asked(self.query_now))

    def close(self) -> None:
        """Hides it."""
        self.remove_class("-open")

    def turn(self, name: str) -> None:
        """Turns `case`, `word` or `regex` on or off."""
        toggle = self.query_one(f"#find-{name}", Toggle)
        toggle.set(not toggle.on)
        self.post_message(self.Asked(self.query_now))

    def tell(self, number: int, total: int, wrong: str = "") -> None:
        """Says how many matches there are and which one the cursor is at; or what is wrong."""
        count = self.query_one("#find-count", Static)
        if wrong:
            said = wrong
        elif not self.query_now.text:
            said = ""
        elif not total:
            said = "none"
        else:
            more = "+" if total >= MAX_COUNTED else ""
            said = f"{number or '–'} of {total:,}{more}"
        count.update(Content(said))
        count.set_class(bool(wrong) or (not total and bool(self.query_now.text)), "-wrong")

    @on(Input.Changed, "#find-text")
    def _text_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Asked(self.query_now))

    @on(Input.Changed, "#replace-text")
    def _replacement_changed(self, event: Input.Changed) -> None:
        event.stop()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input.id == "replace-text":
            self.post_message(self.Replaced(False))
        else:
            self.post_message(self.Stepped(1))

    @on(Toggle.Turned)
    def _turned(self, event: Toggle.Turned) -> None:
        event.stop()
        kind, _, name = (event.toggle.id or "").partition("-")
        if kind == "replace":
            self.post_message(self.Replaced(name == "all"))
        else:
            self.turn(name)

    def on_key(self, event: events.Key) -> None:
        step = {"down": 1, "up": -1, "shift+enter": -1}.get(event.key)
        if step is not None:
            event.stop()
            event.prevent_default()
            self.post_message(self.Stepped(step))
