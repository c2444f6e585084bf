"""What a request must be to become a session. Checks and builds; changes nothing."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from ...model.durations import parse_duration
from ...model.errors import BadRequest, NotImplementedHere, UnknownSlot
from ...model.images import Image
from ...model.sessions import Session, SessionType, check_session_name, new_session_name
from ...model.slots import (
    CPU,
    CUDA_DEVICE,
    CUDA_SHARES,
    GPU_ALIAS,
    KNOWN_SLOTS,
    MEM,
    ResourceSlots,
    format_amount,
    parse_amount,
)
from ...policies import ISOLATIONS, SandboxSettings
from ..ports import CreateRequest, Keypair, Resolution
from ..scheduler.units import human_bytes

IDLE_TIMEOUT: Final = "idle_timeout"
PENDING_TIMEOUT: Final = "pending_timeout"
WALL_TIME: Final = "wall_time"
ISOLATION: Final = "isolation"
NETWORK: Final = "network"
EXACT_IMAGE: Final = "exact_image"
"""The very image that is asked for, or none."""
SPLIT: Final = "allow_fractional_resource_fragmentation"
"""A fraction of a GPU may come from several: Backend.AI's name."""
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0", ""})
_FALLBACK: Final = ResourceSlots({CPU: 1, MEM: 1 << 30})
"""For images that name no defaults."""
_LONGEST: Final = 256
"""Characters of what a session is labelled with."""
_LARGEST_VALUE_BYTES: Final = (128 << 10) - 1 - _LONGEST
"""Linux takes 128 KiB for each variable, its name among them."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds for sessions that do not say otherwise. 0 = never."""

    idle_timeout_s: float = 1800.0
    pending_timeout_s: float = 0.0


def check_kind(request: CreateRequest) -> SessionType:
    """Returns the type of session that is asked for.

    Raises:
        BadRequest: an unknown type, a batch session without its command, a priority outside 0..100.
        NotImplementedHere: what needs a cluster or storage that one machine has not.
    """
    try:
        kind = SessionType(request.type)
    except ValueError:
        names = ", ".join(item.value for item in SessionType)
        raise BadRequest(f"the session type {request.type!r} is not known: use one of {names}") from None
    if kind in (SessionType.INFERENCE, SessionType.SYSTEM):
        raise NotImplementedHere(f"sessions of type {kind.value!r} need a cluster: this backend runs one machine")
    if kind is SessionType.BATCH and not (request.startup_command or "").strip():
        raise BadRequest("a batch session needs a startupCommand: the command that it runs")
    if request.cluster_size != 1:
        raise BadRequest(f"a cluster of {request.cluster_size} does not fit on one machine: ask for a clusterSize of 1")
    if request.mounts:
        raise NotImplementedHere(
            f"the folder {request.mounts[0]!r} cannot be mounted: this backend has no storage folders; upload files"
        )
    check_priority(request.priority)
    if kind is not SessionType.BATCH:
        for name, value in (("starts_at", request.starts_at), ("batch_timeout", request.batch_timeout_s)):
            if value:
                raise BadRequest(f"{name} is for batch sessions: leave it out, or make the session type 'batch'")
    if request.starts_at is not None and request.starts_at.utcoffset() is None:
        raise BadRequest("starts_at needs its offset from UTC, such as 2026-01-31T18:00:00+09:00")
    if not 0 <= request.batch_timeout_s < math.inf:
        raise BadRequest(f"the batch_timeout {request.batch_timeout_s} is no duration: write seconds, 0 for never")
    return kind


def check_priority(priority: int) -> None:
    """Raises BadRequest for a priority outside 0 to 100."""
    if not 0 <= priority <= 100:
        raise BadRequest(f"the priority {priority} is outside 0 to 100")


def check_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables if they can be an environment.

    Raises:
        BadRequest: a name that is no identifier, or a NUL in a value.
    """
    for name, value in environ.items():
        if not _VARIABLE.fullmatch(name):
            raise BadRequest(f"{name!r} cannot name an environment variable: take letters, digits and '_'")
        if len(name) > _LONGEST:
            raise BadRequest(
                f"the name of the environment variable {name[:32]!r}... has more than {_LONGEST} characters"
            )
        check_text(f"the value of the environment variable {name!r}", value)
        if len(value.encode()) > _LARGEST_VALUE_BYTES:
            raise BadRequest(
                f"the value of the environment variable {name!r} has more than {_LARGEST_VALUE_BYTES >> 10} KiB: no "
                "process can be given that; upload a file"
            )
    return dict(environ)


def check_text(what: str, text: str) -> None:
    """Raises BadRequest for what cannot be given to a process or written to a file: a NUL, half a character."""
    if "\0" in text:
        raise BadRequest(f"{what} holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"{what} holds half a character (a lone surrogate)") from None


def check_texts(request: CreateRequest) -> None:
    """Refuses labels that are no labels, and commands that cannot be run.

    Raises:
        BadRequest: too long, with a NUL, or no text at all.
    """
    labels = {"tag": request.tag, "domain": request.domain, "group": request.group, "arch": request.architecture}
    for name, label in labels.items():
        check_text(f"the {name}", label or "")
        if len(label or "") > _LONGEST:
            raise BadRequest(f"the {name} has {len(label or '')} characters: {_LONGEST} are kept")
    scripts = {"startupCommand": request.startup_command, "bootstrap_script": request.bootstrap_script}
    for name, script in scripts.items():
        check_text(f"the {name}", script or "")


def duration_opt_s(request: CreateRequest, name: str, default_s: float) -> float:
    """Returns the duration that `resource_opts` gives by that name; 0 = never.

    Raises:
        BadRequest: it is no duration.
    """
    asked = request.resource_opts.get(name)
    if asked is None or asked == "":
        return default_s
    try:
        return parse_duration(asked)
    except BadRequest as exc:
        raise BadRequest(f"resource_opts.{name}: {exc.message}") from None


def flag_opt(request: CreateRequest, name: str, default: bool = False) -> bool:
    """Returns the truth that `resource_opts` gives by that name, `default` when it is not there.

    Raises:
        BadRequest: neither true nor false.
    """
    if name not in request.resource_opts:
        return default
    said = str(request.resource_opts[name]).strip().lower()
    if said not in _YES and said not in _NO:
        raise BadRequest(f"resource_opts.{name} is {said!r}: write true or false")
    return said in _YES


def is_exact(session: Session) -> bool:
    """Whether the session was asked for in the very image that it names."""
    return session.resource_opts.get(EXACT_IMAGE, "").strip().lower() in _YES


def fences(request: CreateRequest, sandbox: SandboxSettings, *, contained: bool = False) -> dict[str, Any]:
    """Returns the fields of a session that say how it is fenced: what the backend demands, or more where it is asked.

    Args:
        contained: it runs in a container, which can be without network by itself.

    Raises:
        BadRequest: less than the backend demands, an unknown isolation, no network without isolation or container.
    """
    wall_time_s = duration_opt_s(request, WALL_TIME, sandbox.wall_time_s)
    if sandbox.wall_time_s and not 0 < wall_time_s <= sandbox.wall_time_s:
        raise BadRequest(
            f"resource_opts.{WALL_TIME} is {request.resource_opts[WALL_TIME]!r}, but sessions end after "
            f"{sandbox.wall_time_s:g} s here: ask for less, or leave it out"
        )
    isolation = str(request.resource_opts.get(ISOLATION) or sandbox.isolation)
    if isolation not in ISOLATIONS:
        raise BadRequest(f"resource_opts.{ISOLATION} is {isolation!r}: write one of {', '.join(ISOLATIONS)}")
    if isolation == "none" != sandbox.isolation:
        raise BadRequest(f"sessions are isolated here ({sandbox.isolation}): leave resource_opts.{ISOLATION} out")
    network = flag_opt(request, NETWORK, sandbox.network)
    if network and not sandbox.network:
        raise BadRequest(f"sessions have no network here: leave resource_opts.{NETWORK} out")
    if not network and isolation == "none" and not contained:
        raise BadRequest(f"without isolation the network cannot be taken away: add resource_opts.{ISOLATION}=bwrap")
    return {
        "wall_time_s": wall_time_s,
        "isolation": "" if isolation == "none" else isolation,
        "no_network": not network,
    }


def asked_slots(request: CreateRequest, image: Image, offered: ResourceSlots) -> ResourceSlots:
    """Returns what the session needs: what was asked for, with the image's defaults for cpu and mem.

    Raises:
        UnknownSlot: a slot that this machine does not offer.
        InvalidAmount, BadRequest: see `ResourceSlots.parse`; less than the image's minimum.
    """
    known = {name: KNOWN_SLOTS.get(name, "count") for name in offered}
    if CUDA_SHARES in known:
        known[CUDA_DEVICE] = "count"  # a GPU that can be shared can be had whole
    for name in request.resources:
        slot = CUDA_SHARES if name == GPU_ALIAS else name
        if slot in (CUDA_SHARES, CUDA_DEVICE) and CUDA_DEVICE not in known:
            raise UnknownSlot(
                f"Unknown slot type: {name!r}: this machine has no GPU; it offers {', '.join(offered)} "
                "(`bai-tui serve --mock-gpus 1` offers a mock one)"
            )
    resources = request.resources if CUDA_SHARES in known else _whole_gpus(request.resources)
    amounts = {name: amount for name, amount in ResourceSlots.parse(resources, known=known).items() if amount}
    for name in (CPU, MEM):
        minimum = image.min_slots.amount(name)
        if name in request.resources:
            amount = amounts.get(name, Decimal(0))
            if amount < minimum:
                least, asked = (human_bytes(one) if name == MEM else format_amount(one) for one in (minimum, amount))
                raise BadRequest(
                    f"{asked} of the slot {name!r} is less than the image {image.canonical} needs: at least {least}"
                )
        elif name in offered:
            default = image.default_slots.amount(name) or _FALLBACK[name]
            # a default is a wish, not a demand: it shrinks on a small machine
            amounts[name] = max(min(default, offered[name]), minimum)
    return ResourceSlots(amounts)


def _whole_gpus(resources: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what is asked for on a machine that only gives GPUs away whole: there a `gpu` is a `cuda.device`.

    Raises:
        BadRequest: a part of a GPU, or both names at once.
    """
    for name in (GPU_ALIAS, CUDA_SHARES):
        if name not in resources:
            continue
        if CUDA_DEVICE in resources:
            raise BadRequest(f"give {name!r} or {CUDA_DEVICE!r}, not both: here they are the same slot")
        asked = ResourceSlots.parse({name: resources[name]}).amount(CUDA_SHARES)
        if asked % 1:
            raise BadRequest(
                f"{format_amount(asked)} of a GPU cannot be had: the GPUs of this machine are only given away whole "
                f"(gpu.sharing = false); ask for {name}={int(asked) + 1}"
            )
        rest = {slot: amount for slot, amount in resources.items() if slot != name}
        return {**rest, CUDA_DEVICE: format_amount(asked)}
    return resources


def build_session(
    caller: Keypair,
    request: CreateRequest,
    resolution: Resolution,
    *,
    offered: ResourceSlots,
    defaults: Defaults,
    sandbox: SandboxSettings,
    depends_on: Sequence[str],
    now: datetime,
) -> Session:
    """Returns the record of a session that may be admitted; its `enqueue_order` is still to be given.

    Whether the machine and the owner's limits have room for its slots is for others to say.

    Raises:
        BadRequest and its children: the request cannot be fulfilled, and why.
    """
    kind = check_kind(request)
    name = check_session_name(request.name) if request.name is not None else new_session_name()
    check_texts(request)
    environ = check_environ(request.environ)
    slots = asked_slots(request, resolution.image, offered)
    if "shmem" in request.resource_opts:
        parse_amount(MEM, request.resource_opts["shmem"])
    # batch sessions end with their command, never for idling
    batch = kind is SessionType.BATCH
    idle_timeout_s = 0.0 if batch else duration_opt_s(request, IDLE_TIMEOUT, defaults.idle_timeout_s)
    return Session(
        id=str(uuid.uuid4()),
        kernel_id=str(uuid.uuid4()),
        name=name,
        access_key=caller.access_key,
        image=resolution.image.canonical,
        image_asked=request.image,
        image_notice=resolution.notice,
        architecture=resolution.image.architecture,
        type=kind,
        priority=request.priority,
        tag=request.tag,
        domain=request.domain,
        group=request.group,
        created_at=now,
        requested_slots=slots,
        resource_opts={key: str(value) for key, value in request.resource_opts.items()},
        environ=environ,
        mounts=[],
        startup_command=request.startup_command,
        bootstrap_script=request.bootstrap_script,
        callback_url=request.callback_url,
        idle_timeout_s=idle_timeout_s,
        depends_on=list(depends_on),
        not_before=request.starts_at.astimezone(UTC) if request.starts_at is not None else None,
        batch_timeout_s=float(request.batch_timeout_s),
        pending_timeout_s=duration_opt_s(request, PENDING_TIMEOUT, defaults.pending_timeout_s),
        split_shares=flag_opt(request, SPLIT),
        **fences(request, sandbox, contained=resolution.image.in_container),
    )


def process_environment(session: Session, owner: Keypair | None, image: Image) -> dict[str, str]:
    """Returns the variables of the session's processes: the image's, over them the user's, then those that say whose
    it is."""
    user = owner.user_id if owner else ""
    return {
        **image.environ,
        **session.environ,
        "BACKENDAI_SESSION_ID": session.id,
        "BACKENDAI_SESSION_NAME": session.name,
        "BACKENDAI_KERNEL_ID": session.kernel_id,
        "BACKENDAI_KERNEL_IMAGE": session.image,
        "BACKENDAI_ACCESS_KEY": session.access_key,
        "BACKENDAI_USER_UUID": owner.user_uuid if owner else "",
        "BACKENDAI_USER_EMAIL": user,
        "BACKENDAI_USER_NAME": user.partition("@")[0],
        "BACKENDAI_CLUSTER_SIZE": "1",
        "BACKENDAI_CLUSTER_ROLE": "main",
        "BACKENDAI_CLUSTER_IDX": "1",
        "BACKENDAI_CLUSTER_LOCAL_RANK": "0",
        "BACKENDAI_CLUSTER_HOST": "main1",
        "BACKENDAI_CLUSTER_HOSTS": "main1",
        "BACKENDAI_CLUSTER_REPLICAS": "main:1",
        "BACKENDAI_SERVICE_PORTS": "",
        "BACKENDAI_PREOPEN_PORTS": "",
    }
