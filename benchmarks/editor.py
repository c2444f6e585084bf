"""Claim: from a key to its paint in long files with highlighting, beside Textual's text area."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec

from bai_tui.widgets.code_editor import CodeEditor
from textual.widgets import TextArea

from .harness import Claim, interleave, number
from .painting import alone

OURS = "bai-tui editor, 50,000 lines"
SHORTER = "bai-tui editor, 5,000 lines"
OPENED = "bai-tui editor, 50,000 lines, a key that makes the rest a string"
PLAIN = "Textual TextArea, plain, 100 lines"
PLAIN_LONG = "Textual TextArea, plain, 5,000 lines"
PARSED = "Textual TextArea, tree-sitter, 5,000 lines"
FACTOR = 1.3
_TYPED = "quartz_wave"
_BLOCK = '''
def step_{number}(values: list[float], rate: float = 0.5) -> float:
    """Returns the mean of what is above a rate."""
    total = 0.0
    for value in values:  # the order does not matter
        if value > rate and value != {number}:
            total += value * 1.5e-3
    print(f"step {number}: {{total:.3f}}")
    return total / max(1, len(values))

'''


def python_file(lines: int) -> str:
    """Returns so many lines of Python, with an empty assignment in the middle that is to be typed into."""
    block = _BLOCK.count("\n")
    text = "".join(_BLOCK.format(number=number) for number in range(lines // block + 1)).splitlines()[:lines]
    text[lines // 2] = "    value = "
    return "\n".join(text) + "\n"


def _typing(make: Callable[[], TextArea], lines: int, *, typed: str = _TYPED) -> Callable[[], Awaitable[float]]:
    """Returns what measures the keys of a text in the middle of a file: the median of their milliseconds."""

    async def measure() -> float:
        area = make()
        waits: list[float] = []
        async with alone(area) as driver:
            area.move_cursor((lines // 2, len("    value = ")))
            driver.press("a", "a")
            await driver.painted("a")
            driver.press("backspace")
            # every effect of what came before, so that the first key is like the others
            await asyncio.sleep(0.3)
            for end in range(1, len(typed) + 1):
                painted = driver.painted(typed[:end])
                pressed = time.perf_counter()
                driver.press(typed[end - 1], typed[end - 1])
                waits.append((await painted - pressed) * 1e3)
                # nobody types faster, and what a key leaves to be done later is not the next one's
                await asyncio.sleep(0.03)
        waits.sort()
        return waits[len(waits) // 2] if typed == _TYPED else waits[-1]

    return measure


async def measure(*, rounds: int) -> Claim:
    """Types into each in turn."""
    texts = {lines: python_file(lines) for lines in (100, 5_000, 50_000)}

    def ours(lines: int, **more: str) -> Callable[[], Awaitable[float]]:
        return _typing(lambda: CodeEditor(texts[lines]), lines, **more)

    def theirs(lines: int, language: str | None = None) -> Callable[[], Awaitable[float]]:
        return _typing(lambda: TextArea.code_editor(texts[lines], language=language), lines)

    cases = {
        PLAIN: theirs(100),
        SHORTER: ours(5_000),
        OURS: ours(50_000),
        OPENED: ours(50_000, typed='"""'),
        PLAIN_LONG: theirs(5_000),
    }
    parses = find_spec("tree_sitter_python") is not None
    if parses:
        cases[PARSED] = theirs(5_000, "python")
    claim = Claim(
        title="12. Key to paint in a long Python file",
        unit="ms",
        how=f"The keys of `{_TYPED}` typed in the middle of a file, from each to the write that paints it, in 120x40."
        " A value is the median of these keys in a fresh editor (of the third row the slowest of the three quotes).",
        samples=await interleave(cases, rounds, warm_up=1),
        ours=OURS,
    )
    base = claim.sample(PLAIN).median
    for name in (SHORTER, OURS):
        times = claim.sample(name).median / base
        claim.goals.append((f"{name}: at most {FACTOR:g} times {PLAIN}: {number(times)} times", times <= FACTOR))
    if not parses:
        claim.notes.append("Tree-sitter is not to be had here: `textual[syntax]` did not install.")
    return claim
