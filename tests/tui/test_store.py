"""The session store and the feed, without a screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bai_tui.app.client.views import EventView, JournalLine, SessionView
from bai_tui.app.model.console import Frame, RunStatus
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.tui.actions import ACTIONS, PANES, of
from bai_tui.app.tui.feed import Feed
from bai_tui.app.tui.store import KEPT_ENDED, SessionStore, default_image, free_name
from bai_tui.widgets.transcript import Header, RunState, plain_text

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def view(name: str, status: SessionStatus = SessionStatus.RUNNING, **more: Any) -> SessionView:
    return SessionView(id=f"id-{name}", name=name, status=status, created_at=more.pop("created_at", NOW), **more)


def event(name: str, session: str, reason: str = "") -> EventView:
    return EventView(name, f"id-{session}", session, reason)


def names(store: SessionStore) -> list[str]:
    return [row.name for row in store.rows()]


def test_a_list_that_is_older_than_an_event_does_not_turn_time_back() -> None:
    store = SessionStore()
    store.listed([view("aaaa", SessionStatus.PENDING)], store.now())
    asked_at = store.now()
    store.event(event("session_started", "aaaa"))
    assert store.listed([view("aaaa", SessionStatus.PENDING)], asked_at) == []
    assert store.rows()[0].status is SessionStatus.RUNNING
    store.listed([view("aaaa", SessionStatus.RESTARTING)], store.now())
    assert store.rows()[0].status is SessionStatus.RESTARTING


def test_a_session_that_is_gone_from_the_list_is_asked_about_and_stays_as_ended() -> None:
    store = SessionStore()
    store.listed([view("aaaa"), view("bbbb")], 0)
    assert store.listed([view("bbbb")], store.now()) == ["id-aaaa"]
    store.learned(view("aaaa", SessionStatus.TERMINATED, status_info="idle-timeout"))
    assert names(store) == ["aaaa", "bbbb"]
    assert store.rows()[0].ended and store.rows()[0].note == "idle-timeout"
    assert store.listed([view("bbbb")], store.now()) == []
    store.dismiss("id-aaaa")
    store.dismiss("id-bbbb")
    assert names(store) == ["bbbb"]


def test_a_launch_does_not_become_an_older_session_of_its_name() -> None:
    store = SessionStore()
    passing = store.launching("py-1", "python", ResourceSlots(), NOW)
    store.listed([view("py-1", created_at=NOW - timedelta(minutes=1))], 0)
    assert names(store) == ["py-1", "py-1"] and store.real_id(passing) == passing
    store.launching_as(passing, "py-2")
    store.listed([view("py-1", created_at=NOW - timedelta(minutes=1)), view("py-2", created_at=NOW)], 0)
    assert names(store) == ["py-2", "py-1"] and store.real_id(passing) == "id-py-2"


def test_a_session_is_idle_when_our_run_has_ended_until_a_list_knows_better() -> None:
    store = SessionStore()
    store.listed([view("aaaa", busy=True)], 0)
    assert store.is_busy("id-aaaa")
    store.idle("id-aaaa")
    assert not store.is_busy("id-aaaa")
    store.listed([view("aaaa", busy=True)], store.now())
    assert store.is_busy("id-aaaa")


def test_rows_keep_their_order() -> None:
    store = SessionStore()
    store.listed([view("bbbb", created_at=datetime(2026, 1, 2, tzinfo=UTC)), view("aaaa")], 0)
    assert names(store) == ["bbbb", "aaaa"]
    store.listed([view("aaaa"), view("cccc"), view("bbbb")], store.now())
    assert names(store) == ["bbbb", "aaaa", "cccc"]


@pytest.mark.parametrize("first", ["answer", "event", "list"])
def test_a_launch_is_one_row_whatever_tells_of_it_first(first: str) -> None:
    store = SessionStore()
    passing = store.launching("py-1", "python", ResourceSlots({"cpu": 1}), NOW)
    assert store.rows()[0].status is SessionStatus.PREPARING
    tell: dict[str, Callable[[], object]] = {
        "answer": lambda: store.launched(passing, "id-py-1", "py-1"),
        "event": lambda: store.event(event("session_enqueued", "py-1")),
        "list": lambda: store.listed([view("py-1", SessionStatus.PENDING)], 0),
    }
    tell.pop(first)()
    assert [row.id for row in store.rows()] == ["id-py-1"]
    for rest in tell.values():
        rest()
        assert [row.id for row in store.rows()] == ["id-py-1"]
    assert store.take_renames()[0] == (passing, "id-py-1")
    assert store.real_id(passing) == "id-py-1"


def test_a_refused_launch_leaves_no_row() -> None:
    store = SessionStore()
    store.launch_failed(store.launching("py-1", "python", ResourceSlots(), NOW))
    assert store.rows() == ()


def test_ended_rows_are_bounded() -> None:
    store = SessionStore()
    for number in range(KEPT_ENDED + 10):
        store.event(event("session_started", f"s{number}"))
        store.event(event("session_terminated", f"s{number}"))
    assert len(store.rows()) == KEPT_ENDED
    assert names(store)[0] == "s10"


def test_an_ending_row_says_so_until_the_server_does() -> None:
    store = SessionStore()
    store.listed([view("aaaa", busy=True)], 0)
    store.ending("id-aaaa")
    assert store.rows()[0].status is SessionStatus.TERMINATING
    store.ending("id-aaaa", False)
    assert store.rows()[0].busy


def test_rows_are_the_same_object_while_nothing_changes() -> None:
    store = SessionStore()
    store.listed([view("aaaa")], 0)
    assert store.rows() is store.rows()


@pytest.mark.parametrize(
    ("image", "taken", "name"),
    [
        ("python:3.11", [], "py-1"),
        ("python", ["py-1", "py-2"], "py-3"),
        ("cr.io/stable/python-tensorflow:1.12", [], "tensorflow-1"),
        ("r:4", [], "r-01"),
        ("", [], "session-1"),
    ],
)
def test_free_names(image: str, taken: list[str], name: str) -> None:
    assert free_name(image, taken) == name


def test_the_default_image() -> None:
    assert default_image([("r:4", ()), ("python:3.11", ("python",))]) == "python"
    assert default_image([("r:4", ()), ("x/python:3.9", ())]) == "x/python:3.9"
    assert default_image([("r:4", ())]) == "r:4"
    assert default_image([]) == "python"


def test_no_key_means_two_things_in_a_pane() -> None:
    for target in PANES:
        taken: dict[str, str] = {}
        for action in (*of(target), *(other for other in of("everywhere") if target != "everywhere")):
            for key in filter(None, action.key.split(",")):
                assert key not in taken, f"in {target}, {key} means {taken[key]} and {action.id}"
                taken[key] = action.id
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert {action.target for action in ACTIONS} <= set(PANES)


# -- the feed ------------------------------------------------------------------------------------------------------


def shown(feed: Feed) -> list[str]:
    parts = []
    for line in feed.transcript.lines:
        if isinstance(line, Header):
            parts.append(f"[{line.run.number}] {line.run.state}")
        else:
            parts.append(plain_text(line))
    return parts


def line(seq: int, kind: str, data: Any, run: str | None = "r1") -> JournalLine:
    return JournalLine(seq, float(seq), run, kind, data)


def test_frames_then_journal_join_without_gap_or_overlap() -> None:
    feed = Feed()
    run = feed.begin("code", 0.0)
    feed.frame(run, Frame(RunStatus.CONTINUED, [("stdout", "a\n")], seq=2, run_id="r1"), 1.0)
    journal = [
        line(1, "run-started", {"code": "code"}),
        line(2, "stdout", "a\n"),
        line(3, "stderr", "b\n"),
        line(4, "run-finished", {"exitCode": 1}),
    ]
    feed.journal(journal)
    feed.journal(journal)
    assert shown(feed) == ["[1] failed", "a", "b"]
    assert feed.last_seq == 4


def test_a_run_that_broke_before_its_first_frame_is_found_by_its_code() -> None:
    feed = Feed()
    feed.begin("code", 0.0)
    feed.journal([line(1, "run-started", {"code": "code"}), line(2, "run-finished", {"exitCode": 0})])
    assert shown(feed) == ["[1] ok"]


def test_a_run_of_somebody_else_has_a_line_of_its_own() -> None:
    feed = Feed()
    feed.journal([line(1, "run-started", {"code": "x"}), line(2, "waiting-input", {"is_password": True})])
    run = feed.current
    assert run is not None and not run.ours and run.waiting and run.is_password
    feed.journal([line(3, "stdout", "y"), line(4, "kernel-died", {"exitCode": -11, "reason": "killed by SIGSEGV"})])
    assert shown(feed) == ["[1] failed", "y", "The kernel died: killed by SIGSEGV."]


def test_what_was_dropped_and_what_died_beside_a_run_leave_a_line_and_end_nothing() -> None:
    feed = Feed()
    feed.journal(
        [
            line(1, "run-started", {"code": "x"}),
            line(900, "dropped", {"first": 2, "last": 900, "bytes": 5 << 20}),
            line(901, "kernel-died", {"exitCode": 1, "reason": "the session was ended: wall-time"}, None),
        ]
    )
    assert shown(feed) == [
        "[1] running",
        "[5 MiB of output were dropped here: the journal of the session keeps no more]",
        "The session was ended: wall-time.",
    ]
    assert feed.last_seq == 901


def test_an_interrupted_run_says_so() -> None:
    feed = Feed()
    run = feed.begin("x", 0.0)
    feed.interrupting()
    feed.frame(run, Frame(RunStatus.FINISHED, exit_code=1), 1.0)
    assert run.state is RunState.INTERRUPTED


def test_odd_records_never_raise() -> None:
    feed = Feed()
    run = feed.begin("x", 0.0)
    odd: list[tuple[str, Any]] = [
        ("media", ["text/plain", "words"]),
        ("media", ["image/png"]),
        ("media", None),
        ("html", "<p>a<br>b &amp; c</p>" * 3),
        ("log", ["INFO", "t", "logger", "text"]),
        ("log", 7),
        ("new-kind", {"a": [1]}),
        ("stdout", None),
        ("stdout", 7),
    ]
    feed.frame(run, Frame(RunStatus.CONTINUED, odd), 0.0)
    text = "\n".join(shown(feed))
    assert "words" in text and "a\nb & c" in text and "INFO logger: text" in text and "[new-kind]" in text
