"""Claim 18: a shipped recipe is built no slower than by hand with pip, from the same versions of the same packages.

Until they have been imported once: pip compiles all that it installs, uv leaves that to the first import.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bai_tui.app.client.api import ApiClient, Endpoint

from .harness import Claim, Sample
from .ours import Backend, backend, environ, run_on

REFERENCE = "python-data"
OURS, PIP = "bai-tui, packages downloaded before", "pip in a fresh venv, packages downloaded before"
OURS_COLD, PIP_COLD = "bai-tui, nothing downloaded", "pip in a fresh venv, nothing downloaded"
UV = "uv in a fresh venv, packages downloaded before"
_IMPORT = "import numpy, pandas, matplotlib.pyplot"
_LOOK = """\
import importlib.metadata, sys
print(getattr(sys, "_base_executable", "") or sys.executable)
for each in importlib.metadata.distributions():
    if each.metadata["Name"].lower() not in ("pip", "setuptools", "wheel"):
        print(each.metadata["Name"] + "==" + each.version)
"""


async def _build(ours: Backend) -> float:
    """Returns how long the backend built, and a session of the image imported, in s."""
    async with ApiClient(Endpoint(ours.url, ours.access_key, ours.secret_key)) as client:
        began = time.perf_counter()
        news = [one async for one in client.task_progress(await client.prepare_image(REFERENCE, anew=True))]
    if news[-1].has_failed:
        raise RuntimeError(f"{REFERENCE} could not be built: {news[-1].message}")
    await _ask(ours, _IMPORT)
    return time.perf_counter() - began


async def _ask(ours: Backend, code: str) -> str:
    """Returns what code writes in a session of the image, which is ended."""
    session = await ours.create("building", image=REFERENCE, cpu="1", mem="2g")
    async with ours.stream(session) as ws:
        told = "".join(await run_on(ws, code))
    await ours.end(session)
    return told


async def _inside(ours: Backend) -> tuple[str, list[str]]:
    """Returns the interpreter below the image, and all that is installed in it, as requirements."""
    told = (await _ask(ours, _LOOK)).splitlines()
    return told[0], sorted(set(told[1:]))


def _variables(home: Path) -> dict[str, str]:
    return {**environ(home), "PIP_CACHE_DIR": str(home / "pip"), "UV_CACHE_DIR": str(home / "uv")}


def _by_hand(python: str, wanted: list[str], home: Path, installer: list[str], make: list[str]) -> float:
    """Returns how long an environment took, in s; the environment is thrown away."""
    place = home / "venv"
    began = time.perf_counter()
    subprocess.run([*make, str(place)], env=_variables(home), check=True, capture_output=True, timeout=600)
    subprocess.run([*installer, *wanted], env=_variables(home), check=True, capture_output=True, timeout=600)
    subprocess.run([place / "bin/python", "-c", _IMPORT], env=_variables(home), check=True, timeout=600)
    took = time.perf_counter() - began
    shutil.rmtree(place)
    return took


def _pip(python: str, wanted: list[str], home: Path) -> float:
    pip = [str(home / "venv/bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    return _by_hand(python, wanted, home, pip, [python, "-m", "venv"])


def _uv(python: str, wanted: list[str], home: Path) -> float:
    uv = str(Path(sys.prefix) / "bin" / "uv")
    install = [uv, "pip", "install", "-q", "--python", str(home / "venv/bin/python")]
    return _by_hand(python, wanted, home, install, [uv, "venv", "-q", "--python", python])


async def measure(home: Path, *, rounds: int) -> Claim:
    """Builds the recipe again and again, in turns with installations by hand."""
    values: dict[str, list[float]] = {name: [] for name in (OURS, PIP, UV, OURS_COLD, PIP_COLD)}
    for name in ("ours", "hand", "cold"):
        (home / name).mkdir()
    has_uv = (Path(sys.prefix) / "bin" / "uv").exists()
    async with backend(home / "ours") as ours:
        values[OURS_COLD].append(await _build(ours))
        python, wanted = await _inside(ours)
        # By hand: what the download costs is measured once, it depends on the network more than on anybody's program.
        values[PIP_COLD].append(await asyncio.to_thread(_pip, python, wanted, home / "hand"))
        if has_uv:
            await asyncio.to_thread(_uv, python, wanted, home / "hand")
        for _ in range(rounds):
            values[OURS].append(await _build(ours))
            values[PIP].append(await asyncio.to_thread(_pip, python, wanted, home / "hand"))
            if has_uv:
                values[UV].append(await asyncio.to_thread(_uv, python, wanted, home / "hand"))
    claim = Claim(
        title=f"18. Building `{REFERENCE}`",
        unit="s",
        how=(
            f"`bai-tui image build --anew {REFERENCE}`, then `{_IMPORT}` in a session of it; `python -m venv`, `pip "
            f"install` of the very versions that are in it ({len(wanted)} distributions) with the same interpreter and "
            "index, then the same import; the same with uv. With nothing downloaded: once."
        ),
        samples=[Sample(name, tuple(found)) for name, found in values.items() if found],
        ours=OURS,
    )
    claim.goal_factor(PIP, 1)
    if not has_uv:
        claim.notes.append("NOT MEASURED beside uv: it is not here.")
    return claim
