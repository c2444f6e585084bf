"""The options that `run` and `session create` share: what a session is and when it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from ..model.durations import parse_duration
from ..model.errors import BadRequest
from ..model.sessions import check_session_name
from ..policies import ISOLATIONS
from .durations import duration
from .plan import pairs, variables, with_units

F = TypeVar("F", bound=Callable[..., Any])


def _name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else check_session_name(value)
    except BadRequest as exc:
        raise click.BadParameter(exc.message) from None


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """Returns an aware time: ISO 8601 (local time without an offset), or a duration from now."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):
        pass
    try:
        return datetime.now(UTC) + timedelta(seconds=parse_duration(value))
    except BadRequest:
        raise click.BadParameter(
            f"{value!r} is no time: write 2026-11-23T18:30, with +09:00 where it is not local, or 2h for in two hours"
        ) from None


_OPTIONS = (
    click.option(
        "-t",
        "--name",
        "--client-token",
        "name",
        metavar="NAME",
        callback=_name,
        help="Name of the session; a live one of that name and image is used again.",
    ),
    click.option("--no-reuse", is_flag=True, help="Refuse a live session of that name instead."),
    click.option("-r", "--resources", metavar="SLOT=AMOUNT", multiple=True, help="As cpu=2, mem=1g, gpu=0.5."),
    click.option(
        "--resource-opts",
        metavar="KEY=VALUE",
        multiple=True,
        help="As shmem=64m; allow_fractional_resource_fragmentation=true lets a fraction of a GPU come from several.",
    ),
    click.option(
        "-e",
        "--env",
        metavar="KEY[=VALUE]",
        multiple=True,
        help="Environment variable of the session; KEY alone takes its value from here.",
    ),
    click.option("--tag", metavar="TEXT", help="A note that `ps --detail` shows."),
    click.option(
        "--type", "type_", type=click.Choice(["interactive", "batch"]), default="interactive", help="Kind of session."
    ),
    click.option(
        "--priority", type=click.IntRange(0, 100), help="Place in the queue: more goes first; 10 if not told."
    ),
    click.option(
        "--depends",
        metavar="SESSION",
        multiple=True,
        help="Start after this session has ended with success; it may have already.",
    ),
    click.option(
        "--starts-at",
        metavar="TIME",
        callback=_moment,
        help="Start no earlier (batch): 2026-11-23T18:30, or 2h from now.",
    ),
    click.option(
        "--batch-timeout",
        "--timeout",
        "batch_timeout",
        metavar="DURATION",
        callback=duration,
        help="End the command of a batch session after so long: 90, 30m, 12h.",
    ),
    click.option(
        "--idle-timeout",
        metavar="DURATION",
        callback=duration,
        help="End the session when idle so long: 10m, 2h, 0 = never.",
    ),
    click.option(
        "--wall-time",
        metavar="DURATION",
        callback=duration,
        help="End the session so long after its start, whatever it does: 10m, 2h.",
    ),
    click.option(
        "--isolation",
        type=click.Choice(ISOLATIONS),
        help="bwrap: a read-only system, a /tmp and a HOME of its own.",
    ),
    click.option(
        "--no-network", is_flag=True, help="Reach nothing but itself (with --isolation bwrap, or in a container)."
    ),
    click.option("--exact", is_flag=True, help="Run in this very image or not at all: in no other in its place."),
    click.option("--enqueue-only", is_flag=True, help="Do not wait: print the session's id, run nothing."),
    click.option(
        "--max-wait", metavar="SECONDS", type=click.IntRange(min=0), default=0, help="Wait no longer in the queue."
    ),
)


def start_options(command: F) -> F:
    """Gives a command the options; it hands them on to `start_plan` by their names."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def start_plan(
    *,
    name: str | None,
    no_reuse: bool,
    resources: Sequence[str],
    resource_opts: Sequence[str],
    env: Sequence[str],
    tag: str | None,
    type_: str,
    priority: int | None,
    depends: Sequence[str],
    starts_at: datetime | None,
    batch_timeout: str | None,
    idle_timeout: str | None,
    wall_time: str | None,
    isolation: str | None,
    no_network: bool,
    exact: bool,
    enqueue_only: bool,
    max_wait: int,
) -> Mapping[str, Any]:
    """Returns the fields of a `RunPlan` that the options mean.

    Raises:
        click.UsageError: options that contradict each other.
    """
    from ..model.sessions import new_session_name

    if type_ != "batch":
        for option, value in (("--starts-at", starts_at), ("--batch-timeout", batch_timeout)):
            if value is not None:
                raise click.UsageError(f"{option} is for batch sessions: add --type batch and a command")
    options = with_units(pairs(resource_opts, "--resource-opts"))
    if idle_timeout is not None:
        options["idle_timeout"] = idle_timeout
    if wall_time is not None:
        options["wall_time"] = wall_time
    if isolation is not None:
        options["isolation"] = isolation
    if no_network:
        options["network"] = "false"
    return {
        "name": name or new_session_name(),
        "named": name is not None,
        "resources": with_units(pairs(resources, "--resources")),
        "resource_opts": options,
        "environ": variables(env),
        "type": type_,
        "tag": tag,
        "priority": priority,
        "depends_on": tuple(depends),
        "starts_at": starts_at,
        "batch_timeout_s": float(batch_timeout or 0),
        "exact": exact,
        "enqueue_only": enqueue_only,
        "max_wait_s": max_wait,
        "reuse": not no_reuse,
    }
