"""`bai-tui run`: the code's output, its exit status, prompts, removal; usage."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.cli import exit_codes
from bai_tui.app.cli.main import invoke

from ..client.conftest import problem
from .conftest import OTHER, SID, Manager, Outcome

Bai = Callable[..., Outcome]


def finished(code: int | None, *console: list[Any]) -> dict[str, Any]:
    return {"status": "finished", "console": list(console), "exitCode": code}


def test_output_goes_where_it_belongs(manager: Manager, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    manager.frames = [
        {"status": "continued", "console": [["stdout", "hel"], ["stdout", "lo\x1b]0;x\x07 \u00e9\udcff"]]},
        finished(0, ["stderr", "oops\n"], ["stdout", "\n"]),
    ]
    assert invoke(["run", "--rm", "-q", "-c", 'print("hello")', "python"]) == 0
    # a pipe gets every byte, what is no UTF-8 too
    assert capfdbinary.readouterr() == (b"hello\x1b]0;x\x07 \xc3\xa9\xff\n", b"oops\n")
    assert manager.run == {"code": 'print("hello")', "mode": "query", "options": {}}
    assert manager.deleted == [f"/session/{SID}"]


@pytest.mark.parametrize(("code", "status"), [(0, 0), (1, 1), (3, 3), (255, 255), (256, 255), (-9, 137), (-11, 139)])
def test_the_exit_status_is_that_of_the_code(manager: Manager, bai: Bai, code: int, status: int) -> None:
    manager.frames = [finished(code)]
    assert bai("run", "--rm", "-c", "x", "python").status == status


def test_an_end_that_nobody_explains_is_no_success(manager: Manager, bai: Bai) -> None:
    manager.frames = [finished(None)]
    done = bai("run", "--rm", "-c", "x", "python")
    assert done.status == exit_codes.FAILED
    assert "did not tell how the code ended" in done.err


def test_a_lost_connection_is_no_success_and_the_session_goes(manager: Manager, bai: Bai) -> None:
    manager.frames = [{"status": "continued", "console": [["stdout", "a"]]}, "drop"]
    done = bai("run", "--rm", "-c", "x", "python")
    assert (done.status, done.out) == (exit_codes.UNREACHABLE, "a")
    assert "connection lost" in done.err
    assert manager.deleted == [f"/session/{SID}"]


def test_a_session_that_ends_under_its_code_is_named_as_the_reason(manager: Manager, bai: Bai) -> None:
    manager.frames = ["drop"]
    manager.rows[0].update(status="TERMINATED", status_info="idle-timeout")
    done = bai("run", "-c", "x", "python")
    assert done.status == exit_codes.UNREACHABLE
    assert "ended while its code ran: idle-timeout" in done.err


def test_options_reach_the_server(manager: Manager, bai: Bai) -> None:
    done = bai(
        *("run", "-c", "x", "-r", "cpu=2", "-r", "mem=512", "-r", "gpu=0.5", "-e", "A=b=c", "-e", "E="),
        *("--resource-opts", "shmem=64", "-t", "my-name", "--tag", "t", "--no-reuse", "--max-wait", "7"),
        *("--idle-timeout", "10m", "--priority", "20", "python:3.11"),
    )
    assert done.status == 0
    assert manager.created["config"] == {
        "environ": {"A": "b=c", "E": ""},
        "resources": {"cpu": "2", "mem": "512m", "cuda.shares": "0.5"},
        "resource_opts": {"shmem": "64m", "idle_timeout": "600"},
        "mounts": [],
    }
    wanted = {"name": "my-name", "tag": "t", "reuseIfExists": False, "maxWaitSeconds": 7, "priority": 20}
    assert {key: manager.created[key] for key in wanted} == wanted
    assert manager.created["image"] == "python:3.11"
    assert not manager.deleted


def test_fences_reach_the_local_backend(manager: Manager, bai: Bai) -> None:
    manager.handshake["bai-tui"] = {"capabilities": ["extend"]}
    assert bai("run", "-c", "x", "--wall-time", "2h", "--isolation", "bwrap", "--no-network", "python").status == 0
    fences = {"wall_time": "7200", "isolation": "bwrap", "network": "false"}
    assert manager.created["config"]["resource_opts"] == fences


@pytest.mark.parametrize(
    "options", [("--wall-time", "2h"), ("--isolation", "bwrap"), ("--isolation", "bwrap", "--no-network", "-q")]
)
def test_code_that_is_to_be_held_runs_on_no_cluster_that_cannot(
    manager: Manager, bai: Bai, options: tuple[str, ...]
) -> None:
    done = bai("run", "-c", "x", *options, "python")
    assert (done.status, done.out) == (exit_codes.REFUSED, "")
    assert options[0] in done.err and "Backend.AI cluster" in done.err and done.err.count("\n") == 1
    assert not manager.created


def test_a_variable_without_a_value_takes_that_of_the_shell(
    manager: Manager, bai: Bai, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lists processes sees no secret then."""
    monkeypatch.setenv("TOKEN", "s3cret=")
    monkeypatch.delenv("NOWHERE", raising=False)
    assert bai("run", "-c", "x", "-e", "TOKEN", "python").status == 0
    assert manager.created["config"]["environ"] == {"TOKEN": "s3cret="}
    done = bai("run", "-c", "x", "-e", "NOWHERE", "python")
    assert done.status == exit_codes.USAGE
    assert "NOWHERE is not set here" in done.err


def test_the_environment_names_domain_and_group(manager: Manager, bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_DOMAIN", "lab")
    monkeypatch.setenv("BACKEND_GROUP", "vision")
    assert bai("run", "-c", "x", "python").status == 0
    assert (manager.created["domain"], manager.created["group"]) == ("lab", "vision")
    assert manager.requests[-1].headers["X-BackendAI-Domain"] == "lab"


def test_one_script_runs(manager: Manager, bai: Bai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mygpucode.py").write_bytes(b"print(1)\n")
    assert bai("run", "--rm", "-r", "gpu=0.5", "python", "./mygpucode.py").status == 0
    assert manager.uploaded == {"mygpucode.py": b"print(1)\n"}
    assert manager.run == {
        "code": "",
        "mode": "batch",
        "options": {"clean": "*", "build": "*", "buildLog": False, "exec": "python mygpucode.py"},
    }


def test_a_command_beside_files(manager: Manager, bai: Bai, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "a.c").write_bytes(b"a")
    (tmp_path / "b.txt").write_bytes(b"b")
    done = bai(
        *("run", "--exec", "./a 1", "--build", "make", "--basedir", str(tmp_path), "gcc"),
        *(str(source / "a.c"), str(tmp_path / "b.txt")),
    )
    assert done.status == 0
    assert set(manager.uploaded) == {"src/a.c", "b.txt"} or set(manager.uploaded) == {"src%2Fa.c", "b.txt"}
    assert manager.run["options"] == {"clean": "*", "build": "make", "buildLog": True, "exec": "./a 1"}


def test_a_command_without_files_skips_the_other_steps(manager: Manager, bai: Bai) -> None:
    assert bai("run", "--rm", "--exec", "ls", "python").status == 0
    assert manager.run["options"] == {"clean": "", "build": "", "buildLog": False, "exec": "ls"}


def test_a_failed_build_is_told_and_counts_when_it_was_all(manager: Manager, bai: Bai) -> None:
    manager.frames = [{"status": "build-finished", "exitCode": 2}, finished(0)]
    done = bai("run", "--rm", "--build", "make", "python")
    assert done.status == 2
    assert "the build step ended with exit status 2" in done.err


@pytest.mark.parametrize(("text", "seconds"), [("10m", "600"), ("0", "0"), ("1.5s", "1.5"), ("200d", "17280000")])
def test_idle_timeouts_are_sent_in_seconds(manager: Manager, bai: Bai, text: str, seconds: str) -> None:
    assert bai("run", "--idle-timeout", text, "-c", "x", "python").status == 0
    assert manager.created["config"]["resource_opts"] == {"idle_timeout": seconds}


def test_a_cluster_has_no_idle_timeout_of_one_session(manager: Manager, bai: Bai) -> None:
    told = "has no idle timeout of one session"
    assert told in bai("run", "--idle-timeout", "2h", "-c", "x", "python").err
    assert told not in bai("run", "--quiet", "--idle-timeout", "2h", "-c", "x", "python").err
    assert told not in bai("run", "-c", "x", "python").err
    manager.handshake["bai-tui"] = {"capabilities": ["extend"]}
    assert told not in bai("run", "--idle-timeout", "2h", "-c", "x", "python").err


@pytest.mark.parametrize(("built", "code", "status"), [(2, 127, 2), (0, 127, 127), (2, 5, 5)])
def test_a_build_that_fails_is_the_reason_why_nothing_was_executed(
    manager: Manager, bai: Bai, built: int, code: int, status: int
) -> None:
    manager.frames = [{"status": "build-finished", "exitCode": built}, finished(code)]
    assert bai("run", "--rm", "--build", "make", "--exec", "./a", "python").status == status


def test_a_session_that_waits_in_the_queue_is_told_of(
    manager: Manager, bai: Bai, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bai_tui.app.cli.execution._TELL_AFTER_S", 0.0)
    manager.create_answer = "hold"
    answer: Any = manager.graphql

    def release(query: str, variables: dict[str, Any]) -> Any:
        manager.stuck.set()
        return answer(query, variables)

    # released by the question why it waits; then the manager has no answer of its own
    monkeypatch.setattr(manager, "graphql", release)
    manager.rows[1]["status_info"] = "waits for 1 cuda.shares\x1b[2J"
    done = bai("run", "-t", "second", "-c", "x", "python")
    assert "bai-tui: the session second is in the queue: waits for 1 cuda.shares?[2J\n" in done.err


def stdin_of(data: bytes) -> int:
    """Makes `data` this process's stdin; returns the descriptor of the one before."""
    before = os.dup(0)
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    os.dup2(reader, 0)
    os.close(reader)
    return before


@pytest.fixture
def stdin() -> Any:
    kept: list[int] = []
    yield lambda data: kept.append(stdin_of(data))
    for before in kept:
        os.dup2(before, 0)
        os.close(before)


PROMPT = {"status": "waiting-input", "console": [["stdout", "? "]], "options": {"is_password": False}}


def test_prompts_read_stdin_line_by_line(manager: Manager, bai: Bai, stdin: Any) -> None:
    stdin("Ada\r\nGrace\nno newline é".encode())
    manager.frames = [PROMPT, PROMPT, {**PROMPT, "options": {"is_password": True}}, finished(0)]
    done = bai("run", "--rm", "-q", "-c", "x", "python")
    assert (done.status, done.out, done.err) == (0, "? ? ? ", "")
    assert manager.inputs == ["Ada", "Grace", "no newline é"]


def test_prompts_read_a_regular_file(manager: Manager, bai: Bai, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"one\ntwo\n")
    before, handle = os.dup(0), os.open(tmp_path / "in", os.O_RDONLY)
    try:
        os.dup2(handle, 0)
        manager.frames = [PROMPT, PROMPT, finished(0)]
        assert bai("run", "--rm", "-c", "x", "python").status == 0
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(handle)
    assert manager.inputs == ["one", "two"]


def test_a_prompt_at_the_end_of_stdin_interrupts(manager: Manager, bai: Bai, stdin: Any) -> None:
    stdin(b"")
    manager.frames = [PROMPT, finished(1, ["stderr", "KeyboardInterrupt\n"])]
    done = bai("run", "--rm", "-c", "x", "python")
    assert done.status == 1
    assert "the code asks for input and stdin has ended" in done.err


def test_the_end_of_stdin_is_passed_on_where_the_server_knows_one(manager: Manager, bai: Bai, stdin: Any) -> None:
    stdin(b"")
    manager.handshake["bai-tui"] = {"capabilities": ["end-of-input"]}
    manager.frames = [PROMPT, finished(0)]
    assert bai("run", "--rm", "-c", "x", "python").status == 0
    assert manager.inputs == ["\x04"]


def test_code_from_stdin(manager: Manager, bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("print('é')\n".encode())))
    assert bai("run", "--rm", "-c", "-", "python").status == 0
    assert manager.run["code"] == "print('é')\n"


def test_pictures_are_noted_or_saved(manager: Manager, bai: Bai, tmp_path: Path) -> None:
    manager.frames = [
        finished(
            0,
            ["media", ["image/png", "data:image/png;base64,aGVsbG8="]],
            ["html", "<b>x</b>"],
            ["media", ["text/plain", "42"]],
            ["log", ["WARNING", "2026-11-23T00:00:00", "kernel", "careful\x1b[2J"]],
        )
    ]
    done = bai("run", "--rm", "-q", "-c", "x", "python")
    assert done.out == "42\n"
    assert done.err == "[image/png 5 B]\n[text/html 8 B]\nWARNING kernel: careful?[2J\n"
    done = bai("run", "--rm", "-q", "--media-dir", str(tmp_path / "m"), "-c", "x", "python")
    assert (tmp_path / "m" / "001.png").read_bytes() == b"hello"
    assert (tmp_path / "m" / "002.html").read_bytes() == b"<b>x</b>"


def test_what_really_runs_is_said(manager: Manager, bai: Bai) -> None:
    manager.handshake["bai-tui"] = {"capabilities": ["journal"]}
    manager.rows[0]["status_data"] = '{"image_notice": "python:3.6-ubuntu18.04 runs as\\u001b[2J python:3.6-debian12"}'
    done = bai("run", "-c", "x", "python:3.6-ubuntu18.04")
    assert "runs local/stable/python-tensorflow" in done.err
    assert "bai-tui: python:3.6-ubuntu18.04 runs as?[2J python:3.6-debian12" in done.err
    assert "stays" in done.err
    assert bai("run", "-q", "-c", "x", "python").err == ""


def test_statistics(manager: Manager, bai: Bai) -> None:
    done = bai("run", "--rm", "-s", "-q", "-c", "x", "python")
    assert done.err == "METRIC    VALUE\ncpu_used  12 msec\n"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ({"sessionId": OTHER, "status": "TIMEOUT"}, exit_codes.STILL_QUEUED, "still in the queue: waits for 1 cuda"),
        ({"sessionId": OTHER, "status": "ERROR"}, exit_codes.REFUSED, "could not be started: ERROR"),
        ({"sessionId": OTHER, "status": "CANCELLED"}, exit_codes.REFUSED, "could not be started: CANCELLED"),
    ],
)
def test_sessions_that_do_not_come_to_run(manager: Manager, bai: Bai, answer: Any, status: int, words: str) -> None:
    manager.create_answer = answer
    done = bai("run", "--rm", "--max-wait", "1", "-c", "x", "python")
    assert (done.status, done.out) == (status, "")
    assert words in done.err
    assert manager.deleted == [f"/session/{OTHER}"]
    assert not manager.run


def test_a_session_that_could_not_be_started_says_why_and_nothing_else(manager: Manager, bai: Bai) -> None:
    manager.create_answer = {"sessionId": OTHER, "status": "ERROR"}
    manager.rows[1].update(status="ERROR", status_info="failed-to-start: no such package")

    async def gone(_: web.Request) -> web.Response:
        return problem(404, "object-not-found", "No such session.", error_code="session_read_not-found")

    manager.answers[f"DELETE /session/{OTHER}"] = gone
    done = bai("run", "--rm", "-t", "mine", "-c", "x", "python")
    assert done.err == "bai-tui: the session mine could not be started: no such package\n"
    assert done.status == exit_codes.REFUSED


def test_enqueue_only_prints_the_id(manager: Manager, bai: Bai) -> None:
    manager.create_answer = {"sessionId": OTHER, "status": "PENDING"}
    done = bai("run", "--enqueue-only", "-c", "x", "python")
    assert (done.status, done.out) == (0, f"{OTHER}\n")
    assert manager.created["enqueueOnly"] is True
    assert "the code was not run" in done.err


def test_a_session_without_code(manager: Manager, bai: Bai) -> None:
    assert bai("run", "-q", "python") == Outcome(0, f"{SID}\n", "")
    assert not manager.run


def test_a_refused_creation_is_one_sentence(manager: Manager, bai: Bai) -> None:
    manager.create_answer = problem(
        404, "object-not-found", "No such environment image.", error_code="image_read_not-found", msg="pythn:3 is none"
    )
    done = bai("run", "--rm", "-c", "x", "pythn:3")
    assert done == Outcome(exit_codes.NOT_FOUND, "", "bai-tui: No such environment image: pythn:3 is none\n")
    assert not manager.deleted


def test_a_batch_session_runs_its_command_by_itself(manager: Manager, bai: Bai) -> None:
    assert bai("run", "--type", "batch", "--exec", "make", "gcc").out == f"{SID}\n"
    assert (manager.created["type"], manager.created["startupCommand"]) == ("batch", "make")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "IMAGE"),
        (["-c", "x", "python", "FILE"], "not both"),
        (["-c", "x", "--exec", "y", "python"], "not both"),
        (["--rm", "python"], "nothing to run"),
        (["--rm", "--enqueue-only", "-c", "x", "python"], "give one of them"),
        (["python", "missing.py"], "there is no file missing.py"),
        (["python", "."], "is a folder"),
        (["--basedir", "sub", "python", "FILE"], "lies outside the folder"),
        (["python", "FILE", "sub/../other/FILE"], "would both become FILE"),
        (["-r", "cpu", "-c", "x", "python"], "KEY=VALUE"),
        (["-e", "=x", "-c", "x", "python"], "KEY=VALUE"),
        (["-t", "abc", "-c", "x", "python"], "4 to 64"),
        (["-t", "a" * 65, "-c", "x", "python"], "4 to 64"),
        (["--idle-timeout", "soon", "-c", "x", "python"], "no duration"),
        (["--max-wait", "-1", "-c", "x", "python"], "max-wait"),
        (["--type", "batch", "-c", "x", "python"], "--exec CMD"),
        (["--bogus", "-c", "x", "python"], "--bogus"),
    ],
)
def test_wrong_usage_is_one_sentence_and_reaches_nobody(
    manager: Manager, bai: Bai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("sub", "other"):
        Path(folder).mkdir()
    for name in ("FILE", "other/FILE"):
        Path(name).write_text(name)
    if "other" in " ".join(arguments):
        arguments = ["python", "FILE", str(tmp_path.parent / tmp_path.name / "other" / ".." / "other" / "FILE")]
        monkeypatch.chdir(tmp_path / "sub")
        arguments[1] = "../FILE"
    done = bai("run", *arguments)
    assert done.status == exit_codes.USAGE
    assert done.err.startswith("bai-tui: ") and words in done.err
    assert done.err.count("\n") == 1
    assert not manager.requests
