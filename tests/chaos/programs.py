"""Code for sessions whose output says by itself whether a line of it was lost, doubled, torn or moved.

A line is `<token>|<channel>|<index>|<filler>`: every channel counts from 0, comes through one stream, and has lines of
one width.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bai_tui.app.model.console import ExecuteRequest, RunMode


@dataclass(frozen=True, slots=True)
class Channel:
    """Lines that come in one order."""

    stream: str
    """`stdout` or `stderr`."""
    count: int
    width: int = 0
    """Of the filler, in characters."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is run, and what must come out of it when nobody disturbs it."""

    kind: str
    token: str
    request: ExecuteRequest
    channels: Mapping[str, Channel]
    exit_code: int = 0
    dies: bool = False
    """The kernel goes with it."""
    answers: Sequence[str] = field(default=())
    """To its prompts."""


Body = Callable[[str, random.Random], tuple[str, dict[str, Channel]]]
_LINE: Final = 'f"{T}|%s|{i}|%s"'


def _loop(count: int, *statements: str) -> str:
    body = "".join(f"    {statement}\n" for statement in statements)
    return f"for i in range({count}):\n{body}"


def _steady(token: str, rng: random.Random) -> tuple[str, dict[str, Channel]]:
    count, pause_s = rng.randint(5, 40), rng.choice((0.01, 0.03, 0.06))
    return (
        "import time\n" + _loop(count, f"print({_LINE % ('a', '')})", f"time.sleep({pause_s})"),
        {"a": Channel("stdout", count)},
    )


def _both(token: str, rng: random.Random) -> tuple[str, dict[str, Channel]]:
    count = rng.randint(20, 400)
    code = "import sys\n" + _loop(
        count, f"print({_LINE % ('a', '')})", f"print({_LINE % ('b', 'xxxxx')}, file=sys.stderr)"
    )
    return code, {"a": Channel("stdout", count), "b": Channel("stderr", count, 5)}


def _burst(token: str, rng: random.Random) -> tuple[str, dict[str, Channel]]:
    count, width = rng.choice((3000, 20_000)), rng.randint(0, 60)
    return _loop(count, f"print({_LINE % ('a', 'x' * width)})"), {"a": Channel("stdout", count, width)}


def _wide(token: str, rng: random.Random) -> tuple[str, dict[str, Channel]]:
    count, width = rng.randint(1, 4), rng.randint(50_000, 400_000)
    code = f"F = 'x' * {width}\n" + _loop(count, f"print({_LINE % ('a', '{F}')})")
    return code, {"a": Channel("stdout", count, width)}


def _threads(token: str, rng: random.Random) -> tuple[str, dict[str, Channel]]:
    workers, count = rng.randint(2, 4), rng.randint(20, 200)
    code = f"""import sys, threading, time
def work(k):
    for i in range({count}):
        sys.stdout.write(f"{{T}}|t{{k}}|{{i}}|\\n")
        if i % 20 == 0: time.sleep(0.005)
threads = [threading.Thread(target=work, args=(k,)) for k in range({workers})]
for t in threads: t.start()
for t in threads: t.join()
"""
    return code, {f"t{k}": Channel("stdout", count) for k in range(workers)}


def _shell_loop(channel: str, count: int, redirect: str = "") -> str:
    return f'i=0; while [ $i -lt {count} ]; do echo "$T|{channel}|$i|"{redirect}; i=$((i+1)); done'


def _children(token: str, rng: random.Random) -> tuple[str, dict[str, Channel]]:
    workers, count = rng.randint(1, 3), rng.randint(50, 800)
    loops = [_shell_loop(f"c{k}", count, " >&2" if k % 2 else "") for k in range(workers)]
    code = f"""import subprocess
children = [subprocess.Popen(["sh", "-c", "T=" + T + "; " + loop]) for loop in {loops!r}]
assert [child.wait() for child in children] == [0] * {workers}
"""
    return code, {f"c{k}": Channel("stderr" if k % 2 else "stdout", count) for k in range(workers)}


def _deserting(token: str, rng: random.Random) -> tuple[str, dict[str, Channel]]:
    count = rng.randint(5, 40)
    code = """import subprocess
def leave(command):
    kept_open = subprocess.DEVNULL
    subprocess.Popen(["sh", "-c", command], start_new_session=True, stdin=kept_open, stdout=kept_open, stderr=kept_open)
leave("trap '' TERM HUP INT; exec sleep 900")
leave("trap '' TERM HUP INT; (sleep 900 &) ; exit")
"""
    return code + _loop(count, f"print({_LINE % ('a', '')})"), {"a": Channel("stdout", count)}


def _asking(token: str, rng: random.Random) -> tuple[str, dict[str, Channel]]:
    code = _loop(5, f"print({_LINE % ('a', '')})") + "word = input('say x:\\n')\n" + "i = 0\n"
    return code + f"print({_LINE % ('b', '{word}')})\n", {"a": Channel("stdout", 5), "b": Channel("stdout", 1, 3)}


def _python(kind: str, token: str, rng: random.Random, body: Body) -> Program:
    code, channels = body(token, rng)
    exit_code, dies = 0, False
    ending = rng.random()
    if ending < 0.08:
        code, exit_code = code + "raise SystemExit(3)\n", 3
    elif ending < 0.16:
        code, exit_code = code + "raise ValueError('on purpose')\n", 1
    elif ending < 0.20:
        code, exit_code, dies = code + "import os, sys\nsys.stdout.flush()\nos._exit(7)\n", 7, True
    elif ending < 0.24:
        code, exit_code, dies = code + "import os, sys\nsys.stdout.flush()\nos.kill(os.getpid(), 11)\n", 139, True
    request = ExecuteRequest(RunMode.QUERY, f"T = '{token}'\n{code}")
    return Program(kind, token, request, channels, exit_code, dies, ("xxx",) if body is _asking else ())


def shell_command(token: str, rng: random.Random) -> tuple[str, dict[str, Channel], int]:
    """Returns a shell command, what it says and its exit code."""
    count, exit_code = rng.randint(10, 200), rng.choice((0, 0, 0, 4))
    pause = rng.choice(("", "; sleep 0.2", "; sleep 1"))
    command = f"T={token}; {_shell_loop('s', count)}{pause}; {_shell_loop('e', 7, ' >&2')}; exit {exit_code}"
    return command, {"s": Channel("stdout", count), "e": Channel("stderr", 7)}, exit_code


def _batch(token: str, rng: random.Random) -> Program:
    command, channels, exit_code = shell_command(token, rng)
    options = {"build": "true", "exec": command}
    return Program("batch", token, ExecuteRequest(RunMode.BATCH, "", options), channels, exit_code)


_BODIES: Final[Mapping[str, tuple[int, Body]]] = {
    "steady": (5, _steady),
    "both": (3, _both),
    "burst": (3, _burst),
    "wide": (1, _wide),
    "threads": (2, _threads),
    "children": (2, _children),
    "deserting": (4, _deserting),
    "asking": (2, _asking),
}


def program(token: str, rng: random.Random) -> Program:
    """Returns something to run in a session that is up."""
    if rng.random() < 0.15:
        return _batch(token, rng)
    kinds = list(_BODIES)
    kind = rng.choices(kinds, [_BODIES[name][0] for name in kinds])[0]
    return _python(kind, token, rng, _BODIES[kind][1])


def faults(
    token: str, channels: Mapping[str, Channel], text: Mapping[str, str], *, whole: bool, gaps: bool = False
) -> list[str]:
    """Returns what is wrong with the output of a run.

    Args:
        text: stream -> all that came through it.
        whole: nobody has disturbed the run: every line must be there. Else it may stop anywhere.
        gaps: records were dropped by the limit of the journal: what is left must be in order, each line once.
    """
    found: list[str] = []
    pattern = re.compile(rf"{re.escape(token)}\|(\w+)\|(\d+)\|(x*)")
    seen: dict[str, int] = dict.fromkeys(channels, -1)
    torn = 0
    for stream, all_of_it in text.items():
        for line in all_of_it.split("\n"):
            if token not in line:
                continue
            match = pattern.fullmatch(line.rstrip("\r"))
            channel = channels.get(match[1]) if match is not None else None
            if match is None or channel is None or len(match[3]) != channel.width:
                torn += 1
                if whole and not gaps:
                    found.append(f"{token}: torn line {line[:120]!r} on {stream}")
                continue
            name, index = match[1], int(match[2])
            if channel.stream != stream:
                found.append(f"{token}: line {index} of {name} came through {stream}")
            if index <= seen[name]:
                found.append(f"{token}: line {index} of {name} came after line {seen[name]}: doubled or moved")
            elif index > seen[name] + 1 and not gaps:
                found.append(f"{token}: lines {seen[name] + 1} to {index - 1} of {name} are lost")
            seen[name] = max(index, seen[name])
    for name, channel in channels.items():
        if seen[name] >= channel.count:
            found.append(f"{token}: {name} has a line {seen[name]} that was never printed")
        if whole and not gaps and seen[name] != channel.count - 1:
            found.append(f"{token}: {name} ends with line {seen[name]} instead of {channel.count - 1}")
    if not whole and not gaps and torn > len(channels):
        found.append(f"{token}: {torn} torn lines in a run that was cut off once")
    return found
