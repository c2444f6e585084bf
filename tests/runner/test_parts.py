"""The parts of the runner that need no session: joining of output, connections, displays, batch plans, processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bai_tui.app.backend.runner import display, procs, streams
from bai_tui.app.backend.runner.batch import StepProcess, default_command, plan, shell_exit_code, signal_of
from bai_tui.app.backend.runner.output import FULL_CHARS, Output
from bai_tui.app.backend.runner.throttle import RATE_BYTES_S, Throttle
from bai_tui.app.backend.runner.wire import Connection, LineReader


@pytest.fixture
def output() -> Any:
    made: list[list[str]] = []
    joined = Output(made.append)
    joined.made = made  # type: ignore[attr-defined]
    yield joined
    for pipe in joined.pipes:
        os.close(pipe.read_fd)
        os.close(pipe.write_fd)


def test_the_first_output_goes_out_at_once_and_the_next_is_joined(output: Any) -> None:
    for number in range(5):
        os.write(output.stdout.write_fd, b"line %d\n" % number)
        output.pump(output.stdout)
    assert output.made[0] == ["stdout", "line 0\n"]
    output.flush()
    assert "".join(text for _, text in output.made) == "".join(f"line {n}\n" for n in range(5))
    assert output.deadline_s == float("inf")


def test_a_character_cut_in_two_waits_for_its_rest(output: Any) -> None:
    for byte in "é".encode():
        os.write(output.stderr.write_fd, bytes([byte]))
        output.pump(output.stderr)
        output.flush()
    assert output.made == [["stderr", "é"]]
    os.write(output.stderr.write_fd, b"\xe2\x82")
    output.end_run()
    assert output.made[1:] == [["stderr", "\ufffd"]]


def test_streams_are_never_joined_with_each_other_and_records_have_a_limit(output: Any) -> None:
    output.add("stdout", "a")
    output.add("stderr", "b")
    output.add("stdout", "c" * FULL_CHARS)
    assert output.made == [["stdout", "a"], ["stderr", "b"], ["stdout", "c" * FULL_CHARS]]


def test_a_peer_that_does_not_read_gets_one_note_however_many_there_were() -> None:
    ours, theirs = socket.socketpair()
    state = {"journal": 0, "pad": "x" * 1000}
    connection = Connection(ours, lambda: state)
    for number in range(10_000):
        state["journal"] = number
        connection.notify()
        connection.flush()
    held_back = connection.has_output
    assert held_back
    reader = LineReader()
    seen: list[dict[str, Any]] = []
    theirs.setblocking(False)
    while connection.has_output or not seen or seen[-1]["journal"] != 9999:
        seen += reader.feed(theirs.recv(1 << 20))
        connection.flush()
    assert len(seen) < 1000
    connection.close()
    theirs.close()


def test_lines_are_cut_anywhere() -> None:
    reader, found = LineReader(), []
    for byte in b'{"a":1}\n{"b":[2]}\n{"c"':
        found += reader.feed(bytes([byte]))
    assert found == [{"a": 1}, {"b": [2]}]


@pytest.mark.parametrize(
    ("bundle", "text", "records"),
    [
        ({"text/plain": "1"}, "1", []),
        ({"text/plain": "<A object at 0x7f>", "text/html": "<b/>"}, None, [["html", "<b/>"]]),
        ({"text/plain": "a  b", "text/html": "<b/>"}, "a  b",
         [["html", "<b/>\n<!-- as text above: lines=1 crc32=acab2d4c -->"]]),
        ({"text/plain": "<x.JSON object>", "application/json": {"a": [1]}}, None,
         [["media", ["application/json", '{"a": [1]}']]]),
        ({"text/plain": "{1}", "application/json": {"a": 1}}, "{1}", []),
        ({"text/plain": "<x.Broken object>", "application/json": {1, 2}}, "<x.Broken object>", []),
        ({"text/plain": "<IPython.core.display.Markdown object>", "text/markdown": "# x"}, None,
         [["media", ["text/markdown", "# x"]]]),
        ({"text/plain": "x**2", "text/latex": "$x^2$"}, "x**2", []),
        ({"text/plain": "<Figure size 640x480>", "image/png": "QUJD\n"}, None,
         [["media", ["image/png", "data:image/png;base64,QUJD"]]]),
        ({"image/jpeg": b"\xff\xd8A"}, None, [["media", ["image/jpeg", "data:image/jpeg;base64,/9hB"]]]),
        ({"image/svg+xml": "<svg/>"}, None, [["media", ["image/svg+xml", "<svg/>"]]]),
        ({"text/markdown": "# x"}, "# x", []),
    ],
)  # fmt: skip
def test_bundles_become_console_records(bundle: Any, text: str | None, records: Any) -> None:
    assert display.records_of(bundle) == (text, records)


def test_a_broken_rich_view_does_not_hide_the_plain_one() -> None:
    class Broken:
        def __repr__(self) -> str:
            return "plain"

        def _repr_html_(self) -> str:
            raise ValueError

    assert display.bundle_of(Broken()) == {"text/plain": "plain"}


def test_plans() -> None:
    assert plan({"clean": "*", "build": None, "exec": "*"}) == [("clean", None), ("exec", "*")]
    assert plan({"clean": "", "build": "make", "exec": ""}) == [("build", "make")]
    assert plan({}) == []


def test_the_default_command_quotes_names(tmp_path: Path) -> None:
    (tmp_path / "it's.py").touch()
    (tmp_path / ".hidden.py").touch()
    assert default_command(str(tmp_path)) == "exec python 'it'\\''s.py'"


def test_exit_codes_are_a_shells() -> None:
    assert (shell_exit_code(3 << 8), signal_of(3 << 8)) == (3, None)
    assert (shell_exit_code(9), signal_of(9)) == (137, "SIGKILL")


def test_processes_are_told_by_pid_and_start_time() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as process:
        started = procs.start_time(process.pid)
        assert procs.is_alive(process.pid, started)
        assert not procs.is_alive(process.pid, started + 1)
        while not procs.descendants(process.pid):
            pass
        assert process.pid in procs.descendants(os.getpid())
        for pid in (*procs.descendants(process.pid), process.pid):
            procs.send_signal(pid, 9)
    assert not procs.is_alive(process.pid, started)
    procs.send_signal(process.pid, 9)


def test_the_marker_shows_in_forked_processes() -> None:
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import procs; procs.find_marker(); os.environ.clear()\n"
        "procs.stamp('my-session')\n"
        "print(b'BACKENDAI_SESSION_ID=my-session' in open('/proc/self/environ', 'rb').read().split(b'\\0'))"
    )
    folder = Path(procs.__file__).parent
    environ = {procs.MARKER: "0" * procs.MARKER_ROOM}
    done = subprocess.run([sys.executable, "-c", code, str(folder)], env=environ, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_line_that_never_ends_is_refused_and_holds_little() -> None:
    reader = LineReader(1000)
    assert reader.feed(b'{"a":"' + b"x" * 900) == []
    with pytest.raises(ValueError, match="longer than 1000 bytes"):
        reader.feed(b"x" * 200)


@pytest.mark.parametrize("line", [b"{\n", b"[1]\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        LineReader().feed(line)


def test_a_peer_that_asks_on_and_on_without_reading_is_let_go() -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(ours, dict)
    answer = {"matches": ["x" * 1000] * 1000}
    sent = 0
    while not connection.closed:
        connection.send(answer)
        connection.flush()
        sent += 1
        assert sent < 100, "it is owed a hundred million bytes, and nobody minds"
    connection.close()
    theirs.close()


def test_input_that_nobody_reads_is_refused_in_the_end() -> None:
    reading, writing = os.pipe()
    step = StepProcess.__new__(StepProcess)
    step._stdin_write, step._unsent, step._eof = writing, b"", False
    os.set_blocking(writing, False)
    lines = 0
    while step.feed("x" * (1 << 20)):
        lines += 1
        assert lines < 100
    assert lines > 10
    os.close(reading)
    os.close(writing)


def test_a_throttle_lets_the_first_bytes_through_and_then_a_mebibyte_a_second() -> None:
    journal: Any = SimpleNamespace(run_bytes=0)
    throttle = Throttle(journal, 1000)
    journal.run_bytes = 1000
    assert not throttle.look(50.0)
    journal.run_bytes += RATE_BYTES_S // 2
    assert throttle.look(50.0) and throttle.until_s == 50.5
    assert throttle.look(50.4) and not throttle.look(50.6)
    journal.run_bytes += 100 * RATE_BYTES_S
    assert throttle.look(60.0) and throttle.until_s == 61.0, "a run that was interrupted is heard soon"
    journal.run_bytes = 10  # the next run
    assert not throttle.look(60.5)


def test_a_write_of_another_thread_at_the_end_of_a_run_keeps_its_place_and_is_not_all_kept() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    pipe = streams._Pipe(writing)

    def flush() -> None:
        pipe.write(b"first")
        pipe.write(b"m" * 2000)
        pipe.write(b"last")

    assert pipe.keep_back(flush) == b"first" + b"m" * 2000 + b"last", "that little is kept whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_KEPT_BYTES", 100)
        assert pipe.keep_back(flush) == b"last"
    assert os.read(reading, 1 << 16) == b"first" + b"m" * 2000
    pipe.close()
    os.close(reading)
    os.close(writing)
