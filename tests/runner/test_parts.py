"""The parts of the runner that need no session: joining of output, connections, displays, batch plans, processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.runner import display, procs
from bai_tui.app.backend.runner.batch import default_command, plan, shell_exit_code, signal_of
from bai_tui.app.backend.runner.output import FULL_CHARS, Output
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
        ({"text/plain": "a  b", "text/html": "<b/>"}, "a  b", [["html", "<b/>"]]),
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
