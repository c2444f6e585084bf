from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Outcome

Bai = Callable[..., Outcome]


@pytest.fixture
def file(home: Path) -> Path:
    folder = home / ".config" / "bai-tui"
    folder.mkdir(parents=True)
    return folder / "config.toml"


def editor(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Makes an editor of a line of Python that gets `text` and `path`; returns the file that counts its starts."""
    starts = folder / "starts"
    program = folder / "editor.py"
    program.write_text(
        "import sys, pathlib\n"
        f"path = pathlib.Path(sys.argv[1]); starts = pathlib.Path({str(starts)!r})\n"
        "starts.write_text(starts.read_text() + '.' if starts.exists() else '.')\n"
        f"text = path.read_text()\n{script}\n"
    )
    monkeypatch.setenv("EDITOR", f"{sys.executable} {program}")
    return starts


def test_the_settings_in_force_are_shown(bai: Bai, file: Path) -> None:
    file.write_text("idle_timeout = '90m'\n[tui]\nvim = true\n")
    done = bai("config", "show")
    rows = {row.split()[0]: row.split()[1:] for row in done.out.splitlines()}
    assert rows["idle_timeout"] == ['"90m"', str(file)]
    assert rows["tui.vim"] == ["true", str(file)]
    assert rows["port"] == ["8091", "default"]
    shown = json.loads(bai("config", "show", "tui", "--json").out)
    assert {"key": "tui.vim", "value": True, "from": "file", "variable": None} in shown
    assert all(row["key"].startswith("tui.") for row in shown)
    assert json.loads(bai("--output", "json", "config", "show", "tui").out) == shown
    assert "default" in bai("config", "show", "--defaults", "idle_timeout").out
    wrong = bai("config", "show", "tui.vin")
    assert (wrong.status, wrong.out) == (2, "")
    assert "did you mean 'tui.vim'?" in wrong.err


def test_all_that_is_wrong_is_told_with_its_line(bai: Bai, file: Path) -> None:
    file.write_text("prot = 3\n\n[tui]\ntheme = 'nrd'\nvin = true\n[keys]\nlist-kill = 'n'\nlist-kil = 'x'\n")
    done = bai("config", "validate")
    assert done.status == 78
    told = done.out.splitlines()
    assert told[0] == f"{file}:1: unknown key 'prot': did you mean 'port'?"
    assert told[1] == f"{file}:5: unknown key 'tui.vin': did you mean 'tui.vim'?"
    assert bai("config", "show").status == 78

    file.write_text("[tui]\ntheme = 'nrd'\n[keys]\nlist-kill = 'n'\nlist-kil = 'x'\nzoom = 'f44'\n")
    told = bai("config", "validate").out.splitlines()
    assert f"{file}:2: tui.theme: there is no theme 'nrd': did you mean 'nord'?" in told
    assert f"{file}:5: keys.list-kil: there is no action 'list-kil': did you mean 'list-kill'?" in told
    assert any("keys.list-kill: 'n' is already the key of 'list-new' in the pane sessions" in line for line in told)
    assert any(line.startswith(f"{file}:6: keys.zoom: 'f44' is no key") for line in told)

    file.write_text("port = = 3\n")
    assert bai("config", "validate").out == f"{file}:1: this is not valid TOML: Invalid value\n"
    file.write_text("port = 3\n")
    good = bai("config", "validate")
    assert (good.status, good.out) == (0, "")
    assert "nothing is wrong" in good.err


def test_any_file_can_be_validated(bai: Bai, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    assert bai("config", "validate", str(other)).status == 78
    other.write_text("cpu = -1\n")
    assert bai("config", "validate", str(other)).out.startswith(f"{other}:1: cpu: -1 is no number")


def test_a_secret_key_that_others_can_read_is_wrong(bai: Bai, file: Path) -> None:
    secret = file.parent / "key"
    secret.write_text("s")
    secret.chmod(0o644)
    file.write_text("[contexts.lab]\nendpoint = 'http://lab'\naccess_key = 'A'\nsecret_key_file = 'key'\n")
    told = bai("config", "validate").out
    assert told.startswith(f"{file}:4: contexts.lab: others can read the secret key in {secret}: `chmod 600 {secret}`")
    secret.chmod(0o600)
    assert bai("config", "validate").status == 0


def test_path_and_schema(bai: Bai, home: Path) -> None:
    assert bai("config", "path").out == f"{home}/.config/bai-tui/config.toml\n"
    assert json.loads(bai("config", "schema").out)["properties"]["tui"]["properties"]["vim"]["type"] == "boolean"


def test_the_first_edit_begins_with_all_settings(
    bai: Bai, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "path.write_text(text.replace('#vim = false', 'vim = true'))")
    done = bai("config", "edit")
    file = home / ".config" / "bai-tui" / "config.toml"
    assert done.status == 0
    assert "\nvim = true\n" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file], "no copy is left"
    assert "true" in bai("config", "show", "tui.vim").out
    editor(tmp_path, monkeypatch, "")
    assert "nothing was changed" in bai("config", "edit").err


def test_an_edit_that_goes_wrong_leaves_the_file(
    bai: Bai, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("port = 1\n")
    starts = editor(tmp_path, monkeypatch, "path.write_text('prot = 1')")
    done = bai("config", "edit")
    assert done.status == 78
    assert "config.toml:1: unknown key 'prot'" in done.err
    assert file.read_text() == "port = 1\n"
    assert starts.read_text() == ".", "nobody is there who could be asked"
    editor(tmp_path, monkeypatch, "sys.exit(3)")
    assert "ended with status 3" in bai("config", "edit").err
    monkeypatch.setenv("VISUAL", "/nowhere/editor")
    assert "cannot be started" in bai("config", "edit").err
    assert list(file.parent.iterdir()) == [file]


def test_a_change_by_somebody_else_is_not_lost(
    bai: Bai, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("port = 1\n")
    editor(tmp_path, monkeypatch, f"pathlib.Path({str(file)!r}).write_text('port = 2'); path.write_text('port = 3')")
    assert "changed by somebody else" in bai("config", "edit").err
    assert file.read_text() == "port = 2"


def test_a_link_stays_one(bai: Bai, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("port = 1\n")
    real.chmod(0o640)
    file.symlink_to(real)
    editor(tmp_path, monkeypatch, "path.write_text('port = 2')")
    assert bai("config", "edit").status == 0
    assert file.is_symlink()
    assert real.read_text() == "port = 2"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_in_a_terminal_the_editor_is_offered_again(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("port = 1\n")
    starts = editor(tmp_path, monkeypatch, "path.write_text('prot = 2' if starts.read_text() == '.' else 'port = 2')")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bai_tui", "config", "edit"], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while b"Edit again?" not in said:
            said += os.read(ours, 1024)
        os.write(ours, b"\n")
        assert process.wait(20) == 0
    os.close(ours)
    assert b"did you mean 'port'?" in said
    assert starts.read_text() == ".."
    assert file.read_text() == "port = 2"
