"""The last line of the screen: the keys that work now. One widget, where Textual's footer is one for each key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

_GAP = 2


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
        self._palette: _Key | None = None

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if not self.app.app_focus or not self.is_attached or screen is not self.screen:
            return
        found: dict[str, _Key] = {}
        places: dict[str, int] = {}
        palette = None
        for _, binding, enabled, _ in screen.active_bindings.values():
            key = _Key(binding.key, self.app.get_key_display(binding), binding.description, enabled)
            if not key.label:
                continue
            if binding.action.endswith("command_palette"):
                palette = palette or key
            elif binding.show:
                found.setdefault(binding.action, key)
                places.setdefault(binding.action, self._order.get(binding.id or "", len(self._order)))
        keys = tuple(found[action] for action in sorted(found, key=places.__getitem__))
        if (keys, palette) != (self._keys, self._palette):
            self._keys, self._palette = keys, palette
            self.refresh()

    def _placed(self) -> list[tuple[int, _Key]]:
        """Returns the keys that have room, each with its first cell; the palette stands at the right."""
        width = self.size.width
        placed: list[tuple[int, _Key]] = []
        if self._palette is not None and self._palette.width < width:
            width -= self._palette.width + 1
            placed.append((width, self._palette))
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
