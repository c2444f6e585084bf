"""The papers tell of what is there: files, keys, settings, commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bai_tui.app.cli.main import cli
from bai_tui.app.settings.reading import dotted
from bai_tui.app.settings.shown import documented
from bai_tui.app.settings.toml import toml_value
from bai_tui.app.tui.actions import ACTIONS
from bai_tui.app.tui.actions.keys import Keys
from bai_tui.app.tui.actions.papers import PAPER, document
from click.testing import CliRunner


def test_links_lead_to_files(checkout: Path, tracked: list[str]) -> None:
    broken = []
    for name in tracked:
        if not name.endswith(".md"):
            continue
        for target in re.findall(r"\]\(([^)\s#]+)", (checkout / name).read_text()):
            if "://" not in target and not (checkout / name).parent.joinpath(target).exists():
                broken.append(f"{name}: {target}")
    assert not broken


def test_the_keys_of_the_readme_are_those_of_the_screen(checkout: Path) -> None:
    rows = re.findall(r"^\| (`[^|]+) \| [\w, ]+ \| ", (checkout / "README.md").read_text(), flags=re.M)
    told = {key for row in rows for key in re.findall(r"`([^`]+)`", row)}
    keys = Keys({}, ACTIONS)
    bound = {key for action in ACTIONS for key in (*keys.of(action), *keys.labels(action))}
    assert len(told) > 15, "the table of keys was not found"
    assert told <= bound, f"told but not bound: {sorted(told - bound)}"


def test_the_paper_of_keys_is_that_of_the_table() -> None:
    assert PAPER.read_text(encoding="utf-8") == document(), "write it anew: ./dev keys"


def test_every_setting_is_documented_as_the_table_tells_it(checkout: Path) -> None:
    text = (checkout / "docs" / "configuration.md").read_text()
    told = re.findall(r"^\| `([\w.]+)` \| `?(.*?)`? \| (.*) \|$", text, flags=re.M)
    known = [
        (dotted(path), "none" if key.written_default is None else toml_value(key.written_default), key.meaning)
        for path, key in documented()
        if path[:2] != ("limits", "keypair")
    ]
    assert sorted(told) == sorted(known)


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/configuration.md", "docs/gpu-shares.md"]
)
def test_commands_that_are_told_exist(checkout: Path, name: str) -> None:
    text = (checkout / name).read_text()
    for command in set(re.findall(r"`bai-tui ([a-z]+)|^ +bai-tui ([a-z]+)", text, flags=re.M)):
        word = "".join(command)
        done = CliRunner().invoke(cli, [word, "--help"])
        assert done.exit_code == 0, f"{name} tells of `bai-tui {word}`: {done.output}"
    known = (checkout / "dev").read_text()
    for word in set(re.findall(r"\./dev ([a-z-]+)", text)):
        assert re.search(rf"^    {word}\)", known, flags=re.M), f"{name} tells of `./dev {word}`"
