"""The wheel carries everything: each sub-package, each style, each migration."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import bai_tui

DATA_SUFFIXES = {".tcss", ".sql", ".csv", ".toml", ".json", ".txt", ".typed"}


def test_wheel_holds_every_tracked_file_of_the_package(wheel: Path, shipped: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name.removeprefix("bai_tui/") for name in archive.namelist() if name.startswith("bai_tui/")}
    wanted = {name for name in shipped if Path(name).suffix in DATA_SUFFIXES | {".py"} or Path(name).name == "py.typed"}
    assert wanted, "no file of the package is tracked"
    assert not wanted - held, "the wheel lacks files: see [tool.setuptools] in pyproject.toml"


def test_wheel_holds_nothing_else(wheel: Path, shipped: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert sorted(names) == sorted(f"bai_tui/{name}" for name in shipped)


def test_package_list_is_complete(checkout: Path, shipped: list[str], project: dict[str, Any]) -> None:
    folders = {str(Path(name).parent) for name in shipped if name.endswith(".py")}
    wanted = sorted("bai_tui" + ("" if folder == "." else "." + folder.replace("/", ".")) for folder in folders)
    assert sorted(project["tool"]["setuptools"]["packages"]) == wanted
    without = [folder for folder in folders if not (checkout / folder / "__init__.py").is_file()]
    assert not without, "folders with modules but without __init__.py"


def test_version_is_the_same_everywhere(wheel: Path, checkout: Path, project: dict[str, Any]) -> None:
    version = project["project"]["version"]
    assert bai_tui.__version__ == version
    assert wheel.name.split("-")[1] == version
    assert f"## [{version}]" in (checkout / "CHANGELOG.md").read_text(), "CHANGELOG.md has no section for this version"
