"""The chaos test by hand: ./dev chaos --seconds 600 --seed 7 (or python -m bai_tui.tests.chaos ...)."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from typing import Final

from .scenarios import SCENARIOS, Failed, command_of, run_scenario

_ROUND_S: Final = 60.0
"""No further operation after so long in one round."""


def main() -> int:
    """Runs rounds with growing seeds until the time is over; returns the exit status."""
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long in all (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; each round takes the next (default 1)")
    parser.add_argument("--steps", type=int, default=80, help="operations a round (default 80)")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), action="append", help="only these; may be repeated")
    parser.add_argument("--round", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    names = asked.scenario or sorted(SCENARIOS)
    if asked.round:
        return _round(names[0], asked.seed, asked.steps, asked.seconds)
    end, seed = time.monotonic() + asked.seconds, asked.seed
    while True:
        name = names[seed % len(names)]
        command = command_of(name, seed, steps=asked.steps, seconds=_ROUND_S)
        if command is None:
            print(f"--- SKIPPED: scenario {name}: no disk can be mounted here, not even in a namespace", flush=True)
        elif status := subprocess.run(command, check=False).returncode:
            return status
        seed += 1
        if time.monotonic() >= end:
            return 0


def _round(name: str, seed: int, steps: int, seconds: float) -> int:
    began = time.monotonic()
    try:
        told = run_scenario(name, seed, steps=steps, seconds=seconds)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"{name}, seed {seed}: {told}; {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
