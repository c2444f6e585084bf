from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bai_tui.app.model.inspection import Completions, Inspection
from bai_tui.app.tui import completing
from bai_tui.app.tui.code_screens import NameScreen
from bai_tui.tests.tui.conftest import Desk
from bai_tui.tests.tui.fakes import FakeClient, FakeServer, Script

OpenDesk = Callable[..., Any]


class Kernel:
    """What a session's kernel knows."""

    def __init__(self) -> None:
        self.names = {
            "os.path": "module",
            "os.pardir": "instance",
            "os.pathsep": "instance",
            "print": "function",
            "property": "class",
        }
        self.asked: list[tuple[str, int, int]] = []
        self.inspected: list[tuple[str, int, int]] = []
        self.gate: asyncio.Event | None = None
        self.busy = False
        self.told = Inspection(True, False, "os.path", "module", "", "Paths of this system.", "")

    async def complete(self, ref: str, code: str, row: int, col: int) -> Completions:
        self.asked.append((code, row, col))
        if self.gate is not None:
            await self.gate.wait()
        line = code.split("\n")[row][:col]
        word = line.rpartition(" ")[2].rpartition("(")[2]
        found = [name for name in self.names if name.startswith(word)]
        start = len("\n".join(code.split("\n")[:row])) + bool(row) + col - len(word)
        return Completions(tuple(found), tuple(self.names[name] for name in found), start, self.busy)

    async def inspect(self, ref: str, code: str, cursor: int, *, detail: int = 0) -> Inspection:
        self.inspected.append((code, cursor, detail))
        return self.told if detail else replace(self.told, text="")


@pytest.fixture
def kernel(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    server.capabilities |= {"inspect"}
    server.add("py-1")
    monkeypatch.setattr(FakeClient, "complete", staticmethod(made.complete), raising=False)
    monkeypatch.setattr(FakeClient, "inspect", staticmethod(made.inspect), raising=False)
    monkeypatch.setattr(completing, "TYPED_S", 0.001)
    monkeypatch.setattr(completing, "MARKED_S", 0.001)
    return made


def labels(desk: Desk) -> list[str]:
    return [item.label for item in desk.app.main.editor_pane.popup.items]


def text(desk: Desk) -> str:
    return desk.app.main.editor.text


async def write(desk: Desk, code: str) -> None:
    """Goes to the editor with a text and the cursor behind it."""
    await desk.until(lambda: desk.cursor)
    await desk.code(code)
    await desk.press("f3")
    editor = desk.app.main.editor
    editor.move_cursor(editor.document.end)
    await desk.pilot.pause()


async def test_tab_behind_a_name_lists_and_takes(open_desk: OpenDesk, kernel: Kernel) -> None:
    async with open_desk() as desk:
        await write(desk, "import os\nos.pa")
        await desk.press("tab")
        await desk.until(lambda: labels(desk) == ["path", "pardir", "pathsep"])
        assert kernel.asked == [("import os\nos.pa", 1, 5)]
        popup = desk.app.main.editor_pane.popup
        assert "path" in popup.render_line(0).text and "module" in popup.render_line(0).text
        await desk.press("down", "tab")
        assert text(desk) == "import os\nos.pardir"
        assert not popup.is_open
        await desk.press("ctrl+z")
        assert text(desk) == "import os\nos.pa"


async def test_typing_narrows_and_one_that_is_left_is_taken(open_desk: OpenDesk, kernel: Kernel) -> None:
    async with open_desk() as desk:
        await write(desk, "os.")
        await desk.press("ctrl+@")
        await desk.until(lambda: len(labels(desk)) == 3)
        await desk.press("p", "a", "t")
        assert labels(desk) == ["path", "pathsep"]
        await desk.press("enter")
        assert text(desk) == "os.path"
        assert len(kernel.asked) == 1, "what was there is narrowed, not asked for again"
        await desk.press("space")
        await write(desk, "x = prop")
        await desk.press("tab")
        await desk.until(lambda: text(desk) == "x = property")


async def test_the_list_opens_by_itself_and_enter_goes_on_writing(open_desk: OpenDesk, kernel: Kernel) -> None:
    async with open_desk() as desk:
        await write(desk, "")
        await desk.press("p")
        assert not kernel.asked
        await desk.press("r")
        await desk.until(lambda: labels(desk) == ["print", "property"])
        await desk.press("enter")
        assert text(desk) == "pr\n", "nobody asked for a list"
        await desk.press("p", "r")
        await desk.until(lambda: labels(desk) == ["print", "property"])
        await desk.press("down", "enter")
        assert text(desk) == "pr\nproperty"
        await desk.press("escape", "space", "quotation_mark", "p", "r")
        for _ in range(5):
            await desk.pilot.pause()
        assert not desk.app.main.editor_pane.popup.is_open, "nothing is offered in a string"


async def test_escape_closes_the_list_and_nothing_else(open_desk: OpenDesk, kernel: Kernel) -> None:
    async with open_desk() as desk:
        await write(desk, "pr")
        await desk.press("tab")
        await desk.until(lambda: labels(desk))
        await desk.press("escape")
        assert not desk.app.main.editor_pane.popup.is_open
        assert desk.app.focused is desk.app.main.editor
        await desk.press("tab")
        await desk.until(lambda: labels(desk))
        await desk.press("left")
        assert not desk.app.main.editor_pane.popup.is_open


async def test_what_comes_late_is_dropped(open_desk: OpenDesk, kernel: Kernel) -> None:
    kernel.gate = asyncio.Event()
    async with open_desk() as desk:
        await write(desk, "pr")
        await desk.press("tab")
        await desk.until(lambda: kernel.asked)
        await desk.press("i")
        kernel.gate.set()
        await desk.until(lambda: text(desk) == "print" or labels(desk) == ["print"], "typed on: it still fits")
        kernel.gate = asyncio.Event()
        await write(desk, "os.pa")
        asked = len(kernel.asked)
        await desk.press("tab")
        await desk.until(lambda: len(kernel.asked) > asked)
        await desk.press("enter")
        kernel.gate.set()
        for _ in range(5):
            await desk.pilot.pause()
        assert not desk.app.main.editor_pane.popup.is_open
        assert text(desk) == "os.pa\n"


async def test_a_busy_session_offers_the_words_of_the_text(
    open_desk: OpenDesk, server: FakeServer, kernel: Kernel
) -> None:
    server.scripts["slow"] = Script([("gate", asyncio.Event())])
    async with open_desk() as desk:
        await write(desk, "slow")
        await desk.press("ctrl+r")
        await desk.until(lambda: "[1]" in desk.console)
        await write(desk, "profile = profit = 1\nprof")
        await desk.press("tab")
        await desk.until(lambda: set(labels(desk)) == {"profile", "profit"})
        popup = desk.app.main.editor_pane.popup
        assert "busy" in popup.render_line(2).text
        assert not kernel.asked
        await desk.press("escape")
        await write(desk, "profile.")
        await desk.press("ctrl+@")
        await desk.until(lambda: "nothing completes" in desk.hint and "busy" in desk.hint)


async def test_a_kernel_that_says_it_is_busy(open_desk: OpenDesk, kernel: Kernel) -> None:
    kernel.busy = True
    async with open_desk() as desk:
        await write(desk, "profile = profit = 1\nprof")
        await desk.press("tab")
        await desk.until(lambda: set(labels(desk)) == {"profile", "profit"})


async def test_a_suggestion_that_is_marked_is_explained(open_desk: OpenDesk, kernel: Kernel) -> None:
    async with open_desk() as desk:
        await write(desk, "os.pa")
        await desk.press("tab")
        pane = desk.app.main.editor_pane
        await desk.until(lambda: pane.panel.is_open)
        assert "Paths of this system." in str(pane.panel.content)
        assert kernel.inspected[-1] == ("os.path", 7, 0)
        await desk.until(lambda: pane.panel.region.x == pane.popup.region.right, "it does not cover the list")
        await desk.press("escape")
        assert not pane.panel.is_open


async def test_a_name_is_explained_and_a_second_time_in_full(open_desk: OpenDesk, kernel: Kernel) -> None:
    kernel.told = Inspection(
        True, False, "f", "function", "(a, b=[1])", "Says [bold]f[/].\n\nMore.", "def f(a, b=[1]): ..."
    )
    async with open_desk() as desk:
        await write(desk, "x = f(1")
        await desk.press("alt+h")
        pane = desk.app.main.editor_pane
        await desk.until(lambda: pane.panel.is_open)
        assert kernel.inspected == [("x = f(1", 7, 0)]
        assert str(pane.panel.content).splitlines()[:3] == ["f(a, b=[1])", "", "Says [bold]f[/]."]
        await desk.press("alt+h")
        await desk.until(lambda: isinstance(desk.app.screen, NameScreen))
        assert kernel.inspected[-1] == ("x = f(1", 7, 1)
        await desk.until(lambda: desk.app.screen.query("#name-source"))
        await desk.press("escape")
        assert text(desk) == "x = f(1"
        kernel.told = Inspection(name="y")
        await desk.press("alt+h")
        await desk.until(lambda: "y is not known to the session" in desk.hint)


async def test_a_cluster_that_cannot_explain_says_so(open_desk: OpenDesk, server: FakeServer, kernel: Kernel) -> None:
    server.capabilities -= {"inspect"}
    async with open_desk() as desk:
        await write(desk, "x")
        await desk.press("alt+h")
        await desk.until(lambda: "cannot tell what a name is" in desk.hint)


async def test_the_mouse_takes_a_suggestion(open_desk: OpenDesk, kernel: Kernel) -> None:
    async with open_desk() as desk:
        await write(desk, "os.pa")
        await desk.press("tab")
        await desk.until(lambda: len(labels(desk)) == 3)
        await desk.pilot.pause()
        await desk.pilot.click("#completions", offset=(4, 1))
        await desk.until(lambda: text(desk) == "os.pardir")
        assert desk.app.focused is desk.app.main.editor


async def test_no_session(open_desk: OpenDesk, server: FakeServer, kernel: Kernel) -> None:
    server.sessions.clear()
    async with open_desk() as desk:
        await desk.code("profile = 1\nprof")
        await desk.press("f3")
        desk.app.main.editor.move_cursor((1, 4))
        await desk.press("tab")
        await desk.until(lambda: text(desk) == "profile = 1\nprofile", "the only word that fits")
        await desk.press("alt+h")
        await desk.until(lambda: "no session" in desk.hint)
