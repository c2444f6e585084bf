"""What is told of the keys that the user gives to actions."""

from __future__ import annotations

import pytest
from bai_tui.app.tui.actions.action import Action
from bai_tui.app.tui.actions.keymap import is_key, normal, problems_of_keys, split
from bai_tui.app.tui.actions.table import ACTIONS

TABLE = (
    Action("run", "ctrl+r,f5", "everywhere", "run", "run", "Run", priority=True),
    Action("hint", "question_mark", "everywhere", "hint", "hint", "Hint"),
    Action("list-kill", "x,delete", "sessions", "kill", "kill", "Kill"),
    Action("list-new", "n", "sessions", "new", "new", "New"),
    Action("map-hide", "m", "map", "hide", "hide", "Hide"),
)


def told(**keys: str) -> list[tuple[str, str]]:
    found = problems_of_keys({name.replace("_", "-"): text for name, text in keys.items()}, TABLE)
    return [(problem.action, problem.message) for problem in found]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"list_kil": "x"}, "there is no action 'list-kil': did you mean 'list-kill'?"),
        ({"list_kill": "f44"}, "'f44' is no key: did you mean 'f4'?"),
        ({"list_kill": "hyperspace+a"}, "'hyperspace+a' is no key"),
        ({"list_kill": "n"}, "'n' is already the key of 'list-new' in the pane sessions: choose another, or give "),
        ({"run": "n"}, "'n' is already the key of 'list-new' in the pane sessions"),
        ({"map_hide": "f5"}, "'f5' is already the key of 'run' everywhere"),
        ({"run": "?"}, "'question_mark' is already the key of 'hint' everywhere"),
        ({"list_kill": "n", "list_new": "n"}, "'n' is already the key of"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(keys: dict[str, str], says: str) -> None:
    found = told(**keys)
    assert len(found) == 1
    assert found[0][0] in {name.replace("_", "-") for name in keys}
    assert found[0][1].startswith(says)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"list_kill": "n", "list_new": "x"},
        {"list_kill": "n", "list_new": ""},
        {"list_kill": "x, x ,delete"},
        {"map_hide": "n"},
        {"list_kill": "question_mark"},
        {"list_kill": "alt+shift+f3,comma,é,~"},
    ],
)
def test_what_is_right(keys: dict[str, str]) -> None:
    """Also: the same key in two panes, and a key of a pane that another action has everywhere else."""
    assert told(**keys) == []


def test_keys_have_the_names_of_textual() -> None:
    assert [normal(key) for key in ("?", ",", "a", "F", "ctrl+r")] == ["question_mark", "comma", "a", "F", "ctrl+r"]
    assert split(" f5 ,ctrl+r,") == ["f5", "ctrl+r"]
    assert [key for action in ACTIONS for key in split(action.key) if not is_key(key)] == []
