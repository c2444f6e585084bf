"""What `bai-tui run` is going to do, checked before anything is asked of a server."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import click

from ..model.console import ExecuteRequest, RunMode


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    image: str
    name: str
    named: bool
    """The user chose the name, and may mean a session that lives already."""
    request: ExecuteRequest | None
    """None = make the session only."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Path in the work folder -> file."""
    resources: Mapping[str, str] = field(default_factory=dict)
    resource_opts: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    type: str = "interactive"
    startup_command: str | None = None
    tag: str | None = None
    priority: int | None = None
    depends_on: Sequence[str] = ()
    starts_at: datetime | None = None
    batch_timeout_s: float = 0.0
    """0 = never."""
    remove: bool = False
    stats: bool = False
    quiet: bool = False
    exact: bool = False
    """In no other image in its place."""
    enqueue_only: bool = False
    max_wait_s: int = 0
    reuse: bool = True
    media_dir: Path | None = None


def pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """Reads `KEY=VALUE` options.

    Raises:
        click.BadParameter: no `=`, or no key.
    """
    found: dict[str, str] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"{value!r} is not of the form KEY=VALUE", param_hint=option)
        found[key.strip()] = text.strip() if option != "--env" else text
    return found


def variables(values: Sequence[str]) -> dict[str, str]:
    """Reads `--env` options: `KEY=VALUE`, or `KEY` alone for the value that it has here, which no list of processes
    then shows.

    Raises:
        click.BadParameter: no key, or it has no value here.
    """
    found: dict[str, str] = {}
    for value in values:
        if value and "=" not in value:
            if value not in os.environ:
                raise click.BadParameter(
                    f"{value} is not set here: set and export it, or write {value}=VALUE", param_hint="--env"
                )
            found[value] = os.environ[value]
        else:
            found |= pairs([value], "--env")
    return found


def with_units(amounts: Mapping[str, str]) -> dict[str, str]:
    """Returns amounts as the Backend.AI client sends them: memory without a unit is MiB."""
    return {
        name: f"{amount}m" if name in ("mem", "shmem") and amount and not amount[-1].isalpha() else amount
        for name, amount in amounts.items()
    }


def uploads(files: Sequence[str], basedir: str | None) -> dict[str, Path]:
    """Returns the path in the work folder for every file: relative to `basedir`, else to the current folder.

    Without `basedir` a file that lies elsewhere goes to the top of the work folder.

    Raises:
        click.BadParameter: no file, not readable, outside `basedir`, or two files of one name.
    """
    # Not resolved: a link keeps the place at which the user names it.
    base = os.path.abspath(basedir or os.curdir)  # noqa: PTH100 - Path.resolve would follow links
    found: dict[str, Path] = {}
    for name in files:
        path = Path(name)
        if path.is_dir():
            raise click.BadParameter(f"{name} is a folder: name the files in it", param_hint="FILES")
        if not path.exists():
            raise click.BadParameter(f"there is no file {name}", param_hint="FILES")
        if not path.is_file() or not os.access(path, os.R_OK):
            raise click.BadParameter(f"the file {name} cannot be read", param_hint="FILES")
        target = os.path.relpath(os.path.abspath(name), base)  # noqa: PTH100 - Path.resolve would follow links
        if Path(target).parts[0] == os.pardir:
            if basedir is not None:
                raise click.BadParameter(f"{name} lies outside the folder {basedir} of --basedir", param_hint="FILES")
            target = path.name
        target = target.replace(os.sep, "/")
        if target in found and found[target].resolve() != path.resolve():
            raise click.BadParameter(f"{found[target]} and {name} would both become {target}", param_hint="FILES")
        found[target] = path
    return found


def batch_request(files: Mapping[str, Path], exec_: str | None, build: str | None, clean: str | None) -> ExecuteRequest:
    """Returns the request of batch mode; `*` is the image's default, which is asked for where files came along."""
    default = "*" if files else ""
    if exec_ is None:
        # A program of one file runs everywhere; "*" looks for a main.py on a cluster.
        scripts = [name for name in files if name.endswith(".py")]
        exec_ = f"python {shlex.quote(scripts[0])}" if len(scripts) == 1 else default
    options = {
        "clean": default if clean is None else clean,
        "build": default if build is None else build,
        "buildLog": build is not None,
        "exec": exec_,
    }
    return ExecuteRequest(RunMode.BATCH, "", options)
