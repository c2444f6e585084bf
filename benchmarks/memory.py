"""Claim 4: memory of a session that idles."""

from __future__ import annotations

import asyncio
import os
import statistics
from pathlib import Path

from .harness import Claim, Sample
from .ours import Backend, run_on
from .peers.zmq_kernel import ZmqKernel

OURS, PEER = "bai-tui, per session with its runner", "ipykernel alone"


def pss_mib(pid: int) -> float:
    """Returns the proportional set size of a process: shared pages count by the number of their users."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no PSS for process {pid}")


def processes_of(home: Path) -> set[int]:
    """Returns the processes whose environment, working directory or command line names `home`."""
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            marks = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            if os.fsencode(home) in marks + os.fsencode(os.readlink(folder / "cwd")):
                found.add(int(folder.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


async def measure(ours: Backend, *, sessions: int, kernels: int) -> Claim:
    """Starts all of them, runs `1+1` in each, and adds up the PSS of every process that belongs to them."""
    ids = []
    for number in range(sessions):
        session = await ours.create(f"memory-{number:03d}")
        ids.append(session)
        async with ours.stream(session) as ws:
            await run_on(ws, "1+1")
    # Everything of this world but the daemon counts: runners, kernels, zygotes and spare kernels.
    sizes = {pid: pss_mib(pid) for pid in processes_of(ours.home)}
    daemon = sizes.pop(ours.pid)
    per_session = sum(sizes.values()) / sessions
    await asyncio.gather(*(ours.end(session) for session in ids))

    peers = [ZmqKernel() for _ in range(kernels)]
    try:
        for peer in peers:
            await asyncio.to_thread(peer.start)
            await asyncio.to_thread(peer.execute, "1+1")
        peer_sizes = [pss_mib(peer.pid) for peer in peers]
    finally:
        for peer in peers:
            await asyncio.to_thread(peer.end)
    claim = Claim(
        title=f"4. Memory per idle session, {sessions} sessions",
        unit="MiB",
        how=f"PSS from smaps_rollup after `1+1` in each of {sessions} sessions: the sum over all processes that the "
        f"backend has started (runners, kernels, zygote, spares), divided by {sessions}; beside it {kernels} "
        "ipykernels that live at the same time, one by one.",
        samples=[Sample(OURS, (per_session,)), Sample(PEER, tuple(peer_sizes))],
        ours=OURS,
        notes=[
            f"The daemon itself, once: {daemon:.1f} MiB.",
            f"{len(sizes)} processes for {sessions} sessions; "
            f"the median of a process is {statistics.median(sizes.values()):.1f} MiB.",
        ],
    )
    claim.goal_at_most(12)
    return claim
