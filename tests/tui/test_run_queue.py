from __future__ import annotations

import pytest
from bai_tui.app.tui.run_queue import RunQueue
from bai_tui.widgets.transcript import Run, RunState, Transcript
from hypothesis import given
from hypothesis import strategies as st


def ended(state: RunState) -> Run:
    transcript = Transcript()
    run = transcript.begin("x", 0.0)
    transcript.finish(run, state, 1.0)
    return run


def codes(queue: RunQueue) -> list[str]:
    return [queued.code for queued in queue.waiting]


def filled(*texts: str) -> RunQueue:
    queue = RunQueue()
    for text in texts:
        queue.add(text)
    return queue


def test_what_comes_first_is_run_first() -> None:
    queue = filled("a", "b")
    assert (queue.summary, len(queue)) == ("2 queued", 2)
    queue.judge(ended(RunState.OK))
    first = queue.take()
    assert first is not None and first.code == "a"
    assert codes(queue) == ["b"]
    assert filled().take() is None
    assert filled().summary == ""


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (RunState.FAILED, "run [1] failed"),
        (RunState.INTERRUPTED, "run [1] was interrupted"),
        (RunState.LOST, "run [1] was lost"),
        (RunState.ENDED, "run [1] was cut off"),
    ],
)
def test_anything_but_success_holds_the_rest_back(state: RunState, why: str) -> None:
    queue = filled("a", "b")
    run = ended(state)
    queue.judge(run)
    assert queue.take() is None
    assert queue.paused == why
    assert queue.summary == f"2 queued, paused: {why}"
    queue.go_on()
    queue.judge(run)
    assert queue.summary == "2 queued", "it was told already how that run ended"
    queue.judge(ended(state))
    queue.judge(ended(RunState.OK))
    assert queue.summary.startswith("2 queued, paused"), "what is run in between does not let the rest go on"
    queue.go_on()
    taken = queue.take()
    assert taken is not None and taken.code == "a"


def test_a_failure_before_anything_was_queued_holds_nothing_back() -> None:
    queue = RunQueue()
    failed = ended(RunState.FAILED)
    queue.judge(failed)
    queue.add("a")
    queue.judge(failed)
    assert queue.take() is not None
    queue = filled("a")
    queue.judge(None)
    transcript = Transcript()
    queue.judge(transcript.begin("goes on", 0.0))
    assert not queue.paused


def test_one_by_one_or_all_can_be_taken_out() -> None:
    queue = filled("a", "b", "c")
    second = queue.waiting[1].number
    assert queue.cancel(second) and not queue.cancel(second)
    assert codes(queue) == ["a", "c"]
    queue.pause("why")
    assert queue.clear() == 2
    assert (queue.paused, queue.summary, queue.clear()) == ("", "", 0)
    queue.pause("nothing to hold back")
    queue.add("d")
    assert not queue.paused


def test_the_order_can_be_changed() -> None:
    queue = filled("a", "b", "c")
    last = queue.waiting[2].number
    assert queue.move(last, -1) and codes(queue) == ["a", "c", "b"]
    assert queue.move(last, -1) and not queue.move(last, -1)
    assert codes(queue) == ["c", "a", "b"]
    assert queue.move(last, 1) and codes(queue) == ["a", "c", "b"]
    assert not queue.move(99, 1)


@given(st.lists(st.one_of(st.just("add"), st.just("take"), st.integers(1, 12)), max_size=40))
def test_nothing_is_lost_and_the_order_stays(steps: list[str | int]) -> None:
    queue, waiting, number = RunQueue(), [], 0
    for step in steps:
        if step == "add":
            number += 1
            waiting.append(number)
            assert queue.add(str(number)).number == number
        elif step == "take":
            taken = queue.take()
            assert (None if taken is None else taken.number) == (waiting.pop(0) if waiting else None)
        elif isinstance(step, int):
            assert queue.cancel(step) == (step in waiting)
            waiting = [one for one in waiting if one != step]
        assert [queued.number for queued in queue.waiting] == waiting
