"""Which Jupyter kernelspecs become images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.images import Catalogue, KernelspecSource, PythonSource
from bai_tui.app.model.errors import ImageFailed
from bai_tui.app.model.images import Image, ImageKind, ImageState

Sandbox = Any


@pytest.fixture
def bash(tmp_path: Path) -> Path:
    """A program that kernelspecs can name."""
    program = tmp_path / "programs/bash"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def write(folder: Path, argv: list[str], language: str = "bash", **more: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "B ash", "language": language, **more})
    )
    return folder


def source(tmp_path: Path, **environ: str) -> KernelspecSource:
    environment = {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "programs"), **environ}
    return KernelspecSource(environment, system=[tmp_path / "usr/share/jupyter"])


async def found(tmp_path: Path, **environ: str) -> Mapping[str, Image]:
    return {one.image.canonical: one.image for one in await source(tmp_path, **environ).look([])}


async def test_all_places_and_the_first_of_a_name_wins(tmp_path: Path, bash: Path) -> None:
    mine = write(tmp_path / "extra/kernels/one", [str(bash)])
    write(tmp_path / "home/.local/share/jupyter/kernels/one", ["nowhere"])
    two = write(tmp_path / "home/.local/share/jupyter/kernels/two", [str(bash)])
    three = write(tmp_path / "usr/share/jupyter/kernels/three", ["bash"])
    four = write(tmp_path / "home/.ipython/kernels/four", ["bash"])
    images = await found(tmp_path, JUPYTER_PATH=str(tmp_path / "extra"))
    assert {name: image.kernelspec for name, image in images.items()} == {
        "bash:jupyter-one": str(mine),
        "bash:jupyter-two": str(two),
        "bash:jupyter-three": str(three),
        "bash:jupyter-four": str(four),
    }
    assert all(image.state is ImageState.READY for image in images.values())
    assert set(await found(tmp_path, XDG_DATA_HOME=str(tmp_path / "none"))) == {
        "bash:jupyter-three",
        "bash:jupyter-four",
    }


async def test_an_image_says_what_it_is(tmp_path: Path, bash: Path) -> None:
    folder = write(tmp_path / "usr/share/jupyter/kernels/Calysto_Bash", ["bash", "-f", "{connection_file}"])
    (image,) = (await found(tmp_path)).values()
    assert image.canonical == "bash:jupyter-calysto_bash"
    assert (image.kind, image.language, image.kernel) == (ImageKind.JUPYTER, "bash", "jupyter")
    assert (image.interpreter, image.kernelspec) == ("", str(folder))
    assert image.summary == "B ash, a Jupyter kernel"
    assert image.labels["ai.backend.runtime-path"] == str(bash)
    digest = image.digest
    (folder / "kernel.json").write_text((folder / "kernel.json").read_text() + " ")
    (changed,) = (await found(tmp_path)).values()
    assert changed.digest != digest
    assert changed.id == image.id


@pytest.mark.parametrize(
    ("language", "name"),
    [("R", "r"), ("C++17", "cpp17"), ("F#", "fsharp"), ("typescript", "typescript"), ("", "jupyter"), ("!", "jupyter")],
)
async def test_languages_become_names(tmp_path: Path, bash: Path, language: str, name: str) -> None:
    write(tmp_path / "usr/share/jupyter/kernels/x", ["bash"], language)
    assert set(await found(tmp_path)) == {f"{name}:jupyter-x"}


@pytest.mark.parametrize(
    "text",
    ["", "5", "[]", "{}", '{"argv": []}', '{"argv": [5]}', '{"argv": "bash"}', "[" * 10**5, "\xff", " " * (1 << 21)],
    ids=range(10),
)
async def test_what_is_no_kernelspec_is_left_out(tmp_path: Path, bash: Path, text: str) -> None:
    write(tmp_path / "usr/share/jupyter/kernels/good", ["bash"])
    folder = write(tmp_path / "usr/share/jupyter/kernels/bad", ["bash"])
    (folder / "kernel.json").write_bytes(text.encode("latin-1"))
    (tmp_path / "usr/share/jupyter/kernels/empty").mkdir()
    assert set(await found(tmp_path)) == {"bash:jupyter-good"}


async def test_one_whose_program_is_missing_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "usr/share/jupyter/kernels/ir", ["R", "--slave"], "R")
    (image,) = (await found(tmp_path)).values()
    assert image.state is ImageState.UNAVAILABLE
    assert image.reason == f"R, which its kernelspec {folder}/kernel.json runs, cannot be executed"


async def test_a_program_without_a_folder_is_that_of_the_installation(tmp_path: Path, bash: Path) -> None:
    own = tmp_path / "conda/bin/bash"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    write(tmp_path / "conda/share/jupyter/kernels/b", ["bash"])
    images = await found(tmp_path, JUPYTER_PATH=str(tmp_path / "conda/share/jupyter"))
    assert images["bash:jupyter-b"].labels["ai.backend.runtime-path"] == str(own)


async def test_a_python_of_jupyter_stands_behind_the_native_ones(sandbox: Sandbox) -> None:
    sandbox.python("usr/bin/python3", "3.9.1")
    python = sandbox.python("opt/conda/bin/python3", "3.8.1")
    (sandbox.root / "opt/conda/conda-meta").mkdir()
    write(sandbox.root / "opt/conda/share/jupyter/kernels/python3", ["python3"], "python")
    environ = {"HOME": str(sandbox.root), "PATH": ""}
    specs = KernelspecSource(environ, system=[])
    catalogue = Catalogue([PythonSource(sandbox.root / "cache", machine=sandbox.machine), specs])
    await catalogue.refresh()
    kinds = {image.canonical: image.kind for image in catalogue.list()}
    assert kinds == {
        "python:3.9-debian12": ImageKind.PYTHON,
        "python:3.8-debian12": ImageKind.PYTHON,
        "python:jupyter-python3": ImageKind.JUPYTER,
    }
    assert (await catalogue.resolve("python")).image.canonical == "python:3.9-debian12"
    resolution = await catalogue.resolve("python:jupyter-python3")
    assert resolution.notice is None
    assert resolution.image.labels["ai.backend.runtime-path"] == str(python)


async def test_one_that_disappears_is_noticed_and_comes_back(tmp_path: Path, bash: Path) -> None:
    specs = source(tmp_path)
    folder = write(tmp_path / "usr/share/jupyter/kernels/b", ["bash"])
    (named,) = await specs.look([])
    assert await specs.check(named.image) == ""
    bash.rename(tmp_path / "away")
    assert await specs.check(named.image) == f"its program {bash} is gone"
    (tmp_path / "away").rename(bash)
    (folder / "kernel.json").rename(tmp_path / "away")
    assert await specs.check(named.image) == (
        f"its kernelspec {folder}/kernel.json cannot be read: No such file or directory"
    )
    (tmp_path / "away").rename(folder / "kernel.json")
    assert await specs.check(named.image) == ""
    for change in (specs.make_ready(named.image, lambda progress: None), specs.remove(named.image)):
        with pytest.raises(ImageFailed, match=str(folder)):
            await change
