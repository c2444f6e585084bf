from __future__ import annotations

from itertools import pairwise

import pytest
from bai_tui.app.model.errors import BadRequest, IllegalState
from bai_tui.app.model.sessions import (
    ANSWERING,
    HOLDING,
    LIVE,
    STARTING,
    TERMINAL,
    SessionStatus,
    check_move,
    check_session_name,
    new_session_name,
)

S = SessionStatus


def after(status: SessionStatus) -> set[SessionStatus]:
    """The statuses that `check_move` lets follow."""
    following = set()
    for new in S:
        try:
            check_move(status, new)
        except IllegalState:
            continue
        following.add(new)
    return following


def reachable(status: SessionStatus) -> set[SessionStatus]:
    seen: set[SessionStatus] = set()
    todo = {status}
    while todo:
        one = todo.pop()
        seen.add(one)
        todo |= after(one) - seen
    return seen


@pytest.mark.parametrize("status", sorted(LIVE))
def test_every_live_state_can_end(status: SessionStatus) -> None:
    assert reachable(status) & TERMINAL
    assert S.ERROR in after(status)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_nothing_follows_the_end(status: SessionStatus) -> None:
    assert not after(status)


def test_every_state_can_be_reached() -> None:
    assert reachable(S.PENDING) == set(S)


def test_the_usual_life() -> None:
    life = [S.PENDING, S.SCHEDULED, S.PREPARING, S.PREPARED, S.CREATING, S.RUNNING, S.TERMINATING, S.TERMINATED]
    for old, new in pairwise(life):
        check_move(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [(S.PENDING, S.RUNNING), (S.PENDING, S.TERMINATED), (S.RUNNING, S.PENDING), (S.TERMINATING, S.RUNNING)],
)
def test_illegal_moves_name_both_states(old: SessionStatus, new: SessionStatus) -> None:
    with pytest.raises(IllegalState, match=f"{old.value} cannot become {new.value}"):
        check_move(old, new)


def test_who_never_held_anything_cannot_be_terminated_but_cancelled() -> None:
    assert {old for old in S if S.CANCELLED in after(old)} == {S.PENDING}


def test_the_sets_cover_every_state_once() -> None:
    assert set(S) == LIVE | TERMINAL
    assert not LIVE & TERMINAL
    assert LIVE - {S.PENDING} == HOLDING
    assert STARTING | ANSWERING < HOLDING
    assert not STARTING & ANSWERING


@pytest.mark.parametrize("name", ["abcd", "_abc", "a.b-c", "x" * 64, "1234"])
def test_good_names(name: str) -> None:
    assert check_session_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "abc", "x" * 65, "-abc", "abc-", ".abc", "ab cd", "abcd\n", "a/bc", "äbcd", "from-template", "abcd\x00"],
)
def test_bad_names(name: str) -> None:
    with pytest.raises(BadRequest, match="4 to 64 ASCII") as error:
        check_session_name(name)
    assert "\n" not in error.value.message


def test_new_names_can_be_used_and_differ() -> None:
    names = {new_session_name() for _ in range(50)}
    assert len(names) == 50
    for name in names:
        check_session_name(name)
