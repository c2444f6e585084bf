"""The keys that the user gives to actions, `[keys]` of `config.toml`, held against the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from .action import Action
from .dead_keys import why_dead

_MODIFIERS: Final = frozenset(("ctrl", "alt", "shift", "super", "meta", "hyper"))


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """Something that is wrong with `[keys]`."""

    action: str
    """The key in `[keys]`: id of an action, or what was meant to be one."""
    message: str
    """One sentence, without the name of the table in front."""


def split(keys: str) -> list[str]:
    """Returns the keys of a comma-separated text; a comma itself is called `comma`."""
    return [key.strip() for key in keys.split(",") if key.strip()]


def problems_of_keys(keys: Mapping[str, str], actions: Sequence[Action]) -> list[KeyProblem]:
    """Returns what is wrong with `keys`: ids that no action has, keys that there are not, and clashes.

    Two actions clash when one of them has been given a key that the other has in the same pane, or that takes the key
    away from all panes.
    """
    found = []
    known = {action.id: action for action in actions}
    for name, text in keys.items():
        if name not in known:
            found.append(KeyProblem(name, f"there is no action {name!r}{_nearest(name, list(known))}"))
            continue
        found += [
            KeyProblem(name, f"{key!r} is no key{_nearest(key, sorted(_names()))}")
            for key in split(text)
            if not is_key(key)
        ]
        if text.strip() and (dead := _dead(text)):
            found.append(KeyProblem(name, dead))
    return found + _clashes(keys, actions)


def _dead(text: str) -> str | None:
    """Returns why none of the keys would come."""
    keys = split(text)
    reasons = [why_dead(normal(key)) for key in keys]
    if not all(reasons):
        return None
    return f"{keys[0]!r} would do nothing ({reasons[0]}): choose another key, or one more beside it"


def _clashes(keys: Mapping[str, str], actions: Sequence[Action]) -> list[KeyProblem]:
    taken: defaultdict[str, list[Action]] = defaultdict(list)
    for action in actions:
        for key in dict.fromkeys(map(normal, split(keys.get(action.id, action.key)))):
            taken[key].append(action)
    found = []
    for key, holders in taken.items():
        for index, action in enumerate(holders):
            for other in holders[:index]:
                mine, theirs = (action, other) if action.id in keys else (other, action)
                if mine.id in keys and _meet(mine, theirs):
                    found.append(
                        KeyProblem(
                            mine.id,
                            f"{key!r} is already the key of {theirs.id!r} {_place(theirs)}: choose another, or give "
                            f"{theirs.id!r} one",
                        )
                    )
    return found


def _meet(one: Action, other: Action) -> bool:
    """Whether a key of both would only do one thing."""
    if one.target == other.target:
        return True
    return any(action.target == "everywhere" and action.priority for action in (one, other))


def _place(action: Action) -> str:
    return "everywhere" if action.target == "everywhere" else f"in the pane {action.target}"


def normal(key: str) -> str:
    """Returns a key as Textual names it: `?` is `question_mark`."""
    from textual.binding import Binding

    if key == ",":
        return "comma"
    return next(iter(Binding.make_bindings([Binding(key, "", "")]))).key


def is_key(key: str) -> bool:
    """Whether a terminal can send it, as far as its name tells."""
    *modifiers, name = normal(key).split("+")
    return set(modifiers) <= _MODIFIERS and (len(name) == 1 or name in _names())


@cache
def _names() -> frozenset[str]:
    from textual.keys import Keys

    return frozenset(
        [*(key.value for key in Keys if not key.value.startswith("<")), *map(normal, map(chr, range(33, 127)))]
    ) - {""}


def _nearest(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else ""
