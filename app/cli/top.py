"""`bai-tui top`: options in; `watching.py` does it."""

from __future__ import annotations

import os
import sys

import click

from .frames import SORTS
from .lazy import CONTEXT


@click.command("top", context_settings=CONTEXT)
@click.option("--once", is_flag=True, help="Show one sample and leave.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    default=2.0,
    show_default=True,
    help="Between samples.",
)
@click.option("--sort", type=click.Choice(SORTS), default="cpu", show_default=True, help="What comes first.")
@click.option("--output", type=click.Choice(["console", "json"]), help="json: one object a line for each sample.")
@click.pass_context
def top(ctx: click.Context, once: bool, interval: float, sort: str, output: str | None) -> int:
    """Watch what live sessions use of what they asked for, and each GPU: promised | really used.

    In a terminal the screen is drawn anew with each sample: q leaves, s sorts by the next column. In a pipe, or with
    --once, each sample is plain text. Lost connections are taken up again, so a restart of the backend is survived.
    A cluster tells of its sessions every few seconds, and of its machines in sums.

    \b
      CPU      percent of one core, of what was asked for     MEM  the same of memory
      GPU-MEM  memory of the GPU, of the session's share      GPU  percent of one GPU
      IDLE     time until an idle check ends it; `bai-tui extend` puts that off
    """
    import asyncio

    from .endpoint import endpoint
    from .watching import Display, printed

    as_data = (output or ctx.find_root().obj) == "json"
    where = endpoint()
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if terminal and not once and not as_data:
        return asyncio.run(Display(where, interval, sort).run())
    return asyncio.run(printed(where, interval, sort, once=once, as_data=as_data))
