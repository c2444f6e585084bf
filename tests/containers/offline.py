"""Container images made of the files of this machine: nothing is fetched.

One layer has a shell and a few tools, the other the Python that runs the tests with its standard library. Shared
objects lie where the loader of this machine finds them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TOOLS = ("sh", "cat", "chmod", "env", "id", "ls", "mkdir", "rm", "sleep", "touch", "true")
VERSION = ".".join(map(str, sys.version_info[:3]))
SHORT = "python{}.{}".format(*sys.version_info[:2])
LEFT_OUT = re.compile(
    r"^(test|idlelib|tkinter|turtledemo|lib2to3|ensurepip|pydoc_data|site-packages|dist-packages|config-.*|.*\.a)$"
    r"|^_?(test|ctypes_test|tkinter|dbm|gdbm|curses).*\.so$|\.opt-[12]\.pyc$"
)
LABELS = {
    "ai.backend.resource.min.cpu": "1",
    "ai.backend.resource.min.mem": "96m",
    "ai.backend.service-ports": "jupyter:http:8081,ttyd:http:7681",
    "ai.backend.base-distro": "ubuntu22.04",
}
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Layer:
    """A part of a file system."""

    data: bytes = field(repr=False)
    """A tar archive. Not compressed: it is known by one digest only, and an engine that has it takes no other."""

    @property
    def digest(self) -> str:
        return digest(self.data)


@dataclass(frozen=True)
class OfflineImage:
    """An image in pieces, for an archive or a registry."""

    layers: Sequence[Layer] = field(repr=False)
    config: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """What engines call it."""
        return digest(self.config)

    def archive(self, reference: str) -> bytes:
        """Returns it in the form of `docker save`."""
        names = [f"{layer.digest.removeprefix('sha256:')}.tar" for layer in self.layers]
        manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": names}]
        files = {"manifest.json": json.dumps(manifest).encode(), "config.json": self.config}
        files.update(zip(names, (layer.data for layer in self.layers), strict=True))
        return tar({name: Entry(data) for name, data in files.items()})

    def manifest(self) -> bytes:
        """Returns what a registry tells of it."""
        kind = "application/vnd.docker"
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": f"{kind}.distribution.manifest.v2+json",
                "config": _described(self.config, f"{kind}.container.image.v1+json"),
                "layers": [_described(one.data, f"{kind}.image.rootfs.diff.tar") for one in self.layers],
            }
        ).encode()

    def blobs(self) -> dict[str, bytes]:
        """Returns what a registry keeps of it, by digest."""
        return {digest(data): data for data in (self.config, *(layer.data for layer in self.layers))}


@dataclass(frozen=True)
class Entry:
    """A file, folder or link of a tar archive."""

    data: bytes = b""
    mode: int = 0o644
    link: str = ""
    folder: bool = False
    time_s: int = 0


def base_layer() -> Layer:
    """Returns a shell, a few tools and what a root file system must have."""
    files: dict[str, Entry] = {
        "tmp": Entry(mode=0o1777, folder=True),
        "root": Entry(mode=0o755, folder=True),
        "etc/passwd": Entry(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
        "etc/group": Entry(b"root:x:0:\nnogroup:x:65534:\n"),
    }
    tools = [Path(found).resolve() for name in TOOLS if (found := shutil.which(name))]
    for name, tool in zip((name for name in TOOLS if shutil.which(name)), tools, strict=True):
        files[f"bin/{name}"] = _file(tool)
    files.update(_objects(tools))
    return Layer(tar(files))


def python_layer() -> Layer:
    """Returns the Python of this process below /usr/local, without what was installed into it."""
    binary = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    files = {"usr/local/bin/python3": _file(binary), "usr/local/bin/python": Entry(link="python3")}
    binaries = [binary]
    for path in _walk(library):
        files[f"usr/local/lib/{SHORT}/{path.relative_to(library)}"] = _file(path)
        if path.suffix == ".so":
            binaries.append(path)
    return Layer(tar(files | _objects(binaries)))


def new_layer(size_bytes: int) -> Layer:
    """Returns a layer that no engine has met before, of about this size."""
    return Layer(tar({"usr/share/new": Entry(os.urandom(size_bytes))}))


def image(
    layers: Sequence[Layer], environ: dict[str, str] | None = None, labels: dict[str, str] | None = None
) -> OfflineImage:
    """Returns an image of these layers."""
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", **(environ or {})}
    config = {
        "architecture": _GO_NAMES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Cmd": ["/bin/sh"],
            "Labels": labels or {},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        "history": [{"created_by": "tests"} for _ in layers],
    }
    return OfflineImage(tuple(layers), json.dumps(config).encode())


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar(files: dict[str, Entry]) -> bytes:
    """Returns an archive of these entries, with the folders that they need, the same each time."""
    out = io.BytesIO()
    made: set[str] = set()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, entry in files.items():
            for folder in reversed([str(parent) for parent in Path(name).parents if str(parent) != "."]):
                if folder not in made and folder not in files:
                    archive.addfile(_info(folder, Entry(mode=0o755, folder=True)))
                made.add(folder)
            archive.addfile(_info(name, entry), io.BytesIO(entry.data))
    return out.getvalue()


def _info(name: str, entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.size, info.mtime, info.linkname = entry.mode, len(entry.data), entry.time_s, entry.link
    info.type = tarfile.DIRTYPE if entry.folder else tarfile.SYMTYPE if entry.link else tarfile.REGTYPE
    return info


def _described(data: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}


def _file(path: Path) -> Entry:
    status = path.stat()
    return Entry(path.read_bytes(), status.st_mode & 0o777, time_s=int(status.st_mtime))


def _walk(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not LEFT_OUT.search(name))
        yield from (Path(base, name) for name in sorted(names) if not LEFT_OUT.search(name))


def _objects(binaries: Iterable[Path]) -> dict[str, Entry]:
    """Returns the shared objects that these need, the loader included, at their places."""
    told = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    needed = {Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", told, re.MULTILINE)}
    return {str(path).lstrip("/"): _file(path.resolve()) for path in sorted(needed)}
