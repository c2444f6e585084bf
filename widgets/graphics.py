"""Which way of painting pictures the terminal understands, found out without asking it anything that it must answer.

Terminals tell who they are in the environment; tmux tells who is behind it. A terminal that says nothing gets blocks of
colour, which every one can paint. Pure but for two calls that say so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Mode(StrEnum):
    """How pictures are painted."""

    KITTY = "kitty"
    """Kitty's graphics protocol with placeholders in the text, so that pictures scroll like text."""
    SIXEL = "sixel"
    BLOCKS = "blocks"
    """Two pixels a cell, in colour."""
    SHADES = "shades"
    """One pixel a cell, as a character that is more or less full: no colour, or plain ASCII."""
    NONE = "none"


class CellSize(NamedTuple):
    """Pixels of a cell."""

    width: int
    height: int


DEFAULT_CELL: Final = CellSize(8, 16)
_KITTY_TERMS: Final = ("xterm-kitty", "xterm-ghostty", "kitty", "ghostty")
_SIXEL_TERMS: Final = ("foot", "mlterm", "yaft", "contour", "rlogin", "wezterm", "st-sixel")
_SIXEL_PROGRAMS: Final = ("wezterm", "iterm.app", "mintty", "contour", "rio", "blackbox")
_KONSOLE_SIXEL: Final = 220_400


def detect(
    setting: str,
    environ: Mapping[str, str],
    *,
    colours: int,
    ascii_only: bool = False,
    tmux: str = "",
    in_browser: bool = False,
) -> Mode:
    """Returns how pictures are painted.

    Args:
        setting: `auto`, or what the user wants.
        colours: How many colours the screen has; 0 = none.
        tmux: What `ask_tmux` returned, within tmux.
        in_browser: A terminal of a web page is at the other end.
    """
    if setting == Mode.NONE:
        return Mode.NONE
    plain = Mode.SHADES if ascii_only or colours < 16 else Mode.BLOCKS
    if setting == Mode.BLOCKS or in_browser:
        return plain
    true_colour = colours > 256
    if setting in (Mode.KITTY, Mode.SIXEL):
        # kitty knows a picture by the exact colour of its placeholders
        return Mode(setting) if true_colour or setting == Mode.SIXEL else plain
    if environ.get("TMUX"):
        found = _behind_tmux(tmux)
    elif environ.get("STY") or environ.get("TERM", "").startswith("screen"):
        return plain  # screen passes nothing on
    else:
        found = _of_environment(environ)
    if found is Mode.KITTY and not true_colour:
        return plain
    return found or plain


def _of_environment(environ: Mapping[str, str]) -> Mode | None:
    term, program = environ.get("TERM", "").lower(), environ.get("TERM_PROGRAM", "").lower()
    if term in _KITTY_TERMS or environ.get("KITTY_WINDOW_ID") or program == "ghostty":
        return Mode.KITTY
    konsole = environ.get("KONSOLE_VERSION", "")
    if term.startswith(_SIXEL_TERMS) or program in _SIXEL_PROGRAMS:
        return Mode.SIXEL
    if konsole.isdecimal() and int(konsole[:9]) >= _KONSOLE_SIXEL:
        return Mode.SIXEL
    return None


def _behind_tmux(answer: str) -> Mode | None:
    term, _, rest = answer.partition("|")
    features, _, passthrough = rest.partition("|")
    if term.lower() in _KITTY_TERMS and passthrough.strip() in ("on", "all"):
        return Mode.KITTY
    return Mode.SIXEL if "sixel" in features.split(",") else None


TMUX_QUESTION: Final = (
    "tmux", "display-message", "-p", "#{client_termname}|#{client_termfeatures}|#{allow-passthrough}",
)  # fmt: skip


def ask_tmux() -> str:
    """Returns what tmux says of the terminal behind it, for `detect`; starts a process, which takes some ms."""
    import subprocess

    try:
        done = subprocess.run(TMUX_QUESTION, capture_output=True, text=True, timeout=0.5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def cell_size() -> CellSize:
    """Returns the pixels of a cell as the terminal's size tells them, else a common size. Asks the system, not the
    terminal."""
    try:
        import fcntl
        import struct
        import termios

        stream = sys.__stdout__
        if stream is None or not stream.isatty():
            return DEFAULT_CELL
        answer = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, width, height = struct.unpack("HHHH", answer)
    except (ImportError, OSError, ValueError):
        return DEFAULT_CELL
    if not (rows and columns and width >= 2 * columns and height >= 2 * rows):
        return DEFAULT_CELL
    return CellSize(width // columns, height // rows)


def environment() -> Mapping[str, str]:
    """Returns what the terminal says of itself."""
    return os.environ


# -- kitty -------------------------------------------------------------------------------------------------------------

_PLACEHOLDER: Final = "\U0010eeee"
_CHUNK: Final = 4096
_MARKS: Final = (
    "305 30d-30e 310 312 33d-33f 346 34a-34c 350-352 357 35b 363-36f 483-487 592-595 597-599 59c-5a1 5a8-5a9 5ab-5ac "
    "5af 5c4 610-617 657-65b 65d-65e 6d6-6dc 6df-6e2 6e4 6e7-6e8 6eb-6ec 730 732-733 735-736 73a 73d 73f-741 743 745 "
    "747 749-74a 7eb-7f1 7f3 816-819 81b-823 825-827 829-82d 951 953-954 f82-f83 f86-f87 135d-135f 17dd 193a 1a17 "
    "1a75-1a7c 1b6b 1b6d-1b73 1cd0-1cd2 1cda-1cdb 1ce0 1dc0-1dc1 1dc3-1dc9 1dcb-1dcc 1dd1-1de6 1dfe 20d0-20d1 "
    "20d4-20d7 20db-20dc 20e1 20e7 20e9 20f0 2cef-2cf1 2de0-2dff a66f a67c-a67d a6f0-a6f1 a8e0-a8f1 aab0 aab2-aab3 "
    "aab7-aab8 aabe-aabf aac1 fe20-fe26 10a0f 10a38 1d185-1d189 1d1aa-1d1ad 1d242-1d244"
)
"""The combining marks that number rows and columns, as the protocol lists them."""


def _marks() -> list[str]:
    marks: list[str] = []
    for span in _MARKS.split():
        first, _, last = span.partition("-")
        marks += map(chr, range(int(first, 16), int(last or first, 16) + 1))
    return marks


MARKS: Final = _marks()


def kitty_row(row: int, columns: int) -> str:
    """Returns the placeholders of one row of a picture: one cell each."""
    return "".join(f"{_PLACEHOLDER}{MARKS[row]}{MARKS[column]}" for column in range(columns))


def kitty_picture(number: int, png_base64: str, columns: int, rows: int, *, tmux: bool) -> str:
    """Returns what makes the terminal know a picture, of which placeholders then show parts."""
    parts = []
    for at in range(0, max(1, len(png_base64)), _CHUNK):
        more = int(at + _CHUNK < len(png_base64))
        head = f"a=T,U=1,f=100,q=2,i={number},c={columns},r={rows},m={more}" if at == 0 else f"q=2,m={more}"
        parts.append(_passed(f"\x1b_G{head};{png_base64[at : at + _CHUNK]}\x1b\\", tmux))
    return "".join(parts)


def kitty_forget(number: int, *, tmux: bool) -> str:
    """Returns what frees the memory of a picture in the terminal."""
    return _passed(f"\x1b_Ga=d,d=I,q=2,i={number}\x1b\\", tmux)


def _passed(sequence: str, tmux: bool) -> str:
    if not tmux:
        return sequence
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}\x1b\\"
