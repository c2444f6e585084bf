"""The facts of the details pane that stand below those of the list: environment, folders, runs, files, events. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from ...widgets.glyphs import Glyphs
from ...widgets.lines import Run, RunState
from ...widgets.rows import Detail
from ...widgets.text import size, took
from .abouts import About
from .happenings import Happening, Kind

NEWEST: Final = 5
"""Runs and events that are named."""
_HIDDEN: Final = ("SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL", "_KEY", "APIKEY")
"""What a variable's name holds whose value is not shown."""


def further_facts(
    about: About | None, runs: Sequence[Run], events: Iterable[Happening], glyphs: Glyphs, now_s: float
) -> list[Detail]:
    """Returns what else is known of a session.

    Args:
        about: None = not asked for yet.
        runs: the newest last.
        events: of this session, the newest last.
        now_s: clock time.
    """
    facts: list[Detail] = []
    if about is not None:
        facts += _several("env", [f"{key}={_shown(key, value)}" for key, value in sorted(about.view.environ.items())])
        facts += _several("opts", [f"{key}={value}" for key, value in sorted(about.view.resource_opts.items())])
        facts += _several("folders", about.view.mounts)
        if about.files is not None:
            told = f"{about.files}, {size(about.files_bytes)}: f11 lists them" if about.files else "none"
            facts.append(Detail("files", told, quiet=True))
    newest = list(reversed(runs[-NEWEST:]))
    lines = [f"[{run.number}] {_state(run, glyphs)} {took(_took_s(run, now_s))}  {run.title}" for run in newest]
    if len(runs) > NEWEST:
        lines.append(f"and {runs[-1].number - NEWEST:,} before")
    facts += _several("runs", lines)
    happened = [entry for entry in events if entry.kind is Kind.EVENT][-NEWEST:]
    facts += _several(
        "events", [f"{time.strftime('%H:%M:%S', time.localtime(one.at_s))} {one.text}" for one in reversed(happened)]
    )
    return facts


def _several(label: str, lines: Sequence[str]) -> list[Detail]:
    return [Detail(label if place == 0 else "", line, quiet=True) for place, line in enumerate(lines)]


def _shown(name: str, value: str) -> str:
    return "(hidden)" if value and any(part in name.upper() for part in _HIDDEN) else value


def _took_s(run: Run, now_s: float) -> float:
    return max(0.0, (run.ended_s if run.ended_s is not None else now_s) - run.started_s)


def _state(run: Run, glyphs: Glyphs) -> str:
    if run.going:
        return glyphs.asks if run.waiting else glyphs.busy
    return glyphs.ok if run.state is RunState.OK else glyphs.failed
