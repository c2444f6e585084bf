"""Where copies go besides the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from bai_tui.app.tui.clipboard import programs, said, to_programs


@pytest.mark.parametrize(
    ("environ", "platform", "names"),
    [
        ({}, "linux", []),
        ({"DISPLAY": ":0"}, "linux", ["xclip", "xsel"]),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "w"}, "linux", ["wl-copy"]),
        ({"TMUX": "x"}, "linux", ["tmux"]),
        ({"TMUX": "x"}, "darwin", ["tmux", "pbcopy"]),
        ({"WSL_DISTRO_NAME": "d"}, "linux", ["clip.exe"]),
    ],
)
def test_programs(environ: dict[str, str], platform: str, names: list[str]) -> None:
    assert [argv[0] for argv in programs(environ, platform)] == names


async def test_the_program_that_is_there_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    for name, code in (("xclip", 1), ("xsel", 0)):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nwhile read -r line; do echo "{name} $line" >> {kept}; done\nexit {code}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await to_programs("one\nzwei ü\n", {"DISPLAY": ":0"}) == ["xsel"]
    assert kept.read_text() == "xclip one\nxclip zwei ü\nxsel one\nxsel zwei ü\n"
    assert await to_programs("one", {"WAYLAND_DISPLAY": "w"}) == []


def test_sentences() -> None:
    assert said("a") == "1 line copied"
    assert said("a\nb\n", "what [3] said") == "2 lines copied: what [3] said"
    assert "not every terminal" in said("x" * 80_000, alone=True)
    assert "not every terminal" not in said("x" * 80_000, alone=False)
