"""`bai-tui logs`: whole, its end, of one run, followed; sessions that have ended; servers that keep no journal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bai_tui.app.cli import exit_codes

from .conftest import Manager, Outcome, Toy, command, rest

Bai = Callable[..., Outcome]


@pytest.fixture
def written(toy: Toy) -> Toy:
    toy.session("work")
    for code in ("say one\nsay two\nerr bad", "say three\nexit 4", "say four\ndie"):
        toy.run("work", code)
    return toy


def test_everything_goes_where_it_belongs(written: Toy, bai: Bai) -> None:
    done = bai("logs", "work")
    assert done == (0, "one\ntwo\nthree\nfour\n", "bad\nThe kernel died: killed by SIGSEGV.\n")


@pytest.mark.parametrize(
    ("arguments", "out", "err"),
    [
        (("-n", "1"), "four\n", "The kernel died: killed by SIGSEGV.\n"),
        (("-n", "3"), "three\nfour\n", "bad\nThe kernel died: killed by SIGSEGV.\n"),
        (("-n", "99"), "one\ntwo\nthree\nfour\n", "bad\nThe kernel died: killed by SIGSEGV.\n"),
        (("-n", "0"), "", ""),
    ],
)
def test_the_last_lines(written: Toy, bai: Bai, arguments: tuple[str, ...], out: str, err: str) -> None:
    assert bai("logs", *arguments, "work") == (0, out, err)


def test_lines_are_counted_over_records_and_within_them(toy: Toy, bai: Bai) -> None:
    toy.session("work")
    toy.run("work", "flood 3000\nsay a\nsay b")
    assert bai("logs", "-n", "4", "work").out == "002998 ünï\n002999 ünï\na\nb\n"
    assert len(bai("logs", "-n", "2500", "work").out.splitlines()) == 2500


def test_one_run(written: Toy, bai: Bai) -> None:
    listed = bai("logs", "--runs", "work").out.splitlines()
    assert [line.split()[4:] for line in listed[1:]] == [
        ["ok", "say", "one"],
        ["failed", "(4)", "say", "three"],
        ["died", "say", "four"],
    ]
    run_id = listed[2].split()[0]
    assert bai("logs", "--run", run_id, "work") == (0, "three\n", "")
    assert bai("logs", "--run", "last", "-n", "1", "work").out == "four\n"
    refused = bai("logs", "--run", "zz", "work")
    assert refused.status == exit_codes.REFUSED and "--runs" in refused.err


def test_a_session_that_has_ended_is_found_by_its_name(written: Toy, bai: Bai) -> None:
    written.end("work")
    done = bai("logs", "work")
    assert done.status == 0 and done.out.startswith("one\n")
    assert "no live session is called work" in done.err
    assert bai("logs", "nobody").status == exit_codes.NOT_FOUND


def test_a_session_that_has_ended_is_found_by_the_beginning_of_its_id(written: Toy, bai: Bai) -> None:
    written.end("work")
    whole = bai("info", "work")
    assert whole.status == 0 and "no live session is called work" in whole.err
    (session_id,) = (line.split()[1] for line in whole.out.splitlines() if line.startswith("Id "))
    for prefix in (session_id[:4], session_id[:11].upper(), session_id):
        done = bai("logs", "-n", "1", prefix)
        assert done == (0, "four\n", "The kernel died: killed by SIGSEGV.\n")
        found = bai("info", prefix)
        assert (found.status, found.err) == (0, "") and session_id in found.out
    assert bai("logs", session_id[:3]).status == exit_codes.NOT_FOUND


def test_following_ends_with_the_session(written: Toy) -> None:
    with command("logs", "-f", "-n", "1", "work") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "four\n"
        written.followed()
        written.run("work", "say five")
        assert process.stdout.readline() == "five\n"
        written.end("work")
        out, err = rest(process)
    assert (process.returncode, out) == (0, ""), err


def test_following_one_run_ends_with_it(toy: Toy) -> None:
    toy.session("work")
    toy.start("work", "say one\nwait\nsay two")
    with command("logs", "-f", "--run", "last", "work") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        toy.do(_go(toy))
        out, err = rest(process)
    assert (process.returncode, out) == (0, "two\n"), err


async def _go(toy: Toy) -> None:
    toy.service.go.set()


@pytest.mark.parametrize("words", [("logs",), ("logs", "-f"), ("attach", "--run", "last")])
def test_a_reader_that_leaves_ends_it(toy: Toy, words: tuple[str, ...]) -> None:
    toy.session("work")
    toy.run("work", "flood 30000")
    with command(*words, "work") as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "000000 ünï\n"
        process.stdout.close()
        assert process.wait(20) == exit_codes.BROKEN_PIPE
        assert [line for line in process.stderr if not line.startswith("bai-tui: run ")] == []


def test_the_listing_takes_no_other_option(written: Toy, bai: Bai) -> None:
    assert bai("logs", "--runs", "-f", "work").status == exit_codes.USAGE


def test_a_cluster_has_the_log_and_nothing_else(manager: Manager, bai: Bai) -> None:
    manager.answers[next(key for key in manager.answers if key.endswith("/logs"))] = {"result": {"logs": "a\nb\nc\n"}}
    assert bai("logs", "-n", "2", "first-session") == (0, "b\nc\n", "")
    for options in (("-f",), ("--run", "last"), ("--runs",)):
        refused = bai("logs", *options, "first-session")
        assert refused.status == exit_codes.REFUSED
        assert refused.err.count("\n") == 1 and "Backend.AI" in refused.err
