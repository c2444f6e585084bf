"""Claim 1: from the request for a session to the answer of `1+1`."""

from __future__ import annotations

import asyncio
import itertools
import time
from functools import partial

from .harness import Claim, interleave
from .ours import Backend, run_on
from .peers.jupyter import JupyterServer
from .peers.zmq_kernel import ZmqKernel

OURS, SERVER, COLD = "bai-tui", "Jupyter Server", "jupyter_client, cold"
ANSWER = "2"


def check(output: list[str]) -> None:
    """
    Raises:
        RuntimeError: the answer of `1+1` is wrong.
    """
    if "".join(output).strip().rpartition(" ")[2] != ANSWER:
        raise RuntimeError(f"the answer of 1+1 is {output!r}")


async def launch_jupyter(server: JupyterServer) -> float:
    """Returns after how many milliseconds a fresh kernel has answered; its end is outside of the clock."""
    began = time.perf_counter()
    kernel = await server.start_kernel()
    async with server.channels(kernel, quick_ack=True) as channels:
        output = await channels.execute("1+1")
        took = time.perf_counter() - began
    check(output)
    await server.end_kernel(kernel)
    return took * 1e3


async def measure(ours: Backend, jupyter: JupyterServer, *, rounds: int) -> Claim:
    """Ends every session and kernel after it was measured, outside of the clock."""
    numbers = itertools.count()

    async def launch_ours() -> float:
        began = time.perf_counter()
        session = await ours.create(f"launch-{next(numbers)}")
        async with ours.stream(session) as ws:
            output = await run_on(ws, "1+1")
            took = time.perf_counter() - began
        check(output)
        await ours.end(session)
        return took * 1e3

    async def launch_cold() -> float:
        kernel = ZmqKernel()
        began = time.perf_counter()
        await asyncio.to_thread(kernel.start)
        output = await asyncio.to_thread(kernel.execute, "1+1")
        took = time.perf_counter() - began
        check(output)
        await asyncio.to_thread(kernel.end)
        return took * 1e3

    claim = Claim(
        title="1. Request to answered `1+1`",
        unit="ms",
        how="One client, warm servers, no kernel before: POST, websocket (authenticated), execute, until the run has "
        "finished. Every round a new session, ended outside of the clock.",
        samples=await interleave(
            {OURS: launch_ours, SERVER: partial(launch_jupyter, jupyter), COLD: launch_cold}, rounds, warm_up=2
        ),
        ours=OURS,
    )
    claim.goal_factor(SERVER, 15)
    return claim
