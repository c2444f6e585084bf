"""Where Python interpreters may be on this machine. Lists folders; runs nothing."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_EXECUTABLE = re.compile(r"(?:python|pypy)(?:3(?:\.[0-9]+t?)?)?")
_CONDA_ROOTS = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda")


class Source(StrEnum):
    """Who put an interpreter where it is. In the order of preference for those that are not on PATH."""

    SYSTEM = "system"
    UV = "uv"
    PYENV = "pyenv"
    CONDA = "conda"
    PATH = "path"
    VENV = "venv"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that is probably a Python interpreter."""

    path: Path
    """What is to be run: the real file, or the link inside of a virtual environment."""
    source: Source
    label: str = ""
    """Name of the conda or virtual environment."""
    on_path: bool = False
    venv: Path | None = None
    """Root of the virtual environment that the path belongs to."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The parts of a machine where interpreters are looked for."""

    environ: Mapping[str, str]
    system_dirs: Sequence[Path] = (Path("/usr/local/bin"), Path("/usr/bin"))
    conda_roots: Sequence[Path] = (Path("/opt/conda"), Path("/opt/miniconda3"), Path("/opt/miniforge3"))
    own_venv: Path | None = Path(sys.prefix) if sys.prefix != sys.base_prefix else None
    """The virtual environment that this program runs in: no image, because it is ours."""
    own_base: Path | None = Path(getattr(sys, "_base_executable", "") or sys.executable)
    """The interpreter below it: always an image, so that there is one even with an odd PATH."""
    os_release: Path = Path("/etc/os-release")
    venvs: Sequence[Path] = ()
    """Virtual or conda environments that are named in the configuration."""

    def place(self, text: str) -> Path:
        """Returns the path that is written so, `~` for HOME."""
        return self.home(text[1:].lstrip("/")) if text == "~" or text.startswith("~/") else Path(text)

    def home(self, *parts: str) -> Path:
        """Returns a path below the user's HOME."""
        return Path(self.environ.get("HOME") or "~").expanduser().joinpath(*parts)

    @property
    def path(self) -> Sequence[Path]:
        """The folders of PATH."""
        folders = map(Path, self.environ.get("PATH", "").split(os.pathsep))
        return [folder for folder in folders if folder.is_absolute()]

    @property
    def pyenv_roots(self) -> Sequence[Path]:
        """The user's pyenv, and any other whose shims are on PATH."""
        own = self.environ.get("PYENV_ROOT")
        roots = [Path(own) if own else self.home(".pyenv")]
        roots += [
            folder.parent for folder in self.path if folder.name == "shims" and _is_folder(folder.with_name("versions"))
        ]
        return list(dict.fromkeys(roots))

    @property
    def uv_root(self) -> Path:
        own = self.environ.get("UV_PYTHON_INSTALL_DIR")
        data = self.environ.get("XDG_DATA_HOME", "")
        if own:
            return Path(own)
        return Path(data, "uv/python") if data.startswith("/") else self.home(".local/share/uv/python")

    def platform(self) -> str:
        """Returns `<os id><os version>` as it stands in tags: `debian12`, `ubuntu22.04`, `arch`."""
        fields: dict[str, str] = {}
        try:
            for line in self.os_release.read_text(errors="replace").splitlines():
                name, _, value = line.partition("=")
                fields[name.strip()] = value.strip().strip("\"'")
        except OSError:
            pass
        return tag_part(fields.get("ID", "") + fields.get("VERSION_ID", "")) or sys.platform


def tag_part(text: str) -> str:
    """Returns `text` with everything that a tag cannot hold replaced or cut off."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")


def candidates(machine: Machine) -> list[Candidate]:
    """Returns what looks like an interpreter, those on PATH first and in its order, each file and environment once.

    Reads directories: call it in a thread.
    """
    found: dict[tuple[str, Path | None], Candidate] = {}
    own = _real(machine.own_venv) if machine.own_venv not in machine.venvs else None
    for path, on_path in _places(machine):
        candidate = _classify(machine, path, on_path)
        ours = candidate.venv is not None and candidate.venv == own
        if not ours:
            # its python, python3 and python3.12 are one, also where they are copies instead of links
            file = os.path.realpath(path) if candidate.venv is None else ""
            found.setdefault((file, candidate.venv), candidate)
    return list(found.values())


def why_no_environment(folder: Path) -> str:
    """Returns why a folder that should be an environment is none; empty when it is one. Looks at files."""
    if not _is_folder(folder):
        return "there is no such folder"
    if not _is_file(folder / "pyvenv.cfg") and not _is_folder(folder / "conda-meta"):
        return "it has neither pyvenv.cfg nor conda-meta"
    return "" if _executables(folder / "bin") else "there is no Python in its bin that can be run"


def _places(machine: Machine) -> Iterator[tuple[Path, bool]]:
    for folder in _path_folders(machine):
        for path in _executables(folder):
            yield path, True
    more = [
        *machine.system_dirs,
        *(_subfolders(machine.uv_root)),
        *(version for root in machine.pyenv_roots for version in _subfolders(root / "versions")),
        *_conda_prefixes(machine),
        *(folder for folder in machine.venvs if not why_no_environment(folder)),
    ]
    for folder in more:
        for path in _executables(folder if folder in machine.system_dirs else folder / "bin"):
            yield path, False
    if machine.own_base is not None and _is_executable(machine.own_base):
        yield machine.own_base, False


def _path_folders(machine: Machine) -> Iterator[Path]:
    """Yields the folders of PATH; pyenv's shims stand for the versions that pyenv would choose."""
    shims = {_real(root / "shims"): root for root in machine.pyenv_roots}
    for folder in machine.path:
        root = shims.get(_real(folder))
        if root is None:
            yield folder
            continue
        for version in _pyenv_chosen(machine, root):
            yield version / "bin"


def _pyenv_chosen(machine: Machine, root: Path) -> list[Path]:
    """Returns the folders of the versions that pyenv runs when no project says otherwise."""
    chosen = machine.environ.get("PYENV_VERSION", "").replace(":", " ").split()
    if not chosen:
        try:
            chosen = (root / "version").read_text(errors="replace").split()
        except OSError:
            chosen = []
    installed = _subfolders(root / "versions")
    folders = []
    for version in chosen:
        exact = [folder for folder in installed if folder.name == version]
        newest = sorted(
            (folder for folder in installed if re.fullmatch(re.escape(version) + r"\.[0-9]+", folder.name)),
            key=lambda folder: int(folder.name.rpartition(".")[2]),
        )
        folders += exact or newest[-1:]  # a prefix such as 3.11 stands for its newest
    return folders


def _conda_prefixes(machine: Machine) -> Iterator[Path]:
    roots = [machine.home(name) for name in _CONDA_ROOTS]
    roots += [Path(text) for name in ("MAMBA_ROOT_PREFIX", "CONDA_ROOT") if (text := machine.environ.get(name))]
    for root in (*roots, *machine.conda_roots):
        yield root
        yield from _subfolders(root / "envs")
    if active := machine.environ.get("CONDA_PREFIX"):
        yield Path(active)
    try:
        listed = machine.home(".conda", "environments.txt").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in listed:
        if line.startswith("/"):
            yield Path(line.strip())


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if _is_folder(path))
    except OSError:
        return []


def _executables(folder: Path) -> Iterable[Path]:
    try:
        names = [name for name in os.listdir(folder) if _EXECUTABLE.fullmatch(name)]  # noqa: PTH208 - names, without a Path for each of thousands
    except OSError:
        return []
    # python3 before python before python3.12: the first is the folder's own choice
    names.sort(key=lambda name: (not name.endswith("3"), len(name), name))
    return [path for name in names if _is_executable(path := folder / name)]


def _is_executable(path: Path) -> bool:
    return _is_file(path) and os.access(path, os.X_OK)


def _is_file(path: Path) -> bool:
    """Whether it is one; what may not be looked at is none. (Those of Path raise then, before Python 3.14.)"""
    return os.path.isfile(path)  # noqa: PTH113 - as said


def _is_folder(path: Path) -> bool:
    """The same for a folder."""
    return os.path.isdir(path)  # noqa: PTH112 - as said


def _real(path: Path | None) -> Path | None:
    return Path(os.path.realpath(path)) if path is not None else None


def _classify(machine: Machine, path: Path, on_path: bool) -> Candidate:
    prefix = path.parent.parent
    if _is_file(prefix / "pyvenv.cfg"):
        root = Path(os.path.realpath(prefix))
        name = root.parent.name if root.name in (".venv", "venv", "env") else root.name
        return Candidate(path, Source.VENV, name, on_path, root)
    real = Path(os.path.realpath(path))
    if _is_folder(real.parent.parent / "conda-meta"):
        root = real.parent.parent
        return Candidate(real, Source.CONDA, root.name if root.parent.name == "envs" else "base", on_path)
    source = Source.PATH
    for kind, root in (*((Source.PYENV, root) for root in machine.pyenv_roots), (Source.UV, machine.uv_root)):
        if Path(os.path.realpath(root)) in real.parents:
            source = kind
    if any(Path(os.path.realpath(folder)) == real.parent for folder in machine.system_dirs):
        source = Source.SYSTEM
    return Candidate(real, source, "", on_path)
