"""`bai-tui run`: options in, a plan out; `execution.py` does it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ..model.console import ExecuteRequest, RunMode
from ..model.errors import BadRequest
from ..model.sessions import check_session_name, new_session_name
from . import exit_codes
from .durations import duration
from .lazy import CONTEXT
from .plan import RunPlan, batch_request, pairs, uploads, with_units


def _name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else check_session_name(value)
    except BadRequest as exc:
        raise click.BadParameter(exc.message) from None


def _code(text: str | None) -> str | None:
    if text != "-":
        return text
    return sys.stdin.buffer.read().decode("utf-8", "replace")


@click.command("run", context_settings=CONTEXT, epilog=exit_codes.HELP)
@click.argument("image")
@click.argument("files", metavar="[FILES]...", nargs=-1)
@click.option("-c", "--code", metavar="CODE", help="Code to run; - reads it from stdin.")
@click.option("--exec", "exec_", metavar="CMD", help="Shell command to run in the work folder, beside the FILES.")
@click.option("--build", metavar="CMD", help="Shell command that builds the FILES.")
@click.option("--clean", metavar="CMD", help="Shell command that cleans the work folder first.")
@click.option("--rm", "remove", is_flag=True, help="Remove the session afterwards, whatever happens.")
@click.option("-r", "--resources", metavar="SLOT=AMOUNT", multiple=True, help="As cpu=2, mem=1g, gpu=0.5.")
@click.option("--resource-opts", metavar="KEY=VALUE", multiple=True, help="As shmem=64m.")
@click.option("-e", "--env", metavar="KEY=VALUE", multiple=True, help="Environment variable of the session.")
@click.option(
    "-t",
    "--name",
    "--client-token",
    "name",
    metavar="NAME",
    callback=_name,
    help="Name of the session; a live one of that name and image is used again.",
)
@click.option("--no-reuse", is_flag=True, help="Refuse a live session of that name instead.")
@click.option("--tag", metavar="TEXT", help="A note that `ps --detail` shows.")
@click.option(
    "--type", "type_", type=click.Choice(["interactive", "batch"]), default="interactive", help="Kind of session."
)
@click.option("--priority", type=click.IntRange(0, 100), help="Place in the queue; more goes first.")
@click.option(
    "--idle-timeout",
    metavar="DURATION",
    callback=duration,
    help="End the session when idle so long: 10m, 2h, 0 = never.",
)
@click.option("--enqueue-only", is_flag=True, help="Do not wait: print the session's id, run nothing.")
@click.option(
    "--max-wait", metavar="SECONDS", type=click.IntRange(min=0), default=0, help="Wait no longer in the queue."
)
@click.option(
    "--basedir", metavar="DIR", type=click.Path(exists=True, file_okay=False), help="FILES keep their paths below it."
)
@click.option(
    "--media-dir", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Save pictures and HTML there."
)
@click.option("-s", "--stats", is_flag=True, help="Show what the session used (with --rm).")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what the code says.")
def run(
    image: str,
    files: Sequence[str],
    code: str | None,
    exec_: str | None,
    build: str | None,
    clean: str | None,
    remove: bool,
    resources: Sequence[str],
    resource_opts: Sequence[str],
    env: Sequence[str],
    name: str | None,
    no_reuse: bool,
    tag: str | None,
    type_: str,
    priority: int | None,
    idle_timeout: str | None,
    enqueue_only: bool,
    max_wait: int,
    basedir: str | None,
    media_dir: Path | None,
    stats: bool,
    quiet: bool,
) -> int:
    """Run code (-c), or FILES, or a command (--exec), in a session of IMAGE.

    The output of the code goes to stdout and stderr as it comes; what bai-tui says goes to stderr. input() reads
    from stdin. ctrl+c interrupts the code, a second one leaves at once. Without code the session is only made.

    \b
      bai-tui run --rm -c 'print("hello world")' python
      bai-tui run --rm --exec 'python myscript.py arg1 arg2' python ./myscript.py
      bai-tui run --rm -r gpu=0.5 python ./mygpucode.py
    """
    batch = bool(files) or any(command is not None for command in (exec_, build, clean))
    if code is not None and batch:
        raise click.UsageError("give code (-c) or FILES and commands (--exec, --build, --clean), not both")
    if enqueue_only and remove:
        raise click.UsageError("--enqueue-only leaves a session in the queue, --rm removes it: give one of them")
    if remove and code is None and not batch:
        raise click.UsageError("there is nothing to run: give -c CODE, FILES or --exec CMD")
    startup = exec_ if type_ == "batch" else None
    if type_ == "batch" and (not exec_ or code is not None or files):
        raise click.UsageError("a batch session runs one command by itself: give --exec CMD, no code and no FILES")
    found = uploads(files, basedir)
    request = None
    if code is not None:
        request = ExecuteRequest(RunMode.QUERY, _code(code) or "")
    elif batch and startup is None:
        request = batch_request(found, exec_, build, clean)
    options = with_units(pairs(resource_opts, "--resource-opts"))
    if idle_timeout is not None:
        options["idle_timeout"] = idle_timeout
    plan = RunPlan(
        image=image,
        name=name or new_session_name(),
        named=name is not None,
        request=request,
        files=found,
        resources=with_units(pairs(resources, "--resources")),
        resource_opts=options,
        environ=pairs(env, "--env"),
        type=type_,
        startup_command=startup,
        tag=tag,
        priority=priority,
        remove=remove,
        stats=stats,
        quiet=quiet,
        enqueue_only=enqueue_only,
        max_wait_s=max_wait,
        reuse=not no_reuse,
        media_dir=media_dir,
    )
    from .endpoint import endpoint
    from .execution import perform

    return perform(endpoint(), plan)
