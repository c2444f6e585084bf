"""What the command palette offers: the whole action table with its keys. What is chosen is done in its pane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from .actions import ACTIONS, Action

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from .app import BaiTuiApp
    from .main_screen import MainScreen
    from .panes.pane import Pane


class TableCommands(Provider):
    """The action table."""

    @property
    def _main(self) -> MainScreen:
        return cast("BaiTuiApp", self.app).main

    async def discover(self) -> Hits:
        """Yields the actions that one would look for, by name."""
        for action in sorted(self._offered(), key=_name):
            if action.palette:
                yield DiscoveryHit(self._line(action, Content(_name(action))), self._runner(action), _name(action),
                                   action.tooltip)  # fmt: skip

    async def search(self, query: str) -> Hits:
        """Yields all actions with a name, a pane or a sentence that fits."""
        matcher = self.matcher(query)
        typed = query.lower().strip()
        for action in self._offered():
            name = _name(action)
            told = typed in action.tooltip.lower()
            score = max(matcher.match(name), 1.0 * told)
            if score > 0:
                # what is written so is meant, and most of all the beginning of a name; letters that only occur in this
                # order come after that, and last what one need not look for, such as moving the cursor
                score += 100 * (typed in name.lower()) + 100 * name.lower().startswith(typed)
                score += 50 * told
                score = score if action.palette else score * 0.1
                line = self._line(action, matcher.highlight(name))
                yield Hit(score, line, self._runner(action), name, action.tooltip)

    def _offered(self) -> Iterator[Action]:
        # a screen of its own, such as the history, has its keys while it is open
        here = {"everywhere", *(cast("Pane", pane).pane_name for pane in self._main.panes)}
        return (action for action in offered() if action.target in here)

    def _line(self, action: Action, name: Content) -> Content:
        labels = cast("BaiTuiApp", self.app).bench.keys.labels(action)
        where = "" if action.target == "everywhere" else f"   {action.target}"
        return Content.assemble(name, (where, "dim"), ("   " + " ".join(labels), "$accent"))

    def _runner(self, action: Action) -> Callable[[], Coroutine[Any, Any, None]]:
        main = self._main

        async def run() -> None:
            if action.target == "everywhere":
                await main.run_action(action.action)
            else:
                main.action_pane(action.target)
                pane = main.pane(action.target)
                name = action.action.partition("(")[0]
                # some panes have their keys on the widget within them that has the focus
                holder = pane if hasattr(pane, f"action_{name}") else cast("Pane", pane).focus_target()
                await holder.run_action(action.action)

        return run


def offered() -> Iterator[Action]:
    """Yields the actions, each thing to do once: what several panes have a key for is that of the first."""
    seen = set()
    for action in ACTIONS:
        what = (action.description, action.action.rpartition(".")[2])
        if action.action == "screen.back" or (not action.palette and what in seen):
            continue
        seen.add(what)
        yield action


def _name(action: Action) -> str:
    return action.title or action.description
