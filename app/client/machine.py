"""What the machine, or the resource group, has and what is taken of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ..model.errors import RemoteError, Unreachable
from ..model.slots import ResourceSlots
from .parsing import amount, mapping, number, slots
from .transport import Transport
from .views import DeviceView, MachineView

_AGENTS = ("agent_list", "")


def _device_view(row: Mapping[str, Any]) -> DeviceView:
    promised = {str(sid): amount("cuda.shares", share) for sid, share in mapping(row.get("promised")).items()}
    held = {str(sid): number(size) for sid, size in mapping(row.get("session_mem_bytes")).items()}
    used = number(row.get("mem_used_bytes"))
    return DeviceView(
        id=str(row.get("id") or ""),
        model=str(row.get("model") or ""),
        kind=str(row.get("kind") or ""),
        capacity=amount("cuda.shares", row.get("capacity")) or Decimal(0),
        mem_bytes=int(number(row.get("mem_bytes")) or 0),
        promised={sid: share for sid, share in promised.items() if share is not None},
        lost=row.get("lost") is True,
        mem_used_bytes=None if used is None else int(used),
        util_pct=number(row.get("util_pct")),
        session_mem_bytes={sid: int(size) for sid, size in held.items() if size is not None},
        temperature_c=number(row.get("temperature_c")),
        power_w=number(row.get("power_w")),
    )


def gpus(value: Any) -> tuple[DeviceView, ...]:
    """Reads the GPUs of `GET /machine` or of a `bai_stats` event."""
    return tuple(_device_view(row) for row in value if isinstance(row, Mapping)) if isinstance(value, list) else ()


async def own_gpus(transport: Transport) -> tuple[DeviceView, ...]:
    """Returns the GPUs of our backend one by one; none on a cluster, which tells of sums only."""
    if "devices" not in (await transport.info()).capabilities:
        return ()
    return gpus(mapping(await transport.request("GET", "/machine")).get("gpus"))


async def announcement(transport: Transport) -> str:
    """Returns what the server tells everybody, a sentence a line; empty when it says nothing, or cannot."""
    try:
        body = mapping(await transport.request("GET", "/manager/announcement"))
    except Unreachable:
        raise
    except RemoteError:
        return ""
    return str(body.get("message") or "") if body.get("enabled") is True else ""


def _total(maps: Iterable[ResourceSlots]) -> ResourceSlots:
    total: dict[str, Decimal] = {}
    for one in maps:
        for name, share in one.items():
            total[name] = total.get(name, Decimal(0)) + share
    return ResourceSlots(total)


async def machine(transport: Transport) -> MachineView:
    """Returns slots and GPUs: our backend's own page, else all agents (for an admin), else check-presets."""
    info = await transport.info()
    if "devices" in info.capabilities:
        body = mapping(await transport.request("GET", "/machine"))
        return MachineView(slots(body.get("available")), slots(body.get("occupied")), gpus(body.get("gpus")))
    if _AGENTS not in transport.unknown_fields:
        try:
            return await _by_agents(transport)
        except Unreachable:
            raise
        except RemoteError as exc:
            if exc.http_status < 500:
                transport.unknown_fields.add(_AGENTS)  # only an admin may see them, and that does not change
    return await _by_presets(transport)


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
