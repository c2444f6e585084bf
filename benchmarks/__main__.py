"""`./dev bench [--quick] [--only CLAIM] [--write]`: measures all claims beside their peers, in one run."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from . import environment

_WITH_SERVERS = ("launch", "roundtrip", "throughput", "memory", "startup", "sampler")
_OF_THE_SCREEN = ("editor", "console", "sessions", "soak")
_OF_IMAGES = ("engines", "discovery", "building")
NAMES = (*_WITH_SERVERS, "scheduling", "admissions", "journal_cost", "flood", "recovery", *_OF_THE_SCREEN, *_OF_IMAGES)
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it works, not to quote")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure this claim only; may be repeated")
    parser.add_argument("--write", action="store_true", help="put the results into benchmarks/README.md")
    return parser.parse_args()


async def _measure(names: tuple[str, ...], quick: bool, show: Callable[[str], None]) -> bool:
    """Returns whether all goals were met."""
    # Only the benchmarks' own environment has the peers.
    from . import (
        admissions,
        building,
        console,
        discovery,
        editor,
        engines,
        flood,
        journal_cost,
        launch,
        memory,
        recovery,
        roundtrip,
        sampler,
        scheduling,
        sessions,
        soak,
        startup,
        throughput,
    )
    from .harness import Claim, machine, render
    from .ours import backend
    from .peers.jupyter import jupyter_server

    show("".join(f"- {line}\n" for line in machine()) + "\n")
    home = Path(tempfile.mkdtemp(prefix="bb-"))
    for name in ("ours", "jupyter", "admissions", "flood", "recovery", *_OF_IMAGES):
        (home / name).mkdir()
    met = True

    async def claims() -> AsyncIterator[Claim]:
        if set(names) & set(_WITH_SERVERS):
            async for claim in beside_jupyter():
                yield claim
        if "scheduling" in names:
            yield await scheduling.measure(rounds=2 if quick else 7, quick=quick)
        if "admissions" in names:
            async with backend(home / "admissions") as ours:
                yield await admissions.measure(ours, rounds=2 if quick else 7, each=10 if quick else 60)
        if "journal_cost" in names:
            for claim in await journal_cost.measure(rounds=2 if quick else 15):
                yield claim
        if "flood" in names:
            async with backend(home / "flood") as ours:
                yield await flood.measure(ours, mib=512 if quick else 1024)
        if "recovery" in names:
            async with backend(home / "recovery") as ours:
                yield await recovery.measure(ours, sessions=10 if quick else 100, rounds=2 if quick else 15)

        if "editor" in names:
            yield await editor.measure(rounds=1 if quick else 7)
        if "console" in names:
            for claim in await console.measure(rounds=1 if quick else 5, lines=10_000 if quick else 100_000):
                yield claim
        if "sessions" in names:
            for claim in await sessions.measure(rounds=1 if quick else 3, count=1_000 if quick else 10_000):
                yield claim
        if "soak" in names:
            yield await soak.measure(early_s=60 if quick else soak.EARLY_S, late_s=120 if quick else soak.LATE_S)
        if "engines" in names:
            for claim in await engines.measure(home / "engines", rounds=1 if quick else 5):
                yield claim
        if "discovery" in names:
            yield await discovery.measure(home / "discovery", interpreters=8 if quick else 40, rounds=1 if quick else 7)
        if "building" in names:
            yield await building.measure(home / "building", rounds=1 if quick else 2)

    async def beside_jupyter() -> AsyncIterator[Claim]:
        async with backend(home / "ours") as ours, jupyter_server(home / "jupyter") as jupyter:
            if "launch" in names:
                yield await launch.measure(ours, jupyter, rounds=3 if quick else 30)
            if "roundtrip" in names:
                yield await roundtrip.measure(ours, jupyter, rounds=3 if quick else 30)
            if "throughput" in names:
                for claim in await throughput.measure(ours, jupyter, rounds=1 if quick else 7):
                    yield claim
            if "startup" in names:
                yield await startup.measure(ours, rounds=2 if quick else 15)
            if "sampler" in names:
                yield await sampler.measure(rounds=3 if quick else 30)
            if "memory" in names:
                yield await memory.measure(ours, sessions=10 if quick else 100, kernels=2 if quick else 10)

    try:
        async for claim in claims():
            show(render(claim) + "\n")
            met = met and all(goal_met for _, goal_met in claim.goals)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return met


def main() -> int:
    """Returns 0 when all goals were met, 1 when one was missed."""
    arguments = _arguments()
    python = environment.python()
    if not environment.is_current():
        os.chdir(environment.ROOT)
        os.execv(python, [str(python), "-m", "benchmarks", *sys.argv[1:]])
    parts: list[str] = []

    def show(text: str) -> None:
        parts.append(text)
        print(text, end="", flush=True)

    names = tuple(arguments.only or NAMES)
    met = asyncio.run(_measure(names, arguments.quick, show))
    if arguments.write:
        page = environment.ROOT / "benchmarks" / "README.md"
        before, _, rest = page.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(before + BEGIN + "\n" + "".join(parts).rstrip() + "\n\n" + END + after)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
