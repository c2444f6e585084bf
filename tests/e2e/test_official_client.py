"""The official client drives our backend: five commands of the tutorial, and what people do around them."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def session_ids(listing: str) -> list[str]:
    return re.findall(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", listing)


def live(backend: Any) -> str:
    """What `ps` prints; with no session the client of 2023 fails on its own."""
    return str(backend.ours("ps", "--name-only").stdout)


# --- the five ------------------------------------------------------------------------------------------------


def test_run_code(backend: Any) -> None:
    out = backend.official("run", "--rm", "-c", 'print("hello world")', "python")
    assert re.search(r"^hello world$", out, re.MULTILINE)
    assert "is ready" in out and "Execution finished. (exit code = 0)" in out and "Cleaned up the session" in out


def test_run_a_file_in_batch_mode(backend: Any, tmp_path: Path) -> None:
    (tmp_path / "myscript.py").write_text("import sys\nprint('arguments', sys.argv[1:])\nsys.exit(3)\n")
    out = backend.official(
        "run", "--rm", "--exec", "python myscript.py arg1 arg2", "python", "./myscript.py", cwd=tmp_path
    )
    steps = [
        "Uploading done.",
        "Clean finished. (exit code = 0)",
        "Build finished. (exit code = 0)",
        "arguments ['arg1', 'arg2']",
        "Execution finished. (exit code = 3)",
    ]
    places = [out.find(step) for step in steps]
    assert -1 not in places and places == sorted(places), out


def test_run_on_half_a_gpu(backend: Any, tmp_path: Path) -> None:
    (tmp_path / "mygpucode.py").write_text("import os\nprint('GPUs:', os.environ['GPU_COUNT'])\n")
    out = backend.official("run", "--rm", "-r", "gpu=0.5", "python", "./mygpucode.py", cwd=tmp_path)
    assert "GPUs: 1" in out and "Execution finished. (exit code = 0)" in out


def test_ps_and_rm(backend: Any) -> None:
    for name in ("listed-1", "listed-2"):
        assert "is created and ready" in backend.official("session", "create", "-t", name, "-r", "cpu=1", "python")
    listing = backend.official("ps")
    head, _, *rows = listing.splitlines()
    assert head.split("  ")[0] == "Name" and "Main Kernel ID" in head and "Result" in head
    assert [row.split()[0] for row in rows] == ["listed-2", "listed-1"]
    for row in rows:
        # positional columns: each value stands under its own head
        assert re.search(
            r"\S+  +AK\S+  +[0-9a-f-]{36}  +default  +[0-9a-f-]{36}  +python:\S+  +INTERACTIVE  +RUNNING", row
        )
    ids = [session_ids(row)[0] for row in rows]
    assert "Done." in backend.official("rm", *ids)
    assert "listed-" not in live(backend)


# --- around them ---------------------------------------------------------------------------------------------


def test_input_is_asked_for_and_answered(backend: Any) -> None:
    code = "import sys\nname = input('who? ')\nprint('hi', name, file=sys.stderr)"
    out = backend.official("run", "--rm", "-c", code, "python", typed="Ada\n")
    assert "who? " in out and "hi Ada" in out and "Execution finished. (exit code = 0)" in out


def test_errors_of_the_code_are_shown(backend: Any) -> None:
    out = backend.official("run", "--rm", "-c", "import sys; sys.exit('done for')", "python")
    assert "done for" in out and "Cleaned up the session" in out


def test_statistics_do_not_crash(backend: Any) -> None:
    out = backend.official("run", "-s", "--rm", "-c", "print(1)", "python")
    assert "Statistics" in out and "Cleaned up the session" in out


def test_a_named_session_is_used_again(backend: Any) -> None:
    backend.official("run", "-t", "again-01", "-c", "x = 41", "python")
    out = backend.official("run", "-t", "again-01", "-c", "print(x + 1)", "python")
    assert "Reusing session again-01" in out and re.search("^42$", out, re.MULTILINE)
    refused = backend.official("run", "--no-reuse", "-t", "again-01", "-c", "1", "python")
    assert "already exists" in refused
    assert "Done." in backend.official("rm", "again-01")
    assert "No such session" in backend.official("rm", "again-01")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pyhton",), "the nearest is"),
        (("-r", "tpu=1", "python"), "Unknown slot type: 'tpu'"),
        (("-r", "gpu=0.5", "-r", "cuda.shares=0.5", "python"), "not both"),
    ],
)
def test_what_cannot_be_is_said(backend: Any, arguments: tuple[str, ...], says: str) -> None:
    out = backend.official("run", "--rm", "-c", "print(1)", *arguments)
    assert says in out and "is ready" not in out


def test_wrong_secret(backend: Any) -> None:
    backend.variables["BACKEND_SECRET_KEY"], right = "wrong", backend.variables["BACKEND_SECRET_KEY"]
    try:
        assert "HMAC signature mismatch" in backend.official("run", "-c", "1", "python")
    finally:
        backend.variables["BACKEND_SECRET_KEY"] = right


@pytest.fixture
def one(backend: Any) -> Any:
    """A session of the client's making, called `alone-01`."""
    backend.official("session", "create", "-t", "alone-01", "python")
    yield "alone-01"
    backend.ours("rm", "alone-01")


def test_listing_of_chosen_fields(backend: Any, one: str) -> None:
    out = backend.official("ps", "-f", "status,name,occupying_slots,idle_checks", "--filter", f'name == "{one}"')
    head, _, row = out.splitlines()
    assert head.split() == ["Status", "Name", "Occupying", "Slots", "Idle", "Checks"]
    assert re.match(r"RUNNING +alone-01 +cpu:1, mem:\S+ +.*network_timeout", row)
    wrong = backend.official("ps", "--filter", 'nme == "x"')
    assert "did you mean 'name'?" in wrong


def test_info_of_a_session(backend: Any, one: str) -> None:
    (ref,) = session_ids(backend.official("ps", "-f", "session_id", "--filter", f'name == "{one}"'))
    out = backend.official("session", "info", ref)
    assert "alone-01" in out and "i-local" in out and "(no dependency tasks)" in out


def test_files(backend: Any, one: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a b.txt").write_text("hello")
    assert "Uploaded." in backend.official("session", "upload", one, "sub/a b.txt", cwd=tmp_path)
    assert "a b.txt" in backend.official("session", "ls", one, "sub")
    got = tmp_path / "got"
    got.mkdir()
    assert "Downloaded" in backend.official("session", "download", one, "sub/a b.txt", "--dest", str(got))
    assert [path.read_text() for path in got.rglob("a b.txt")] == ["hello"]
    assert "leads out" in backend.official("session", "download", one, "../../../etc/passwd", "--dest", str(got))


def test_small_commands(backend: Any, one: str) -> None:
    assert "Actual Resource Allocation Time" in backend.official("session", "status-history", one)
    backend.official("run", "-t", one, "-c", "print('kept')", "python")
    assert "kept" in backend.official("session", "logs", one)
    assert "Session renamed" in backend.official("session", "rename", one, "alone-02")
    assert "Session renamed" in backend.official("session", "rename", "alone-02", one)
    assert "501 Not Implemented" in backend.official("session", "commit", one)
    assert "i-local" in backend.official("admin", "agent", "list")
    assert re.search(r"python +local +x86_64", backend.official("admin", "image", "list"))
    assert "cuda.shares (count)" in backend.official("admin", "resource", "query-slots")
    assert "API: v7.20230615" in backend.official("config")


def test_events_until_the_session_ends(backend: Any, one: str) -> None:
    watcher = backend.popen("session", "events", one)
    try:
        assert watcher.stdout is not None
        # nothing tells when the client has subscribed: something happens until it shows that it sees it
        seen = threading.Event()

        def stir() -> None:
            while not seen.wait(0.5):
                backend.ours("session", "rename", one, one + "x")
                backend.ours("session", "rename", one + "x", one)

        stirring = threading.Thread(target=stir)
        stirring.start()
        first = watcher.stdout.readline()
        seen.set()
        stirring.join()
        assert "bai_session_renamed" in first
        backend.official("rm", one)
        rest, _ = watcher.communicate(timeout=60)
    finally:
        watcher.kill()
        watcher.wait()
    assert '"sessionName": "alone-01"' in rest
    assert re.search(r"session_terminating .*\n(?:.*\n)*session_terminated .*\nserver_close \{\}\n$", rest), rest


def test_nothing_is_left(backend: Any) -> None:
    assert backend.ours("ps", "--name-only").stdout.strip() == ""
