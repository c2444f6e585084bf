"""Where shapes beyond ASCII cannot be shown there are none: in panes, in dialogs, in what Textual paints."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.app.tui.plain_shapes import PlainShapes
from bai_tui.tests.tui.fakes import FakeServer, Script
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.widgets import TextArea

SCREENS = {
    "help": ("f1",),
    "help searched": ("f1", "z"),
    "palette": ("ctrl+p",),
    "palette searched": ("ctrl+p", "k", "i"),
    "launch": ("n",),
    "launch, fields": ("n", "tab", "tab"),
    "jump": ("ctrl+g",),
    "resize": ("ctrl+backslash",),
    "history": ("h",),
    "columns": ("c",),
    "sort": ("s",),
    "open": ("ctrl+o",),
    "save as": ("f3", "alt+s"),
    "code history": ("alt+r",),
    "queue": ("alt+q",),
    "contexts": ("ctrl+k",),
    "rename": ("r",),
    "restart": ("R",),
    "save output": ("f4", "s"),
}
PANES = {
    "sessions": ("f2",), "editor": ("f3",), "console": ("f4",), "map": ("f7",), "details": ("f8",),
    "terminal": ("f10",),
    "files": ("f11",), "events": ("f12",), "filter": ("slash", "p"), "find": ("f3", "ctrl+f", "i"),
    "replace": ("f3", "alt+f"), "search": ("f4", "slash", "e"), "selecting": ("f4", "v", "v"),
    "kill": ("x",),
    "marked": ("space", "j"), "zoomed": ("f4", "f9"),
}  # fmt: skip


def beyond_ascii(desk: Any) -> dict[str, str]:
    """Returns the shapes on the screen that are not ASCII -> a line that has them."""
    found: dict[str, str] = {}
    for strip in desk.app.screen._compositor.render_strips():
        line = "".join(segment.text for segment in strip)
        found |= {shape: line.rstrip() for shape in line if ord(shape) > 126}
    return found


async def ready(desk: Any, server: FakeServer) -> None:
    await desk.until(lambda: desk.app.main.sessions.rows)
    await desk.until(lambda: desk.app.bench.sync.connection.machine.gpus)
    await desk.code("import os\n" * 80)
    desk.app.bench.execute(desk.app.main.selected, "go")
    feed = desk.app.bench.runs.of(desk.app.main.selected).feed
    await desk.until(lambda: feed.transcript.runs and not feed.transcript.runs[0].going)


@pytest.fixture
def plain_server(server: FakeServer) -> FakeServer:
    server.scripts["go"] = Script([("out", "a long line " * 30 + "\n")])
    server.add("py-1", slots={"cpu": "1", "mem": "1g", "gpu": "0.5"}, age_s=9)
    server.add("a-name-that-is-longer-than-the-column-of-names-in-the-list", age_s=4)
    return server


@pytest.mark.parametrize("name", PANES)
async def test_panes(open_desk: Any, plain_server: FakeServer, name: str) -> None:
    async with open_desk(size=(100, 30), ascii_only=True) as desk:
        await ready(desk, plain_server)
        await desk.press(*PANES[name])
        await desk.pilot.pause()
        assert desk.app.screen is desk.app.main
        assert beyond_ascii(desk) == {}


@pytest.mark.parametrize("name", SCREENS)
async def test_screens_above_them(open_desk: Any, plain_server: FakeServer, name: str) -> None:
    async with open_desk(size=(100, 30), ascii_only=True) as desk:
        await ready(desk, plain_server)
        await desk.press(*SCREENS[name])
        await desk.until(lambda: desk.app.screen is not desk.app.main and desk.app.screen.is_current)
        await desk.pilot.pause()
        assert beyond_ascii(desk) == {}


@pytest.mark.parametrize(
    ("text", "plain"),
    [("a │ b…", "a | b~"), ("▐X▌ ━╸", "|X| -+"), ("⠋ 漢 é", "* 漢 é"), ("█▓░ ▁", "##- _"), ("plain", "plain")],
)
def test_shapes_become_what_comes_nearest(text: str, plain: str) -> None:
    (segment,) = PlainShapes().apply([Segment(text)], Color(0, 0, 0))
    assert segment.text == plain and cell_len(plain) == cell_len(text)


async def test_themes_and_toasts(open_desk: Any, plain_server: FakeServer) -> None:
    async with open_desk(size=(100, 30), ascii_only=True) as desk:
        await ready(desk, plain_server)
        for severity in ("information", "warning", "error"):
            desk.app.notify("something that is told", severity=severity)
        desk.app.main.action_theme()
        await desk.until(lambda: desk.app.screen is not desk.app.main)
        await desk.pilot.pause()
        assert beyond_ascii(desk) == {}
        assert desk.app.main.query(TextArea), "there is text whose scrollbar was looked at"
