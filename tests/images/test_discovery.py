"""Which interpreters become images, and what they are called."""

from __future__ import annotations

import asyncio
import json
import os
import select
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.images import Catalogue, PythonSource
from bai_tui.app.backend.images.interpreters import Candidate, Machine, candidates, tag_part
from bai_tui.app.backend.images.probe import ProbeFailed, probe
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.tests.waiting import until

Sandbox = Any
Names = Callable[[Catalogue], dict[str, str]]


async def looked(sandbox: Sandbox, **options: Any) -> Catalogue:
    catalogue: Catalogue = sandbox.catalogue(**options)
    await catalogue.refresh()
    return catalogue


def test_a_folder_that_cannot_be_looked_at_is_passed_by(tmp_path: Path) -> None:
    """Root may look at everything, so the name is one that no folder can have."""
    beyond = tmp_path / ("x" * 300) / "shims"
    assert Machine({"PATH": str(beyond), "HOME": str(tmp_path)}).pyenv_roots == [tmp_path / ".pyenv"]


async def test_all_places_newest_first(sandbox: Sandbox, names: Names) -> None:
    there = {
        "python:3.14-debian12": sandbox.python("home/.local/share/uv/python/cpython-3.14.1-x/bin/python3.14", "3.14.1"),
        "python:3.12-debian12": sandbox.python("opt/conda/envs/My Env/bin/python3.12", "3.12.1"),
        "python:3.11-debian12": sandbox.python("bin/python3", "3.11.7"),
        "python:3.10-debian12": sandbox.python("usr/bin/python3.10", "3.10.2"),
        "python:3.6-debian12": sandbox.python("home/.pyenv/versions/3.6.15/bin/python", "3.6.15"),
    }
    (sandbox.root / "opt/conda/envs/My Env/conda-meta").mkdir()
    sandbox.path("bin")
    catalogue = await looked(sandbox)
    assert list(names(catalogue).items()) == [(name, str(path)) for name, path in there.items()]
    sources = [image.labels["bai-tui.source"] for image in catalogue.list()]
    assert sources == ["uv", "conda", "path", "system", "pyenv"]


async def test_an_image_says_what_it_is(sandbox: Sandbox, small: ResourceSlots) -> None:
    path = sandbox.python("usr/bin/python3.9", "3.9.18", ipython=True, machine="aarch64")
    (image,) = (await looked(sandbox, offered=small)).list()
    assert image.canonical == "python:3.9-debian12"
    assert (image.language, image.runtime_version, image.architecture) == ("python", "3.9.18", "aarch64")
    assert image.kernel == "ipython"
    assert image.default_slots.wire() == {"cpu": "1", "mem": str(512 << 20)}, "no more than the machine offers"
    assert image.min_slots.wire() == {"cpu": "1", "mem": str(64 << 20)}
    assert image.labels["ai.backend.runtime-path"] == str(path)
    assert image.labels["ai.backend.base-distro"] == "debian12"
    assert image.digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("version", "about", "kernel"),
    [
        ("3.11.0", {}, "ipython"),
        ("3.10.9", {}, "plain"),
        ("3.10.9", {"ipython": True}, "ipython"),
        ("3.11.0", {"implementation": "pypy"}, "plain"),
    ],
)
async def test_kernel(sandbox: Sandbox, version: str, about: dict[str, Any], kernel: str) -> None:
    sandbox.python("usr/bin/python3", version, **about)
    (image,) = (await looked(sandbox)).list()
    assert image.kernel == kernel


async def test_links_are_one_image(sandbox: Sandbox, names: Names) -> None:
    path = sandbox.python("usr/bin/python3.11")
    for link in ("usr/bin/python3", "usr/bin/python", "bin/python3.11"):
        (sandbox.root / link).parent.mkdir(exist_ok=True)
        (sandbox.root / link).symlink_to(path)
    sandbox.path("bin", "usr/bin")
    assert names(await looked(sandbox)) == {"python:3.11-debian12": str(path)}
    assert sandbox.asked == 1


async def test_the_first_on_path_has_the_plain_name(sandbox: Sandbox, names: Names) -> None:
    system = sandbox.python("usr/bin/python3", "3.11.2")
    first = sandbox.python("mine/python3.11", "3.11.4")
    pyenv = sandbox.python("home/.pyenv/versions/3.11.7/bin/python3", "3.11.7")
    uv = sandbox.python("home/.local/share/uv/python/a/bin/python3", "3.11.9")
    uv2 = sandbox.python("home/.local/share/uv/python/b/bin/python3", "3.11.9")
    sandbox.path("mine", "usr/bin")
    assert names(await looked(sandbox)) == {
        "python:3.11-debian12": str(first),
        "python:3.11-debian12-system3.11.2": str(system),
        "python:3.11-debian12-uv3.11.9": str(uv),
        "python:3.11-debian12-uv3.11.9-2": str(uv2),
        "python:3.11-debian12-pyenv3.11.7": str(pyenv),
    }


async def test_path_goes_before_the_system_also_at_its_end(sandbox: Sandbox, names: Names) -> None:
    sandbox.python("usr/bin/python3", "3.11.2")
    for number in range(3):
        sandbox.python(f"other{number}/python3", f"3.{12 + number}.0")
    last = sandbox.python("last/python3", "3.11.1")
    sandbox.path("other0", "other1", "other2", "last")
    assert names(await looked(sandbox))["python:3.11-debian12"] == str(last)


async def test_off_path_the_system_goes_first_and_the_newer_before_the_older(sandbox: Sandbox, names: Names) -> None:
    sandbox.python("home/.pyenv/versions/3.11.7/bin/python3", "3.11.7")
    sandbox.python("home/.pyenv/versions/3.11.9/bin/python3", "3.11.9")
    catalogue = await looked(sandbox)
    assert list(names(catalogue)) == ["python:3.11-debian12", "python:3.11-debian12-pyenv3.11.7"]
    assert catalogue.list()[0].runtime_version == "3.11.9"
    sandbox.python("usr/bin/python3", "3.11.2")
    await catalogue.refresh()
    assert catalogue.list()[0].runtime_version == "3.11.2"


async def test_pyenv_shims_stand_for_the_chosen_version(sandbox: Sandbox, names: Names) -> None:
    sandbox.script("home/.pyenv/shims/python3", "exit 1")
    sandbox.python("home/.pyenv/versions/3.11.7/bin/python3", "3.11.7")
    chosen = sandbox.python("home/.pyenv/versions/3.11.4/bin/python3", "3.11.4")
    (sandbox.root / "home/.pyenv/version").write_text("3.11.4\nsystem\n")
    sandbox.python("usr/bin/python3", "3.11.2")
    sandbox.path("home/.pyenv/shims", "usr/bin")
    assert names(await looked(sandbox))["python:3.11-debian12"] == str(chosen)
    sandbox.path("home/.pyenv/shims", "usr/bin", PYENV_VERSION="3.11")
    assert (await looked(sandbox)).list()[0].runtime_version == "3.11.7"
    assert sandbox.asked == 3, "the shim itself is not run"


async def test_a_pyenv_elsewhere_is_found_by_its_shims(sandbox: Sandbox, names: Names) -> None:
    sandbox.script("shared/pyenv/shims/python3", "exit 1")
    (sandbox.root / "shared/pyenv/version").write_text("3.12.1\n")
    other = sandbox.python("shared/pyenv/versions/3.6.15/bin/python", "3.6.15")
    chosen = sandbox.python("shared/pyenv/versions/3.12.1/bin/python", "3.12.1")
    sandbox.path("shared/pyenv/shims")
    catalogue = await looked(sandbox)
    assert names(catalogue) == {"python:3.12-debian12": str(chosen), "python:3.6-debian12": str(other)}
    assert {image.labels["bai-tui.source"] for image in catalogue.list()} == {"pyenv"}


async def test_what_is_no_python_3_6_is_left_out(sandbox: Sandbox, names: Names) -> None:
    sandbox.script("usr/bin/python", "exit 2")
    sandbox.script("usr/bin/python3.12", "echo hello")
    sandbox.script("usr/bin/python3.13", "echo 'bai-tui-probe {\"version\": [3]}'")
    sandbox.script("usr/bin/python3-config", "exit 0")
    sandbox.python("usr/bin/python3.5", "3.5.10")
    (sandbox.root / "usr/bin/python3.7").write_text("not executable")
    (sandbox.root / "usr/bin/python3.8").mkdir()
    (sandbox.root / "usr/bin/python3.9").symlink_to("nowhere")
    (sandbox.root / "usr/bin/python3.10").write_bytes(b"\x7fELF broken")
    (sandbox.root / "usr/bin/python3.10").chmod(0o755)
    good = sandbox.python("usr/bin/python3.6", "3.6.0")
    assert names(await looked(sandbox)) == {"python:3.6-debian12": str(good)}


async def test_our_own_environment_is_no_image_but_its_base_is(sandbox: Sandbox, names: Names) -> None:
    base = sandbox.python("base/bin/python3.12", "3.12.1")
    venv = sandbox.root / "tool/.venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = x\n")
    (venv / "bin/python3").symlink_to(base)
    sandbox.path("tool/.venv/bin")
    sandbox.machine = replace(sandbox.machine, own_venv=venv, own_base=base)
    assert names(await looked(sandbox)) == {"python:3.12-debian12": str(base)}


async def test_another_environment_on_path_is_an_image_beside_its_base(sandbox: Sandbox, names: Names) -> None:
    base = sandbox.python("usr/bin/python3.12", "3.12.1")
    venv = sandbox.root / "My Project/.venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = x\n")
    (venv / "bin/python3").symlink_to(base)
    sandbox.path("My Project/.venv/bin")
    assert names(await looked(sandbox)) == {
        "python:3.12-debian12": str(base),
        "python:3.12-debian12-venv-my-project": str(venv / "bin/python3"),
    }


async def test_environments_of_the_configuration(sandbox: Sandbox, names: Names) -> None:
    base = sandbox.python("usr/bin/python3.12", "3.12.1")
    venv = sandbox.root / "home/project/.venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = x\n")
    (venv / "bin/python3").symlink_to(base)
    sandbox.python("none/bin/python3", "3.12.1")
    (sandbox.root / "empty/bin").mkdir(parents=True)
    (sandbox.root / "empty/pyvenv.cfg").touch()
    broken = sandbox.script("broken/bin/python3", "exit 1").parent.parent
    (broken / "pyvenv.cfg").touch()
    folders = [str(sandbox.root / name) for name in ("none", "empty", "broken", "away")]
    catalogue = await looked(sandbox, venvs=["~/project/.venv", *folders])
    assert names(catalogue) == {
        "python:3.12-debian12": str(base),
        "python:3.12-debian12-venv-project": str(venv / "bin/python3"),
    }
    reasons = [
        "it has neither pyvenv.cfg nor conda-meta",
        "there is no Python in its bin that can be run",
        "its Python does not run, or is older than 3.6",
        "there is no such folder",
    ]
    assert catalogue.warnings() == [
        f"{folder} in images.venvs is no virtual environment that sessions could run in: {reason}"
        for folder, reason in zip(folders, reasons, strict=True)
    ]


async def test_an_environment_of_copies_is_one_image(sandbox: Sandbox, names: Names) -> None:
    for name in ("python", "python3", "python3.12"):
        sandbox.python(f"tool/bin/{name}", "3.12.1")
    (sandbox.root / "tool/pyvenv.cfg").write_text("home = x\n")
    catalogue = await looked(sandbox, venvs=[str(sandbox.root / "tool")])
    assert names(catalogue) == {"python:3.12-debian12-venv-tool": str(sandbox.root / "tool/bin/python3")}


async def test_our_own_environment_is_an_image_when_it_is_named(sandbox: Sandbox, names: Names) -> None:
    base = sandbox.python("base/bin/python3.12", "3.12.1")
    venv = sandbox.root / "tool"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = x\n")
    (venv / "bin/python3").symlink_to(base)
    sandbox.machine = replace(sandbox.machine, own_venv=venv, own_base=base)
    catalogue = await looked(sandbox, venvs=[str(venv)])
    assert "python:3.12-debian12-venv-tool" in names(catalogue)
    assert not catalogue.warnings()


async def test_a_wrapper_stands_for_what_it_starts(sandbox: Sandbox, names: Names) -> None:
    real = sandbox.python("opt/real/python-real", "3.12.1")
    sandbox.script("bin/python3", f'exec "{real}"')
    sandbox.path("bin")
    assert names(await looked(sandbox)) == {"python:3.12-debian12": str(real)}
    other = sandbox.python("opt/real/python-other", "3.13.0")
    body = (sandbox.root / "bin/python3").read_text()
    times = (sandbox.root / "bin/python3").stat()
    (sandbox.root / "opt/real/python-real").write_text(f'#!/bin/sh\nexec "{other}"\n')
    assert names(await looked(sandbox)) == {"python:3.13-debian12": str(other)}
    assert (sandbox.root / "bin/python3").read_text() == body
    assert (sandbox.root / "bin/python3").stat().st_mtime_ns == times.st_mtime_ns


async def test_builds_that_are_no_default(sandbox: Sandbox) -> None:
    sandbox.python("usr/bin/python3.15", "3.15.0", release="candidate")
    sandbox.python("usr/bin/python3.14t", "3.14.0", abiflags="t")
    sandbox.python("usr/bin/python3.13", "3.13.0")
    sandbox.python("usr/bin/pypy3", "3.16.0", implementation="pypy")
    catalogue = await looked(sandbox)
    by_name = {image.canonical: image for image in catalogue.list()}
    assert set(by_name) == {
        "python:3.15-debian12",
        "python:3.14t-debian12",
        "python:3.13-debian12",
        "pypy:3.16-debian12",
    }
    assert (await catalogue.resolve("python")).image.canonical == "python:3.13-debian12"
    assert (await catalogue.resolve("python:latest")).image.canonical == "python:3.13-debian12"
    assert (await catalogue.resolve("python:3.14t")).image.canonical == "python:3.14t-debian12"
    assert (await catalogue.resolve("python:3.15")).image.runtime_version == "3.15.0rc"
    assert (await catalogue.resolve("pypy")).image.canonical == "pypy:3.16-debian12"


async def test_answers_are_kept(sandbox: Sandbox, names: Names) -> None:
    sandbox.python("usr/bin/python3.11")
    sandbox.script("usr/bin/python2.7", "exit 2")
    sandbox.script("usr/bin/python", "exit 2")
    first = names(await looked(sandbox))
    assert sandbox.asked == 2
    assert names(await looked(sandbox)) == first
    assert sandbox.asked == 2
    file = sandbox.root / "cache/interpreters.json"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert os.listdir(file.parent) == ["interpreters.json"]


async def test_ids_and_digests_are_the_same_from_start_to_start(sandbox: Sandbox) -> None:
    path = sandbox.python("usr/bin/python3.11")
    (before,) = (await looked(sandbox)).list()
    (after,) = (await looked(sandbox)).list()
    assert after == before
    os.utime(path, ns=(1, 1))
    (changed,) = (await looked(sandbox)).list()
    assert changed.id == before.id
    assert changed.digest != before.digest


async def test_a_changed_interpreter_is_asked_again(sandbox: Sandbox) -> None:
    sandbox.python("usr/bin/python3", "3.11.7")
    await looked(sandbox)
    sandbox.python("usr/bin/python3", "3.12.10")
    (image,) = (await looked(sandbox)).list()
    assert image.runtime_version == "3.12.10"


async def test_an_ipython_that_is_installed_later_is_noticed(sandbox: Sandbox) -> None:
    path = sandbox.python("usr/bin/python3", "3.9.1")
    await looked(sandbox)
    times = path.stat()
    sandbox.python("usr/bin/python3", "3.9.1", ipython=True)
    text = path.read_text().replace('"ipython": true', '"ipython":  true')
    path.write_text(text.replace('"ipython":  true', '"ipython": true '))  # as long as before
    assert path.stat().st_size == times.st_size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    (sandbox.root / "usr/lib").mkdir()  # where packages are installed
    (image,) = (await looked(sandbox)).list()
    assert image.kernel == "ipython"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 1, "entries": 5}',
        '{"version": 2, "entries": {}}',
        "[" * 10**5,
    ],
)
async def test_a_broken_cache_is_ignored(sandbox: Sandbox, text: str) -> None:
    sandbox.python("usr/bin/python3")
    (sandbox.root / "cache").mkdir()
    (sandbox.root / "cache/interpreters.json").write_text(text)
    assert len((await looked(sandbox)).list()) == 1
    assert json.loads((sandbox.root / "cache/interpreters.json").read_text())["version"] == 1


@pytest.mark.parametrize("entry", [5, {}, {"file": 1}, {"folders": {}}, {"answer": {}}, {"answer": {"version": "x"}}])
async def test_a_broken_entry_is_ignored(sandbox: Sandbox, entry: object) -> None:
    sandbox.python("usr/bin/python3")
    await looked(sandbox)
    file = sandbox.root / "cache/interpreters.json"
    data = json.loads(file.read_text())
    (key,) = data["entries"]
    data["entries"][key] = {**data["entries"][key], **entry} if isinstance(entry, dict) and entry else entry
    file.write_text(json.dumps(data))
    assert len((await looked(sandbox)).list()) == 1


async def test_a_cache_that_cannot_be_written_is_done_without(sandbox: Sandbox) -> None:
    sandbox.python("usr/bin/python3")
    (sandbox.root / "cache").write_text("a file where the folder should be")
    assert len((await looked(sandbox)).list()) == 1


async def test_one_look_at_a_time(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Machine] = []

    def counting(machine: Machine) -> Sequence[Candidate]:
        looks.append(machine)
        return candidates(machine)

    monkeypatch.setattr("bai_tui.app.backend.images.python_source.candidates", counting)
    sandbox.python("usr/bin/python3")
    catalogue = sandbox.catalogue()
    await asyncio.gather(*(catalogue.refresh() for _ in range(5)), catalogue.resolve("python"))
    assert len(looks) == 1
    await catalogue.refresh()
    assert len(looks) == 2, "a later call looks again"


async def test_whoever_asks_first_waits_for_the_look(sandbox: Sandbox) -> None:
    sandbox.python("usr/bin/python3")
    catalogue = sandbox.catalogue()
    assert not catalogue.list()
    await catalogue.looked()
    assert len(catalogue.list()) == 1
    sandbox.python("usr/local/bin/python3")
    await catalogue.looked()
    assert len(catalogue.list()) == 1, "it looks once"


async def test_a_cancelled_look_goes_on_for_another(sandbox: Sandbox) -> None:
    real = sandbox.python("opt/python-real")
    os.mkfifo(sandbox.root / "go")
    sandbox.script("usr/bin/python3", f'echo > "{sandbox.root}/hangs"; read go < "{sandbox.root}/go"; exec "{real}"')
    catalogue = sandbox.catalogue()
    async with asyncio.timeout(20):
        first = asyncio.create_task(catalogue.refresh())
        second = asyncio.create_task(catalogue.refresh())
        await until(lambda: (sandbox.root / "hangs").exists())
        first.cancel()
        await asyncio.wait([first])
        await asyncio.to_thread((sandbox.root / "go").write_text, "go\n")
        await second
    assert first.cancelled()
    assert len(catalogue.list()) == 1


async def test_what_does_not_answer_is_ended(sandbox: Sandbox) -> None:
    path = sandbox.script("python3", f'sleep 1000 & echo $! > "{sandbox.root}/pid"; wait')
    with pytest.raises(ProbeFailed, match="within") as error:
        await probe(path, {"PATH": os.environ["PATH"]}, timeout_s=0.3)
    assert not error.value.lasting
    try:
        child = os.pidfd_open(int((sandbox.root / "pid").read_text()))
    except ProcessLookupError:
        return
    with os.fdopen(child):
        assert select.select([child], [], [], 10)[0], "its child has ended too"


async def test_what_prints_without_end_is_ended(sandbox: Sandbox) -> None:
    path = sandbox.script("python3", "exec yes")
    with pytest.raises(ProbeFailed, match="without end"):
        await probe(path, {"PATH": os.environ["PATH"]})


async def test_the_probe_does_not_run_what_the_user_has_set_for_python(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    answer = await probe(Path(sys.executable), {"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere"})
    assert answer.version == sys.version_info[:3]


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("ID=ubuntu\nVERSION_ID='22.04'\n", "ubuntu22.04"),
        ("ID=arch\n", "arch"),
        ('ID="opensuse-leap"\nVERSION_ID="15.5"\n', "opensuse-leap15.5"),
        ("ID=we?rd OS\nVERSION_ID=1/2\n", "we-rd-os1-2"),
        ("", sys.platform),
    ],
)
def test_platform(sandbox: Sandbox, text: str, platform: str) -> None:
    (sandbox.root / "os-release").write_text(text)
    assert sandbox.machine.platform() == platform


def test_platform_without_the_file(sandbox: Sandbox) -> None:
    assert replace(sandbox.machine, os_release=sandbox.root / "none").platform() == sys.platform


def test_tag_parts_fit_into_tags() -> None:
    assert tag_part("-My Env (2)!") == "my-env-2"
    assert tag_part("...") == ""


async def test_the_real_interpreters_of_this_machine(tmp_path: Path) -> None:
    catalogue = Catalogue([PythonSource(tmp_path)])
    await catalogue.refresh()
    interpreters = {image.interpreter for image in catalogue.list()}
    base = Machine(os.environ).own_base
    assert base is not None
    assert os.path.realpath(base) in interpreters, "there is always the one that this program runs on"
    default = (await catalogue.resolve("python")).image
    assert default.runtime_version >= "3."
    for image in catalogue.list():
        assert os.access(image.interpreter, os.X_OK)
