"""A recipe of the user's, from the file to a session, with the real backend: no network, a wheel made here."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from .conftest import World

RECIPE = """\
name = "tiny"
summary = "a test"
packages = ["bai-tiny-demo==1.0"]
startup = "import bai_tiny_demo"

[environment]
TINY = "from the recipe"

[index]
find_links = ["wheels"]
offline = true
"""


def _write(folder: Path) -> Path:
    """Makes the recipe and the wheel that it needs; returns the recipe."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    about = "bai_tiny_demo-1.0.dist-info"
    with zipfile.ZipFile(wheels / "bai_tiny_demo-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("bai_tiny_demo.py", "WORD = 'it works'\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: bai-tiny-demo\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    file = folder / "tiny.toml"
    file.write_text(RECIPE)
    return file


def test_a_recipe_is_built_used_removed_and_built_again(world: World) -> None:
    assert "tiny" not in world.bai("image", "list").out
    file = _write(Path(os.environ["HOME"], ".config", "bai-tui", "recipes"))
    listed = world.bai("image", "list", "tiny", "--state", "buildable")
    assert "can be built" in listed.out and "tiny" in listed.out, "at once: nobody has to tell the backend"
    assert "the same as before" in world.bai("image", "rescan").err
    built = world.bai("image", "build", "--log", "tiny")
    name = built.out.splitlines()[-1]
    assert built.status == 0 and name.startswith("tiny:") and "is ready: built in 0:" in built.err
    assert "bai-tiny-demo" in built.out.lower(), "what the installer said"
    assert world.bai("image", "log", "tiny").out == built.out.removesuffix(f"{name}\n")

    code = "import os; print(bai_tiny_demo.WORD, os.environ['TINY'])"
    ran = world.bai("run", "--rm", "--exact", "-c", code, "tiny")
    assert (ran.status, ran.out) == (0, "it works from the recipe\n") and f"runs {name}" in ran.err
    assert world.bai("image", "info", name).out.splitlines()[1].split() == ["State", "ready"]

    removed = world.bai("image", "rm", "tiny")
    assert (removed.status, removed.out) == (0, "tiny\n") and "removed the environment" in removed.err
    assert world.bai("image", "rm", "tiny").status == 65, "there is nothing to remove any more"
    again = world.bai("run", "--rm", "-e", "TINY=mine", "-c", code, "tiny")
    assert (again.status, again.out) == (0, "it works mine\n"), again.err

    file.write_text(RECIPE.replace("==1.0", "==2.0"))
    world.bai("image", "rescan", "-q")
    failed = world.bai("run", "--rm", "-c", "1", "tiny")
    assert failed.status == 65 and "bai-tiny-demo" in failed.err.lower() and failed.out == ""
