"""The files of a session: looking, opening and putting back, upload, download, delete."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.choice_box import ChoiceBox
from bai_tui.app.tui.copies import Copies
from bai_tui.app.tui.dialogs import PathPrompt
from bai_tui.tests.tui.fakes import FakeServer


@pytest.fixture
def filled(server: FakeServer) -> FakeServer:
    server.capabilities |= {"delete-files"}
    session = server.sessions[server.add("py-1")]
    session.files.update({"a.txt": b"one\n", "big.bin": b"x" * 5000, "out/log[b].txt": b"two\n"})
    return server


def shown(desk: Any) -> str:
    files = desk.app.main.files_pane.files
    return "\n".join(files.render_line(y).text for y in range(files.size.height))


async def there(desk: Any) -> None:
    await desk.until(lambda: len(desk.app.main.sessions.rows) == 1)
    await desk.press("f11")
    await desk.until(lambda: "a.txt" in shown(desk))


async def type_path(desk: Any, path: str) -> None:
    await desk.until(lambda: isinstance(desk.app.screen, PathPrompt) and desk.app.screen.query("#path"))
    desk.app.screen.query_one("#path").value = path
    await desk.press("enter")


async def test_folders_are_walked_and_sorted(open_desk: Any, filled: FakeServer) -> None:
    async with open_desk() as desk:
        await there(desk)
        assert [line.split()[0] for line in shown(desk).splitlines()[:3]] == ["out/", "a.txt", "big.bin"]
        await desk.press("s")
        await desk.until(lambda: shown(desk).splitlines()[1].split()[0] == "big.bin")
        await desk.press("g", "enter")
        await desk.until(lambda: "log[b].txt" in shown(desk))
        assert desk.app.main.files_pane.tab_title().endswith("/out")
        await desk.press("backspace")
        await desk.until(lambda: "a.txt" in shown(desk))
        assert desk.app.main.files_pane.files.current.name == "out"


async def test_files_come_when_the_session_runs(open_desk: Any, server: FakeServer) -> None:
    session = server.sessions[server.add("late", status=SessionStatus.PENDING, status_info="waits")]
    session.files["a.txt"] = b"one"
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.app.main.sessions.rows) == 1)
        await desk.press("f11")
        await desk.until(lambda: "does not run" in shown(desk))
        server.start("late")
        await desk.until(lambda: "a.txt" in shown(desk))


async def test_files_come_back_with_the_connection(open_desk: Any, filled: FakeServer) -> None:
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.app.main.sessions.rows) == 1)
        filled.go_down()
        await desk.until(lambda: desk.app.bench.sync.connection.client is None)
        await desk.press("f11")
        await desk.until(lambda: "not connected" in shown(desk))
        filled.up = True
        await desk.until(lambda: "a.txt" in shown(desk))


async def test_a_file_is_edited_and_put_back(open_desk: Any, filled: FakeServer, tmp_path: Path) -> None:
    async with open_desk(folder=tmp_path) as desk:
        await there(desk)
        await desk.press("j", "enter")
        await desk.until(lambda: desk.app.main.editor.text == "one\n")
        await desk.press("#", "ctrl+s")
        session = next(iter(filled.sessions.values()))
        await desk.until(lambda: session.files["a.txt"] == b"#one\n")


async def test_upload_download_and_delete(open_desk: Any, filled: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("three")
    session = next(iter(filled.sessions.values()))
    async with open_desk() as desk:
        await there(desk)
        await desk.press("u")
        await type_path(desk, str(tmp_path / "none.txt"))
        await desk.until(lambda: "no file of this machine" in str(desk.app.screen.query_one("#path-error").content))
        await type_path(desk, str(tmp_path / "new.txt"))
        await desk.until(lambda: session.files.get("new.txt") == b"three" and "new.txt" in shown(desk))
        await desk.press("g", "j", "space", "space", "d")
        (tmp_path / "here").mkdir()
        await type_path(desk, str(tmp_path / "here"))
        await desk.until(lambda: {file.name for file in (tmp_path / "here").iterdir()} == {"a.txt", "big.bin"})
        await desk.until(lambda: desk.app.screen is desk.app.main)
        await desk.press("x")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceBox))
        await desk.press("escape")
        assert "a.txt" in session.files
        await desk.press("x")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceBox))
        await desk.press("d")
        await desk.until(lambda: "a.txt" not in session.files and "big.bin" not in session.files)
        await desk.until(lambda: "a.txt" not in shown(desk))


async def test_a_cluster_deletes_no_files_and_it_is_said_where_one_looks(open_desk: Any, filled: FakeServer) -> None:
    filled.capabilities = frozenset()
    async with open_desk() as desk:
        await there(desk)
        await desk.press("x")
        await desk.until(lambda: any("deletes no files: rm in the terminal" in toast for toast in desk.toasts))
        assert desk.app.screen is desk.app.main, "nothing is asked that cannot be done"


async def test_a_session_that_does_not_run_says_so(open_desk: Any, server: FakeServer) -> None:
    async with open_desk() as desk:
        await desk.press("f11")
        await desk.until(lambda: "no session is selected" in shown(desk))


def test_where_a_copy_came_from_is_told_by_its_path(tmp_path: Path) -> None:
    copies = Copies(tmp_path)
    folder = copies.folder_for("id-1", PurePosixPath("out/a.txt"))
    assert Copies(tmp_path).origin_of(str(folder / "a.txt")) == ("id-1", PurePosixPath("out/a.txt"))
    assert copies.origin_of("/etc/passwd") is None
    assert Copies(None).origin_of(str(folder / "a.txt")) is None
