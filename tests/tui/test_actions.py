"""The action table itself: every key does one thing, comes in every terminal, and is told of."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from bai_tui.app.tui.about import ABOUT
from bai_tui.app.tui.actions import ACTIONS, PANES, Action, of
from bai_tui.app.tui.actions.dead_keys import why_dead
from bai_tui.app.tui.actions.keymap import is_key, problems_of_keys
from bai_tui.app.tui.actions.keys import NO_KEY, Keys, key_text

KEYS = Keys({}, ACTIONS)
AT_LEAST_ONE = [action for action in ACTIONS if action.key]


def test_no_id_is_there_twice_and_every_target_is_a_pane() -> None:
    assert [name for name, count in Counter(action.id for action in ACTIONS).items() if count > 1] == []
    assert {action.target for action in ACTIONS} <= set(PANES)
    assert set(PANES) - {"everywhere"} <= set(ABOUT)


def test_no_key_does_two_things_in_a_pane() -> None:
    taken: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for pane in PANES:
        for action in (*of(pane), *(of("everywhere") if pane != "everywhere" else ())):
            if action.target == pane or action.priority:
                for key in KEYS.of(action):
                    taken[pane, key].append(action.id)
    # leaving a terminal and its page keys pass before those of everywhere, which it takes
    assert {place: ids for place, ids in taken.items() if len(ids) > 1} == {}


@pytest.mark.parametrize("action", AT_LEAST_ONE, ids=lambda action: action.id)
def test_a_key_of_every_action_comes_in_every_terminal(action: Action) -> None:
    keys = KEYS.of(action)
    assert all(is_key(key) for key in keys)
    assert not all(why_dead(key) for key in keys), keys
    assert why_dead(keys[0]) is None or action.key_display, "the key that is shown is one that comes"


def test_words_are_short_and_sentences_are_sentences() -> None:
    for action in ACTIONS:
        assert 0 < len(action.description) <= 24, action.id
        assert action.tooltip[0].isupper() or not action.tooltip[0].isalpha(), action.id
        assert not action.tooltip.endswith("."), action.id


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("ctrl+h", "backspace"), ("ctrl+i", "tab"), ("ctrl+m", "enter"), ("ctrl+enter", "enter"),
        ("ctrl+shift+a", "ctrl+a"), ("super+a", "few terminals"), ("ctrl+1", "do not send"), ("ctrl+comma", "do not"),
    ],
)  # fmt: skip
def test_keys_that_never_come(key: str, says: str) -> None:
    assert says in (why_dead(key) or "")


@pytest.mark.parametrize("key", ["ctrl+a", "f12", "ctrl+backslash", "ctrl+@", "alt+x", "shift+tab", "ctrl+up", "a"])
def test_keys_that_come(key: str) -> None:
    assert why_dead(key) is None


def test_a_dead_key_is_told_of_where_there_is_no_other() -> None:
    (problem,) = problems_of_keys({"zoom": "ctrl+h"}, ACTIONS)
    assert problem.action == "zoom" and "terminals send it as backspace" in problem.message
    assert problems_of_keys({"zoom": "ctrl+h,f9"}, ACTIONS) == []


@pytest.mark.parametrize(
    ("key", "label"),
    [("ctrl+r", "^r"), ("question_mark", "?"), ("shift+g", "G"), ("alt+full_stop", "alt+."), ("space", "space"),
     ("pagedown", "pgdn"), ("ctrl+@", "^space"), ("f5", "f5"), ("left_square_bracket", "["),
     ("ctrl+underscore", "^/"), ("ctrl+slash", "^/")],
)  # fmt: skip
def test_what_stands_on_a_key(key: str, label: str) -> None:
    assert key_text(key) == label


def test_the_users_keys_take_the_place_of_an_actions_own() -> None:
    keys = Keys({"zoom": "alt+z, ?", "run": "", "nonsense": "x"}, ACTIONS)
    zoom, run = (next(action for action in ACTIONS if action.id == name) for name in ("zoom", "run"))
    assert keys.of(zoom) == ["alt+z", "question_mark"] and keys.labels(zoom) == ["alt+z", "?"]
    assert keys.labels(run) == [] and keys.first("run") == "^p"
    assert keys.keymap == {"zoom": "alt+z,question_mark", "run": NO_KEY}
