"""The images of a server, in the GraphQL of Backend.AI; what our backend adds to it bears `bai_` before its name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from ..model.errors import Forbidden, ImageNotFound, NotFound, NotImplementedHere, RemoteError, Unreachable
from ..model.images import ImageState
from .address import segment
from .errors import graphql_error, with_data
from .events import CONNECTED, IMAGES, stream
from .parsing import mapping, number, progress_view, slots
from .queries import UUID, ask
from .transport import Transport
from .views import AliasView, ImageView, TaskView

_FIELDS: Final = (
    "id",
    "name",
    "registry",
    "architecture",
    "tag",
    "digest",
    "size_bytes",
    "aliases",
    "installed",
    "labels{key,value}",
    "resource_limits{key,min}",
)
_OURS: Final = (
    "bai_state",
    "bai_reason",
    "bai_kind",
    "bai_language",
    "bai_runtime_version",
    "bai_packages",
    "bai_summary",
    "bai_default_slots",
    "bai_service_ports",
    "bai_prepare_s",
    "bai_progress{current,total,message}",
)
_UNSAID: Final = ("local", "docker.io")
"""Registries of our backend that are meant where none is named."""
_PORTS_LABEL: Final = "ai.backend.service-ports"
_TASK: Final = "bgtask_"
_PAUSES_S: Final = (0.1, 0.5, 1.0, 2.0, 4.0)
"""Before a task is asked after again when the connection was lost; then it is given up."""
_REFUSED: Final = "no permission"
_MAY_TAKE_S: Final = 300.0
"""How long a removal is waited for: an environment has ten thousands of files."""


async def _is_ours(transport: Transport) -> bool:
    return IMAGES in (await transport.info()).capabilities


async def _need_ours(transport: Transport, what: str) -> None:
    """
    Raises:
        NotImplementedHere: the server is a cluster, or an older backend of ours.
    """
    info = await transport.info()
    if IMAGES in info.capabilities:
        return
    if info.capabilities:
        raise with_data(
            NotImplementedHere, f"the backend at {transport.url} is older than this program and {what}: start it anew"
        )
    raise with_data(
        NotImplementedHere,
        f"{transport.url} is a cluster and {what}: its agents pull an image when a session needs it",
    )


# --- looking ------------------------------------------------------------------------------------------------


async def images(transport: Transport, installed: bool | None) -> Sequence[ImageView]:
    """Returns the images of a server, all or those that are ready or not."""
    ours = await _is_ours(transport)
    fields = (*_FIELDS, *_OURS) if ours else _FIELDS
    only = "" if installed is None else f"(is_installed:{str(installed).lower()})"
    rows = await ask(transport, f"query{{images{only}{{", "images", fields, "%s}", {})
    bare = bool((await transport.info()).capabilities)
    return [_view(row, bare) for row in rows or () if isinstance(row, Mapping)]


async def image(transport: Transport, reference: str, exact: bool, pull: bool = False) -> ImageView:
    """Returns one image.

    Args:
        pull: the one that is meant by whoever wants to pull it; a cluster has no other.

    Raises:
        ImageNotFound: there is none of that name, alias or id, nor one that could stand for it.
    """
    if UUID.fullmatch(reference):
        found = [one for one in await images(transport, None) if one.id == reference.lower()]
        if found:
            return found[0]
        raise with_data(ImageNotFound, f"there is no image with the id {reference}; `bai-tui image list` shows all")
    ours = await _is_ours(transport)
    variables: dict[str, Any] = {"reference": reference, "architecture": _architecture()}
    declared, given = "$reference:String!,$architecture:String!", "reference:$reference,architecture:$architecture"
    if ours:
        declared, given = f"{declared},$substitute:Boolean", f"{given},bai_substitute:$substitute"
        variables["substitute"] = not exact
        if pull:
            declared, given = f"{declared},$pull:Boolean", f"{given},bai_pull:$pull"
            variables["pull"] = True
    fields = (*_FIELDS, *_OURS, "bai_notice") if ours else _FIELDS
    row = await ask(transport, f"query({declared}){{image({given}){{", "image", fields, "%s}", variables)
    if not isinstance(row, Mapping):
        raise with_data(ImageNotFound, f"there is no image {reference!r}; `bai-tui image list` shows all")
    return _view(row, bool((await transport.info()).capabilities))


def _architecture() -> str:
    machine = os.uname().machine.lower()
    return {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def _view(row: Mapping[str, Any], bare: bool) -> ImageView:
    """Reads an `Image`.

    Args:
        bare: leave out the registries that nobody types: what is local to our backend, and what engines mean by
            themselves.
    """
    registry, name, tag = (str(row.get(key) or "") for key in ("registry", "name", "tag"))
    if bare and registry in _UNSAID:
        registry = ""
    reference = f"{name}:{tag}" if tag else name
    pairs = [pair for pair in row.get("labels") or () if isinstance(pair, Mapping) and "key" in pair]
    labels = {str(pair["key"]): str(pair.get("value") or "") for pair in pairs}
    limits = [one for one in row.get("resource_limits") or () if isinstance(one, Mapping)]
    installed = row.get("installed") is not False
    state = str(row.get("bai_state") or "")
    progress = row.get("bai_progress")
    ports = row.get("bai_service_ports")
    if not isinstance(ports, list):
        ports = [port for port in labels.get(_PORTS_LABEL, "").split(",") if port]
    return ImageView(
        reference=f"{registry}/{reference}" if registry else reference,
        architecture=str(row.get("architecture") or ""),
        aliases=tuple(map(str, row.get("aliases") or ())),
        size_bytes=int(number(row.get("size_bytes")) or 0),
        digest=str(row.get("digest") or ""),
        labels=labels,
        installed=installed,
        id=str(row.get("id") or ""),
        state=ImageState.__members__.get(state, ImageState.READY if installed else ImageState.PULLABLE),
        reason=str(row.get("bai_reason") or ""),
        kind=str(row.get("bai_kind") or ""),
        language=str(row.get("bai_language") or ""),
        runtime_version=str(row.get("bai_runtime_version") or ""),
        packages=tuple(map(str, row.get("bai_packages") or ())),
        summary=str(row.get("bai_summary") or ""),
        min_slots=slots({one.get("key"): one.get("min") for one in limits if number(one.get("min"))}),
        default_slots=slots(row.get("bai_default_slots")),
        service_ports=tuple(map(str, ports)),
        prepare_s=number(row.get("bai_prepare_s")) or 0.0,
        progress=progress_view(progress) if isinstance(progress, Mapping) else None,
        notice=str(row.get("bai_notice") or "") or None,
    )


# --- changing -----------------------------------------------------------------------------------------------


async def _change(
    transport: Transport, what: str, query: str, variables: Mapping[str, Any], timeout_s: float = 60.0
) -> Mapping[str, Any]:
    """Returns the payload of a mutation that was carried out.

    Raises:
        RemoteError: of the class that our backend names; a cluster has words only.
    """
    if await _is_ours(transport):
        query = query.replace("{ok ", "{bai_code ok ")
    data = await transport.graphql(query, variables, idempotent=False, timeout_s=timeout_s)
    payload = mapping(next(iter(data.values()), None))
    if payload.get("ok") is True:
        return payload
    said = str(payload.get("msg") or f"{transport.url} refuses to {what} and does not say why")
    if said.startswith(_REFUSED):
        raise with_data(Forbidden, said.partition(": ")[2] or f"only an administrator of {transport.url} may {what}")
    raise graphql_error([{"message": said, "extensions": {"code": payload.get("bai_code")}}])


async def prepare(transport: Transport, reference: str, anew: bool) -> str:
    """Has an image built or pulled; returns the id of the task."""
    await _need_ours(transport, "builds and pulls no image on request")
    payload = await _change(
        transport,
        "prepare images",
        "mutation($references:[String]!,$anew:Boolean){"
        "preload_image(references:$references,target_agents:[],bai_anew:$anew){ok msg task_id}}",
        {"references": [reference], "anew": anew},
    )
    return str(payload.get("task_id") or "")


async def remove(transport: Transport, reference: str) -> str:
    """Removes what was built or pulled; returns what that was."""
    if not await _is_ours(transport):
        await _change(
            transport,
            "forget images",
            "mutation($reference:String!,$architecture:String!){"
            "forget_image(reference:$reference,architecture:$architecture){ok msg}}",
            {"reference": reference, "architecture": _architecture()},
        )
        return f"{transport.url} has forgotten {reference}"
    payload = await _change(
        transport,
        "remove images",
        "mutation($references:[String]!){unload_image(references:$references,target_agents:[]){ok msg}}",
        {"references": [reference]},
        timeout_s=_MAY_TAKE_S,
    )
    return str(payload.get("msg") or "")


async def aliases(transport: Transport) -> Sequence[AliasView]:
    """Returns the alias tables; of a cluster, from its images."""
    if not await _is_ours(transport):
        return [
            AliasView(alias, (one.reference,), one.reference, shipped=None)
            for one in await images(transport, None)
            for alias in one.aliases
        ]
    data = await transport.graphql("query{bai_image_aliases{name targets leads_to shipped}}", {})
    return [
        AliasView(
            str(row.get("name") or ""),
            tuple(map(str, row.get("targets") or ())),
            str(row.get("leads_to") or ""),
            shipped=row.get("shipped") is True,
        )
        for row in data.get("bai_image_aliases") or ()
        if isinstance(row, Mapping)
    ]


async def alias(transport: Transport, alias: str, target: str) -> None:
    """Makes an alias."""
    await _change(
        transport,
        "make aliases",
        "mutation($alias:String!,$target:String!){alias_image(alias:$alias,target:$target){ok msg}}",
        {"alias": alias, "target": target},
    )


async def dealias(transport: Transport, alias: str) -> None:
    """Takes an alias away."""
    await _change(
        transport,
        "take aliases away",
        "mutation($alias:String!){dealias_image(alias:$alias){ok msg}}",
        {"alias": alias},
    )


async def rescan(transport: Transport) -> str:
    """Has the server look for images anew; returns the id of the task."""
    payload = await _change(
        transport,
        "look for images",
        "mutation($registry:String){rescan_images(registry:$registry){ok msg task_id}}",
        {},
    )
    return str(payload.get("task_id") or "")


async def log(transport: Transport, reference: str) -> str:
    """Returns the log of the newest building of an image."""
    await _need_ours(transport, "keeps no log of an image")
    answer = await transport.request("GET", "/image/log", query=[("reference", reference)])
    return str(mapping(answer).get("log") or "")


# --- background tasks ---------------------------------------------------------------------------------------


async def cancel_task(transport: Transport, task_id: str) -> None:
    """Stops a background task."""
    await _need_ours(transport, "stops no background task")
    await transport.request("POST", f"/image/tasks/{segment(task_id)}/cancel", idempotent=True)


async def task_progress(transport: Transport, task_id: str) -> AsyncGenerator[TaskView]:
    """Yields how far a task is; a lost connection is made again a few times."""
    losses = 0
    while True:
        try:
            query = [("taskId", task_id)]
            async with aclosing(stream(transport, "/events/background-task", query)) as frames:
                async for name, data in frames:
                    if name == CONNECTED or not name.startswith(_TASK):
                        continue
                    losses = 0
                    view = _task_view(name.removeprefix(_TASK), data)
                    yield view
                    if view.is_over:
                        return
            raise Unreachable(f"{transport.url} closed the news of the task {task_id} before its end")
        except Unreachable as exc:
            if losses >= len(_PAUSES_S):
                told = f"{exc.message}; its background tasks end with it: ask again when it answers"
                raise Unreachable(told) from exc
            await asyncio.sleep(_PAUSES_S[losses])  # the server may be starting anew
            losses += 1
        except RemoteError as exc:
            if losses and isinstance(exc, NotFound):  # another daemon than the one that had it
                raise Unreachable(f"the task {task_id} has ended with the backend that did it") from exc
            raise


def _task_view(state: str, data: Mapping[str, Any]) -> TaskView:
    errors = data.get("errors")
    return TaskView(
        number(data.get("current_progress")) or 0.0,
        number(data.get("total_progress")) or 0.0,
        str(data.get("message") or ""),
        state=state,
        errors=tuple(map(str, errors)) if isinstance(errors, list) else (),
    )
