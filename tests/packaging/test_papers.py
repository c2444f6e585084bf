"""The papers tell of what is there: files, keys, settings, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bai_tui.app import settings_file
from bai_tui.app.cli.main import cli
from bai_tui.app.config import Paths, Settings
from bai_tui.app.tui.about import KEY_NAMES
from bai_tui.app.tui.actions import ACTIONS
from click.testing import CliRunner

SAME = {word: key for key, word in KEY_NAMES.items()}
"""Words of the README -> keys of Textual."""


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
    told = {SAME.get(key, key) for row in rows for key in re.findall(r"`([^`]+)`", row)}
    bound = {key for action in ACTIONS for key in action.key.split(",")}
    assert len(told) > 15, "the table of keys was not found"
    assert told <= bound, f"told but not bound: {sorted(told - bound)}"


def test_every_setting_is_documented_and_every_documented_key_is_read(checkout: Path, home: Path) -> None:
    text = (checkout / "docs" / "configuration.md").read_text()
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (`[^`]*`|none) \|", text, flags=re.M))
    folder = home / ".config" / "bai-tui"
    folder.mkdir(parents=True)
    # these contradict the default policy, or mean nothing alone
    alone = {"scheduler.half_life", *(key for key in rows if key.startswith("idle.utilization."))}
    written = {key: value.strip("`") for key, value in rows.items() if value != "none" and key not in alone}
    (folder / "config.toml").write_text("".join(f"{key} = {value}\n" for key, value in written.items()))
    assert Settings.load(Paths.of_user()) == Settings(), "the defaults of the table are not those of the program"
    assert set(rows) == set(_keys(settings_file._TOP))


def _keys(keys: settings_file.Keys, where: str = "") -> Iterator[str]:
    tables = {
        "scheduler": settings_file._SCHEDULER,
        "limits": settings_file._LIMITS,
        "idle": settings_file._IDLE,
        "idle.utilization": settings_file._UTILIZATION,
        "gpu": settings_file._GPU,
        "memory": settings_file._MEMORY,
        "sandbox": settings_file._SANDBOX,
        "journal": settings_file._JOURNAL,
    }
    for key in keys:
        inner = tables.get(where + key)
        if inner is None:
            yield where + key
        else:
            yield from _keys(inner, f"{where}{key}.")


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
