"""Claim 8: durable admissions: a burst of enqueue-only requests to the API of a daemon, store included.

`python -m benchmarks.admissions` is the client of one burst, in a process of its own: what is measured is the daemon.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from .burst import Door, enqueue
from .harness import Claim, Sample
from .ours import Backend

GOAL_PER_S = 1_000
OURS = "bai-tui"
_CONNECTIONS = 32


async def _client(config: dict[str, Any]) -> dict[str, Any]:
    """Plays one burst; returns its seconds and the ids that were answered."""
    door = Door(config["url"], config["access_key"], config["secret_key"])
    request = {
        "image": config["image"],
        "reuseIfExists": False,
        "config": {"resources": {"cpu": "1", "mem": "64m"}},
    }
    burst = await enqueue(door, request, connections=_CONNECTIONS, each=config["each"], prefix=config["prefix"])
    return {"seconds": burst.seconds, "ids": [one for answers in burst.answered for _, one in answers]}


async def measure(ours: Backend, *, rounds: int, each: int) -> Claim:
    """Lines up sessions behind one that fills the machine, and looks into the store afterwards.

    Args:
        each: admissions of each connection in a round.
    """
    filler = await ours.create("filler", cpu="512", mem="256m")
    count = each * _CONNECTIONS
    values: list[float] = []
    kept = True
    for number in range(-1, rounds):
        config = {
            "url": ours.url,
            "access_key": ours.access_key,
            "secret_key": ours.secret_key,
            "image": ours.image,
            "prefix": f"burst{number + 1}",
            "each": each,
        }
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.admissions", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await client.communicate(json.dumps(config).encode())
        found = json.loads(out)
        # Every one that was answered is in the file: what is committed survives the daemon.
        stored = await asyncio.to_thread(_stored, ours.home)
        kept = kept and stored.issuperset(found["ids"]) and len(set(found["ids"])) == count
        if number >= 0:
            values.append(found["seconds"] / count * 1e6)
        for first in range(0, count, 50):
            await asyncio.gather(*(ours.end(one) for one in found["ids"][first : first + 50]))
    await ours.end(filler)
    claim = Claim(
        title="8. A durable admission over the API",
        unit="us",
        how=f"A burst of {count:,} `POST /session` with `enqueueOnly` over {_CONNECTIONS} kept-alive connections, "
        "each with one request under way: parsed, authenticated, checked, scheduled, committed to the store, answered. "
        "The client is a process of its own that signs each of them. The time of the burst, divided by the number of "
        "admissions; the machine is full, so that all of them wait.",
        samples=[Sample(OURS, tuple(values))],
        ours=OURS,
    )
    per_s = 1e6 / claim.sample(OURS).median
    claim.goals.append((f"at least {GOAL_PER_S:,} admissions a second: {per_s:,.0f}", per_s >= GOAL_PER_S))
    claim.goals.append(("every admission that was answered is in the store", kept))
    return claim


def _stored(home: Path) -> set[str]:
    """Returns the ids of all sessions in the store, read past the daemon."""
    (path,) = home.rglob("bai-tui.db")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return {str(row[0]) for row in database.execute("SELECT id FROM sessions")}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_client(json.load(sys.stdin)))))
