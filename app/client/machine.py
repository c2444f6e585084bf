"""What the machine, or the resource group, has and what is taken of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from ..model.errors import RemoteError, Unreachable
from ..model.slots import ResourceSlots
from .parsing import device_view, mapping, slots
from .transport import Transport
from .views import MachineView


def _total(maps: Iterable[ResourceSlots]) -> ResourceSlots:
    total: dict[str, Decimal] = {}
    for one in maps:
        for name, amount in one.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return ResourceSlots(total)


async def machine(transport: Transport) -> MachineView:
    """Returns slots and GPUs: our backend's own page, else all agents (for an admin), else check-presets."""
    info = await transport.info()
    if "devices" in info.capabilities:
        body = mapping(await transport.request("GET", "/machine"))
        gpus = tuple(device_view(row) for row in body.get("gpus") or () if isinstance(row, Mapping))
        return MachineView(slots(body.get("available")), slots(body.get("occupied")), gpus)
    try:
        return await _by_agents(transport)
    except Unreachable:
        raise
    except RemoteError:
        return await _by_presets(transport)  # only an admin may see agents


async def _by_agents(transport: Transport) -> MachineView:
    rows: list[Mapping[str, object]] = []
    while True:
        data = await transport.graphql(
            "query($limit:Int!,$offset:Int!,$status:String){agent_list(limit:$limit,offset:$offset,status:$status)"
            "{items{id available_slots occupied_slots} total_count}}",
            {"limit": 100, "offset": len(rows), "status": "ALIVE"},
        )
        page = mapping(data.get("agent_list"))
        items = [item for item in page.get("items") or () if isinstance(item, Mapping)]
        rows += items
        if not items or len(rows) >= int(page.get("total_count") or 0):
            break
    return MachineView(
        _total(slots(row.get("available_slots")) for row in rows),
        _total(slots(row.get("occupied_slots")) for row in rows),
    )


async def _by_presets(transport: Transport) -> MachineView:
    body = mapping(
        await transport.request(
            "POST", "/resource/check-presets", json_body={"group": transport.endpoint.group}, idempotent=True
        )
    )
    groups = [mapping(group) for group in mapping(body.get("scaling_groups")).values()]
    using = _total(slots(group.get("using")) for group in groups)
    remaining = _total(slots(group.get("remaining")) for group in groups)
    present = {name: amount for name, amount in _total((using, remaining)).items() if amount}
    return MachineView(ResourceSlots(present), ResourceSlots({n: a for n, a in using.items() if n in present}))
