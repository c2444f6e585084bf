"""The language of the filter."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.widgets.rows import SessionRow
from bai_tui.widgets.session_filter import LONGEST, FilterError, Marked, parsed
from hypothesis import given
from hypothesis import strategies as st

S = SessionStatus
ROWS = [
    SessionRow(id="1", name="Train-1", status=S.RUNNING, image="python:3.11", since_s=0.0, busy=True, priority=10,
               slots={"cuda.shares": Decimal("0.5"), "cpu": Decimal(4), "mem": Decimal(2**30)}),
    SessionRow(id="2", name="train-2", status=S.RUNNING, image="r-base:4.3", since_s=5000.0, owner="alice", tag="x y",
               slots={"cpu": Decimal(1), "mem": Decimal(2**28)}),
    SessionRow(id="3", name="notes", status=S.PENDING, image="python:3.9", since_s=9000.0, note="waits for 1.00 gpu",
               slots={"cuda.shares": Decimal(1)}, project="lab"),
    SessionRow(id="4", name="eval.x", status=S.ERROR, image="julia:1.10", type="batch", why="exit status 3"),
]  # fmt: skip


def found(text: str, *, marked: tuple[str, ...] = (), pinned: tuple[str, ...] = ()) -> str:
    test = parsed(text, lambda: 10_000.0, Marked(set(marked), set(pinned)))
    return "".join(row.id for row in ROWS if test is None or test(row))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", "1234"),
        ("   ", "1234"),
        ("train", "12"),
        ("Train", "1"),
        ("^train-\\d$", "12"),
        ("python", "13"),
        ("pending", "3"),
        ("waits", "3"),
        ("!train", "34"),
        ("!", "1234"),
        ("train !2", "1"),
        ("train python", "1"),
        ("-f tr1", "1"),
        ("-f !tr1", "234"),
        ("-f Tr1", "1"),
        ("-f nts", "3"),
        ("status:running", "12"),
        ("status:busy", "1"),
        ("status:RUN", "12"),
        ("status:pen,fail", "34"),
        ("!status:running", "34"),
        ("image:python", "13"),
        ("image:3.9$", "3"),
        ("name:^e", "4"),
        ("owner:alice", "2"),
        ("project:lab", "3"),
        ("tag:y", "2"),
        ("type:batch", "4"),
        ("why:exit", "4"),
        ("gpu:>0", "13"),
        ("gpu:0.5", "1"),
        ("gpu:=1", "3"),
        ("gpu:0", "24"),
        ("gpu:!=0.5", "234"),
        ("gpu:>=0.5 gpu:<1", "1"),
        ("!gpu:>0", "24"),
        ("cpu:>2", "1"),
        ("mem:>=512m", "1"),
        ("mem:<1g mem:>0", "2"),
        ("prio:>5", "1"),
        ("age:>2h", "1"),
        ("age:<=1000s", "3"),
        ("age:<1d", "123"),
        # half of a term, while it is being typed
        ("gpu:", "1234"),
        ("gpu:>", "1234"),
        ("status:", "1234"),
        ("is:", "1234"),
        ("nothing:like", ""),
    ],
)
def test_what_passes(text: str, ids: str) -> None:
    assert found(text) == ids


def test_marked_and_pinned_ones() -> None:
    assert found("is:marked", marked=("2", "3")) == "23"
    assert found("!is:mark", marked=("2", "3")) == "14"
    assert found("is:pinned", pinned=("4",)) == "4"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(", "missing )"),
        ("a *b", "nothing to repeat"),
        ("image:[", "unterminated character set"),
        ("status:bsy", "no state begins with bsy: pending"),
        ("gpu:>x", "gpu:x: no number"),
        ("mem:1q", "mem:1q: no size"),
        ("age:soon", "a time is 30s"),
        ("is:old", "marked or pinned"),
    ],
)
def test_what_is_wrong_is_told(text: str, said: str) -> None:
    with pytest.raises(FilterError, match=r".+") as caught:
        parsed(text, lambda: 0.0, Marked())
    assert said in str(caught.value)


@given(st.text(alphabet="ab!-f:gpustatus<>=.*+()[]\\0123456789 mk", max_size=LONGEST + 50))
def test_whatever_is_typed_filters_or_is_told(text: str) -> None:
    try:
        test = parsed(text, lambda: 10_000.0, Marked())
    except FilterError as error:
        assert str(error)
    else:
        assert all(test is None or test(row) in (True, False) for row in ROWS)
