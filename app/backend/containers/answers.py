"""What the engine answers, read into types. Docker's and Podman's differ here and there; this is where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ContainerError

Json = Any  # what a JSON text decodes to


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """Which engine it is and what it can do."""

    name: str
    """`Docker` or `Podman`."""
    version: str
    api_version: str
    """The version that is spoken with it, such as `1.41`."""
    socket: str
    rootless: bool
    cgroup_version: int
    """1 or 2; 1 is also what it says on a hybrid hierarchy."""
    default_runtime: str
    """`runc`, `crun`, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineImage:
    """An image that is here."""

    id: str
    """`sha256:<hex>` of its configuration."""
    tags: tuple[str, ...]
    """Full references: `docker.io/library/python:3.12`; empty for a dangling one."""
    size_bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""
    """As `uname -m` says it; empty in a list, which does not tell, as the following."""
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """A container at one moment."""

    id: str
    name: str
    status: str
    """`created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`; Podman adds some."""
    running: bool
    pid: int
    """Of its first process, as this machine counts them; 0 when it has ended or the engine runs elsewhere."""
    exit_code: int
    """Of the last run; 0 while it runs."""
    oom_killed: bool
    raw: Mapping[str, Any]
    """All that was answered, for what is rarely asked."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A container in a list."""

    id: str
    name: str
    image_id: str
    state: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LogLine:
    """Some output of a container; not necessarily a line."""

    stream: str
    """`stdout` or `stderr`; always `stdout` with a terminal."""
    data: bytes


@dataclass(frozen=True, slots=True)
class PullStep:
    """One word of the engine about a pull."""

    layer: str
    """Short identifier; empty when it is about the whole."""
    status: str
    """`Downloading`, `Extracting`, `Pull complete`, ..."""
    current_bytes: int
    total_bytes: int
    """0 when nobody knows."""


_UNAME = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}


def architecture_of(text: str) -> str:
    """Returns Go's name of an architecture as `uname -m` says it."""
    return _UNAME.get(text, text)


def read_info(info: Json, version: Json, *, api_version: str, socket: str) -> EngineInfo:
    """Reads `/info` and `/version`."""
    parts = [str(part.get("Name", "")) for part in version.get("Components") or ()]
    options = [str(one) for one in info.get("SecurityOptions") or ()]
    return EngineInfo(
        name="Podman" if any("podman" in part.lower() for part in parts) else "Docker",
        version=_text(version, "Version"),
        api_version=api_version,
        socket=socket,
        rootless=bool(info.get("Rootless")) or any("name=rootless" in one for one in options),
        cgroup_version=2 if str(info.get("CgroupVersion")) in ("2", "v2") else 1,
        default_runtime=_text(info, "DefaultRuntime"),
    )


def read_listed_image(one: Json) -> EngineImage:
    """Reads an element of `/images/json`."""
    return EngineImage(
        id=_digest(_text(one, "Id")),
        tags=_real_tags(one.get("RepoTags")),
        size_bytes=_number(one, "Size"),
        labels=_strings(one.get("Labels")),
    )


def read_image(one: Json) -> EngineImage:
    """Reads `/images/{name}/json`."""
    config = one.get("Config") or {}
    pairs = (str(text).partition("=") for text in config.get("Env") or ())
    return EngineImage(
        id=_digest(_text(one, "Id")),
        tags=_real_tags(one.get("RepoTags")),
        size_bytes=_number(one, "Size"),
        labels=_strings(config.get("Labels")),
        architecture=architecture_of(_text(one, "Architecture")),
        environ={name: value for name, _, value in pairs},
    )


def read_container(one: Json) -> ContainerState:
    """Reads `/containers/{id}/json`."""
    state = one.get("State") or {}
    status = _text(state, "Status")
    return ContainerState(
        id=_text(one, "Id"),
        name=_text(one, "Name").removeprefix("/"),
        status=status,
        running=bool(state.get("Running")) or status == "running",
        pid=_number(state, "Pid"),
        exit_code=_number(state, "ExitCode"),
        oom_killed=bool(state.get("OOMKilled")),
        raw=one,
    )


def read_listed(one: Json) -> Listed:
    """Reads an element of `/containers/json`."""
    names = one.get("Names") or ("",)
    return Listed(
        id=_text(one, "Id"),
        name=str(names[0]).removeprefix("/"),
        image_id=_digest(_text(one, "ImageID")),
        state=_text(one, "State").lower(),
        labels=_strings(one.get("Labels")),
    )


def read_pull_step(one: Json) -> PullStep:
    """Reads one object of the stream of a pull.

    Raises:
        ContainerError: it tells of a failure.
    """
    detail = one.get("errorDetail") or {}
    if "error" in one or detail:
        raise ContainerError(str(detail.get("message") or one.get("error") or "the engine does not say why"))
    progress = one.get("progressDetail") or {}
    return PullStep(
        layer=str(one.get("id") or ""),
        status=str(one.get("status") or one.get("stream") or "").strip(),
        current_bytes=_number(progress, "current"),
        total_bytes=max(0, _number(progress, "total")),
    )


def _text(table: Json, name: str) -> str:
    value = table.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _number(table: Json, name: str) -> int:
    value = table.get(name)
    return int(value) if isinstance(value, int | float) else 0


def _strings(table: Json) -> dict[str, str]:
    return {str(name): str(value) for name, value in (table or {}).items()}


def _real_tags(values: Json) -> tuple[str, ...]:
    return tuple(str(value) for value in values or () if "<none>" not in str(value))


def _digest(text: str) -> str:
    return text if not text or ":" in text else f"sha256:{text}"
