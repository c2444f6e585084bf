"""The bars of the map, without a screen."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from bai_tui.app.client.views import DeviceView, MachineView, SessionView, StatsView
from bai_tui.app.model.metrics import Metric
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.tui.live import LiveStats
from bai_tui.app.tui.machine_map import bars_of, use_of
from bai_tui.app.tui.sync import machine_of
from bai_tui.widgets.rows import OTHERS

G = 1024**3


def held(name: str, **slots: str) -> SessionView:
    amounts = ResourceSlots({slot.replace("_", "."): Decimal(amount) for slot, amount in slots.items()})
    return SessionView(id=name, name=name, status=SessionStatus.RUNNING, occupying_slots=amounts)


def test_gpus_that_a_cluster_tells_in_sum_are_one_bar() -> None:
    total = ResourceSlots({"cpu": 8, "mem": 24 * G, "cuda.shares": Decimal(4)})
    used = ResourceSlots({"cpu": 2, "mem": 2 * G, "cuda.shares": Decimal("2.5")})
    machine = machine_of(MachineView(total, used))
    views = [held("train", cpu="1", cuda_shares="0.5"), held("notes", cpu="1")]
    gpus, cpu, mem = bars_of(machine, views, shared=True)
    assert (gpus.id, gpus.told, gpus.unit, cpu.id, mem.id) == ("gpu", "2.5/4", "shares", "cpu", "mem")
    assert [(part.session_id, part.amount) for part in gpus.parts] == [("train", Decimal("0.5")), (OTHERS, Decimal(2))]
    live = LiveStats()
    live.take(StatsView(time_s=1.0, sessions={"train": {"cuda_mem": Metric(5.0 * G, 20.0 * G, "bytes")}}))
    use = use_of(gpus, gpus.parts, live, 0)
    assert (use.told, dict(use.parts), use.others) == ("", {"train": 0.25}, 0.0)
    live.take(StatsView(time_s=2.0, sessions={"train": {"cuda_mem": Metric(0.0, None, "bytes")}}))
    assert not use_of(gpus, gpus.parts, live, 0).parts


def test_what_others_hold_of_a_gpu_has_no_name() -> None:
    gpu = DeviceView(
        id="gpu0",
        model="X",
        kind="nvidia",
        capacity=Decimal(1),
        mem_bytes=16 * G,
        promised={OTHERS: Decimal("0.5"), "train": Decimal("0.25")},
    )
    empty = ResourceSlots()
    (bar,) = bars_of(machine_of(MachineView(empty, empty, (gpu,))), [held("train")])
    assert [(part.session_id, part.name) for part in bar.parts] == [("train", "train"), (OTHERS, "others")]
    live = LiveStats()
    used = replace(gpu, mem_used_bytes=8 * G, session_mem_bytes={"train": 2 * G})
    live.take(StatsView(time_s=1.0, sessions={}, gpus=(used,)))
    use = use_of(bar, bar.parts, live, gpu.mem_bytes)
    assert (dict(use.parts), use.others) == ({"train": 0.5}, 0.375)
