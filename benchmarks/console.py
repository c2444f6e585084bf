"""Claim: 100,000 lines into the console, and how long a key waits for its paint meanwhile; beside Textual's widgets.

Everything is painted into sequences as for a terminal, only that nobody reads them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from bai_tui.app.model.console import Frame, RunStatus
from bai_tui.app.tui.feed import Feed
from bai_tui.app.tui.pace import Pace
from bai_tui.widgets.output_console import OutputConsole
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.widget import Widget
from textual.widgets import Log, RichLog

from .harness import Claim, Sample
from .painting import PaintingDriver, driver_of

OURS, LOG, RICH_LOG = "bai-tui console", "Textual Log", "Textual RichLog"
_CHUNK_CHARS = 65_536
"""About what a frame of a flood holds."""
_KEY_EVERY_S = 0.02
_TIMEOUT_S = 300.0
_END = "the-very-last-line"


class Echo(Widget, can_focus=True):
    """Says how many keys were pressed."""

    DEFAULT_CSS = "Echo { height: 1; }"
    pressed = 0

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.pressed += 1
        self.refresh()

    def render(self) -> str:
        return f"key-{self.pressed:06d}-"


class Bench(App[None]):
    """A widget for output, and one that echoes keys."""

    CSS = "Log, RichLog, OutputConsole { height: 1fr; }"

    def __init__(self, output: Widget) -> None:
        super().__init__(driver_class=PaintingDriver)
        self.output = output
        self.ready = asyncio.Event()

    def compose(self) -> ComposeResult:
        yield self.output
        yield Echo()

    def on_mount(self) -> None:
        self.query_one(Echo).focus()
        self.call_after_refresh(self.ready.set)


Write = Callable[[str], None]


def _ours() -> tuple[Widget, Write]:
    feed, console = Feed(), OutputConsole()
    run = feed.begin("flood", 0.0)

    def write(text: str) -> None:
        feed.frame(run, Frame(RunStatus.CONTINUED, [("stdout", text)]), 0.0)
        if console.transcript is not feed.transcript:
            console.show(feed.transcript)
        console.sync()

    return console, write


def _log() -> tuple[Widget, Write]:
    log = Log()
    rest = ""

    def write(text: str) -> None:
        nonlocal rest
        *lines, rest = (rest + text).split("\n")
        log.write_lines(lines)

    return log, write


def _rich_log() -> tuple[Widget, Write]:
    log = RichLog(wrap=True)
    rest = ""

    def write(text: str) -> None:
        nonlocal rest
        *lines, rest = (rest + text).split("\n")
        # one piece of text a chunk: by far the fastest way to use it
        log.write(Text.from_ansi("\n".join(lines)))

    return log, write


PEERS = {OURS: _ours, LOG: _log, RICH_LOG: _rich_log}


async def flood(make: Callable[[], tuple[Widget, Write]], text: str) -> tuple[float, list[float]]:
    """Returns seconds until the last line of a text is painted, and those that each key waited meanwhile."""
    output, write = make()
    app = Bench(output)
    running = asyncio.create_task(app.run_async(size=(120, 40)), name="app")
    waits: list[float] = []
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await app.ready.wait()
            driver = driver_of(app)
            end = driver.painted(_END)

            async def press() -> None:
                number = 0
                while not end.done():
                    number += 1
                    painted = driver.painted(f"key-{number:06d}-")
                    pressed = time.perf_counter()
                    driver.process_message(events.Key("x", "x"))
                    waits.append(await painted - pressed)
                    # the pace of fast typing, not a wait for something
                    await asyncio.sleep(_KEY_EVERY_S)

            keys = asyncio.create_task(press(), name="keys")
            pace, began = Pace(), time.perf_counter()
            for at in range(0, len(text), _CHUNK_CHARS):
                write(text[at : at + _CHUNK_CHARS])
                # as between two frames of a websocket, for all alike: others may go on
                await pace.step()
            write(f"{_END}\n")
            took = await end - began
            await keys
    finally:
        app.exit()
        await running
    return took, waits


def plain(lines: int) -> str:
    """Returns lines as programs print them."""
    return "".join(
        f"step {number} of the training: loss 0.12345, accuracy 0.98, 12.3 it/s\n" for number in range(lines)
    )


def coloured(lines: int) -> str:
    """Returns lines with three colours each."""
    return "".join(
        f"\x1b[32mINFO\x1b[0m step {number} \x1b[1;34mloss\x1b[0m 0.12345, accuracy \x1b[33m0.98\x1b[39m, 12.3 it/s\n"
        for number in range(lines)
    )


def long(mib: int) -> str:
    """Returns lines of a million characters each."""
    return ("x" * 1_000_000 + "\n") * mib


def _quantile(values: Sequence[float], share: float) -> float:
    return Sample("", tuple(values)).quantile(share)


async def measure(*, rounds: int, lines: int) -> list[Claim]:
    """Floods each widget in turn, `rounds` times."""
    claims: list[Claim] = []
    cases = {
        f"{lines:,} plain lines": plain(lines),
        f"{lines:,} lines of three colours": coloured(lines),
        "20 lines of a million characters": long(20),
    }
    for letter, (title, text) in zip("abc", cases.items(), strict=True):
        seconds: dict[str, list[float]] = {name: [] for name in PEERS}
        waits: dict[str, list[float]] = {name: [] for name in PEERS}
        for number in range(rounds):
            order = list(PEERS.items())
            for name, make in order if number % 2 == 0 else reversed(order):
                took, waited = await flood(make, text)
                seconds[name].append(took)
                waits[name] += waited
        claim = Claim(
            title=f"13{letter}. Console: {title}",
            unit="s",
            how=f"{title} written in pieces of 64 KiB, until the last line is painted in 120x40, by the same driver. "
            "Log interprets no colours; RichLog takes each piece as one text. Keys are pressed every 20 ms meanwhile.",
            samples=[Sample(name, tuple(found)) for name, found in seconds.items()],
            ours=OURS,
        )
        ratio = claim.ratio(LOG)
        claim.goals.append((f"as fast as {LOG}: {ratio:.2f} times as fast", ratio >= 1))
        worst = {name: _quantile(found, 0.99) * 1000 for name, found in waits.items()}
        claim.goals.append((f"key to paint below 50 ms at p99: {worst[OURS]:.1f} ms", worst[OURS] < 50))
        claim.notes.append(
            "Key to paint meanwhile, p99: " + ", ".join(f"{name} {value:.1f} ms" for name, value in worst.items())
        )
        claims.append(claim)
    return claims
