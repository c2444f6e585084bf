"""The facts of the details pane: one session, then the GPUs of the machine. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ...widgets.glyphs import Glyphs, status_word
from ...widgets.machine_strip import bar
from ...widgets.rows import Detail, Machine
from ...widgets.text import count, duration, share, size
from ..client.views import SessionView
from ..model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, ResourceSlots

_LABELS = {CPU: "cpu", MEM: "mem", CUDA_SHARES: "gpu", CUDA_DEVICE: "gpus"}


def session_facts(view: SessionView) -> list[Detail]:
    """Returns what is known of a session."""
    facts = [Detail("name", view.name), Detail("id", view.id, quiet=True), Detail("image", view.image)]
    if view.image_notice:
        facts.append(Detail("", view.image_notice, quiet=True))
    state = status_word(view.status, view.status_text, busy=view.busy)
    facts.append(Detail("state", state + (f": {view.status_info}" if view.status_info else "")))
    if view.created_at is not None:
        facts.append(Detail("created", _iso(view.created_at), quiet=True))
    asked, held = view.requested_slots, view.occupying_slots
    for slot, amount in (held or asked).items():
        if amount:
            write = size if slot == MEM else share if slot == CUDA_SHARES else count
            facts.append(Detail(_LABELS.get(slot, slot), write(amount) + ("" if held else " asked")))
    for slot, devices in view.allocation.items():
        for device, text in devices.items():
            if slot in (CUDA_SHARES, CUDA_DEVICE):
                facts.append(Detail(device, _share_text(text)))
    if view.idle_remaining_s is not None:
        facts.append(Detail("idle", f"ends in {duration(view.idle_remaining_s)} without use", quiet=True))
    if view.tag:
        facts.append(Detail("tag", view.tag))
    return facts


def gpu_facts(machine: Machine, name_of: Callable[[str], str | None], glyphs: Glyphs) -> list[Detail]:
    """Returns the GPUs with who has how much of them."""
    facts: list[Detail] = []
    for gpu in machine.gpus:
        lit, track = bar(gpu.used, gpu.capacity, 10, glyphs)
        facts.append(Detail("", ""))
        facts.append(Detail(gpu.label, f"{glyphs.bar_left}{lit}{track}{glyphs.bar_right} {share(gpu.used)}"))
        memory = f" {glyphs.dot} {size(gpu.mem_bytes)}" if gpu.mem_bytes else ""
        kind = "mock" if gpu.kind == "mock" else gpu.model
        facts.append(Detail("", kind + memory, quiet=True))
        for session_id, amount in gpu.promised.items():
            facts.append(Detail("", f"{share(amount)} {name_of(session_id) or session_id[:8]}"))
    return facts


def nothing_selected(slots: ResourceSlots | None = None) -> list[Detail]:
    """Returns what stands there while no session is selected."""
    return [Detail("", "no session selected", quiet=True)]


def _iso(moment: datetime) -> str:
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")


def _share_text(text: str) -> str:
    try:
        return share(ResourceSlots.parse({CUDA_SHARES: text})[CUDA_SHARES])
    except Exception:  # a server may write what it likes here; then it is shown as it is
        return text
