"""`bai-tui config edit`: a copy goes to the editor, and what comes back replaces the file when nothing is wrong."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from ..config import Paths, private_folder, settings_path
from ..model.errors import ConfigError
from . import exit_codes
from .configuration import problems_in
from .talk import harmless, say

_EDITORS: Final = ("sensible-editor", "nano", "vim", "vi", "micro", "emacs")


def edit_settings(paths: Paths) -> int:
    """Lets the user edit `config.toml`; returns the exit status.

    Raises:
        ConfigError: there is no editor, it failed, or the file cannot be read or written.
    """
    from ..settings.shown import template
    from ..settings.writing import read_text, swap_in

    file = settings_path(paths)
    folder = private_folder(paths.config)
    before = read_text(file)
    handle, name = tempfile.mkstemp(prefix=".config-", suffix=".toml", dir=folder)
    copy = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(before or template())
        text = _edited(copy, file)
        if text is None:
            return exit_codes.CONFIG
        if text == before or (not before and text == template()):
            say("nothing was changed")
            return exit_codes.OK
        swap_in(file, text, before=before)
    finally:
        copy.unlink(missing_ok=True)
    say(f"{file} is written; a backend that runs reads it when it starts anew: `bai-tui serve --stop`")
    return exit_codes.OK


def _edited(copy: Path, file: Path) -> str | None:
    """Returns a text with which nothing is wrong, None when the user, or nobody, gave up on it."""
    from ..settings.writing import read_text

    while True:
        _open(copy)
        text = read_text(copy)
        problems = problems_in(text)
        if not problems:
            return text
        for problem in problems:
            say(f"{file.name}{problem}")
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            say(f"{file} is as it was")
            return None
        if not _again():
            say(f"what you wrote is thrown away; {file} is as it was")
            return None


def _again() -> bool:
    """Asks whether the editor shall be opened again: yes, unless it is said or stdin ends."""
    sys.stderr.write("Edit again? [Y/n] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return bool(answer) and not answer.strip().lower().startswith("n")


def _open(copy: Path) -> None:
    command = _editor()
    try:
        status = subprocess.run([*command, str(copy)], check=False).returncode
    except OSError as exc:
        raise ConfigError(f"the editor {harmless(command[0])} cannot be started: {exc.strerror}; set EDITOR") from None
    if status != 0:
        raise ConfigError(f"the editor {harmless(command[0])} ended with status {status}: nothing was changed")


def _editor() -> list[str]:
    for variable in ("VISUAL", "EDITOR"):
        if words := os.environ.get(variable, "").strip():
            try:
                return shlex.split(words)
            except ValueError as exc:
                raise ConfigError(f"{variable} is no command line: {exc}") from None
    for name in _EDITORS:
        if found := shutil.which(name):
            return [found]
    raise ConfigError("no editor was found: set EDITOR to one")
