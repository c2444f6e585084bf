"""Copies text to wherever it can be pasted from: through the terminal (OSC 52, which works over ssh), and by the
programs of this machine where it has a clipboard of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Final

OSC52_CHARS: Final = 74_994
"""Characters that terminals take at least; many take no more."""
_PATIENCE_S: Final = 3.0


def programs(environ: Mapping[str, str], platform: str = sys.platform) -> list[tuple[str, ...]]:
    """Returns the command lines that may take a copy on their standard input, those that suit best first."""
    found: list[tuple[str, ...]] = []
    if environ.get("TMUX"):
        # its own buffer, and with -w the terminal around it, whatever it lets through of ours
        found.append(("tmux", "load-buffer", "-w", "-"))
    if platform == "darwin":
        found.append(("pbcopy",))
    elif environ.get("WAYLAND_DISPLAY"):
        found.append(("wl-copy",))
    elif environ.get("DISPLAY"):
        found += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    elif environ.get("WSL_DISTRO_NAME"):
        found.append(("clip.exe",))
    return found


async def to_programs(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Hands text to the clipboards of this machine; returns the names of the programs that took it.

    Cancelled, it may have reached some of them.
    """
    taken: list[str] = []
    for argv in programs(os.environ if environ is None else environ):
        if (argv[0] == "xsel" and "xclip" in taken) or shutil.which(argv[0]) is None:
            continue
        with contextlib.suppress(OSError, TimeoutError):
            # they stay to hand it out: nobody may wait for their output
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await process.communicate(text.encode("utf-8", "replace"))
            except TimeoutError:
                process.kill()
                raise
            if process.returncode == 0:
                taken.append(argv[0])
    return taken


def said(text: str, what: str = "", *, alone: bool | None = None) -> str:
    """Returns the sentence about a copy: how much it was, and what a terminal may not have taken.

    Args:
        alone: Whether nothing but the terminal can take it; None = as it is on this machine.
    """
    if alone is None:
        alone = not any(shutil.which(argv[0]) for argv in programs(os.environ))
    lines = text.count("\n") + (not text.endswith("\n"))
    amount = f"{lines:,} {'line' if lines == 1 else 'lines'} copied" + (f": {what}" if what else "")
    if alone and len(text.encode("utf-8", "replace")) > OSC52_CHARS:
        amount += "; not every terminal takes so much: s saves it"
    return amount
