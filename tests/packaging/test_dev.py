"""`./dev` in checkouts and on machines that it will meet. Nothing is installed here: CI does that for real."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Dev = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """The whole PATH of a machine without Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cat", "cksum", "sed", "sh", "mkdir", "ln"):
        real = shutil.which(name)
        assert real
        (folder / name).symlink_to(real)
    return folder


@pytest.fixture
def place(tmp_path: Path, checkout: Path) -> Path:
    """A checkout whose path has blanks."""
    folder = tmp_path / "a check out"
    folder.mkdir()
    for name in ("dev", "pyproject.toml"):
        shutil.copy(checkout / name, folder)
    return folder


@pytest.fixture
def dev(tools: Path, place: Path, tmp_path: Path) -> Dev:
    def run(*words: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", place / "dev", *words],
            cwd=cwd,
            env={"PATH": str(tools), "HOME": str(tmp_path / "no home")},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def finish_set_up(place: Path) -> None:
    """Makes what a finished set-up leaves, with a `bai-tui` that tells its folder and arguments."""
    (place / ".venv" / "bin").mkdir(parents=True)
    script(place / ".venv" / "bin" / "python", "exit 0")
    script(place / ".venv" / "bin" / "bai-tui", 'pwd; for word; do echo "<$word>"; done')
    text = (place / "pyproject.toml").read_bytes()
    checksum = subprocess.run(["cksum"], input=text, capture_output=True, check=True).stdout.decode().strip()
    (place / ".venv" / ".dev-base").write_text(f"{checksum} {place.resolve()}")


def test_without_python_it_says_so(dev: Dev) -> None:
    done = dev("tui")
    assert done.returncode == 1
    assert "no Python 3.11 or newer found" in done.stderr


def test_an_old_python_is_not_taken(dev: Dev, tools: Path) -> None:
    script(tools / "python3", "exit 1")
    done = dev("test")
    assert done.returncode == 1
    assert "no Python 3.11 or newer found" in done.stderr


def test_a_python_without_venv_is_named(dev: Dev, tools: Path) -> None:
    script(tools / "python3.12", 'case "$*" in *ensurepip*) exit 1 ;; esac')
    done = dev("tui")
    assert done.returncode == 1
    assert "python3.12 has no venv module" in done.stderr
    assert "python3-venv" in done.stderr


def test_the_second_run_starts_at_once_in_the_folder_of_the_caller(dev: Dev, place: Path, tmp_path: Path) -> None:
    finish_set_up(place)
    done = dev("tui", "run", "-c", 'print("a  b")', "python", cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str(tmp_path), "<run>", "<-c>", '<print("a  b")>', "<python>"]


def test_serve_is_the_command_serve(dev: Dev, place: Path) -> None:
    finish_set_up(place)
    assert dev("serve", "--status").stdout.splitlines()[1:] == ["<serve>", "<--status>"]


def test_a_changed_pyproject_makes_a_new_set_up(dev: Dev, place: Path) -> None:
    finish_set_up(place)
    with (place / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert "no Python" in dev("tui").stderr


def test_a_moved_checkout_makes_a_new_set_up(dev: Dev, place: Path) -> None:
    finish_set_up(place)
    stamp = place / ".venv" / ".dev-base"
    stamp.write_text(stamp.read_text().replace(str(place.resolve()), "/elsewhere"))
    assert "no Python" in dev("tui").stderr


def test_tests_need_more_than_the_program(dev: Dev, place: Path) -> None:
    finish_set_up(place)
    assert "no Python" in dev("test").stderr


def test_usage(dev: Dev) -> None:
    bare, asked, wrong = dev(), dev("--help"), dev("tset")
    assert (bare.returncode, asked.returncode, wrong.returncode) == (2, 0, 1)
    for command in ("tui", "test", "check", "lint", "types", "bench", "screenshots", "serve"):
        assert f"./dev {command}" in bare.stderr or f"| {command}" in bare.stderr
    assert asked.stdout == bare.stderr
    assert "unknown command 'tset'" in wrong.stderr
