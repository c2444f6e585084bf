"""The order of the session list, its cursor and its marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from bai_tui.app.model.sessions import SessionStatus
from bai_tui.widgets.glyphs import UNICODE
from bai_tui.widgets.rows import SessionRow, SessionUse
from bai_tui.widgets.session_columns import BY_ID, COLUMNS, Look
from bai_tui.widgets.session_filter import parsed
from bai_tui.widgets.session_table import SessionTable
from hypothesis import given, settings
from hypothesis import strategies as st

USE: dict[str, SessionUse] = {}


def look() -> Look:
    return Look(UNICODE, 10_000.0, USE.get)


def row(name: str, **more: Any) -> SessionRow:
    return SessionRow(id=name, name=name, **more)


def table(*rows: SessionRow) -> SessionTable:
    made = SessionTable(look)
    made.replace(rows)
    return made


def shown(made: SessionTable) -> str:
    return " ".join(one.id for one in made.shown)


def test_rows_stand_as_they_came() -> None:
    made = table(row("b"), row("a"))
    made.change([row("c"), row("a", busy=True)])
    assert shown(made) == "b a c"
    assert made.row("a") == row("a", busy=True)
    made.change([], ["b"])
    assert shown(made) == "a c"


def test_every_column_sorts_both_ways_and_rows_without_a_value_come_last() -> None:
    full = row(
        "full", status=SessionStatus.RUNNING, image="i", slots={"cuda.shares": Decimal(1), "cpu": Decimal(2),
        "mem": Decimal(3)}, since_s=1.0, priority=3, type="batch", tag="t", owner="o", project="p", ends_at_s=5.0,
        ended_s=9.0, why="w",
    )  # fmt: skip
    more = replace(
        full, id="more", name="more", status=SessionStatus.TERMINATED, image="j", since_s=0.0, priority=4, type="c",
        tag="u", owner="q", project="r", ends_at_s=6.0, ended_s=8.5, why="x",
        slots={"cuda.shares": Decimal(2), "cpu": Decimal(3), "mem": Decimal(4)},
    )  # fmt: skip
    USE.update(full=SessionUse(1.0, 2.0, 3.0, 4.0), more=SessionUse(2.0, 3.0, 4.0, 5.0))
    for column in COLUMNS:
        made = table(replace(full, id="none", name="none") if column.id == "name" else row(""), more, full)
        none = "none" if column.id == "name" else ""
        made.sort(column)
        up = [one.id for one in made.shown if one.id != none]
        made.sort(column, falling=True)
        down = [one.id for one in made.shown if one.id != none]
        assert up == down[::-1], column.id
        if column.id not in ("name", "status"):
            assert made.shown[-1].id == "", column.id


def test_equal_rows_keep_their_order_in_both_directions() -> None:
    made = table(row("b", image="x"), row("a", image="x"), row("c", image="w"))
    made.sort(BY_ID["image"])
    assert shown(made) == "c b a"
    made.sort(BY_ID["image"], falling=True)
    assert shown(made) == "b a c"


def test_a_row_moves_when_what_it_is_sorted_by_changes() -> None:
    made = table(row("a", priority=1), row("b", priority=2))
    made.sort(BY_ID["priority"])
    made.cursor = "a"
    assert made.change([row("a", priority=3)])
    assert shown(made) == "b a" and made.cursor == "a"
    assert not made.change([row("a", priority=3, busy=True)])


def test_pinned_rows_come_first_whatever_the_order() -> None:
    made = table(row("a"), row("b"), row("c"))
    made.pin(["c"], True)
    assert shown(made) == "c a b"
    made.sort(BY_ID["name"], falling=True)
    assert shown(made) == "c b a"
    made.change([row("d")])
    assert shown(made) == "c d b a"
    made.pin(["c"], False)
    assert shown(made) == "d c b a"


def test_a_pin_waits_for_its_session() -> None:
    made = table(row("a"))
    made.pin(["b"], True)
    made.change([row("b")])
    assert shown(made) == "b a"


def test_the_filter_follows_what_rows_become() -> None:
    made = table(row("a", status=SessionStatus.PENDING), row("b", status=SessionStatus.RUNNING))
    made.filter(parsed("status:running", lambda: 0.0, made.sets))
    assert shown(made) == "b"
    made.change([row("a", status=SessionStatus.RUNNING), row("b", status=SessionStatus.TERMINATING)])
    assert shown(made) == "a"
    made.filter(None)
    assert shown(made) == "a b"


def test_marks_go_with_their_rows_and_actions_are_for_those_that_are_seen() -> None:
    made = table(*(row(name) for name in "abcde"))
    assert made.targets() == ["a"]
    made.cursor = "b"
    made.toggle()
    made.cursor = "d"
    assert made.targets() == ["b"]
    made.mark_range()
    assert made.targets() == ["b", "c", "d"]
    made.filter(parsed("name:[cde]", lambda: 0.0, made.sets))
    assert made.targets() == ["c", "d"] and "b" in made.marks
    made.filter(None)
    made.change([], ["c"])
    assert made.targets() == ["b", "d"]
    made.clear_marks()
    assert made.targets() == ["d"]
    made.mark_shown()
    assert made.targets() == ["a", "b", "d", "e"]
    made.toggle()
    assert made.targets() == ["a", "b", "e"]


def test_nothing_is_done_to_a_session_that_the_filter_hides() -> None:
    made = table(row("a"))
    made.filter(parsed("zzz", lambda: 0.0, made.sets))
    assert made.cursor == "a" and made.targets() == [] and made.move(1) is None
    made.toggle()
    made.mark_range()
    assert not made.marks


def test_a_session_that_gets_its_real_id_keeps_cursor_mark_pin_and_place() -> None:
    made = table(row("a"), row("launching-1"), row("b"))
    made.cursor = "launching-1"
    made.toggle()
    made.pins.add("launching-1")
    made.renamed("launching-1", "real")
    made.replace([row("a"), row("real"), row("b")])
    assert made.cursor == "real" and made.marks == {"real"} and made.pins == {"real"}
    made.pin(["real"], False)
    assert shown(made) == "a real b"


NAMES = [f"n{number}" for number in range(8)]
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from(NAMES), st.integers(0, 3)),
        st.tuples(st.just("go"), st.sampled_from(NAMES), st.just(0)),
        st.tuples(st.just("sort"), st.sampled_from(["priority", "name", "status", ""]), st.integers(0, 1)),
        st.tuples(st.just("filter"), st.sampled_from(["", "prio:>1", "name:[0-3]", "zzz"]), st.just(0)),
        st.tuples(st.just("pin"), st.sampled_from(NAMES), st.integers(0, 1)),
        st.tuples(st.just("move"), st.just(""), st.integers(-3, 3)),
        st.tuples(st.just("replace"), st.just(""), st.integers(0, 3)),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(CHANGES)
def test_the_cursor_stays_with_its_session_through_every_change(changes: list[tuple[str, str, int]]) -> None:
    made = SessionTable(look)
    rows: dict[str, SessionRow] = {}
    pins: set[str] = set()
    text, sorted_by, falling = "", "", False
    for what, name, number in changes:
        before = made.cursor
        if what == "set":
            rows[name] = row(name, priority=number)
            made.change([rows[name]])
        elif what == "go":
            rows.pop(name, None)
            made.change([], [name])
        elif what == "replace":
            made.replace(list(rows.values()))
        elif what == "sort":
            sorted_by, falling = name, bool(number)
            made.sort(BY_ID.get(name), falling=falling)
        elif what == "filter":
            text = name
            made.filter(parsed(text, lambda: 0.0, made.sets))
        elif what == "pin":
            (pins.add if number else pins.discard)(name)
            made.pin([name], bool(number))
        elif (target := made.move(number)) is not None:
            before = made.cursor = target
        passes = parsed(text, lambda: 0.0, made.sets) or _anything
        visible = [one for one in rows.values() if passes(one)]
        # the same as if everything were worked out anew
        wanted = sorted(visible, key=_key(sorted_by), reverse=falling)
        wanted.sort(key=lambda one: one.id not in pins)
        assert [one.id for one in made.shown] == [one.id for one in wanted]
        assert made.places == {one.id: place for place, one in enumerate(wanted)}
        if any(one.id == before for one in visible):
            assert made.cursor == before
        elif visible:
            assert made.cursor in made.places
        else:
            assert made.cursor is None or made.cursor in rows


def _anything(one: SessionRow) -> bool:
    return True


def _key(column: str) -> Callable[[SessionRow], Any]:
    if not column or column == "status":
        return lambda one: 0
    return lambda one: BY_ID[column].key(one, look())
