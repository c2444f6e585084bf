"""REST calls about one session: create, end, rename, interrupt, complete, logs, journal."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Any

from ..model.errors import BadRequest, NotImplementedHere, RemoteError
from ..model.inspection import INSPECTS, Completions, Inspection
from ..model.sessions import new_session_name
from ..model.slots import CUDA_SHARES, GPU_ALIAS
from .address import segment
from .errors import with_data
from .parsing import created_session, journal_line, mapping, moment, number, run_view
from .queries import PRIORITY_SINCE, resolve_dependency
from .transport import Transport, version_of
from .views import CreatedSession, ExtensionView, JournalLine, RunView, ServerInfo

_ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
_SLACK_S = 60.0
_DOTTED = re.compile(r"[\w.]*$")


def wire_resources(resources: Mapping[str, str], info: ServerInfo) -> dict[str, str]:
    """Returns `resources` in the words of the server: a real cluster knows no slot `gpu`, ours does.

    Raises:
        BadRequest: `gpu` together with `cuda.shares`.
    """
    wire = dict(resources)
    if info.capabilities or GPU_ALIAS not in wire:
        return wire
    if CUDA_SHARES in wire:
        raise with_data(BadRequest, "give 'gpu' or 'cuda.shares', not both: they are the same slot")
    wire[CUDA_SHARES] = wire.pop(GPU_ALIAS)
    return wire


async def create(
    transport: Transport,
    image: str,
    *,
    name: str | None,
    resources: Mapping[str, str] | None,
    resource_opts: Mapping[str, str] | None,
    environ: Mapping[str, str] | None,
    mounts: Sequence[str],
    type: str,
    startup_command: str | None,
    enqueue_only: bool,
    max_wait_s: int,
    reuse: bool,
    priority: int | None,
    tag: str | None,
    depends_on: Sequence[str],
    starts_at: datetime | None,
    batch_timeout_s: float,
    exact: bool,
) -> CreatedSession:
    info = await transport.info()
    if batch_timeout_s and version_of(info) < PRIORITY_SINCE:
        raise with_data(
            NotImplementedHere,
            f"{transport.url} cannot limit the time of a batch session: that came with Backend.AI 24.09",
        )
    name = name or new_session_name()
    options = dict(resource_opts or {})
    if exact and "images" in info.capabilities:
        options["exact_image"] = "true"
    machine = os.uname().machine.lower()
    body: dict[str, Any] = {
        "name": name,
        "image": image,
        "architecture": _ARCHITECTURES.get(machine, machine),
        "type": type,
        "tag": tag,
        "domain": transport.endpoint.domain,
        "group": transport.endpoint.group,
        "clusterSize": 1,
        "clusterMode": "single-node",
        "enqueueOnly": enqueue_only,
        "maxWaitSeconds": max_wait_s,
        "reuseIfExists": reuse,
        "startupCommand": startup_command,
        "config": {
            "environ": dict(environ or {}),
            "resources": wire_resources(resources or {}, info),
            "resource_opts": options,
            "mounts": list(mounts),
        },
    }
    if priority is not None and version_of(info) >= PRIORITY_SINCE:
        body["priority"] = priority
    if depends_on:
        # A cluster takes ids only, and ours says less well which name was wrong.
        body["dependencies"] = [await resolve_dependency(transport, ref) for ref in dict.fromkeys(depends_on)]
    if starts_at is not None:
        body["starts_at"] = starts_at.isoformat()
    if batch_timeout_s:
        body["batch_timeout"] = ceil(batch_timeout_s)
    # The server holds its answer until the session runs, without limit unless told otherwise.
    timeout_s = _SLACK_S if enqueue_only else max_wait_s + _SLACK_S if max_wait_s else None
    answer = await transport.request("POST", "/session", json_body=body, timeout_s=timeout_s)
    created = created_session(answer, name)
    if not created.id:
        raise RemoteError(f"{transport.url} created a session but did not tell its id", http_status=201)
    return created


async def terminate(transport: Transport, ref: str, *, forced: bool, recursive: bool) -> Mapping[str, Any]:
    query = [(key, "true") for key, wanted in (("forced", forced), ("recursive", recursive)) if wanted]
    answer = await transport.request("DELETE", f"/session/{segment(ref)}", query=query, timeout_s=120.0)
    return mapping(mapping(answer).get("stats"))


async def extend(transport: Transport, ref: str, seconds: float) -> ExtensionView:
    if "extend" not in (await transport.info()).capabilities:
        raise with_data(
            NotImplementedHere,
            f"{transport.url} cannot extend a session: Backend.AI has no such request; what runs in it keeps it alive",
        )
    answer = mapping(await transport.request("POST", f"/session/{segment(ref)}/extend", json_body={"seconds": seconds}))
    return ExtensionView(moment(answer.get("kept_until")), number(answer.get("remaining")))


async def restart(transport: Transport, ref: str) -> None:
    await transport.request("PATCH", f"/session/{segment(ref)}", timeout_s=120.0)


async def rename(transport: Transport, ref: str, name: str) -> None:
    # managers since 26 read the body and earlier ones the query
    await transport.request("POST", f"/session/{segment(ref)}/rename", query=[("name", name)], json_body={"name": name})


async def interrupt(transport: Transport, ref: str) -> None:
    await transport.request("POST", f"/session/{segment(ref)}/interrupt")


async def complete(transport: Transport, ref: str, code: str, row: int, col: int) -> Completions:
    """Returns completions. Servers differ: a list, or an object with `suggestions` (or `completions`)."""
    lines = code.split("\n")
    line = lines[row] if 0 <= row < len(lines) else ""
    options = {"row": row, "col": col, "line": line, "post": "\n".join(lines[row + 1 :])}
    answer = await transport.request(
        "POST", f"/session/{segment(ref)}/complete", json_body={"code": code, "options": options}, idempotent=True
    )
    result = mapping(answer).get("result")
    more = mapping(result)
    if more:
        result = more.get("suggestions") or more.get("completions")
    matches = tuple(str(item) for item in result) if isinstance(result, list) else ()
    types = more.get("types")
    if not isinstance(types, list) or len(types) != len(matches):
        types = [""] * len(matches)
    cursor = len("\n".join((*lines[:row], line[:col])))
    start = more.get("cursor_start")
    if not isinstance(start, int) or not 0 <= start <= cursor:
        start = cursor - _replaced(line[:col], matches)
    return Completions(matches, tuple(map(str, types)), start, more.get("busy") is True)


def _replaced(before: str, matches: Sequence[str]) -> int:
    """Returns how many characters before the cursor the matches take the place of, where a server does not say.

    Kernels give `os.path` or `path` for `os.pa`.
    """
    dotted = _DOTTED.search(before)
    word = dotted.group() if dotted else ""
    if any(match.startswith(word) for match in matches):
        return len(word)
    return len(word.rpartition(".")[2])


async def inspect(transport: Transport, ref: str, code: str, cursor: int, detail: int) -> Inspection:
    if INSPECTS not in (await transport.info()).capabilities:
        raise with_data(
            NotImplementedHere, f"{transport.url} cannot tell what a name stands for: Backend.AI has no such request"
        )
    body = {"code": code, "cursor": cursor, "detail": detail}
    answer = await transport.request("POST", f"/session/{segment(ref)}/inspect", json_body=body, idempotent=True)
    said = mapping(answer)
    return Inspection(
        found=said.get("found") is True,
        busy=said.get("busy") is True,
        **{name: str(said.get(name) or "") for name in ("name", "type", "signature", "doc", "text")},
    )


async def logs(transport: Transport, ref: str) -> str:
    answer = await transport.request("GET", f"/session/{segment(ref)}/logs")
    return str(mapping(mapping(answer).get("result")).get("logs") or "")


async def journal(
    transport: Transport, ref: str, *, after: int, limit: int, wait_s: float, before: int | None
) -> Sequence[JournalLine]:
    if before is not None:
        query = [("before", str(before)), ("limit", str(limit))]
    else:
        query = [("after", str(after)), ("limit", str(limit)), ("wait", f"{wait_s:g}")]
    answer = await transport.request(
        "GET", f"/session/{segment(ref)}/journal", query=query, timeout_s=wait_s + _SLACK_S
    )
    records = mapping(answer).get("records")
    return [journal_line(row) for row in records or () if isinstance(row, Mapping)]


async def list_runs(transport: Transport, ref: str) -> Sequence[RunView]:
    answer = await transport.request("GET", f"/session/{segment(ref)}/runs")
    return [run_view(row) for row in mapping(answer).get("runs") or () if isinstance(row, Mapping)]
