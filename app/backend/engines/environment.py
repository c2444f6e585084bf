"""The environment of a session's processes, and the modules that an image may borrow."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from ...model.secrets import names_a_secret
from ..runner.caps.finder import FRACTIONS, VISIBLE

_PASSED: Final = frozenset(
    {
        "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
        "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",
        "NO_PROXY", "ALL_PROXY", "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER",
    }
)  # fmt: skip
"""What is handed on of the daemon's environment: how to reach the network and the devices, none of its secrets."""
_PASSED_PREFIXES: Final = ("PIP_", "UV_", "NVIDIA_")
_EARLY: Final = re.compile(r"PYTHON[A-Z0-9]*|LD_[A-Z_]+|MALLOC_[A-Z_]+|GLIBC_TUNABLES")
_NOT_LENT: Final = frozenset({"jedi", "parso"})
"""What IPython can do without, and does faster here: completion looks at the live namespace."""


def base_environment(
    environ: Mapping[str, str], *, programs: Sequence[str], work_dir: Path, session_id: str
) -> dict[str, str]:
    """Returns the environment of a session's processes.

    Args:
        environ: of the daemon.
        programs: folders of the image's programs, found before all others.
    """
    found = {
        name: value
        for name, value in environ.items()
        if name in _PASSED or (name.startswith(_PASSED_PREFIXES) and not names_a_secret(name))
    }
    # The daemon's own virtual environment is no part of a session.
    own = str(Path(sys.executable).parent) if sys.prefix != sys.base_prefix else None
    path = [entry for entry in environ.get("PATH", os.defpath).split(os.pathsep) if entry and entry != own]
    found.update(
        PATH=os.pathsep.join([*(folder for folder in programs if folder and folder not in path), *path]),
        HOME=str(work_dir),
        TERM="xterm",
        LANG="C.UTF-8",
        SHELL="/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh",
        USER=environ.get("USER") or "work",
        BACKENDAI_SESSION_ID=session_id,
    )
    return found


def early_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that act only when a process is executed, not when it is forked."""
    return {name: value for name, value in environ.items() if _EARLY.fullmatch(name)}


def make_bin_dir(folder: Path, interpreter: str) -> Path:
    """Makes `folder` with `python` and `python3` that run the image's interpreter; returns it.

    They are scripts, since a symbolic link to the interpreter of a virtual environment forgets the environment.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    quoted = "'" + interpreter.replace("'", "'\\''") + "'"
    for name in ("python", "python3"):
        path = folder / name
        text = f'#!/bin/sh\nexec {quoted} "$@"\n'
        if not path.exists() or path.read_text() != text:
            fresh = folder / f".{name}.{os.getpid()}"
            fresh.write_text(text)
            fresh.chmod(0o700)
            fresh.replace(path)
    return folder


def make_caps_dir(folder: Path) -> Path:
    """Makes `folder` with the import hook that caps frameworks; returns the folder for PYTHONPATH.

    It is a copy, because an interpreter that cannot keep the compiled form beside the source would take ten
    milliseconds more at each start.
    """
    startup = folder / "startup"
    startup.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = Path(__file__).parent.parent / "runner" / "caps"
    for name, target in (("finder", folder), ("frameworks", folder), ("sitecustomize", startup)):
        path, text = target / f"{name}.py", (source / f"{name}.py").read_bytes()
        if not path.exists() or path.read_bytes() != text:
            fresh = target / f".{name}.{os.getpid()}"
            fresh.write_bytes(text)
            fresh.replace(path)
    return startup


def add_caps(environ: dict[str, str], folder: Path) -> None:
    """Has every Python of a session that holds a part of a GPU cap its frameworks (see `runner.caps`)."""
    if FRACTIONS in environ:
        environ[VISIBLE] = environ.get("CUDA_VISIBLE_DEVICES", "")
        own = environ.get("PYTHONPATH")
        environ["PYTHONPATH"] = f"{make_caps_dir(folder)}{os.pathsep + own if own else ''}"


@cache
def lent_modules() -> dict[str, str]:
    """Returns top-level module -> folder of IPython and of the pure Python packages that it needs."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    queue = ["ipython"]
    while queue:
        name = re.sub(r"[-_.]+", "-", queue.pop()).lower()
        if name in seen or name in _NOT_LENT:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a requirement of another platform
        files = distribution.files or []
        if any(file.suffix in (".so", ".pyd") for file in files):
            continue  # built for one version of Python
        folder = str(distribution.locate_file(""))
        for file in files:
            if file.suffix == ".py" and (len(file.parts) == 1 or file.parts[1:] == ("__init__.py",)):
                found[file.parts[0].removesuffix(".py")] = folder
        for requirement in distribution.requires or ():
            if "extra ==" not in requirement:
                queue.append(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])
    return found


@cache
def lent_python() -> tuple[int, int]:
    """Returns the oldest Python version that IPython can be lent to."""
    match = re.search(r">=\s*(\d+)\.(\d+)", importlib.metadata.metadata("ipython")["Requires-Python"] or "")
    return (int(match[1]), int(match[2])) if match else (sys.version_info[0], sys.version_info[1])
