"""What the machine has and what of it is taken; small endpoints that clients ask around it."""

from __future__ import annotations

from decimal import Decimal

from aiohttp import web

from ...model.sessions import HOLDING
from ...model.slots import KNOWN_SLOTS, ResourceSlots
from ..ports import Keypair, Service
from .body import read_fields, read_object
from .context import caller_of, service_of
from .sessionview import SCALING_GROUP, occupying

EVERYTHING = 2**31 - 1
"""A page that holds all sessions."""


def minus(total: ResourceSlots, taken: ResourceSlots) -> ResourceSlots:
    return ResourceSlots({name: amount - taken.amount(name) for name, amount in total.items()})


async def used_by(service: Service, keypair: Keypair) -> ResourceSlots:
    """Returns what the sessions of one keypair hold, with every slot of the machine."""
    sessions, _ = await service.search(
        keypair, statuses=sorted(HOLDING), access_key=keypair.access_key, limit=EVERYTHING, offset=0
    )
    amounts: dict[str, Decimal] = {name: Decimal(0) for name in service.slots()[0]}
    for session in sessions:
        for name, amount in occupying(session).items():
            amounts[name] = amounts.get(name, Decimal(0)) + amount
    return ResourceSlots(amounts)


async def presets(request: web.Request) -> web.Response:
    """GET /resource/presets: none are defined on this backend."""
    return web.json_response({"presets": []})


async def check_presets(request: web.Request) -> web.Response:
    """POST /resource/check-presets: true numbers; groups are limited by the machine alone."""
    await read_object(request)
    service, caller = service_of(request), caller_of(request)
    available, occupied = service.slots()
    used = await used_by(service, caller)
    using, unlimited = used.wire(), dict.fromkeys(available, "Infinity")
    limits = service.limits(caller) or ResourceSlots()
    left = {name: max(Decimal(0), limit - used.amount(name)) for name, limit in limits.items()}
    remaining = minus(available, occupied).wire()
    return web.json_response(
        {
            "presets": [],
            "keypair_limits": unlimited | limits.wire(),
            "keypair_using": using,
            "keypair_remaining": unlimited | ResourceSlots(left).wire(),
            "group_limits": unlimited,
            "group_using": using,
            "group_remaining": unlimited,
            "scaling_group_remaining": remaining,
            "scaling_groups": {SCALING_GROUP: {"using": occupied.wire(), "remaining": remaining}},
        }
    )


async def resource_slots(request: web.Request) -> web.Response:
    available, _ = service_of(request).slots()
    return web.json_response({name: unit for name, unit in KNOWN_SLOTS.items() if name in available})


async def scaling_groups(request: web.Request) -> web.Response:
    return web.json_response({"scaling_groups": [{"name": SCALING_GROUP}]})


async def announcement(request: web.Request) -> web.Response:
    """GET /manager/announcement: what is wrong with this backend, if anything is."""
    notices = service_of(request).notices()
    return web.json_response({"enabled": bool(notices), "message": "\n".join(notices)})


async def vfolders(request: web.Request) -> web.Response:
    """GET /folders and /config/vfolder-types: there is no folder storage here."""
    return web.json_response([])


async def auth_get(request: web.Request) -> web.Response:
    return web.json_response({"authorized": "yes", "echo": ""})


async def auth_post(request: web.Request) -> web.Response:
    echo = (await read_fields(request)).text("echo")
    return web.json_response({"authorized": "yes", "echo": echo})
