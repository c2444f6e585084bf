"""Which keys each action has now, the user's in place of its own, and what stands on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .action import Action
from .keymap import normal, split

NO_KEY: Final = "no_key"
"""Takes the place of keys that an action shall not have; no terminal sends it."""
_PALETTE: Final = "palette"
NAMES: Final = {
    "pageup": "pgup",
    "pagedown": "pgdn",
    "delete": "del",
    "ctrl+@": "^space",
    "ctrl+underscore": "^/",
    "ctrl+slash": "^/",
    "ctrl+backslash": "^\\",
    "slash": "/",
    "backslash": "\\",
    "underscore": "_",
    "minus": "-",
    "at": "@",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}
"""Textual's names of keys -> what stands on them, where the character that they write does not tell."""


def key_text(key: str) -> str:
    """Returns what stands on a key: `^r` for `ctrl+r`, `G` for `shift+g`."""
    from textual.keys import key_to_character

    if key in NAMES:
        return NAMES[key]
    *modifiers, name = key.split("+")
    if modifiers == ["shift"] and len(name) == 1:
        return name.upper()
    character = key_to_character(name)
    name = NAMES.get(name) or (character if character and character.isprintable() and character != " " else name)
    if modifiers == ["ctrl"]:
        return f"^{name}"
    return "+".join([*modifiers, name])


class Keys:
    """The keys of all actions.

    Args:
        given: `[keys]` of the configuration.
        actions: The action table.
    """

    def __init__(self, given: Mapping[str, str], actions: Sequence[Action]) -> None:
        self._actions = {action.id: action for action in actions}
        self._given = {name: keys for name, keys in given.items() if name in self._actions}

    def of(self, action: Action) -> list[str]:
        """Returns the keys of an action, the one to show first; empty = it has none."""
        return list(dict.fromkeys(map(normal, split(self._given.get(action.id, action.key)))))

    def labels(self, action: Action) -> list[str]:
        """Returns what stands on the keys of an action; empty = it has none."""
        found = [key_text(key) for key in self.of(action)]
        if action.key_display and action.id not in self._given:
            found[0] = action.key_display
        return list(dict.fromkeys(found))

    def first(self, action_id: str) -> str:
        """Returns what stands on the first key of an action, for sentences that name it; of the palette, which has
        them all, where it has none."""
        for name in (action_id, _PALETTE):
            if labels := self.labels(self._actions[name]):
                return labels[0]
        return "no key"

    @property
    def keymap(self) -> dict[str, str]:
        """What `App.set_keymap` takes."""
        return {name: ",".join(map(normal, split(keys))) or NO_KEY for name, keys in self._given.items()}
