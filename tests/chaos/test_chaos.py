"""A fixed, small set of rounds against real daemons. `./dev chaos` goes on for as long as one likes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bai_tui.tests.chaos.scenarios import command_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
STEPS = 30
SECONDS = 10.0
"""No further operation after so long: on a slow machine a round is shorter, not longer."""


@pytest.mark.parametrize(
    ("scenario", "seed"), [("plain", 13), ("narrow", 21), ("short-journal", 34), ("full-disk", 55)]
)
def test_nothing_is_lost_doubled_or_left(scenario: str, seed: int, tmp_path: Path) -> None:
    command = command_of(scenario, seed, steps=STEPS, seconds=SECONDS)
    if command is None:
        pytest.skip("NO DISK CAN BE MOUNTED HERE, not even in a namespace: the full disk is not tried")
    # a process of its own: whatever goes wrong in it, this one can end it
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
