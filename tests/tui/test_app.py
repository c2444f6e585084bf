"""Around the panes: what is kept, keys, palette, small screens, plain shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.model.endpoint import Endpoint
from bai_tui.app.tui.actions import ACTIONS
from bai_tui.app.tui.dialogs import PathPrompt
from bai_tui.app.tui.draft import Draft
from bai_tui.app.tui.help import HelpScreen
from bai_tui.app.tui.layout import Layout
from bai_tui.app.tui.locate import FixedEndpoint
from bai_tui.app.tui.samples import SAMPLE
from bai_tui.app.tui.state import Memory
from bai_tui.app.tui.workbench import wants_ascii
from bai_tui.tests.tui.fakes import ENDPOINT, FakeServer
from bai_tui.widgets.transcript import Gap, Transcript
from textual import events
from textual.widgets import Input


async def test_the_first_start_welcomes_and_shows_a_sample(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk(folder=tmp_path) as desk:
        assert desk.app.main.editor.text == SAMPLE
        assert "runs code in sessions" in desk.console
        await desk.until(lambda: "n  picks an image" in desk.list_text)


async def test_text_file_and_session_are_there_again(open_desk: Any, server: FakeServer, tmp_path: Path) -> None:
    server.add("py-1", age_s=9)
    server.add("py-2", age_s=8)
    async with open_desk(folder=tmp_path) as desk:
        await desk.until(lambda: len(desk.app.main.sessions.rows) == 2)
        await desk.press("j", "f3")
        await desk.code("first\nsecond")
        await desk.press("down", "x")
        await desk.until(lambda: desk.app.main.editor.text == "first\nxsecond")
        await desk.press("ctrl+q")
    assert oct((tmp_path / "tui.json").stat().st_mode & 0o777) == "0o600"
    async with open_desk(folder=tmp_path) as desk:
        assert desk.app.main.editor.text == "first\nxsecond"
        await desk.until(lambda: desk.cursor == "py-2")
        assert desk.app.main.editor.cursor_location == (1, 1)
        assert "runs code in sessions" not in desk.console


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"endpoints": {"local": 7}}', '{"endpoints": {"local": {"row": "x"}}}']
)
def test_a_broken_state_file_is_begun_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "tui.json").write_text(content)
    memory = Memory(tmp_path, "local")
    draft = memory.of(Draft)
    assert (draft, memory.text(".py")) == (Draft(), None)
    draft.row = 3
    memory.keep_text(".py", "x")
    memory.save()
    again, other = Memory(tmp_path, "local"), Memory(tmp_path, "https://other")
    assert (again.of(Draft), again.text(".py")) == (Draft(row=3), "x")
    assert (other.of(Draft), other.text(".py")) == (Draft(), None)
    other.of(Draft).file = "b.py"
    other.save()
    assert Memory(tmp_path, "local").of(Draft) == Draft(row=3)
    assert json.loads((tmp_path / "tui.json").read_text())["version"] == 2


def test_what_the_first_version_remembered_is_taken_over(tmp_path: Path) -> None:
    flat = {"file": "/a.py", "changed": True, "row": 4, "column": 2}
    flat |= {"session": "s", "theme": "bai-light", "map": "shown"}
    (tmp_path / "tui.json").write_text(json.dumps({"version": 1, "endpoints": {"local": flat}}))
    memory = Memory(tmp_path, "local")
    assert memory.of(Draft) == Draft("/a.py", True, 4, 2)
    assert memory.of(Layout) == Layout("s", "bai-light", "shown")


async def test_open_and_save(open_desk: Any, tmp_path: Path) -> None:
    file = tmp_path / "a [b].py"
    file.write_text("x = 1\n")
    async with open_desk() as desk:
        await desk.press("ctrl+o")
        await desk.until(lambda: isinstance(desk.app.screen, PathPrompt) and desk.app.screen.query("#path"))
        desk.app.screen.query_one("#path").value = str(tmp_path / "none.py")
        await desk.press("enter")
        await desk.until(lambda: "does not exist" in str(desk.app.screen.query_one("#path-error").content))
        desk.app.screen.query_one("#path").value = str(file)
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is desk.app.main)
        assert desk.app.main.editor.text == "x = 1\n"
        assert "a [b].py" in str(desk.app.main.editor_pane._border_title)
        await desk.press("#")
        await desk.until(lambda: "●" in str(desk.app.main.editor_pane._border_title))
        await desk.press("ctrl+s")
        await desk.until(lambda: file.read_text() == "#x = 1\n")
        await desk.until(lambda: "●" not in str(desk.app.main.editor_pane._border_title))


async def test_help_explains_the_focused_pane(open_desk: Any) -> None:
    async with open_desk() as desk:
        await desk.press("question_mark")
        await desk.until(lambda: isinstance(desk.app.screen, HelpScreen) and desk.app.screen.query("#help-text"))
        text = " ".join(str(desk.app.screen.query_one("#help-text").content).split())
        assert text.index("sessions") < text.index("console")
        for action in ACTIONS:
            assert action.tooltip in text
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.app.main)


async def test_a_key_that_follows_at_once_is_for_the_pane_that_was_gone_to(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1", age_s=9)
    server.add("py-2", age_s=8)
    async with open_desk() as desk:
        main = desk.app.main
        await desk.until(lambda: desk.cursor == "py-1")
        await desk.press("f3")
        before = main.editor.text
        # both are there before either of them is handled
        desk.app.post_message(events.Key("escape", None))
        desk.app.post_message(events.Key("j", "j"))
        await desk.until(lambda: desk.cursor == "py-2")
        desk.app.post_message(events.Key("f8", None))
        desk.app.post_message(events.Key("f9", None))
        await desk.until(lambda: main.has_class("-zoomed"))
        assert main.has_class("-zoom-details") and main.editor.text == before


async def test_zoom_gives_a_pane_the_screen_and_back(open_desk: Any) -> None:
    async with open_desk(size=(80, 24)) as desk:
        await desk.press("f4", "f9")
        await desk.pilot.pause()
        main = desk.app.main
        assert main.console_pane.size.height >= 18 and not main.sessions.display
        await desk.press("escape")
        await desk.pilot.pause()
        assert main.sessions.display and main.console.has_focus


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (40, 12), (20, 6)])
async def test_every_size_is_bearable(open_desk: Any, server: FakeServer, size: tuple[int, int]) -> None:
    server.add("py-1")
    async with open_desk(size=size) as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        main = desk.app.main
        await desk.pilot.pause()
        if size[1] >= 24:
            assert main.sessions.size.height >= 2 and main.editor.size.height >= 3 and main.console.size.height >= 3
        await desk.pilot.resize_terminal(100, 30)
        await desk.pilot.pause()
        assert main.details.display


async def test_plain_shapes(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1", slots={"cpu": "1", "mem": "1g", "gpu": "0.5"})
    async with open_desk(ascii_only=True) as desk:
        await desk.until(lambda: "py-1" in desk.list_text)
        await desk.until(lambda: desk.app.bench.sync.connection.machine.gpus)
        await desk.pilot.pause()
        picture = desk.app.export_screenshot()
        for shape in "●◐○╭│▰█▕":
            assert shape not in picture.replace(SAMPLE, "")[picture.index("bai-tui") :] or shape == "█"


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({"LANG": "de_DE.UTF-8"}, False), ({"LANG": "C"}, True), ({"LC_ALL": "C.utf8"}, False), ({}, False),
     ({"LANG": "en_US.UTF-8", "BAI_TUI_ASCII": "1"}, True)],
)  # fmt: skip
def test_who_gets_plain_shapes(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], wanted: bool) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG", "BAI_TUI_ASCII"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_ascii() is wanted


async def test_an_error_in_a_worker_is_told(open_desk: Any) -> None:
    async with open_desk() as desk:

        async def broken() -> None:
            raise ValueError("a[/b]")

        desk.app._spawn(broken(), "broken")
        await desk.until(lambda: any("broken failed (ValueError: a[/b])" in text for text in desk.toasts))


async def test_leaving_leaves_sessions(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        await desk.press("q")
        await desk.until(lambda: desk.app.return_code == 0 or desk.app._exit)
    assert not [call for call, _ in server.calls if call == "terminate"]


async def test_a_reader_is_not_moved_and_the_end_is_followed(open_desk: Any) -> None:
    async with open_desk() as desk:
        console = desk.app.main.console
        transcript = Transcript(max_lines=1000)
        console.show(transcript)
        transcript.write("".join(f"line {number}\n" for number in range(500)))
        console.sync()
        await desk.pilot.pause()
        assert console.following and "line 499" in desk.console
        await desk.press("f4", "pageup", "pageup")
        await desk.pilot.pause()
        seen = desk.console
        assert not console.following
        transcript.write("".join(f"more {number}\n" for number in range(300)))
        console.sync()
        await desk.pilot.pause()
        assert desk.console == seen
        assert "300 new lines" in str(desk.app.main.console_pane._border_subtitle)
        # also when the oldest lines are dropped meanwhile
        for _ in range(2):
            transcript.write("".join(f"more {number}\n" for number in range(160)))
            console.sync()
        assert any(isinstance(line, Gap) for line in transcript.lines)
        await desk.pilot.pause()
        assert desk.console == seen
        await desk.press("f")
        await desk.pilot.pause()
        assert console.following and "more 159" in desk.console


async def test_long_lines_wrap_and_stay_whole_at_another_width(open_desk: Any) -> None:
    async with open_desk() as desk:
        console = desk.app.main.console
        transcript = Transcript()
        transcript.write("x" * 200 + "漢" * 100 + "\n\x1b[31m" + "y" * 150 + "\x1b[0m\n")
        console.show(transcript)
        for size in ((120, 40), (80, 30), (160, 40)):
            await desk.pilot.resize_terminal(*size)
            await desk.pilot.pause()
            rows = desk.console
            assert rows.count("x") == 200 and rows.count("漢") == 100 and rows.count("y") == 150


async def test_what_is_typed_before_a_dialog_is_there_is_not_lost(open_desk: Any) -> None:
    async def refuse(path: str) -> str:
        return f"no {path}"

    async with open_desk() as desk:
        dialog = PathPrompt("Open a file", "", refuse)
        desk.app.push_screen(dialog)
        for key, character in (("slash", "/"), ("a", "a"), ("full_stop", ".")):
            dialog.post_message(events.Key(key, character))
        await desk.until(lambda: dialog.query("#path") and dialog.query_one("#path", Input).value == "/a.")


class StartedEndpoint(FixedEndpoint):
    """An endpoint whose backend was just started and has something to tell."""

    def locate(self, attempt: int, tell: Callable[[str], object]) -> Endpoint:
        tell("the database was damaged and is kept as x.corrupt[/b]")
        return super().locate(attempt, tell)


async def test_what_a_started_backend_has_to_tell_is_told(open_desk: Any) -> None:
    async with open_desk(locator=StartedEndpoint(ENDPOINT)) as desk:
        await desk.until(lambda: "the database was damaged and is kept as x.corrupt[/b]" in desk.toasts)
