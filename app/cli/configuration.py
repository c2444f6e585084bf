"""`bai-tui config`: show, validate, edit, path, schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ..config import Paths, settings_path
from ..model.errors import ConfigError
from . import exit_codes
from .lazy import CONTEXT
from .options import complete_files
from .talk import emit, say

if TYPE_CHECKING:
    from ..settings.reading import Problem

_STATUS = """\b
Exit status: 0 nothing is wrong, 2 wrong usage, 78 something is wrong with the
file, which is told on stdout: one sentence a line, FILE:LINE in front of it."""


def complete_keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns keys of config.toml."""
    from ..settings.reading import dotted
    from ..settings.shown import documented

    found = {dotted(path): key.meaning.replace("`", "") for path, key in documented()}
    return [CompletionItem(key, help=text) for key, text in found.items() if key.startswith(incomplete)]


@click.command("show", context_settings=CONTEXT)
@click.argument("keys", metavar="[KEY]...", nargs=-1, shell_complete=complete_keys)
@click.option("--json", "as_json", is_flag=True, help="For other programs.")
@click.option("--defaults", is_flag=True, help="What holds without file and environment.")
@click.pass_context
def show(ctx: click.Context, keys: tuple[str, ...], as_json: bool, defaults: bool) -> int:
    """Show the settings in force, and where each comes from: default, file or environment.

    KEY is one of them, or a table of them, such as `tui`. Options of `bai-tui serve` win over what is shown.
    """
    from ..settings.check import check
    from ..settings.shown import shown
    from ..settings.writing import read_text

    file = settings_path(Paths.of_user())
    text = "" if defaults else read_text(file)
    found = check(text)
    if found:
        raise ConfigError(f"{file}{found[0]}")
    import tomllib

    rows = shown(tomllib.loads(text), environment=not defaults)
    for key in keys:
        if not any(f"{row.key}.".startswith(f"{key}.") for row in rows):
            raise _unknown(key, [row.key for row in rows])
    if keys:
        rows = [row for row in rows if any(f"{row.key}.".startswith(f"{key}.") for key in keys)]
    if as_json or ctx.find_root().obj == "json":
        items = [
            {"key": row.key, "value": row.value, "from": row.origin, "variable": row.variable or None} for row in rows
        ]
        emit(json.dumps(items, indent=2) + "\n")
        return exit_codes.OK
    from .tables import table

    where = {"default": "default", "file": str(file), "environment": ""}
    cells = [[row.key, row.text, where[row.origin] or row.variable] for row in rows]
    emit(table(["KEY", "VALUE", "FROM"], cells, (2, 1)))
    return exit_codes.OK


def _unknown(key: str, known: list[str]) -> click.UsageError:
    from difflib import get_close_matches

    near = get_close_matches(key, [*known, *{name.partition(".")[0] for name in known}], n=1, cutoff=0.5)
    return click.UsageError(f"there is no setting {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


@click.command("validate", context_settings=CONTEXT, epilog=_STATUS)
@click.argument("file", metavar="[FILE]", required=False, shell_complete=complete_files)
def validate(file: str | None) -> int:
    """Tell all that is wrong with config.toml, or with FILE; - reads stdin."""
    from ..settings.writing import read_text

    path = settings_path(Paths.of_user()) if file is None else Path(file)
    if file == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    elif file is not None and not path.exists():
        raise ConfigError(f"there is no file {file}")
    else:
        text = read_text(path)
    problems = problems_in(text)
    for problem in problems:
        emit(f"{'stdin' if file == '-' else path}{problem}\n")
    if problems:
        return exit_codes.CONFIG
    say(f"nothing is wrong with {'stdin' if file == '-' else path}" + ("" if text else ", which is empty or missing"))
    return exit_codes.OK


def problems_in(text: str) -> list[str]:
    """Returns all that is wrong with the text of a `config.toml`, each as ":LINE: sentence"."""
    from ..settings.check import check

    problems = check(text, further=_beyond)
    return [str(problem) for problem in problems]


def _beyond(table: Mapping[str, Any]) -> Iterator[Problem]:
    """Yields what is wrong with names that only the screen knows, and with files that are named."""
    from ..contexts import named_problems
    from ..tui.settings_check import problems_of_tui

    yield from problems_of_tui(table)
    yield from named_problems(Paths.of_user(), table)


@click.command("path", context_settings=CONTEXT)
def path() -> int:
    """Print where config.toml is, or would be."""
    emit(f"{settings_path(Paths.of_user())}\n")
    return exit_codes.OK


@click.command("schema", context_settings=CONTEXT)
def schema() -> int:
    """Print the JSON Schema of config.toml, for editors that complete and check by one."""
    from ..settings.schema import json_schema

    emit(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return exit_codes.OK


@click.command("edit", context_settings=CONTEXT, epilog=_STATUS)
def edit() -> int:
    """Open config.toml in $VISUAL or $EDITOR, and take over what comes out of it if nothing is wrong with it.

    A first one holds all settings with what they mean. The file itself is only touched at the end, at once.
    """
    from .editing import edit_settings

    return edit_settings(Paths.of_user())
