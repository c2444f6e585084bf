"""`bai-tui simulate`: what the scheduler would do with a trace. The one command that runs a part of the backend."""

from __future__ import annotations

import io
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..policies import DISTRIBUTIONS, POLICIES, STRATEGIES
from . import exit_codes
from .durations import duration
from .lazy import CONTEXT
from .talk import emit, say

if TYPE_CHECKING:
    from ..backend.simulation import Figures, Outcome, Trace

_USERS_SHOWN = 12
_REFUSALS_SHOWN = 3
_MOST_WIDTH = 100
"""Cells of a picture."""


def _policies(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[str]:
    """Reads `--policy fifo,drf --policy lifo`; all policies when none is named."""
    names = [name for text in value for name in text.replace(" ", "").split(",") if name]
    for name in names:
        if name not in POLICIES:
            from difflib import get_close_matches

            near = get_close_matches(name, POLICIES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(POLICIES)}"
            raise click.BadParameter(f"{name!r} is no policy; {hint}")
    return list(dict.fromkeys(names)) or list(POLICIES)


def _quantum(ctx: click.Context, param: click.Parameter, value: str) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        raise click.BadParameter(f"{value!r} is no number: write one such as 0.01 or 0.25") from None


@click.command("simulate", context_settings=CONTEXT)
@click.argument("trace", metavar="TRACE", required=False)
@click.option("--list", "list_samples", is_flag=True, help="List the traces that come with the program.")
@click.option("--write", metavar="FILE", help="Write the trace as CSV instead of running it; - = stdout.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="NAME",
    callback=_policies,
    help=f"{', '.join(POLICIES)}; several with commas or by repeating it.  [default: all]",
)
@click.option("--backfill/--no-backfill", default=True, show_default=True, help="Later ones may pass.")
@click.option("--gpus", type=click.IntRange(min=0), metavar="N", help="GPUs.  [default: the trace's, or 8]")
@click.option("--cpu", type=click.IntRange(min=0), metavar="N", help="cpu.  [default: the trace's, or 64]")
@click.option("--mem", metavar="SIZE", help="mem.  [default: the trace's, or 256g]")
@click.option("--strategy", type=click.Choice(STRATEGIES), default="pack", show_default=True, help="For fractions.")
@click.option(
    "--distribution", type=click.Choice(DISTRIBUTIONS), default="evenly", show_default=True, help="For split fractions."
)
@click.option("--quantum", default="0.01", show_default=True, callback=_quantum, help="Smallest part of a GPU.")
@click.option("--half-life", metavar="DUR", callback=duration, help="Of use, for fair-share.  [default: 7d]")
@click.option("--output", type=click.Choice(["console", "json", "csv"]), help="How the figures are printed.")
@click.option("--plot", "with_plot", is_flag=True, help="Draw use and waiting times over time as well.")
@click.pass_context
def simulate(
    ctx: click.Context,
    trace: str | None,
    list_samples: bool,
    write: str | None,
    policies: list[str],
    backfill: bool,
    gpus: int | None,
    cpu: int | None,
    mem: str | None,
    strategy: str,
    distribution: str,
    quantum: Decimal,
    half_life: str | None,
    output: str | None,
    with_plot: bool,
) -> int:
    """Play a trace of requests through the scheduler, at full speed, once for each policy.

    TRACE is a CSV file, - for stdin, or the name of a trace that comes with the program (see --list). Its header names
    the columns: arrival_s, duration_s, slots (such as `cpu=2 mem=4g gpu=0.5`), and, where they are of use, user,
    priority, limit_s, split. docs/simulation.md describes them and every figure.

    \b
      WAIT         seconds between arrival and start      USE   part of the GPUs that was promised
      FRAGMENTED   part of the free GPUs that the typical request cannot use
      FAIRNESS     Jain's index of the users' slowdowns; 1 = all alike
      DECISIONS/s  requests for each second of real time
    """
    from ..backend.simulation import SAMPLES, Distribution, Machine, Policy, Rules, Setting, Strategy, figures, report
    from ..backend.simulation import simulate as run
    from .tables import table

    shown = output or ctx.find_root().obj or "console"
    if list_samples:
        emit(table(["NAME", "WHAT"], [[name, sample.what] for name, sample in SAMPLES.items()]))
        return exit_codes.OK
    if trace is None:
        raise click.UsageError(f"name a trace: a CSV file, or one of {', '.join(SAMPLES)}", ctx)
    if with_plot and shown != "console":
        raise click.UsageError(f"--plot is a picture for people: leave out --output {shown}", ctx)
    read = _read(trace)
    if write is not None:
        return _write(read, write)
    machine = Machine.of(read.machine, gpus=gpus, cpus=cpu, mem=mem)
    outcomes: list[tuple[Outcome, Figures]] = []
    for name in policies:
        rules = Rules(policy=Policy(name), backfill=backfill, half_life_s=float(half_life or Rules().half_life_s))
        setting = Setting(
            rules=rules, quantum=quantum, strategy=Strategy(strategy), distribution=Distribution(distribution)
        )
        progress = _Progress(name, len(read.jobs))
        try:
            outcome = run(read, machine, setting, progress)
        finally:
            progress.clear()
        outcomes.append((outcome, figures(outcome)))
    first = outcomes[0][0]
    _tell_refused(first, trace)
    found = [one for _, one in outcomes]
    if shown == "json":
        import json

        emit(json.dumps(report.as_data(trace, outcomes), indent=2) + "\n")
    elif shown == "csv":
        emit(report.as_csv(found))
    else:
        _tell_machine(first)
        emit(table(report.HEADER, [report.row(one) for one in found]))
        header, rows = report.user_table(found, _USERS_SHOWN)
        emit("\n" + table(header, rows))
        if (more := len(found[0].users) - len(rows)) > 0:
            say(f"{more} more users are in --output json and csv")
        if with_plot:
            for outcome, _ in outcomes:
                emit("\n" + "\n".join(report.pictures(outcome, _width())) + "\n")
    return exit_codes.OK if len(first.refused) < len(read.jobs) else exit_codes.FAILED


def _read(name: str) -> Trace:
    """Returns a trace of the program, of stdin, or of a file.

    Raises:
        NotFound: there is no such file.
        BadRequest: it cannot be read, or a line of it is wrong.
    """
    from ..backend.simulation import SAMPLES, read_trace
    from ..model.errors import BadRequest, NotFound

    if name in SAMPLES:
        return SAMPLES[name].load()
    if name == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8-sig", errors="surrogateescape")
        return read_trace(sys.stdin, "stdin")
    try:
        with Path(name).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            return read_trace(lines, name)
    except FileNotFoundError:
        raise NotFound(
            f"there is no file {name}; name a CSV file, or a trace that comes with the program: {', '.join(SAMPLES)}"
        ) from None
    except OSError as exc:
        raise BadRequest(f"{name} cannot be read: {exc.strerror}") from None


def _write(trace: Trace, name: str) -> int:
    from ..backend.simulation import write_trace
    from ..model.errors import BadRequest

    if name == "-":
        for line in write_trace(trace):
            emit(line)
        return exit_codes.OK
    try:
        with Path(name).open("w", encoding="utf-8", newline="") as out:
            out.writelines(write_trace(trace))
    except OSError as exc:
        raise BadRequest(f"{name} cannot be written: {exc.strerror}") from None
    say(f"wrote {len(trace.jobs)} requests to {name}")
    return exit_codes.OK


class _Progress:
    """One line on a terminal that comes and goes; nothing where nobody looks."""

    def __init__(self, policy: str, count: int) -> None:
        self._policy, self._count = policy, count
        self._shown = sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        if self._shown:
            sys.stderr.write(f"\r{self._policy}: {done * 100 // self._count} % of {self._count:,} requests\x1b[K")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leaves no trace of it."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _tell_machine(outcome: Outcome) -> None:
    from .tables import slots

    setting = outcome.setting
    parts = [f"{len(outcome.trace.jobs):,} requests on a machine of {slots(outcome.machine.slots())}"]
    parts.append(f"{setting.strategy}, quantum {setting.quantum}")
    parts.append("with backfill" if setting.rules.backfill else "without backfill")
    say("; ".join(parts))


def _tell_refused(outcome: Outcome, name: str) -> None:
    if not outcome.refused:
        return
    jobs, refused = outcome.trace.jobs, outcome.refused
    say(f"{len(refused):,} of {len(jobs):,} requests were refused and count nowhere:")
    for number, reason in list(refused.items())[:_REFUSALS_SHOWN]:
        say(f"  {name} line {jobs[number].line}: {reason}")
    if len(refused) > _REFUSALS_SHOWN:
        say(f"  ... and {len(refused) - _REFUSALS_SHOWN:,} more; --output json lists them")


def _width() -> int:
    import shutil

    return min(shutil.get_terminal_size().columns, _MOST_WIDTH) if sys.stdout.isatty() else _MOST_WIDTH
