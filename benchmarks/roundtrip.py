"""Claim 2: execute round trip over an open websocket to a kernel that is warm."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from .harness import Claim, interleave
from .ours import Backend, run_on
from .peers.jupyter import JupyterServer
from .peers.zmq_kernel import ZmqKernel

OURS, CONNECT = "bai-tui", "bai-tui, connecting for each run"
STOCK, QUICK, RAW = "Jupyter Server", "Jupyter Server, client re-arms TCP_QUICKACK", "ipykernel, raw ZMQ"
BURST = 10
"""Round trips in a row in each case's turn; the turn counts with their median."""


async def measure(ours: Backend, jupyter: JupyterServer, *, rounds: int) -> Claim:
    """All kernels stay alive for all rounds; `1+1` is executed, its result and the end of the run are awaited."""
    session = await ours.create("round-trip")
    kernel = await jupyter.start_kernel()
    raw = ZmqKernel()
    await asyncio.to_thread(raw.start)

    async def burst(once: Callable[[], Awaitable[float]]) -> float:
        return statistics.median([await once() for _ in range(BURST)])

    async def on_open_stream() -> float:
        # A stream is good for one run: it is opened before the clock starts, as Jupyter's is.
        async with ours.stream(session) as ws:
            began = time.perf_counter()
            await run_on(ws, "1+1")
            return (time.perf_counter() - began) * 1e3

    async def with_connect() -> float:
        began = time.perf_counter()
        async with ours.stream(session) as ws:
            await run_on(ws, "1+1")
            return (time.perf_counter() - began) * 1e3

    def raw_burst() -> float:
        values = []
        for _ in range(BURST):
            began = time.perf_counter()
            raw.execute("1+1")
            values.append((time.perf_counter() - began) * 1e3)
        return statistics.median(values)

    try:
        async with jupyter.channels(kernel) as stock, jupyter.channels(kernel, quick_ack=True) as quick:

            async def on_stock() -> float:
                began = time.perf_counter()
                await stock.execute("1+1")
                return (time.perf_counter() - began) * 1e3

            async def on_quick() -> float:
                began = time.perf_counter()
                await quick.execute("1+1")
                return (time.perf_counter() - began) * 1e3

            samples = await interleave(
                {
                    OURS: lambda: burst(on_open_stream),
                    CONNECT: lambda: burst(with_connect),
                    STOCK: lambda: burst(on_stock),
                    QUICK: lambda: burst(on_quick),
                    RAW: lambda: asyncio.to_thread(raw_burst),
                },
                rounds,
                warm_up=2,
            )
    finally:
        await asyncio.to_thread(raw.end)
        await jupyter.end_kernel(kernel)
        await ours.end(session)
    claim = Claim(
        title="2. Execute round trip, warm",
        unit="ms",
        how="`1+1` on an open, authenticated websocket until its result and the end of the run are there. "
        f"A value is the median of {BURST} in a row.",
        samples=samples,
        ours=OURS,
        notes=[
            "An execute stream of this API is good for one run. The first row opens it before the clock starts; "
            "the second counts the connection, signature and handshake with each run, as `bai-tui run` has it."
        ],
    )
    claim.goal_at_most(1)
    claim.goal_factor(QUICK, 5)
    return claim
