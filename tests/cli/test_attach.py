"""`bai-tui attach`: the run that goes on, its prompts, its end; nothing that goes on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import pytest
from bai_tui.app.cli import exit_codes

from .conftest import Manager, Outcome, Toy, command, rest

Bai = Callable[..., Outcome]


async def _go(toy: Toy) -> None:
    toy.service.go.set()


def test_several_see_the_same_run_from_its_beginning(toy: Toy) -> None:
    toy.session("work")
    toy.start("work", "say one\nsay two\nwait\nsay three\nexit 7")
    with command("attach", "work") as first, command("attach", "-n", "1", "work") as second:
        toy.followed(2)
        toy.do(_go(toy))
        out, err = rest(first)
        assert (first.returncode, out) == (7, "one\ntwo\nthree\n"), err
        assert "say one" in err
        out, err = rest(second)
        assert (second.returncode, out) == (7, "two\nthree\n"), err


def test_a_prompt_is_answered_from_here(toy: Toy) -> None:
    toy.session("work")
    toy.start("work", "ask who\nask again")
    with command("attach", "work", stdin=subprocess.PIPE) as process:
        out, err = rest(process, "Ada\nBob\n")
    assert (process.returncode, out) == (0, "whohi Ada\nagainhi Bob\n"), err


def test_a_prompt_that_is_answered_elsewhere_is_none_any_more(toy: Toy) -> None:
    toy.session("work")
    toy.start("work", "ask who\nsay bye")
    with command("attach", "work", stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(3) == "who"
        run = next(iter(toy.service.runs.values()))
        toy.do(run.send_input("Eve"))
        assert process.wait(20) == 0
        assert process.stdout.read() == "hi Eve\nbye\n"


def test_ctrl_c_interrupts_once(toy: Toy) -> None:
    toy.session("work")
    toy.start("work", "say one\nwait")
    with command("attach", "work") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        process.send_signal(signal.SIGINT)
        _, err = rest(process)
    assert process.returncode == exit_codes.INTERRUPTED
    assert "interrupting the code" in err


def test_leaving_leaves_the_code_alone(toy: Toy) -> None:
    sid = toy.session("work")
    toy.start("work", "say one\nwait")
    with command("attach", "work") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest(process)
    assert process.returncode == 128 + signal.SIGTERM
    assert sid in toy.service.running


def test_when_nothing_goes_on_what_comes_is_shown(toy: Toy) -> None:
    toy.session("work")
    toy.run("work", "say before")
    with command("attach", "work") as process:
        toy.followed()
        toy.run("work", "say after")
        assert process.stdout is not None
        assert process.stdout.readline() == "after\n"
        toy.end("work")
        _, err = rest(process)
    assert process.returncode == 0
    assert "nothing runs in work now" in err and "has ended: user-requested" in err


def test_ctrl_c_leaves_when_nothing_goes_on(toy: Toy) -> None:
    toy.session("work")
    with command("attach", "work") as process:
        toy.followed()
        process.send_signal(signal.SIGINT)
        _, err = rest(process)
    assert process.returncode == exit_codes.INTERRUPTED
    assert "interrupting" not in err


def test_a_run_that_is_over_is_shown_and_its_status_given(toy: Toy, bai: Bai) -> None:
    toy.session("work")
    toy.run("work", "say one\nexit 3")
    done = bai("attach", "--run", "last", "work")
    assert (done.status, done.out) == (3, "one\n")


def test_a_session_that_ends_under_its_code(toy: Toy) -> None:
    sid = toy.session("work")
    toy.start("work", "say one\nwait")
    with command("attach", "work") as process:
        assert process.stdout is not None
        process.stdout.readline()

        async def end() -> None:  # its runner is killed: no record tells of the end
            from bai_tui.app.model.sessions import SessionStatus

            toy.service.sessions[sid].status = SessionStatus.ERROR
            toy.service.sessions[sid].status_info = "runner-died: killed"
            await toy.service.journals[sid].close()

        toy.do(end())
        _, err = rest(process)
    assert process.returncode == exit_codes.FAILED
    assert "ended while its code ran: runner-died" in err


@pytest.mark.parametrize("words", [("attach",), ("session", "attach")])
def test_a_cluster_is_told_of_in_one_sentence(manager: Manager, bai: Bai, words: tuple[str, ...]) -> None:
    refused = bai(*words, "first-session")
    assert refused.status == exit_codes.REFUSED
    assert refused.err.count("\n") == 1 and "attach needs the journal" in refused.err
