"""What `config.toml` says about the screen, `[tui]` and `[keys]`: plain values, read by `config.tui_settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

IMAGES: Final = ("auto", "kitty", "sixel", "blocks", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class TuiSettings:
    """`[tui]`, and `[keys]` beside it."""

    theme: str = ""
    """Name of a theme; empty = the one that was used last."""
    ascii: bool | None = None
    """Plain ASCII shapes; None = where the locale or the terminal shows nothing else."""
    vim: bool = False
    """The editor has vim's keys."""
    read_only: bool = False
    """Nothing that changes, starts or ends a session is offered."""
    notify_after_s: float = 10.0
    """A run that took longer is told when it ends; 0 = none is."""
    bell: bool = True
    """Such a notice rings the terminal's bell."""
    desktop_notice: bool = True
    """It is shown by the desktop, too, where there is one."""
    images: str = "auto"
    """One of `IMAGES`: how pictures are painted in the console."""
    wrap: bool = True
    """Long lines of the console are wrapped."""
    timestamps: bool = False
    """Lines of the console begin with their time."""
    scrollback_lines: int = 50_000
    """Of the console of one session; the oldest go first."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """`[keys]`: id of an action -> its keys, comma-separated, in place of its own; empty = no key."""


def of_environment() -> Mapping[str, tuple[str, Any]]:
    """Returns field of `TuiSettings` -> (variable, value) for what the environment says; it wins over the file."""
    if os.environ.get("BAI_TUI_ASCII", "") not in ("", "0"):
        return {"ascii": ("BAI_TUI_ASCII", True)}
    return {}
