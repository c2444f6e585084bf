"""Marks of sessions: own, stable, told apart without colour."""

from __future__ import annotations

from bai_tui.widgets.marks import COLOURS, Marks


def test_a_session_keeps_its_mark_while_others_come_and_go() -> None:
    marks = Marks()
    marks.assign([("1", "train"), ("2", "test")])
    first, second = marks.of("1"), marks.of("2")
    assert first.letter == "t" and second.letter == "e"
    assert first.colour != second.colour
    marks.assign([("3", "notes"), ("2", "test"), ("4", "eval")])
    assert marks.of("2") == second
    marks.assign([("1", "train"), ("2", "test")])
    assert marks.of("2") == second and marks.of("1").letter == "t"


def test_colours_are_used_evenly_and_letters_once() -> None:
    marks = Marks()
    sessions = [(str(number), "same-name") for number in range(40)]
    marks.assign(sessions)
    found = [marks.of(session_id) for session_id, _ in sessions]
    assert len({mark.letter for mark in found}) == 40
    assert {sum(1 for mark in found if mark.colour == colour) for colour in range(COLOURS)} == {5}


def test_more_sessions_than_letters_are_no_fault() -> None:
    marks = Marks()
    marks.assign([(str(number), "x") for number in range(500)])
    assert marks.of("499").letter
    assert marks.of("nobody").letter == "?"
