"""`bai-tui session info`, also `info`: all that is known of one session, for reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from . import exit_codes
from .lazy import CONTEXT
from .options import complete_sessions

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import IdleCheckView, SessionView

_CHECKS = {
    "network_timeout": "nobody uses it",
    "session_lifetime": "it has run so long",
    "utilization": "it uses too little",
}
"""Idle check -> when it ends a session."""
_KINDS = {"gpu": 0, "mem": 1, "cpu": 2}
"""What layers apply to, in the order in which they are shown."""


@click.command("info", context_settings=CONTEXT)
@click.argument("session", metavar="ID_OR_NAME", shell_complete=complete_sessions)
@click.option("--output", type=click.Choice(["console", "json"]), help="How it is printed.")
@click.pass_context
def info(ctx: click.Context, session: str, output: str | None) -> int:
    """Show all that is known of a session: what it asked for and uses, why it waits, when it is ended, and what holds
    it to its share. An ended one is found by its whole name or the beginning of its id.
    """
    import json

    from .endpoint import with_client
    from .talk import emit
    from .usage import session_json

    view = with_client(lambda client: _view(client, session))
    if (output or ctx.find_root().obj) == "json":
        emit(json.dumps(session_json(view), indent=2) + "\n")
    else:
        emit("\n".join(_sections(view)))
    return exit_codes.OK


async def _view(client: ApiClient, ref: str) -> SessionView:
    from ..model.errors import SessionNotFound
    from .finding import find_ended

    try:
        return await client.session(ref, stats=True)
    except SessionNotFound:
        ended = await find_ended(client, ref)
        if ended is None:
            raise
        return await client.session(ended, stats=True)


def _sections(view: SessionView) -> Iterator[str]:
    from .tables import block

    yield block(list(_facts(view)))
    if view.waiting is not None:
        yield "Waits\n" + block(list(_waiting(view)), "  ")
    if view.requested_slots or view.occupying_slots:
        header = ["SLOT", "ASKED", "FROM", "USED", "PEAK"]
        yield "Resources\n" + _indented(header, list(_resources(view)))
    if view.idle_checks:
        rows = [_check(name, check) for name, check in view.idle_checks.items()]
        yield "Ended when\n" + _indented(["CHECK", "LEFT", "MEANS"], rows)
    if view.layers:
        ordered = sorted(view.layers, key=lambda layer: _KINDS.get(layer.applies_to, len(_KINDS)))
        layers = [[layer.name, layer.applies_to, layer.guarantee, layer.detail] for layer in ordered]
        yield "Held to its share by\n" + _indented(["LAYER", "FOR", "GUARANTEE", "DETAIL"], layers)


def _indented(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from .tables import lines_of

    return "".join(f"  {line}\n" for line in lines_of(header, rows, {}))


def _facts(view: SessionView) -> Iterator[tuple[str, str]]:
    from .tables import age, moment

    yield "Name", view.name
    yield "Id", view.id
    since = f", for {age(view.status_changed)}" if view.status_changed else ""
    yield "Status", f"{view.status_text}{since}{', runs code' if view.busy else ''}"
    if view.status_info and view.waiting is None:
        yield "Why", view.status_info
    if view.result and view.result != "UNDEFINED":
        yield "Result", view.result
    yield "Image", view.image
    if view.image_notice:
        yield "", view.image_notice
    if view.image_gone:
        yield "", f"gone: {view.image_gone}; the session goes on, no other one starts in it"
    yield "Type", view.type
    if view.startup_command:
        yield "Command", view.startup_command
    if view.priority is not None:
        yield "Priority", str(view.priority)
    if view.depends_on:
        yield "Depends on", ", ".join(view.depends_on)
    for name, value in (("Tag", view.tag), ("Project", view.group_name), ("Owner", view.access_key)):
        if value:
            yield name, value
    yield "Created", f"{moment(view.created_at)} ({age(view.created_at)} ago)" if view.created_at else "-"
    if view.kept_until:
        yield "Extended", f"no idle check ends it before {moment(view.kept_until)}"
    if view.terminated_at:
        yield "Ended", moment(view.terminated_at)


def _waiting(view: SessionView) -> Iterator[tuple[str, str]]:
    from .tables import moment

    assert view.waiting is not None
    yield "why", view.waiting.text
    if view.waiting.position is not None:
        yield "place in the queue", str(view.waiting.position)
    if view.waiting.expected_start is not None:
        yield "starts at the latest", moment(view.waiting.expected_start)
    if view.waiting.failed:
        yield "held back by", ", ".join(view.waiting.failed)


def _resources(view: SessionView) -> Iterator[list[str]]:
    from ..model.metrics import CPU_UTIL, CUDA_MEM, CUDA_UTIL, MEM_USED
    from ..model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, GPU_ALIAS, KNOWN_SLOTS, MEM, format_amount, is_bytes
    from .tables import size
    from .usage import bytes_text, percent, usage_of

    usage = usage_of(view)
    used = {CPU: usage.cpu, MEM: usage.mem, CUDA_SHARES: usage.gpu, CUDA_DEVICE: usage.gpu}
    metric_of = {CPU: CPU_UTIL, MEM: MEM_USED, CUDA_SHARES: CUDA_UTIL, CUDA_DEVICE: CUDA_UTIL}
    asked = view.occupying_slots or view.requested_slots
    for slot in [*(s for s in KNOWN_SLOTS if asked.amount(s)), *(s for s in asked if s not in KNOWN_SLOTS)]:
        amount = asked[slot]
        metric = view.stat.get(metric_of.get(slot, ""))
        peak = "" if metric is None or metric.max is None else (bytes_text if slot == MEM else percent)(metric.max)
        shares = view.allocation.get(slot, {}) if slot != MEM else {}  # there is one memory only
        source = ", ".join(device if len(shares) == 1 else f"{share} of {device}" for device, share in shares.items())
        label = GPU_ALIAS if slot == CUDA_SHARES else slot
        yield [label, size(amount) if is_bytes(slot) else format_amount(amount), source, used.get(slot, ""), peak]
    memory = view.stat.get(CUDA_MEM)
    if memory is not None:
        share = bytes_text(memory.capacity) if memory.capacity else ""
        yield ["gpu memory", share, "", usage.gpu_mem, "" if memory.max is None else bytes_text(memory.max)]


def _check(name: str, check: IdleCheckView) -> list[str]:
    from .tables import remaining

    left = "never" if check.remaining_s is None else remaining(check.remaining_s)
    if check.in_grace:
        left = "not counting" if check.remaining_s is None else f"{left}, not counting"
    means = _CHECKS.get(name, "")
    resources = (check.extra or {}).get("resources")
    if isinstance(resources, dict):
        compared = [
            f"{metric} {_number(pair[0])} of {_number(pair[1])} %"
            for metric, pair in resources.items()
            if isinstance(pair, list) and len(pair) == 2
        ]
        means = "; ".join([means, *compared])
    return [name, left, means]


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else "?"
