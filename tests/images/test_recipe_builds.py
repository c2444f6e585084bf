"""Environments of recipes: built by the real installers from a folder of wheels, interrupted, damaged, removed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bai_tui.app.backend.ports import Progress
from bai_tui.app.model.errors import ImageFailed
from bai_tui.app.model.images import Image, ImageState
from bai_tui.tests.waiting import until

from .kitchen import Kitchen, wheel

BUILD_IN_A_PROCESS = """
import asyncio, sys
from pathlib import Path
from bai_tui.tests.images.kitchen import Kitchen

async def build():
    kitchen = Kitchen(Path(sys.argv[1]))
    source = kitchen.source()
    print((await source.make_ready(await kitchen.image(source), lambda progress: None)).interpreter)

asyncio.run(build())
"""


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    kitchen = Kitchen(tmp_path)
    kitchen.recipe()
    return kitchen


def quiet(progress: Progress) -> None:
    """For those who do not want to know."""


def says(image: Image, code: str) -> str:
    """Returns what the interpreter of an image prints."""
    return subprocess.run([image.interpreter, "-c", code], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


@contextlib.contextmanager
def session_in(image: Image) -> Iterator[None]:
    """Something runs in an environment."""
    process = subprocess.Popen([image.interpreter, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield
    finally:
        process.communicate(b"\n")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("installer", ["uv", "pip"])
async def test_a_recipe_is_built_once_and_known_from_then_on(kitchen: Kitchen, installer: str) -> None:
    kitchen.recipe(f'packages = ["tinything"]\ninstaller = "{installer}"')
    source = kitchen.source()
    image = await kitchen.image(source)
    assert (image.state, image.interpreter) == (ImageState.BUILDABLE, "")
    heard: list[Progress] = []
    ready = await source.make_ready(image, heard.append)
    assert ready.state is ImageState.READY
    assert says(ready, "import tinything; print(tinything.version)") == "1.0"
    assert says(ready, "import sys; print(sys.prefix != sys.base_prefix)") == "True"
    assert ready.size_bytes > 0
    steps = 2 if installer == "uv" else 1  # uv compiles at the end, which counts
    assert (heard[-1].current, heard[-1].total) == (steps, steps)
    log = next(kitchen.cache.glob("logs/*.log"))
    assert "tinything" in await source.log(image)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE((kitchen.cache / "environments").stat().st_mode) == 0o700
    again = await kitchen.image(kitchen.source())
    assert (again.state, again.interpreter, again.digest) == (ImageState.READY, ready.interpreter, ready.digest)


async def test_recipes_of_the_same_content_share_one_environment(kitchen: Kitchen) -> None:
    kitchen.recipe(name="other")
    source = kitchen.source()
    ready = await source.make_ready(await kitchen.image(source), quiet)
    other = await kitchen.image(source, "other")
    assert (other.state, other.interpreter) == (ImageState.READY, ready.interpreter)
    assert other.id != ready.id


async def test_two_processes_that_build_at_once_share_one_environment(kitchen: Kitchen) -> None:
    words = [sys.executable, "-c", BUILD_IN_A_PROCESS, str(kitchen.root)]
    processes = [await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE) for _ in range(2)]
    first, second = [(await process.communicate())[0].decode() for process in processes]
    assert first == second != ""
    assert len(kitchen.builds) == 1


async def test_what_a_killed_builder_left_is_ended_and_cleared_by_the_next(kitchen: Kitchen) -> None:
    kitchen.held.touch()
    words = [sys.executable, "-c", BUILD_IN_A_PROCESS, str(kitchen.root)]
    builder = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
    orphan = int(await until(lambda: kitchen.held.read_text().strip()))
    builder.send_signal(signal.SIGKILL)
    await builder.wait()
    assert lives(orphan)
    (half,) = kitchen.builds
    (half / "bin").mkdir()
    kitchen.held.unlink()
    source = kitchen.source()
    image = await kitchen.image(source)
    assert image.state is ImageState.BUILDABLE
    ready = await source.make_ready(image, quiet)
    assert kitchen.builds == [Path(ready.interpreter).parent.parent]
    await until(lambda: not lives(orphan))


async def test_a_build_that_is_cancelled_leaves_nothing(kitchen: Kitchen) -> None:
    kitchen.held.touch()
    source = kitchen.source()
    image = await kitchen.image(source)
    build = asyncio.create_task(source.make_ready(image, quiet))
    process = int(await until(lambda: kitchen.held.read_text().strip()))
    build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await build
    await until(lambda: not lives(process))
    assert kitchen.builds == []
    assert (await kitchen.image(source)).state is ImageState.BUILDABLE
    kitchen.held.unlink()
    assert (await source.make_ready(image, quiet)).state is ImageState.READY


async def test_damage_is_seen_and_mended_by_building_again(kitchen: Kitchen) -> None:
    source = kitchen.source()
    ready = await source.make_ready(await kitchen.image(source), quiet)
    assert await source.check(ready) == ""
    module = next(Path(ready.interpreter).parent.parent.glob("lib/*/site-packages/tinything.py"))
    (module.parent / "added_by_its_user.py").touch()
    assert await source.check(ready) == ""
    module.unlink()
    assert "has lost tinything.py" in await source.check(ready)
    damaged = await kitchen.image(source)
    assert damaged.state is ImageState.BUILDABLE
    assert "tinything.py" in damaged.reason
    mended = await source.make_ready(damaged, quiet)
    assert says(mended, "import tinything; print(tinything.version)") == "1.0"
    Path(mended.interpreter).unlink()
    assert "the interpreter of its environment" in await source.check(mended)


async def test_built_anew_sessions_keep_the_environment_that_they_run_in(kitchen: Kitchen) -> None:
    source = kitchen.source()
    first = await source.make_ready(await kitchen.image(source), quiet)
    with session_in(first):
        second = await source.make_ready(first, quiet)
        assert second.interpreter != first.interpreter
        assert says(first, "import tinything; print(tinything.version)") == "1.0"
        assert len(kitchen.builds) == 2
    third = await source.make_ready(second, quiet)
    assert kitchen.builds == [Path(third.interpreter).parent.parent]
    assert "built anew" in await source.check(second)


async def test_a_build_anew_that_fails_leaves_the_earlier_one(kitchen: Kitchen) -> None:
    source = kitchen.source()
    ready = await source.make_ready(await kitchen.image(source), quiet)
    (kitchen.root / "wheels/tinything-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ImageFailed):
        await source.make_ready(ready, quiet)
    assert await source.check(ready) == ""
    assert kitchen.builds == [Path(ready.interpreter).parent.parent]


async def test_a_changed_recipe_is_built_apart_and_takes_the_place_of_the_earlier_one(kitchen: Kitchen) -> None:
    source = kitchen.source()
    first = await source.make_ready(await kitchen.image(source), quiet)
    wheel(kitchen.root / "wheels", version="2.0")
    kitchen.recipe('packages = ["tinything==2.0"]')
    changed = await kitchen.image(source)
    assert (changed.state, changed.id) == (ImageState.BUILDABLE, first.id)
    assert changed.digest != first.digest
    with session_in(first):
        second = await source.make_ready(changed, quiet)
        assert len(kitchen.builds) == 2
    assert "removed the environment of mine" in await source.remove(second)
    assert kitchen.builds == []
    with pytest.raises(ImageFailed, match="nothing to remove"):
        await source.remove(second)


async def test_the_environment_of_a_recipe_that_is_gone_goes_with_the_next_build(kitchen: Kitchen) -> None:
    kitchen.recipe('packages = ["tinything==1.0"]', "other")
    source = kitchen.source()
    await source.make_ready(await kitchen.image(source, "other"), quiet)
    (kitchen.root / "recipes/other.toml").unlink()
    ready = await source.make_ready(await kitchen.image(source), quiet)
    assert kitchen.builds == [Path(ready.interpreter).parent.parent]


async def test_removal_while_another_process_builds_is_refused(kitchen: Kitchen) -> None:
    kitchen.held.touch()
    source, other = kitchen.source(), kitchen.source()
    image = await kitchen.image(source)
    build = asyncio.create_task(source.make_ready(image, quiet))
    await until(lambda: kitchen.held.read_text().strip())
    await kitchen.image(other)
    with pytest.raises(ImageFailed, match="is being built just now"):
        await other.remove(image)
    build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await build


async def test_a_package_that_cannot_be_had_is_one_sentence_with_the_log(kitchen: Kitchen) -> None:
    kitchen.recipe('packages = ["tinything", "nosuchthing"]')
    source = kitchen.source()
    with pytest.raises(ImageFailed) as failed:
        await source.make_ready(await kitchen.image(source), quiet)
    message = failed.value.message
    assert message.startswith("mine:")
    assert "installing the packages failed" in message
    assert "nosuchthing" in message
    assert "\n" not in message
    log = Path(message.rpartition(" ")[2])
    assert "nosuchthing" in log.read_text()
    assert kitchen.builds == []


async def test_a_cache_that_cannot_be_written_is_one_sentence(kitchen: Kitchen) -> None:
    (kitchen.root / "cache").touch()  # a file, where a folder is wanted: root could write into any folder
    source = kitchen.source()
    with pytest.raises(ImageFailed, match=r"^mine:\S+ could not be built: .*cache"):
        await source.make_ready(await kitchen.image(source), quiet)


async def test_a_kernelspec_is_written_into_the_environment(kitchen: Kitchen) -> None:
    kernel = '[kernel]\nargv = ["{prefix}/bin/python", "{connection_file}"]\ndisplay_name = "Mine"\nversion = "7"\n'
    kitchen.recipe(f'packages = ["tinything"]\nlanguage = "mylang"\n{kernel}')
    source = kitchen.source()
    ready = await source.make_ready(await kitchen.image(source), quiet)
    spec = Path(ready.kernelspec, "kernel.json").read_text()
    assert str(Path(ready.interpreter)) in spec
    assert "{connection_file}" in spec
    assert (ready.language, ready.runtime_version) == ("mylang", "7")


async def test_a_bare_interpreter_is_ready_without_building(kitchen: Kitchen) -> None:
    kitchen.recipe('interpreter = ">=3.6"\ntag = "3.6-other"')
    source = kitchen.source()
    image = await kitchen.image(source)
    assert (image.state, image.interpreter) == (ImageState.READY, str(kitchen.python))
    kitchen.python.unlink()
    assert "is gone" in await source.check(image)
    with pytest.raises(ImageFailed, match="nothing was built"):
        await source.remove(image)


@pytest.mark.timeout(180)
async def test_a_recipe_is_built_from_the_package_index(kitchen: Kitchen) -> None:
    (kitchen.root / "recipes/mine.toml").write_text('name = "mine"\npackages = ["six"]\n')
    from bai_tui.app.backend.images import RecipeSource

    source = RecipeSource(kitchen.cache, kitchen.root / "recipes", {**os.environ, "UV_HTTP_RETRIES": "1"})
    try:
        ready = await source.make_ready(await kitchen.image(source), quiet)
    except ImageFailed as failed:
        if "the package index cannot be reached" not in failed.message:
            raise
        pytest.skip(f"NO PACKAGE INDEX HERE: no recipe was built from one ({failed.message})")
    assert says(ready, "import six; print(six.PY3)") == "True"
    assert says(ready, "import pip; print(bool(pip.__version__))") == "True"
