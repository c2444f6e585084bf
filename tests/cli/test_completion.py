"""Real shells load the script and complete command lines with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Manager, Outcome

Bai = Callable[..., Outcome]
Complete = Callable[[str], list[str]]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH with `bai-tui` of this checkout."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "bai-tui"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m bai_tui "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def shell(name: str, script: str, folder: Path) -> list[str]:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed here")
    options = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    done = subprocess.run(
        [name, *options, "-c", script], cwd=folder, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def bash(bai: Bai, program: Path, tmp_path: Path) -> Complete:
    """Returns what bash would offer for a line, as its readline takes words apart."""
    script = bai("completion", "bash").out
    (tmp_path / "completion.bash").write_text(script)

    def complete(line: str) -> list[str]:
        words: list[str] = [""]
        for character in line:
            if character == " ":
                words.append("")
            elif character in ":=":
                words += [character, ""]
            else:
                words[-1] += character
        words = [word for index, word in enumerate(words) if word or index == len(words) - 1]
        quoted = " ".join(f"'{word}'" for word in words)
        return shell(
            "bash",
            f". ./completion.bash; COMP_LINE='{line}' COMP_POINT={len(line)} COMP_CWORD={len(words) - 1}\n"
            f"COMP_WORDS=({quoted}); _bai_tui_completion bai-tui 2>/dev/null\n"
            'printf "%s\\n" "${COMPREPLY[@]}"; complete -p bai-tui >/dev/null',
            tmp_path,
        )

    return complete


def test_bash_completes_commands_and_options(bash: Complete) -> None:
    assert bash("bai-tui re") == ["restart", "rename"]
    assert bash("bai-tui session se") == ["set-priority"]
    assert bash("bai-tui ps --sta") == ["--status"]
    assert bash("bai-tui --output j") == ["json"]
    assert "--context" in bash("bai-tui rm --")


def test_bash_completes_what_the_server_knows(bash: Complete, manager: Manager) -> None:
    assert bash("bai-tui rm ") == ["first-session", "second"]
    assert bash("bai-tui rm first-session s") == ["second"]
    assert bash("bai-tui rm first-session ") == ["second"], "what is given is not offered again"
    assert bash("bai-tui run ") == ["r/python:3.11", "py"]
    assert bash("bai-tui run r/python:3") == ["3.11"], "bash replaces only what stands behind the colon"
    sid = str(manager.rows[0]["id"])
    assert bash(f"bai-tui info {sid[:4]}") == [sid]


def test_a_name_that_a_shell_would_run_is_not_offered(bash: Complete, manager: Manager) -> None:
    manager.rows[0]["name"] = "$(touch owned)"
    manager.rows[1]["name"] = "fine;id"
    assert bash("bai-tui rm ") == [""]


def test_nothing_is_started_and_nothing_said_where_no_server_is(bash: Complete, home: Path) -> None:
    assert bash("bai-tui rm ") == [""]
    assert not (home / ".local" / "state").exists()


def test_bash_completes_contexts_and_settings(
    bash: Complete, bai: Bai, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bai("context", "add", "lab").status == 0
    assert bash("bai-tui context use l") == ["local", "lab"]
    assert bash("bai-tui config show tui.t") == ["tui.theme", "tui.timestamps"]
    for name in ("BACKEND_ENDPOINT", "BACKEND_ACCESS_KEY", "BACKEND_SECRET_KEY"):
        monkeypatch.delenv(name)
    assert bash("bai-tui --context lab rm ") == ["first-session", "second"]
    assert bash("bai-tui rm ") == [""]


def test_zsh_completes(bai: Bai, program: Path, tmp_path: Path, manager: Manager) -> None:
    (tmp_path / "completion.zsh").write_text(bai("completion", "zsh").out)
    script = (
        "compdef() {}; _describe() { print -rl -- ${(P)3} }; compadd() { print -rl -- ${(P)@[-1]} }\n"
        "_path_files() { print -r files }\n"
        ". ./completion.zsh\n"
        "words=({words}); CURRENT={count}; _bai_tui_completion"
    )

    def complete(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        return shell("zsh", script.replace("{words}", quoted).replace("{count}", str(len(words))), tmp_path)

    assert complete("bai-tui", "rest") == ["restart:Restart the kernel of sessions."]
    assert complete("bai-tui", "rm", "s") == ["second:PENDING python:3.11"]
    assert complete("bai-tui", "run", "r/python:") == ["r/python\\:3.11:py"]
    assert complete("bai-tui", "run", "py", "") == ["files"]


def test_zsh_takes_the_script_as_it_is(bai: Bai, program: Path, tmp_path: Path) -> None:
    (tmp_path / "completion.zsh").write_text(bai("completion", "zsh").out)
    assert shell("zsh", ". ./completion.zsh; print -r -- $_comps[bai-tui]", tmp_path) == ["_bai_tui_completion"]


def test_fish_completes(bai: Bai, program: Path, tmp_path: Path, manager: Manager) -> None:
    (tmp_path / "completion.fish").write_text(bai("completion", "fish").out)

    def complete(line: str) -> list[str]:
        return shell("fish", f"source completion.fish; complete -C '{line}'", tmp_path)

    assert complete("bai-tui rest") == ["restart\tRestart the kernel of sessions."]
    assert complete("bai-tui rm s") == ["second\tPENDING python:3.11"]
    assert complete("bai-tui run r/python:") == ["r/python:3.11\tpy"]


def test_it_is_installed_once(bai: Bai, home: Path) -> None:
    (home / ".bashrc").write_text("alias ll='ls -l'")
    for _ in range(2):
        done = bai("completion", "bash", "--install")
        assert done.status == 0
    file = home / ".local" / "share" / "bai-tui" / "completion.bash"
    assert done.out == f"{file}\n"
    assert file.read_text() == bai("completion", "bash").out
    assert (home / ".bashrc").read_text() == f"alias ll='ls -l'\n[ -r {file} ] && . {file}\n"
    assert bai("completion", "fish", "--install").status == 0
    assert (home / ".config" / "fish" / "completions" / "bai-tui.fish").exists()
    assert bai("completion", "zsh", "--install").status == 0
    assert (home / ".zshrc").exists()
