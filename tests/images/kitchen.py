"""Recipes for tests: an interpreter that can be stopped while it is asked, and packages in a folder, no network."""

from __future__ import annotations

import os
import platform
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from bai_tui.app.backend.images import RecipeSource
from bai_tui.app.backend.images.naming import Named
from bai_tui.app.model.images import Image, ImageReference


def wheel(folder: Path, name: str = "tinything", version: str = "1.0") -> None:
    """Puts a wheel with one module there."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)


@dataclass
class Kitchen:
    """A machine with one Python, a folder of wheels, and a folder of recipes."""

    root: Path

    @property
    def held(self) -> Path:
        """While this file is there, the interpreter does not answer; it says in it which process it is."""
        return self.root / "held"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def __post_init__(self) -> None:
        self.python = self.root / "python"
        if self.python.exists():  # another process has made all this
            return
        wheel(self.root / "wheels")
        real = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        self.python.write_text(
            f'#!/bin/sh\n[ -e {self.held} ] && echo $$ > {self.held} && sleep 600\nexec {real} "$@"\n'
        )
        self.python.chmod(0o755)

    def recipe(self, text: str = "", name: str = "mine") -> None:
        """Writes a recipe of `tinything`; `text` replaces what it installs, and more."""
        body = text or 'packages = ["tinything"]\n'
        folder = self.root / "recipes"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(
            f'name = "{name}"\n{body}\n[index]\nfind_links = ["{self.root}/wheels"]\noffline = true\n'
        )

    def source(self) -> RecipeSource:
        environ = {"HOME": str(self.root), "PATH": os.environ["PATH"], "UV_CACHE_DIR": str(self.root / "uv")}
        return RecipeSource(self.cache, self.root / "recipes", environ)

    def found(self, version: str = platform.python_version()) -> list[Named]:
        labels = {"ai.backend.base-distro": "debian12", "bai-tui.source": "path"}
        short = version.rpartition(".")[0]
        image = Image(
            id="base", reference=ImageReference("python", f"{short}-debian12"), labels=labels,
            runtime_version=version, interpreter=str(self.python),
        )  # fmt: skip
        major, minor, micro = map(int, version.split("."))
        return [Named(image, plain=True, stable=True, version=(major, minor, micro))]

    async def image(self, source: RecipeSource, name: str = "mine") -> Image:
        """Looks, and returns the image of that name."""
        return next(one.image for one in await source.look(self.found()) if one.image.reference.name == name)

    @property
    def builds(self) -> list[Path]:
        """The folders of all builds, whole or not."""
        return [path for path in self.cache.glob("environments/*/*") if path.is_dir()]
