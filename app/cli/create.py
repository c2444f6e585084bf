"""`bai-tui session create`, also `create` and `start`: a session without code, or a batch session."""

from __future__ import annotations

from typing import Any

import click

from . import exit_codes
from .lazy import CONTEXT
from .options import complete_images
from .plan import RunPlan
from .starting import start_options, start_plan


@click.command("create", context_settings=CONTEXT, epilog=exit_codes.HELP)
@click.argument("image", shell_complete=complete_images)
@click.option("-c", "--startup-command", metavar="CMD", help="Shell command that a batch session runs.")
@start_options
@click.option("-q", "--quiet", is_flag=True, help="Say nothing: print the session's id only.")
def create(image: str, startup_command: str | None, quiet: bool, **options: Any) -> int:
    """Make a session of IMAGE and print its id, when it runs or, with --enqueue-only, at once.

    \b
      bai-tui session create -t work -r gpu=0.5 python
      bai-tui session create --type batch -c 'python train.py' --enqueue-only python
      bai-tui session create --type batch -c 'python test.py' --depends train --enqueue-only python
    """
    batch = options["type_"] == "batch"
    if batch != bool(startup_command):
        raise click.UsageError(
            "a batch session runs one command by itself: give -c CMD"
            if batch
            else "-c is the command of a batch session: add --type batch, or run code with `bai-tui run -c`"
        )
    plan = RunPlan(image=image, request=None, startup_command=startup_command, quiet=quiet, **start_plan(**options))
    from .endpoint import endpoint
    from .execution import perform

    return perform(endpoint(), plan)
