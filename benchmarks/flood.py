"""Claim 10: memory of runner and backend while a client does not read."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from .harness import Claim, Sample
from .ours import Backend, run_on

RUNNER, BACKEND = "runner", "backend"
FLAT_MIB = 8
_LINE_CHARS = 1023
_END = re.compile(rb'{"seq":(\d+),.*"rec":\["run-finished",')
_TIMEOUT_S = 120.0


def _mib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {name} of process {pid}")


def _forget_peak(pid: int) -> None:
    """Lets VmHWM begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _ends(journal: Path, after: int) -> int:
    """Returns the number of the newest record if that ends a run and comes after `after`, else 0."""
    newest = max(journal.glob("*.jsonl"))
    with newest.open("rb") as file:
        file.seek(max(newest.stat().st_size - 4096, 0))
        lines = file.read().splitlines()
    match = _END.match(lines[-1]) if lines else None
    return int(match[1]) if match is not None and int(match[1]) > after else 0


class Reader:
    """Checks what comes: numbered lines in order, none missing but where a mark says so."""

    def __init__(self) -> None:
        self.marks = 0
        self._next: int | None = 0
        self._rest = ""

    def take(self, kind: str, text: str) -> None:
        if kind == "stderr" and "were dropped here" in text:
            self.marks += 1
            self._next, self._rest = None, ""
        elif kind == "stdout":
            *lines, self._rest = (self._rest + text).split("\n")
            if self._next is None and lines:  # the rest of a line that began in the gap
                self._next = int(lines[1]) if len(lines) > 1 else None
                lines = lines[1:]
            for line in lines:
                if int(line) != self._next:
                    raise RuntimeError(f"line {self._next} was to come, and {line.lstrip('0')} came")
                self._next += 1


async def _flood(ours: Backend, mib: int) -> tuple[dict[str, float], int]:
    """Returns the peaks of runner and backend in MiB, and how many marks the client was given in the end."""
    session = await ours.create(f"flood-{mib}")
    (folder,) = ours.home.glob(f"**/sessions/{session}")
    async with ours.stream(session) as ws:
        await run_on(ws, "1+1")
    first = _ends(folder / "journal", 0)
    pids = {RUNNER: json.loads((folder / "runner.json").read_text())["pid"], BACKEND: ours.pid}
    for pid in pids.values():
        _forget_peak(pid)
    code = f"for i in range({mib * 1024}):\n    print(f'{{i:0{_LINE_CHARS}d}}')\n"
    reader, frame = Reader(), {"status": ""}
    async with ours.stream(session, max_queue=1) as ws:
        await ws.send(json.dumps({"code": code, "mode": "query", "options": {}}))
        async with asyncio.timeout(_TIMEOUT_S):
            while not await asyncio.to_thread(_ends, folder / "journal", first):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.05)
            peaks = {name: _mib(pid, "VmHWM") for name, pid in pids.items()}
            while frame["status"] != "finished":
                frame = json.loads(await ws.recv(decode=False))
                for kind, data in frame.get("console") or ():
                    reader.take(kind, data)
    await ours.end(session)
    return peaks, reader.marks


async def measure(ours: Backend, *, mib: int) -> Claim:
    """One session a size, after a first one that warms up. The client reads when the run has ended."""
    await _flood(ours, 8)
    few = mib // 16
    (small, some), (large, many) = await _flood(ours, few), await _flood(ours, mib)
    claim = Claim(
        title=f"10. Memory while a client does not read, {mib:,} MiB of output",
        unit="MiB",
        how="An execute websocket whose client sends the code and then reads nothing until the run has ended: the most "
        "memory (VmHWM) that runner and backend had by then. Then the client reads on, and every line is looked at: "
        "none missing, but where a mark says that the journal gave up the middle.",
        samples=[
            Sample(f"{name}, {size:,} MiB", (peaks[name],))
            for name in (RUNNER, BACKEND)
            for size, peaks in ((mib, large), (few, small))
        ],
        ours=f"{RUNNER}, {mib:,} MiB",
    )
    for name in (RUNNER, BACKEND):
        more = large[name] - small[name]
        claim.goals.append(
            (f"{name} flat within {FLAT_MIB} MiB: {more:+.1f} MiB for 16 times the output", more <= FLAT_MIB)
        )
    claim.notes.append(f"Marks in what the client read in the end: {some} for {few} MiB, {many} for {mib:,} MiB.")
    return claim
