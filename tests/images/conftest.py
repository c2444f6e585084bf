"""Machines with interpreters that are shell scripts: they answer the probe and count how often they were asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.images import Catalogue, PythonSource
from bai_tui.app.backend.images.interpreters import Machine
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.policies import ImageSettings


@dataclass
class Sandbox:
    """A folder that stands for a machine."""

    root: Path
    machine: Machine

    def python(self, path: str, version: str = "3.11.7", **about: Any) -> Path:
        """Puts an interpreter at `path`; `about` replaces parts of its answer."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        release = about.pop("release", "final")
        answer = {
            "version": [*map(int, version.split(".")), release, 0],
            "implementation": "cpython",
            "executable": str(file),
            "prefix": str(file.parent.parent),
            "abiflags": "",
            "machine": "x86_64",
            "ipython": False,
            "path": [str(file.parent.parent / "lib")],
            **about,
        }
        self.script(path, f"echo 'bai-tui-probe {json.dumps(answer)}'")
        return file

    def script(self, path: str, body: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/sh\necho x >> "{self.root}/asked"\n{body}\n')
        file.chmod(0o755)
        return file

    @property
    def asked(self) -> int:
        """How often any interpreter was run."""
        log = self.root / "asked"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def path(self, *folders: str, **environ: str) -> None:
        """Sets PATH, and other variables."""
        text = ":".join(str(self.root / folder) for folder in folders)
        self.machine = replace(self.machine, environ={**self.machine.environ, "PATH": text, **environ})

    def catalogue(self, settings: ImageSettings | None = None, **options: Any) -> Catalogue:
        return Catalogue(
            [PythonSource(self.root / "cache", machine=self.machine, **options)], self.root / "aliases.toml", settings
        )


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    (tmp_path / "os-release").write_text('NAME="Debian"\nID=debian\nVERSION_ID="12"\n')
    machine = Machine(
        environ={"HOME": str(tmp_path / "home"), "PATH": ""},
        system_dirs=(tmp_path / "usr/bin",),
        conda_roots=(tmp_path / "opt/conda",),
        own_venv=None,
        own_base=None,
        os_release=tmp_path / "os-release",
    )
    return Sandbox(tmp_path, machine)


@pytest.fixture
def names() -> Callable[[Catalogue], dict[str, str]]:
    """Returns canonical name -> interpreter of a catalogue, in its order."""

    def of(catalogue: Catalogue) -> dict[str, str]:
        return {image.canonical: image.interpreter for image in catalogue.list()}

    return of


@pytest.fixture
def small() -> ResourceSlots:
    return ResourceSlots.parse({"cpu": "4", "mem": "512m"})
