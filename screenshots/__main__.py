"""Makes the pictures of the README from the running app against a real backend of its own: `./dev screenshots`.

Everything lives in a temporary HOME with mock GPUs whose use is written down beforehand; nothing of the user's is
touched, nothing is left running.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from bai_tui.app.client.api import ApiClient
from bai_tui.app.config import Paths
from bai_tui.app.local import ensure_backend
from bai_tui.app.model.endpoint import Endpoint
from bai_tui.app.model.metrics import CPU_UTIL
from bai_tui.app.tui.app import BaiTuiApp
from bai_tui.app.tui.launch_screen import LaunchScreen
from bai_tui.app.tui.locate import FixedEndpoint
from bai_tui.widgets.transcript import Transcript
from textual.pilot import Pilot

FOLDER: Final = Path(__file__).parent
SIZE: Final = (120, 40)
WITHIN_S: Final = 60.0
ROUNDS_SHOWN: Final = 14
"""Seconds of measuring before the picture of a run: its trends are to be seen."""
CODE: Final = '''\
import math
import time


def train(epochs: int) -> float:
    """Falls, as a loss should."""
    loss = 2.3
    for epoch in range(1, epochs + 1):
        for step in range(1, 25):
            sum(number * number for number in range(150_000))
            bar = "█" * step + "░" * (24 - step)
            print(f"\\repoch {epoch:2}  \\x1b[36m{bar}\\x1b[0m", end="", flush=True)
            time.sleep(0.01)
        loss *= math.exp(-0.35)
        print(f"  loss \\x1b[32m{loss:.3f}\\x1b[0m")
    return loss


train(30)
'''
TABLE: Final = """\
class Table:
    def _repr_html_(self):
        rows = [("resnet50", "0.761", "41 min"), ("vit-small", "0.788", "1 h 12 min"), ("mlp", "0.412", "3 min")]
        cells = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
        return "<table><tr><th>model</th><th>accuracy</th><th>time</th></tr>" + "".join(cells) + "</table>"

Table()
"""
FAILING: Final = """\
def mean(values):
    return sum(values) / len(values)

mean([])
"""
COMPLETED: Final = """\
losses = [2.3, 1.6, 1.1]
print(mean(losses))
losses.re"""
FILES: Final = """\
from pathlib import Path

Path("model.py").write_text("import torch\\n" * 40)
Path("results.json").write_text('{"loss": 0.31}')
Path("checkpoints").mkdir()
Path("checkpoints/epoch-10.bin").write_bytes(bytes(3_000_000))
"""
USE: Final = {
    "gpu0": {
        "mem_used": "9g",
        "util": 71,
        "sessions": {"train": {"mem": "5g", "util": 58}, "eval-small": {"mem": "3g", "util": 13}},
    },
    "gpu1": {"mem_used": "14g", "util": 97, "sessions": {"sweep-a": {"mem": "13g", "util": 97}}},
    "gpu2": {"mem_used": "1g", "util": 3},
}
"""What the sessions are said to use of the mock GPUs."""


async def until(condition: Callable[[], Any], what: str) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            while not condition():  # noqa: ASYNC110 - the app has no one event for all of this
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise SystemExit(f"never came: {what}") from None


async def sessions(endpoint: Endpoint) -> None:
    """Fills the machine: two sessions that share a GPU, one that has more than half of another, one that waits."""
    async with ApiClient(endpoint) as client:
        for name, resources in (
            ("train", {"cpu": "1", "mem": "2g", "gpu": "0.5"}),
            ("notes", {"cpu": "1", "mem": "512m"}),
            ("eval-small", {"cpu": "1", "mem": "1g", "gpu": "0.25"}),
            ("sweep-a", {"cpu": "2", "mem": "4g", "gpu": "0.75"}),
            ("sweep-b", {"cpu": "1", "mem": "2g", "gpu": "2"}),
        ):
            await client.create_session("python", name=name, resources=resources, enqueue_only=True)
            await asyncio.sleep(0.05)


def known(history: Sequence[float | None]) -> int:
    return sum(1 for value in history if value is not None)


def picture(pilot: Pilot[Any], name: str) -> None:
    file = FOLDER / f"{name}.svg"
    file.write_text(pilot.app.export_screenshot(title="bai-tui"), encoding="utf-8")
    sys.stdout.write(f"{file.relative_to(FOLDER.parent)}\n")


def _ended(transcript: Transcript, runs: int) -> bool:
    return len(transcript.runs) >= runs and not transcript.runs[-1].going


async def rich_output(pilot: Pilot[int], app: BaiTuiApp) -> None:
    """Shows a table, an error and suggestions in one session."""
    main, bench = app.main, app.bench
    session_id = next(row.id for row in main.sessions.rows if row.name == "notes")
    main.sessions.select(session_id)
    await pilot.pause()
    transcript = bench.runs.of(session_id).feed.transcript
    for number, code in enumerate((FILES, TABLE, "losses = [2.3, 1.6]", FAILING), 1):
        bench.execute(session_id, code)
        await until(partial(_ended, transcript, number), "a run")
        await until(lambda: not bench.store.is_busy(session_id), "rest")
    main.editor.load_text(COMPLETED)
    main.editor.move_cursor(main.editor.document.end)
    main.editor.focus()
    await pilot.press("tab")
    await asyncio.sleep(3)
    await pilot.pause()
    picture(pilot, "output")
    await pilot.press("escape")


async def other_panes(pilot: Pilot[int]) -> None:
    """Shows a terminal, and files."""
    await pilot.press("f10")
    await asyncio.sleep(2)
    # the prompt would name the machine
    await pilot.press(*"PS1='$ '; clear", "enter", *"ls -F; python -V", "enter")
    await asyncio.sleep(1.5)
    picture(pilot, "terminal")
    await pilot.press("ctrl+right_square_bracket", "f11")
    await asyncio.sleep(1)
    await pilot.pause()
    picture(pilot, "files")
    await pilot.press("f4")


async def take(endpoint: Endpoint) -> None:
    await sessions(endpoint)
    app = BaiTuiApp(FixedEndpoint(endpoint))
    async with app.run_test(size=SIZE) as pilot:
        main, bench = app.main, app.bench
        await until(lambda: main.ready and len(main.sessions.rows) == 5, "the sessions")
        await until(lambda: any(row.answering for row in main.sessions.rows), "a session that runs")
        await until(lambda: bench.sync.connection.images and bench.sync.connection.machine.gpus, "images and GPUs")
        await until(lambda: bench.sync.live.cpu_pct is not None, "a round of measuring")
        main.sessions.select(next(row.id for row in main.sessions.rows if row.name == "train"))
        main.editor.cursor_blink = False
        main.editor.load_text(CODE)
        bench.execute(main.selected or "", "import platform; platform.python_version()")
        feed = bench.runs.of(main.selected or "").feed
        await until(lambda: feed.transcript.runs and not feed.transcript.runs[-1].going, "the first run")
        await until(lambda: not bench.store.is_busy(main.selected or ""), "rest")
        bench.execute(main.selected or "", CODE)
        main.editor.focus()
        live = bench.sync.live
        await until(lambda: known(live.history(main.selected or "", CPU_UTIL)) >= ROUNDS_SHOWN, "some rounds")
        picture(pilot, "running")
        await until(lambda: not feed.transcript.runs[-1].going, "the end of the run")
        await asyncio.sleep(1.2)
        main.sessions.focus()
        await pilot.pause()
        picture(pilot, "main")
        await rich_output(pilot, app)
        await other_panes(pilot)
        app.theme = "bai-light"
        main.sessions.select(next(row.id for row in main.sessions.rows if row.name == "sweep-b"))
        await asyncio.sleep(0.5)
        await pilot.pause()
        picture(pilot, "waiting")
        app.theme = "bai-dark"
        main.sessions.select(next(row.id for row in main.sessions.rows if row.name == "train"))
        main.sessions.focus_target().focus()
        await pilot.pause()
        await pilot.press("n")
        await until(lambda: isinstance(app.screen, LaunchScreen), "the picker")
        await pilot.press("3", "1")
        await asyncio.sleep(0.3)
        await pilot.pause()
        picture(pilot, "picker")
    async with ApiClient(endpoint) as client:
        for row in bench.store.rows():
            await client.terminate(row.id, forced=True)


def make() -> int:
    with tempfile.TemporaryDirectory(prefix="bt-") as home:
        for name in list(os.environ):
            if name.startswith(("XDG_", "BACKEND_", "BAI_TUI_")) or name == "NO_COLOR":
                del os.environ[name]
        # who makes the pictures may have no colours
        os.environ |= {
            "HOME": home,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "PS1": "$ ",
            "SHELL": "/bin/sh",
        }
        paths = Paths.of_user()
        paths.config.mkdir(parents=True)
        (paths.config / "config.toml").write_text('mock_gpus = "3:16g"\ncpu = 8\nmem = "24g"\n')
        paths.state.mkdir(parents=True)
        (paths.state / "mock-gpus.json").write_text(json.dumps(USE))
        try:
            asyncio.run(take(ensure_backend(paths)))
        finally:
            subprocess.run([sys.executable, "-m", "bai_tui", "serve", "--stop"], check=False, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(make())
