"""`bai-tui run`: options in, a plan out; `execution.py` does it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..model.console import ExecuteRequest, RunMode
from . import exit_codes
from .lazy import CONTEXT
from .options import complete_files, complete_images
from .plan import RunPlan, batch_request, uploads
from .starting import start_options, start_plan


def _code(text: str | None) -> str | None:
    if text != "-":
        return text
    return sys.stdin.buffer.read().decode("utf-8", "replace")


@click.command("run", context_settings=CONTEXT, epilog=exit_codes.HELP)
@click.argument("image", shell_complete=complete_images)
@click.argument("files", metavar="[FILES]...", nargs=-1, shell_complete=complete_files)
@click.option("-c", "--code", metavar="CODE", help="Code to run; - reads it from stdin.")
@click.option("--exec", "exec_", metavar="CMD", help="Shell command to run in the work folder, beside the FILES.")
@click.option("--build", metavar="CMD", help="Shell command that builds the FILES.")
@click.option("--clean", metavar="CMD", help="Shell command that cleans the work folder first.")
@click.option("--rm", "remove", is_flag=True, help="Remove the session afterwards, whatever happens.")
@start_options
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
    basedir: str | None,
    media_dir: Path | None,
    stats: bool,
    quiet: bool,
    **options: Any,
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
    if options["enqueue_only"] and remove:
        raise click.UsageError("--enqueue-only leaves a session in the queue, --rm removes it: give one of them")
    if remove and code is None and not batch:
        raise click.UsageError("there is nothing to run: give -c CODE, FILES or --exec CMD")
    is_batch_session = options["type_"] == "batch"
    if is_batch_session and (not exec_ or code is not None or files):
        raise click.UsageError("a batch session runs one command by itself: give --exec CMD, no code and no FILES")
    found = uploads(files, basedir)
    request = None
    if code is not None:
        request = ExecuteRequest(RunMode.QUERY, _code(code) or "")
    elif batch and not is_batch_session:
        request = batch_request(found, exec_, build, clean)
    plan = RunPlan(
        image=image,
        request=request,
        files=found,
        startup_command=exec_ if is_batch_session else None,
        remove=remove,
        stats=stats,
        quiet=quiet,
        media_dir=media_dir,
        **start_plan(**options),
    )
    from .endpoint import endpoint
    from .execution import perform

    return perform(endpoint(), plan)
