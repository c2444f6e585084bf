"""Pictures of the screens, at three sizes and in both themes. Look at the report before you update them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from bai_tui.app.client.views import DeviceView, IdleCheckView, LayerView, ProgressView, WaitingView
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.app import BaiTuiApp
from bai_tui.app.tui.launch_screen import LaunchScreen
from bai_tui.app.tui.locate import FixedEndpoint
from bai_tui.tests.tui.fakes import ENDPOINT, NOW_S, FakeServer, Script
from bai_tui.tests.tui.test_images import DATA, SHELF
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

G = 1024**3
Compare = Callable[..., bool]


@pytest.fixture
def busy_server() -> FakeServer:
    server = FakeServer()
    first = server.add("py-1", age_s=720, slots={"cpu": "2", "mem": "4g", "gpu": "0.5"})
    small = server.add(
        "eval", age_s=500, slots={"cpu": "1", "mem": "2g", "gpu": "0.25"}, idle_checks=idle(90.0),
        allocation={"cuda.shares": {"gpu0": "0.25"}},
    )  # fmt: skip
    server.add("notes", age_s=240, idle_checks=idle(400.0))
    server.add("job-7", status=SessionStatus.PENDING, status_info="waits for 1.00 gpu: 0.25 free", age_s=100,
               slots={"cpu": "1", "mem": "1g", "gpu": "1"})  # fmt: skip
    server.add("tf-old", status=SessionStatus.PREPARING, image="python-tensorflow:1.12-py36", age_s=3)
    server.gpus = (
        DeviceView(
            "gpu0", "Mock GPU", "mock", Decimal(1), 16 * G, {first: Decimal("0.5"), small: Decimal("0.25")},
            mem_used_bytes=10 * G, util_pct=62.0, session_mem_bytes={first: 3 * G, small: 5 * G},
        ),
        DeviceView("gpu1", "Mock GPU", "mock", Decimal(1), 16 * G, {}, mem_used_bytes=0, util_pct=0.0),
    )  # fmt: skip
    layers = (
        LayerView("accounting", "gpu", "counted", "no more is promised than there is"),
        LayerView("environment", "gpu", "cooperative", "CUDA_VISIBLE_DEVICES; code that resets it sees all GPUs"),
    )
    server.change(first, allocation={"cuda.shares": {"gpu0": "0.5"}}, idle_checks=idle(1691.0), layers=layers)
    server.change("job-7", priority=10, waiting=WaitingView("waits for 1.00 gpu: 0.25 free on gpu0", 1))
    return server


def idle(remaining_s: float) -> dict[str, IdleCheckView]:
    return {"network_timeout": IdleCheckView(remaining_s)}


def measure(server: FakeServer) -> None:
    """Pushes a minute of rounds."""
    for second in range(60):
        wave = 100 + 80 * math.sin(second / 6)
        server.measure(
            {
                "py-1": {"cpu_util": (wave, 200), "mem": (G + second * 2**25, 4 * G), "cuda_mem": (3 * G, 8 * G),
                         "cuda_util": (wave / 2, None)},
                "eval": {"cpu_util": (100, 100), "mem": (G, 2 * G), "cuda_mem": (5 * G, 4 * G)},
                "notes": {"cpu_util": (1, 100), "mem": (G // 16, G)},
            }
        )  # fmt: skip


def app_for(server: FakeServer, theme: str = "bai-dark") -> BaiTuiApp:
    app = BaiTuiApp(FixedEndpoint(ENDPOINT), connect=server.connect, clock=lambda: NOW_S)
    app.theme = theme
    return app


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


async def settled(pilot: Pilot[Any], server: FakeServer | None = None) -> BaiTuiApp:
    app = pilot.app
    assert isinstance(app, BaiTuiApp)
    app.main.editor.cursor_blink = False
    await until(lambda: app.main.ready and app.main.sessions.rows and app.bench.sync.connection.images)
    await until(lambda: app.bench.sync.connection.machine.gpus)
    if server is not None:
        await until(lambda: server.meters)
        measure(server)
        await until(lambda: app.bench.sync.live.history(app.main.selected or "", "cpu_util")[:1] not in ((), (None,)))
    await painted(pilot)
    return app


async def painted(pilot: Pilot[Any]) -> None:
    """Waits until nothing moves: what was asked for is laid out and painted with the next beats of a timer."""
    await pilot.pause(2 / 60)
    await pilot.pause()


@pytest.mark.parametrize("theme", ["bai-dark", "bai-light"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_main(snap_compare: Compare, busy_server: FakeServer, size: tuple[int, int], theme: str) -> None:
    busy_server.scripts["train(3)"] = Script(
        [("out", "epoch 1 \x1b[32mloss 0.31\x1b[0m\nepoch 2 \x1b[32mloss 0.12\x1b[0m\n"),
         ("media", ["image/png", "data:image/png;base64," + "A" * 8192]),
         ("err", "warning: x[/b] is deprecated\n")]
    )  # fmt: skip

    async def before(pilot: Pilot[Any]) -> None:
        app = await settled(pilot, busy_server)
        app.main.editor.load_text("import torch\n\n\ndef train(epochs: int) -> None:\n    ...  # here\n\n\ntrain(3)\n")
        app.bench.execute(app.main.selected or "", "train(3)")
        feed = app.bench.runs.of(app.main.selected or "").feed
        await until(lambda: feed.transcript.runs and not feed.transcript.runs[0].going)
        await until(lambda: not app.bench.store.is_busy(app.main.selected or ""))
        await painted(pilot)

    assert snap_compare(app_for(busy_server, theme), terminal_size=size, run_before=before)


@pytest.mark.parametrize("theme", ["bai-dark", "bai-light"])
@pytest.mark.parametrize("size", [(80, 24), (100, 30)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_map(snap_compare: Compare, busy_server: FakeServer, size: tuple[int, int], theme: str) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        app = await settled(pilot, busy_server)
        await pilot.press("j", "m")
        await until(lambda: app.main.map.display and app.main.map.size.height)
        await painted(pilot)

    assert snap_compare(app_for(busy_server, theme), terminal_size=size, run_before=before)


def test_details(snap_compare: Compare, busy_server: FakeServer) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        app = await settled(pilot, busy_server)
        await pilot.press("i")
        await until(lambda: app.main.details.display and app.main.details.size.height)
        await painted(pilot)

    assert snap_compare(app_for(busy_server), terminal_size=(80, 24), run_before=before)


def test_launch(snap_compare: Compare, busy_server: FakeServer) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        app = await settled(pilot)
        await pilot.press("n")
        await until(lambda: isinstance(app.screen, LaunchScreen))
        for field in app.screen.query("Input"):
            field.cursor_blink = False  # type: ignore[attr-defined]
        await pilot.press("p", "y")
        await painted(pilot)

    assert snap_compare(app_for(busy_server), terminal_size=(120, 40), run_before=before)


@pytest.fixture
def shelf_server(busy_server: FakeServer) -> FakeServer:
    """One that tells states of images, of which one is being built."""
    busy_server.capabilities |= {"images"}
    busy_server.image_views = SHELF
    busy_server.change_image(DATA, progress=ProgressView(3, 7, "installing matplotlib-3.10.0"))
    return busy_server


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 48)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_images(snap_compare: Compare, shelf_server: FakeServer, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        app = await settled(pilot)
        await pilot.press("n")
        await until(lambda: isinstance(app.screen, LaunchScreen))
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await pilot.press("down", "down")
        await painted(pilot)

    assert snap_compare(app_for(shelf_server), terminal_size=size, run_before=before)


def test_image_is_built(snap_compare: Compare, shelf_server: FakeServer) -> None:
    shelf_server.add("data-1", status=SessionStatus.PULLING, image=DATA, age_s=1)

    async def before(pilot: Pilot[Any]) -> None:
        app = await settled(pilot)
        await until(
            lambda: app.bench.sync.connection.images and "data-1" in [row.name for row in app.main.sessions.rows]
        )
        await pilot.press("G")
        await until(lambda: "installing" in "".join(app.main.console._empty))
        await painted(pilot)

    assert snap_compare(app_for(shelf_server), terminal_size=(120, 40), run_before=before)


# What stands above the panes or in place of them, by the keys that lead there. All sizes and both themes for whole
# screens; boxes look alike everywhere.
WHOLE = {
    "help": ("question_mark",),
    "palette": ("ctrl+p",),
    "files": ("f11",),
    "events": ("f12",),
    "history": ("h",),
    "jump": ("ctrl+g",),
}
BOXES = {
    "help-searched": ("f1", "z", "o", "o", "m"),
    "palette-searched": ("ctrl+p", "k", "i", "l", "l"),
    "columns": ("c",),
    "sort": ("s",),
    "contexts": ("ctrl+k",),
    "code-history": ("alt+r",),
    "find": ("f3", "ctrl+f", "t"),
    "console-zoomed": ("f4", "f9"),
    "resize": ("f3", "ctrl+backslash"),
}


LOADING = {"files", "list files", "history", "past", "contexts", "code history", "probe"}
"""Workers that bring what a screen shows."""


async def led(pilot: Pilot[Any], server: FakeServer, keys: tuple[str, ...]) -> None:
    """Goes where keys lead, and stands still there."""
    app = await settled(pilot, server)
    app.main.editor.load_text("import torch\n\n\ndef train(epochs: int) -> None:\n    ...  # here\n\n\ntrain(3)\n")
    await painted(pilot)
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
        for field in app.screen.query(Input):
            field.cursor_blink = False
    if isinstance(app.screen, CommandPalette):
        options = app.screen.query_one(OptionList)
        await until(lambda: options.option_count and options.highlighted is not None)
    await until(lambda: not {worker.group for worker in app.workers if worker.is_running} & LOADING)
    await painted(pilot)


@pytest.mark.parametrize("theme", ["bai-dark", "bai-light"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", WHOLE)
def test_screen(snap_compare: Compare, busy_server: FakeServer, name: str, size: tuple[int, int], theme: str) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await led(pilot, busy_server, WHOLE[name])

    assert snap_compare(app_for(busy_server, theme), terminal_size=size, run_before=before)


@pytest.mark.parametrize("name", BOXES)
def test_box(snap_compare: Compare, busy_server: FakeServer, name: str) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await led(pilot, busy_server, BOXES[name])

    assert snap_compare(app_for(busy_server), terminal_size=(100, 30), run_before=before)


@pytest.mark.parametrize("theme", ["bai-safe", "bai-contrast", "bai-16", "bai-16-light"])
def test_theme(snap_compare: Compare, busy_server: FakeServer, theme: str) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await led(pilot, busy_server, ())

    assert snap_compare(app_for(busy_server, theme), terminal_size=(120, 40), run_before=before)


def test_plain_shapes_without_colour(
    snap_compare: Compare, busy_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = BaiTuiApp(FixedEndpoint(ENDPOINT), connect=busy_server.connect, clock=lambda: NOW_S, ascii_only=True)

    async def before(pilot: Pilot[Any]) -> None:
        await led(pilot, busy_server, ("f3",))

    assert snap_compare(app, terminal_size=(120, 40), run_before=before)
