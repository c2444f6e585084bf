"""A box that asks one question: a letter answers, everything else leaves things as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ...widgets.text import one_line

NAMED: Final = 6
"""Names that are written out; of the others the number is said."""


_WORD_CELLS: Final = 11


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer."""

    letter: str
    word: str
    about: str
    """What it does, in a sentence."""
    value: str


class ChoiceBox(ModalScreen[str]):
    """Asks; gives the value of the choice, or an empty text when it was cancelled, which is the default."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,c,q", "choose('')", "cancel", id="choice-cancel", tooltip="Leave things as they are"),
    ]

    def __init__(self, title: str, names: Sequence[str], choices: Sequence[Choice], *, ask: str = "") -> None:
        super().__init__()
        self._title = title
        self._names = names
        self._choices = choices
        self._ask = ask

    def compose(self) -> ComposeResult:
        with Vertical(id="choice") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = "a letter chooses · enter or escape cancels"
            more = len(self._names) - NAMED
            names = ", ".join(one_line(name) for name in self._names[:NAMED]) + (
                f" and {more:,} more" if more > 0 else ""
            )
            if names:
                yield Static(names, id="choice-names", markup=False)
            if self._ask:
                yield Static(self._ask, id="choice-ask", markup=False)
            for choice in self._choices:
                yield _Line(choice)
            yield _Line(Choice("c", "cancel", "leave things as they are", ""))

    def on_key(self, event: events.Key) -> None:
        for choice in self._choices:
            if event.key == choice.letter:
                event.stop()
                self.dismiss(choice.value)

    def action_choose(self, value: str) -> None:
        self.dismiss(value)


class _Line(Static):
    """One answer, that can be clicked."""

    def __init__(self, choice: Choice) -> None:
        super().__init__(
            Content.assemble(
                (f" {choice.letter}  ", "bold $accent"), f"{choice.word:<{_WORD_CELLS}}", (choice.about, "$quiet")
            ),
            classes="choice-line",
        )
        self._value = choice.value

    def on_click(self) -> None:
        box = self.screen
        if isinstance(box, ChoiceBox):
            box.dismiss(self._value)
