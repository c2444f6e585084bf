"""Writing the user's table of aliases: only what is asked for changes."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import pytest
from bai_tui.app.backend.images.alias_file import remove_alias, write_alias
from bai_tui.app.backend.images.aliases import parse_aliases, shipped_aliases
from bai_tui.app.model.errors import BadRequest, ConfigError, ImageNotFound
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SHIPPED = shipped_aliases()
MINE = """\
# my table
title = "x"

[ aliases ]  # here they are
# the laboratory
lab = "python:3.11"  # not 3.12 # yet
'cr.x/y/z:1' = [
    "python:3.13",  # first
    "python",
]

"quoted \\u0061" = "python"   # no alias: it has a space

[other]
lab = "python:2.7"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "aliases.toml"
    file.write_text(MINE.replace('"quoted \\u0061" = "python"   # no alias: it has a space\n', ""))
    return file


def test_a_new_file_is_private_and_says_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "config" / "bai-tui" / "aliases.toml"
    write_alias(file, "lab", "python:3.11", SHIPPED)
    assert file.read_text() == (
        '# Your own names for images; they stand before those that bai-tui ships.\n\n[aliases]\nlab = "python:3.11"\n'
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["aliases.toml"]


def test_one_line_changes_and_all_else_stays(file: Path) -> None:
    before = file.read_text()
    write_alias(file, "lab:latest", "python:3.13", SHIPPED)
    after = before.replace('lab = "python:3.11"  # not 3.12 # yet', '"lab:latest" = "python:3.13"  # not 3.12 # yet')
    assert file.read_text() == after
    write_alias(file, "cr.x/y/z:1", "python", SHIPPED)
    lines = after.replace(
        '\'cr.x/y/z:1\' = [\n    "python:3.13",  # first\n    "python",\n]', '"cr.x/y/z:1" = "python"'
    )
    assert file.read_text() == lines
    write_alias(file, "new", "lab", SHIPPED)
    assert file.read_text() == lines.replace('"cr.x/y/z:1" = "python"\n', '"cr.x/y/z:1" = "python"\nnew = "lab"\n')


def test_one_entry_goes_and_all_else_stays(file: Path) -> None:
    before = file.read_text()
    remove_alias(file, "cr.x/y/z:1", SHIPPED)
    assert file.read_text() == before.replace('\'cr.x/y/z:1\' = [\n    "python:3.13",  # first\n    "python",\n]\n', "")
    remove_alias(file, "lab", SHIPPED)
    assert parse_aliases(file.read_text(), "there") == {}
    assert "# the laboratory\n" in file.read_text()


@pytest.mark.parametrize("text", ["", "[other]\nx = 1", "[aliases]", "[aliases]\r\nx = 'y'\r\n\r\n[z]\r\n"])
def test_an_entry_finds_its_place(tmp_path: Path, text: str) -> None:
    file = tmp_path / "aliases.toml"
    file.write_bytes(text.encode())
    write_alias(file, "lab", "python", SHIPPED)
    assert tomllib.loads(file.read_text())["aliases"]["lab"] == "python"
    remove_alias(file, "lab", SHIPPED)
    assert parse_aliases(file.read_text(), "there") == parse_aliases(text, "there")


def test_a_link_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.write_text("[aliases]\n")
    (tmp_path / "aliases.toml").symlink_to(real)
    write_alias(tmp_path / "aliases.toml", "lab", "python", SHIPPED)
    assert (tmp_path / "aliases.toml").is_symlink()
    assert 'lab = "python"' in real.read_text()


def test_what_is_not_there(file: Path) -> None:
    before = file.read_text()
    with pytest.raises(ImageNotFound, match="is shipped with bai-tui and cannot be removed"):
        remove_alias(file, "python:3.6-ubuntu18.04", SHIPPED)
    with pytest.raises(ImageNotFound, match=f"there is no alias 'nothing:latest' in {file}"):
        remove_alias(file, "nothing", SHIPPED)
    for alias, target in (("a b", "python"), ("x", "http://y"), ("", "python")):
        with pytest.raises(BadRequest):
            write_alias(file, alias, target, SHIPPED)
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("alias", "target", "way"),
    [
        ("a", "a", "a:latest -> a:latest"),
        ("python:3.13", "cr.x/y/z:1", "python:3.13 -> cr.x/y/z:1 -> python:3.13"),
        ("python", "python:3.6-ubuntu18.04", "python:latest -> python:3.6-ubuntu18.04 -> python:latest"),
    ],
)
def test_no_circle_is_written(file: Path, alias: str, target: str, way: str) -> None:
    with pytest.raises(BadRequest, match="would lead back to itself") as error:
        write_alias(file, alias, target, SHIPPED)
    assert error.value.message.endswith(f": {way}")


@pytest.mark.parametrize("text", ['aliases = {lab = "python"}\n', 'aliases.lab = "python"\n'])
def test_what_is_written_otherwise_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "aliases.toml"
    file.write_text(text)
    for alias in ("lab", "new"):
        with pytest.raises(ConfigError, match="cannot be edited from here"):
            write_alias(file, alias, "python:3.11", SHIPPED)
    with pytest.raises(ConfigError, match="cannot be edited from here"):
        remove_alias(file, "lab", SHIPPED)
    assert file.read_text() == text


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"the folder .*/file/none cannot be made"):
        write_alias(tmp_path / "file/none/aliases.toml", "lab", "python", SHIPPED)


names = st.sampled_from(["a", "b", "c:1", "x/y:2", "python:3.11", "python:3.6-ubuntu18.04"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, st.one_of(st.none(), names)), max_size=12))
def test_the_file_says_what_was_written(tmp_path: Path, changes: list[tuple[str, str | None]]) -> None:
    """Whatever is written and removed: the file holds it, and the comments of the user."""
    file = tmp_path / "aliases.toml"
    file.write_text('# head\n[aliases]\n# above\nkept = "python"  # beside\n\n# end\n[other]\n')
    known = {"kept:latest": ("python:latest",)}
    for alias, target in changes:
        name = alias if ":" in alias else f"{alias}:latest"
        try:
            if target is None:
                remove_alias(file, alias, {})
                del known[name]
            else:
                write_alias(file, alias, target, {})
                known[name] = (target if ":" in target else f"{target}:latest",)
        except ImageNotFound:
            assert name not in known
        except BadRequest as exc:
            assert "leads back" not in exc.message and "would lead back" in exc.message
        assert parse_aliases(file.read_text(), "there") == known
    for part in ("# head\n", "# above\n", 'kept = "python"  # beside\n', "\n# end\n[other]\n"):
        assert part in file.read_text()
