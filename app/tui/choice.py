"""A box with one question and a letter for each answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from .dialogs import Dialog


class ChoiceScreen(Dialog[str]):
    """Asks one question. The answer is the letter of a choice, or empty for none.

    Args:
        title: What it is about.
        question: In a sentence; foreign text may be in it.
        choices: (letter, word) of each; the word begins with its letter or has it in brackets.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "choose('')", "cancel", id="choice-cancel", tooltip="Close without doing anything"),
        Binding("right,down", "app.focus_next", "next", show=False, id="choice-next", tooltip="Go to the next answer"),
        Binding("left,up", "app.focus_previous", "back", show=False, id="choice-back", tooltip="Go back an answer"),
    ]

    def __init__(self, title: str, question: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title = title
        self._question = question
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Vertical(id="choice") as box:
            box.border_title = self._title
            box.border_subtitle = "a letter · enter · escape cancels"
            yield Static(self._question, id="choice-question", markup=False)
            with Horizontal(id="choice-answers"):
                # cancel is the default
                yield Button("cancel", id="answer-", compact=True)
                for letter, word in self._choices:
                    yield Button(f"{letter}  {word}", id=f"answer-{letter}", compact=True)

    def on_key(self, event: events.Key) -> None:
        if event.character is not None and any(event.character == letter for letter, _ in self._choices):
            event.stop()
            self.dismiss(event.character)
        else:
            super().on_key(event)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss((event.button.id or "").removeprefix("answer-"))

    def action_choose(self, letter: str) -> None:
        self.dismiss(letter)
