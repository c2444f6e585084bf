"""Turns a transcript into text for a file or a clipboard, with the colours it has or without. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from .ansi import Rgb, Sgr
from .lines import Header, Line, Run, Styled, plain_text
from .transcript import Transcript

_RESET: Final = "\x1b[0m"


def output_of(transcript: Transcript, run: Run, *, code: bool = False, colours: bool = False) -> str:
    """Returns what a run said, and before it what was run if that is asked for."""
    start, end = transcript.span(run)
    said = _lines(transcript, start + 1, end, colours)
    return "\n".join([*(run.code.rstrip().splitlines() if code else ()), *said])


def everything(transcript: Transcript, *, colours: bool = False) -> str:
    """Returns all that is here, each run with its code behind a line about it."""
    return "\n".join(_lines(transcript, transcript.first, transcript.end, colours))


def _lines(transcript: Transcript, start: int, end: int, colours: bool) -> Iterable[str]:
    store = transcript.store
    for line in store.lines[store.index(start) : store.index(end)]:
        if isinstance(line, Header):
            yield from _head(line.run)
        else:
            yield coloured(line) if colours else plain_text(line)


def _head(run: Run) -> Iterable[str]:
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started_s))
    took = "" if run.ended_s is None else f", {run.ended_s - run.started_s:.2f} s"
    code = "" if run.exit_code in (None, 0) else f", exit {run.exit_code}"
    yield f"# [{run.number}] {started}, {run.state.value}{code}{took}"
    yield from (f"# > {line}".rstrip() for line in run.code_lines)


def coloured(line: Line) -> str:
    """Returns a line with the escape sequences of its styles, and no others."""
    if not isinstance(line, Styled):
        return plain_text(line)
    parts: list[str] = []
    for start, end, style in line.spans:
        codes = ";".join(_codes(style))
        parts.append(f"\x1b[{codes}m{line.text[start:end]}{_RESET}" if codes else line.text[start:end])
    return "".join(parts)


def _codes(style: Sgr) -> Iterable[str]:
    flags = (style.bold, style.dim, style.italic, style.underline, style.reverse, style.strike)
    for code, is_set in zip(("1", "2", "3", "4", "7", "9"), flags, strict=True):
        if is_set:
            yield code
    yield from _colour(style.fg, 30, 90, 38)
    yield from _colour(style.bg, 40, 100, 48)


def _colour(value: int | Rgb | None, base: int, bright: int, more: int) -> Iterable[str]:
    if isinstance(value, tuple):
        yield from map(str, (more, 2, *value))
    elif value is not None:
        if value < 8:
            yield str(base + value)
        elif value < 16:
            yield str(bright + value - 8)
        else:
            yield from map(str, (more, 5, value))
