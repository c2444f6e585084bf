"""Jump mode: a letter on every pane and tab that is seen, and on those that are not; pressing it goes there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

if TYPE_CHECKING:
    from .panes.pane import Pane

_LETTERS: Final = "123456789abcdefghijklmnopqrstuvwxyz"
_WISHES: Final = {
    "sessions": "s", "editor": "e", "console": "c", "terminal": "t", "files": "f", "events": "v", "map": "m",
    "details": "d",
}  # fmt: skip
"""Panes keep their letter whatever else is on the screen."""


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to go."""

    letter: str
    at: Offset
    """Cell of the screen where its letter stands."""
    action: str
    """Of the main screen."""
    word: str = ""
    """What to write beside the letter, where nothing on the screen tells what it is."""

    @property
    def label(self) -> str:
        """What stands there: the letter alone covers one cell, so that the title below it can still be read."""
        return f"{self.letter} {self.word} " if self.word else self.letter


def places_of(screen: Screen[None], panes: Sequence[Widget]) -> list[Place]:
    """Returns where one can go: every pane, and what can be clicked in the titles of those that are seen."""
    found: list[tuple[str, Offset, str]] = []
    hidden: list[str] = []
    for pane in panes:
        name, region = cast("Pane", pane).pane_name, pane.region
        if not region.area:
            hidden.append(name)
            continue
        found.append((name, region.offset, f"pane({name!r})"))
        found += [(name, at, action) for at, action in _links(screen, pane)]
    places: dict[str, Place] = {}
    free = list(dict.fromkeys(_LETTERS))
    for letter in _WISHES.values():
        free.remove(letter)
    for _, at, action in found:
        if action in places:
            continue
        wish = _WISHES.get(action.removeprefix("pane('").removesuffix("')"))
        if wish is None and not free:
            break
        places[action] = Place(wish or free.pop(0), at, action)
    below = Offset(1, screen.size.height - 1)
    for name in hidden:
        if (action := f"pane({name!r})") not in places:
            places[action] = Place(_WISHES[name], below, action, name)
            below += Offset(len(name) + 5, 0)
    return list(places.values())


def _links(screen: Screen[None], pane: Widget) -> Iterable[tuple[Offset, str]]:
    """Yields the tabs in the title of a pane: the first cell of each, and what a click on it does."""
    region, last = pane.region, ""
    for x in range(region.x, region.right):
        action = str(screen.get_style_at(x, region.y).meta.get("@click", ""))
        if action and action != last and "close" not in action:
            yield Offset(x, region.y), action.removeprefix("screen.")
        last = action


class JumpScreen(ModalScreen["Place | None"]):
    """The letters, above the panes as they are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+g", "close", "stay", id="jump-close", tooltip="Stay where you are"),
    ]

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__()
        self._places = {place.letter: place for place in places}

    def compose(self) -> ComposeResult:
        if any(place.word for place in self._places.values()):
            yield Static(id="jump-foot")
        for place in self._places.values():
            label = Static(place.label, classes="jump-label", markup=False)
            label.styles.offset = place.at
            yield label

    def on_key(self, event: events.Key) -> None:
        place = self._places.get(event.key)
        if place is not None:
            event.stop()
            self.dismiss(place)
        elif event.is_printable:
            event.stop()
            self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        self.dismiss(next((place for place in self._places.values() if self._is_at(place, event)), None))

    @staticmethod
    def _is_at(place: Place, event: events.Click) -> bool:
        return place.at.y == event.screen_y and 0 <= event.screen_x - place.at.x < len(place.label)

    def action_close(self) -> None:
        self.dismiss(None)
