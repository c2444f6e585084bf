"""Claim 11: the sessions are there again after the backend was killed."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import time
from dataclasses import replace
from typing import Any

import httpx

from .harness import Claim, Sample
from .ours import COMMAND, Backend, run_on
from .ours import environ as environ_of

OURS, STARTED = "from ready to the complete list", "from kill -9 to ready"
_LIST = """query($limit: Int!, $offset: Int!) {
  compute_session_list(limit: $limit, offset: $offset, status: "RUNNING") {
    total_count items { session_id name status occupied_slots }
  }
}"""
_PAGE = 100


async def listed(ours: Backend) -> dict[str, tuple[str, str]]:
    """Returns id -> (name, what it holds) of the sessions that run."""
    found: dict[str, tuple[str, str]] = {}
    while True:
        body = {"query": _LIST, "variables": {"limit": _PAGE, "offset": len(found)}}
        page: Any = (await ours.request("POST", "/admin/gql", body))["data"]["compute_session_list"]
        found.update((row["session_id"], (row["name"], row["occupied_slots"])) for row in page["items"])
        if len(found) >= page["total_count"] or not page["items"]:
            return found


def _kill(pid: int) -> None:
    fd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([fd], [], [], 30)
    os.close(fd)


def _start(ours: Backend) -> tuple[int, str]:
    """Starts the next backend as a client does; returns its pid and its endpoint once it is ready."""

    def command(*words: str) -> str:
        done = subprocess.run([COMMAND, *words], env=environ_of(ours.home), capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"bai-tui {' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    command("serve", "--detach")
    said = json.loads((ours.home / ".local/state/bai-tui/serve.json").read_text())
    return int(said["pid"]), str(said["endpoint"])


async def _round(ours: Backend, expected: dict[str, tuple[str, str]]) -> tuple[Backend, float, float]:
    """Kills the backend and starts the next; returns that one, and what it took in ms: to ready, to the list."""
    killed = time.perf_counter()
    await asyncio.to_thread(_kill, ours.pid)
    pid, url = await asyncio.to_thread(_start, ours)
    ready = time.perf_counter()
    await ours.http.aclose()
    there = replace(ours, pid=pid, url=url, http=httpx.AsyncClient(base_url=url, timeout=120, trust_env=False))
    while await listed(there) != expected:
        if time.perf_counter() - ready > 60:
            raise RuntimeError(f"sessions are missing: {len(await listed(there))} of {len(expected)}")
    return there, (ready - killed) * 1e3, (time.perf_counter() - ready) * 1e3


async def measure(ours: Backend, *, sessions: int, rounds: int) -> Claim:
    """Fills the backend with sessions that hold something, and kills it again and again."""
    ids = [await ours.create(f"recovery-{number:04d}") for number in range(sessions)]
    async with ours.stream(ids[0]) as ws:
        await run_on(ws, "x = 41")
    expected = await listed(ours)
    to_ready, to_list = [], []
    for _ in range(rounds):
        ours, ready_ms, list_ms = await _round(ours, expected)
        to_ready.append(ready_ms)
        to_list.append(list_ms)
    async with ours.stream(ids[0]) as ws:
        same = "".join(await run_on(ws, "print(x + 1)")) == "42\n"
    await ours.http.aclose()
    claim = Claim(
        title=f"11. The list is complete again, {sessions} sessions, after `kill -9` of the backend",
        unit="ms",
        how=(
            "`kill -9` of a backend with sessions that hold cores and memory, then `bai-tui serve --detach`. Ready: "
            "that command has returned. The list: every session over the API, RUNNING, with what it held before."
        ),
        samples=[Sample(OURS, tuple(to_list)), Sample(STARTED, tuple(to_ready))],
        ours=OURS,
    )
    claim.goal_at_most(1000)
    claim.goals.append(("variables of a session are there after all rounds", same))
    claim.notes.append(
        "The second row is mostly the start of two interpreters: the command's and the backend's. Without a peer: "
        "kernels of Jupyter Server end with it."
    )
    return claim
