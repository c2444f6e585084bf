"""The kinds of worlds that chaos is let loose on, and how one of them is run from beginning to end."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from .driver import Chaos, Scenario
from .operations import OPERATIONS
from .world import World

SCENARIOS: Final[Mapping[str, Scenario]] = {
    "plain": Scenario(seed=0),
    "narrow": Scenario(seed=0, cpu=2),
    "short-journal": Scenario(seed=0, journal_bytes=1 << 20),
    "full-disk": Scenario(seed=0, disk_bytes=96 << 20),
}
_TAIL_LINES: Final = 40


class Failed(AssertionError):
    """A round failed; the text holds all that was done."""


def own_mounts() -> list[str] | None:
    """Returns the command that gives a program mounts of its own; None where that cannot be had."""
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    probe = [*command, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        done = subprocess.run(probe, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return command if done.returncode == 0 else None


def run_scenario(
    name: str, seed: int, *, steps: int, seconds: float, tell: Callable[[str], object] | None = None
) -> str:
    """Runs one round in a folder of its own; returns what to tell about it. Nothing is left running.

    A scenario with a disk of its own mounts it: it is to be run through `own_mounts`.

    Raises:
        Failed: with the history of operations, and where the files are.
    """
    scenario = replace(SCENARIOS[name], seed=seed, steps=steps, seconds=seconds)
    home = Path(tempfile.mkdtemp(prefix="c", dir=os.environ.get("BAI_TUI_TEST_ROOT")))
    if scenario.disk_bytes:
        options = f"size={scenario.disk_bytes},mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(home)], check=True)
    world = World(home, scenario.settings())
    chaos = Chaos(world, scenario, tell or (lambda line: None))
    try:
        asyncio.run(chaos.drive(OPERATIONS))
    except Exception as exc:
        log = world.paths.state / "serve.log"
        tail = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:] if log.is_file() else []
        told = "".join(traceback.format_exception(exc))
        again = f"replay: ./dev chaos --scenario {name} --seed {seed} --steps {steps}"
        text = [f"scenario {name}, seed {seed}:", *chaos.history, "", "serve.log:", *tail, "", *world.complaints()]
        text += [told, again]
        if not scenario.disk_bytes:  # that one is gone with its namespace
            text.append(f"kept: {home}")
        raise Failed("\n".join(text)) from None
    else:
        shutil.rmtree(home, ignore_errors=True)
    finally:
        world.end_everything(chaos.model.by_id())
    return (
        f"{chaos.step} operations, {len(chaos.model.sessions)} sessions, {len(chaos.runs)} runs; "
        f"slowest start of a daemon {chaos.slowest_start_s:.2f} s"
    )


def command_of(name: str, seed: int, *, steps: int, seconds: float) -> list[str] | None:
    """Returns the command that runs one round as a process of its own; None where its disk cannot be had."""
    before: list[str] | None = own_mounts() if SCENARIOS[name].disk_bytes else []
    if before is None:
        return None
    words = ["--round", "--scenario", name, f"--seed={seed}", f"--steps={steps}", f"--seconds={seconds}"]
    return [*before, sys.executable, "-m", "bai_tui.tests.chaos", *words]
