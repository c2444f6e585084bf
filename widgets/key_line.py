"""The last line of the screen: the keys that work now. One widget, where Textual's footer is one for each key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.keys import key_to_character
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

_GAP = 2


_LAST: Final = ("help", "command_palette")
"""Actions whose keys lead to all others, in the order in which they stand at the right."""


def _is_typed(screen: Screen[object], key: str, label: str) -> bool:
    """Whether a key writes its character into what has the focus, whatever else it is bound to."""
    # Textual knows no character of `plus`, `minus` and `slash`; what stands on the key tells
    character = key_to_character(key) or (label if len(label) == 1 else "")
    return bool(
        character
        and character.isprintable()
        and screen.focused is not None
        and screen.focused.check_consume_key(key, character)
    )


class _Key(NamedTuple):
    key: str
    label: str
    description: str
    enabled: bool

    @property
    def width(self) -> int:
        return cell_len(self.label) + 1 + cell_len(self.description)


class KeyLine(Widget):
    """Shows the bindings of the focused pane and of the screen; a click does what the key does.

    Help and palette stand at the right, whatever else has room. Keys that would be typed into the focused field are
    left out.

    | Component class | What |
    | --- | --- |
    | `keys--key`, `keys--description` | a key; what it does |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key", "keys--description"}
    DEFAULT_CSS = "KeyLine { dock: bottom; height: 1; }"
    ALLOW_SELECT = False

    def __init__(self, order: Mapping[str, int] | None = None, *, id: str | None = None) -> None:
        """
        Args:
            order: Id of a binding -> where it stands among the others; None = as they are found.
        """
        super().__init__(id=id)
        self._order = order or {}
        self._keys: tuple[_Key, ...] = ()
        self._last: tuple[_Key, ...] = ()
        """Help and palette."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if not self.app.app_focus or not self.is_attached or screen is not self.screen:
            return
        found: dict[str, _Key] = {}
        places: dict[str, int] = {}
        last: dict[str, _Key] = {}
        for _, binding, enabled, _ in screen.active_bindings.values():
            key = _Key(binding.key, self.app.get_key_display(binding), binding.description, enabled)
            if not key.label or _is_typed(screen, binding.key, key.label):
                continue
            if (action := binding.action.rpartition(".")[2]) in _LAST:
                last.setdefault(action, key)
            elif binding.show:
                found.setdefault(binding.action, key)
                places.setdefault(binding.action, self._order.get(binding.id or "", len(self._order)))
        keys = tuple(found[action] for action in sorted(found, key=places.__getitem__))
        ends = tuple(last[action] for action in _LAST if action in last)
        if (keys, ends) != (self._keys, self._last):
            self._keys, self._last = keys, ends
            self.refresh()

    def _placed(self) -> list[tuple[int, _Key]]:
        """Returns the keys that have room, each with its first cell; help and palette at the right."""
        width = self.size.width
        placed: list[tuple[int, _Key]] = []
        for place, key in enumerate(reversed(self._last)):
            if key.width < width:
                width -= key.width + (_GAP if place else 1)
                placed.append((width, key))
        width -= 1
        at = 1
        for key in self._keys:
            if at + key.width <= width:
                placed.append((at, key))
                at += key.width + _GAP
        return sorted(placed)

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        segments: list[Segment] = []
        end = 0
        for at, key in self._placed():
            dim = Style(dim=True) if not key.enabled else Style()
            segments += [
                Segment(" " * (at - end)),
                Segment(key.label + " ", self.get_component_rich_style("keys--key", partial=True) + dim),
                Segment(key.description, self.get_component_rich_style("keys--description", partial=True) + dim),
            ]
            end = at + key.width
        return Strip(segments).adjust_cell_length(self.size.width, base).apply_style(base)

    def on_click(self, event: events.Click) -> None:
        for at, key in self._placed():
            if at <= event.x < at + key.width:
                self.app.simulate_key(key.key)
