"""Help: what the pane is that has the focus, its keys, then all others; typing looks for words in it."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from .about import ABOUT
from .actions import PANES, Action, of
from .dialogs import Dialog

if TYPE_CHECKING:
    from .actions.keys import Keys

_KEYS_CELLS = 16
_WIDTH = 90


class HelpScreen(Dialog[None]):
    """Explains a pane and lists every key.

    Args:
        pane: Name of the pane that comes first.
        keys: As the user has them.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1", "close", "close", id="help-close", tooltip="Close help"),
        Binding("down", "scroll(1)", "down", show=False, id="help-down", tooltip="Scroll down"),
        Binding("up", "scroll(-1)", "up", show=False, id="help-up", tooltip="Scroll up"),
        Binding("pagedown", "page(1)", "page down", show=False, id="help-page-down", tooltip="Scroll down a screenful"),
        Binding("pageup", "page(-1)", "page up", show=False, id="help-page-up", tooltip="Scroll up a screenful"),
    ]

    def __init__(self, pane: str, keys: Keys) -> None:
        super().__init__()
        self._pane = pane
        self._keys = keys

    def compose(self) -> ComposeResult:
        with Vertical(id="help") as box:
            box.border_title = f"Help: {self._pane}"
            box.border_subtitle = "type to search, escape closes"
            yield Input(placeholder="a word or a key", id="help-search", compact=True)
            with VerticalScroll(id="help-scroll", can_focus=False):
                yield Static(id="help-text")

    def on_mount(self) -> None:
        self.query_one("#help-search", Input).focus()

    def on_resize(self) -> None:
        self._show()

    @on(Input.Changed, "#help-search")
    def _searched(self) -> None:
        self._show()
        self.query_one("#help-scroll").scroll_home(animate=False)

    def _show(self) -> None:
        width = min(_WIDTH, self.app.size.width - 6)
        text = help_text(self._pane, self._keys, self.query_one("#help-search", Input).value, width=width)
        self.query_one("#help-text", Static).update(text)

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help-scroll").scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        scroll = self.query_one("#help-scroll")
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)

    def action_close(self) -> None:
        search = self.query_one("#help-search", Input)
        if search.value:
            search.value = ""
        else:
            self.dismiss(None)


def help_text(pane: str, keys: Keys, query: str = "", *, width: int = _WIDTH) -> Content:
    """Returns what help says with `pane` first; with a `query` only the actions that have all of its words."""
    words = query.lower().split()
    parts: list[Content | str | tuple[str, str]] = [] if words else ["\n".join(wrap(ABOUT.get(pane, ""), width)), "\n"]
    found = False
    for target in sorted(PANES, key=lambda name: (name != pane, name != "everywhere")):
        actions = [action for action in of(target) if _has(action, keys, words)]
        if actions:
            found = True
            parts.append((f"\n{target}\n" if parts else f"{target}\n", "bold"))
        for action in actions:
            label = " ".join(keys.labels(action)) or "no key"
            lines = wrap(action.tooltip, max(20, width - _KEYS_CELLS))
            if len(label) >= _KEYS_CELLS - 2:
                lines.insert(0, "")
            parts.append((f"  {label:<{_KEYS_CELLS - 2}}", "$accent"))
            parts.append(f"\n{'':{_KEYS_CELLS}}".join(lines) + "\n")
    if not found:
        return Content("nothing is called so: escape empties the search")
    if not words:
        parts.append((f"\n{keys.first('palette')} opens the command palette: everything above by name.", "$text-muted"))
    return Content.assemble(*parts)


def _has(action: Action, keys: Keys, words: list[str]) -> bool:
    if not words:
        return True
    text = f"{action.target} {action.description} {action.title} {action.tooltip}".lower()
    labels = [label.lower() for label in keys.labels(action)]
    return all(word in text or word in labels for word in words)
