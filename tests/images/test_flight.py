"""Work that several wait for: it is done once, ends with the last who waits, and never runs twice at a time."""

from __future__ import annotations

import asyncio

import pytest
from bai_tui.app.backend.images.flight import Flight


class Slow:
    """Work that is slow to end when it is cancelled."""

    def __init__(self) -> None:
        self.running = self.most = self.begun = 0
        self.may_end = asyncio.Event()
        self.result: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> int:
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await asyncio.shield(self.result)
        finally:
            await self.may_end.wait()
            self.running -= 1


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)  # lets tasks come to where they wait


@pytest.mark.asyncio
async def test_who_comes_while_it_runs_joins() -> None:
    work, flight = Slow(), Flight[int]("test")
    both = [asyncio.create_task(flight.join(work)) for _ in range(2)]
    await turn()
    both[0].cancel()
    await turn()
    work.may_end.set()
    work.result.set_result(7)
    assert await both[1] == 7
    assert work.begun == 1


@pytest.mark.asyncio
async def test_it_never_runs_twice_at_a_time_however_often_it_is_given_up() -> None:
    work, flight = Slow(), Flight[int]("test")
    given_up = []
    for _ in range(3):
        given_up.append(asyncio.create_task(flight.join(work)))
        await turn()
        given_up[-1].cancel()
        await turn()
    last = asyncio.create_task(flight.join(work))
    await turn()
    assert work.begun == 1  # the first one is still ending
    work.may_end.set()
    work.result.set_result(7)
    assert await last == 7
    assert (work.begun, work.most) == (2, 1)
    await asyncio.gather(*given_up, return_exceptions=True)
