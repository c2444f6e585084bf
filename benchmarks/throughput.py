"""Claim 3: much output, until the client has all of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .harness import Claim, interleave
from .ours import Backend, run_on
from .peers.jupyter import JupyterServer

OURS, PEER = "bai-tui", "Jupyter Server"


@dataclass(frozen=True, slots=True)
class Load:
    """Something that prints, and what it must print."""

    title: str
    code: str
    expected: str
    goal: float


def lines() -> Load:
    count, width = 200_000, 80
    return Load(
        title=f"3a. {count:,} printed lines of {width} characters",
        code=f"for i in range({count}):\n    print(f'{{i:0{width}d}}')\n",
        expected="".join(f"{i:0{width}d}\n" for i in range(count)),
        goal=5,
    )


def blocks() -> Load:
    count, size = 800, 64 * 1024
    return Load(
        title=f"3b. {count} writes of 64 KiB",
        code=f"import sys\nfor i in range({count}):\n    _ = sys.stdout.write(f'{{i:08d}}' * {size // 8})\n",
        expected="".join(f"{i:08d}" * (size // 8) for i in range(count)),
        goal=3,
    )


async def measure(ours: Backend, jupyter: JupyterServer, *, rounds: int) -> list[Claim]:
    """The clock ends with the end of the run; then every character is compared. A lost byte fails the benchmark."""
    session = await ours.create("throughput")
    kernel = await jupyter.start_kernel()
    claims = []
    lost: dict[str, int] = {}

    def check(name: str, output: list[str], load: Load) -> None:
        text = "".join(output)
        if text != load.expected:
            if name == OURS:
                raise RuntimeError(f"{name}: {len(text)} of {len(load.expected)} characters came, or others")
            lost[load.title] = lost.get(load.title, 0) + 1

    try:
        async with jupyter.channels(kernel, quick_ack=True) as channels:
            for load in (lines(), blocks()):

                async def on_ours(load: Load = load) -> float:
                    async with ours.stream(session) as ws:
                        began = time.perf_counter()
                        output = await run_on(ws, load.code)
                        took = time.perf_counter() - began
                    check(OURS, output, load)
                    return took

                async def on_jupyter(load: Load = load) -> float:
                    began = time.perf_counter()
                    output = await channels.execute(load.code)
                    took = time.perf_counter() - began
                    check(PEER, output, load)
                    return took

                claim = Claim(
                    title=load.title,
                    unit="s",
                    how="From sending the code on an open websocket until the client has parsed every frame and the "
                    "run has finished. Every character is compared afterwards. Jupyter Server without rate limits.",
                    samples=await interleave({OURS: on_ours, PEER: on_jupyter}, rounds),
                    ours=OURS,
                )
                claim.goal_factor(PEER, load.goal)
                claim.notes.append(f"{OURS}: every byte there, in every round.")
                if lost.get(load.title):
                    claim.notes.append(f"{PEER}: output was lost in {lost[load.title]} of {rounds + 1} rounds.")
                claims.append(claim)
    finally:
        await jupyter.end_kernel(kernel)
        await ours.end(session)
    return claims
