"""Which image a reference leads to, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.app.backend.images import naming
from bai_tui.app.backend.images import shelf as module
from bai_tui.app.backend.images.aliases import parse_aliases, shipped_aliases
from bai_tui.app.model.errors import BadRequest, ConfigError, ImageNotFound
from bai_tui.app.model.images import ImageState

Sandbox = Any


@pytest.fixture
def three(sandbox: Sandbox) -> Sandbox:
    """3.6 and 3.13, and 3.11 twice."""
    sandbox.python("mine/python3.11", "3.11.7")
    sandbox.python("usr/bin/python3.11", "3.11.2")
    sandbox.python("usr/bin/python3.13", "3.13.0")
    sandbox.python("usr/bin/python3.6", "3.6.15")
    sandbox.path("mine")
    return sandbox


async def found(sandbox: Sandbox, reference: str) -> tuple[str, str | None]:
    resolution = await sandbox.catalogue().resolve(reference)
    return resolution.image.canonical, resolution.notice


@pytest.mark.parametrize(
    ("reference", "canonical"),
    [
        ("python", "python:3.13-debian12"),
        (" python ", "python:3.13-debian12"),
        ("python:latest", "python:3.13-debian12"),
        ("python:3", "python:3.13-debian12"),
        ("python:3.11", "python:3.11-debian12"),
        ("python:3.11.7", "python:3.11-debian12"),
        ("python:3.11.7-debian12", "python:3.11-debian12"),
        ("python:3.11.2", "python:3.11-debian12-system3.11.2"),
        ("python:3.11-debian12-system3.11.2", "python:3.11-debian12-system3.11.2"),
        ("python:3.6-debian12", "python:3.6-debian12"),
    ],
)
async def test_what_is_here_runs_without_a_word(three: Sandbox, reference: str, canonical: str) -> None:
    assert await found(three, reference) == (canonical, None)


@pytest.mark.parametrize(
    ("reference", "canonical", "why"),
    [
        ("python:3.6-ubuntu18.04", "python:3.6-debian12", "a shipped alias"),
        ("python:3.6-alpine", "python:3.6-debian12", "same version, other platform"),
        ("python:3.11.2-alpine", "python:3.11-debian12-system3.11.2", "same version, other platform"),
        ("python:3.11-debian12-uv3.11.9", "python:3.11-debian12", "same version, other interpreter"),
        ("python-tensorflow:1.12-py36", "python:3.6-debian12", "a shipped alias"),
        ("local/stable/python:3.11-debian12", "python:3.11-debian12", "without registry and project"),
        ("cr.backend.ai/stable/python:3.6-ubuntu18.04", "python:3.6-debian12", "a shipped alias"),
        ("local/stable/python", "python:3.13-debian12", "without registry and project"),
        ("cr.backend.ai/stable/python-tensorflow:1.12-py36", "python:3.6-debian12", "a shipped alias"),
    ],
)
async def test_a_substitute_is_said_in_one_line(three: Sandbox, reference: str, canonical: str, why: str) -> None:
    assert await found(three, reference) == (canonical, f"{reference} is not here; running {canonical} ({why})")


@pytest.mark.parametrize("reference", ["python:3.6-ubuntu18.04", "python-tensorflow:1.12-py36"])
async def test_the_tutorial_runs_without_a_python_3_6(sandbox: Sandbox, reference: str) -> None:
    sandbox.python("usr/bin/python3", "3.12.1")
    canonical, notice = await found(sandbox, reference)
    assert canonical == "python:3.12-debian12"
    assert notice == f"{reference} is not here; running python:3.12-debian12 (a shipped alias)"


@pytest.mark.parametrize(
    ("reference", "nearest"),
    [
        ("pyton", "'python'"),
        ("python:2.7", "'python:3.6-debian12'"),
        ("python:3.99", "'python:3.13-debian12'"),
        ("python:3.11.3", "'python:3.11-debian12'"),
        ("python:foo", "'python:3."),
        ("pythn:3.6-debian12", "'python:3.6-debian12'"),
        ("local/stable/pyton:3.13-debian12", "'python:3.13-debian12'"),
        ("r-base:4.1", "'python"),
    ],
)
async def test_anything_else_is_an_error_that_names_the_nearest(three: Sandbox, reference: str, nearest: str) -> None:
    with pytest.raises(ImageNotFound, match="the nearest is") as error:
        await found(three, reference)
    assert f"no image {reference if ':' in reference else reference + ':latest'!r} here" in error.value.message
    assert nearest in error.value.message
    assert "\n" not in error.value.message


async def test_a_machine_without_python(sandbox: Sandbox) -> None:
    with pytest.raises(ImageNotFound, match=r"no Python 3\.6 or newer was found"):
        await found(sandbox, "python")


@pytest.mark.parametrize("reference", ["", "http://python", "a b", "x" * 300])
async def test_what_is_no_reference(three: Sandbox, reference: str) -> None:
    with pytest.raises(BadRequest):
        await found(three, reference)


async def test_the_users_aliases_go_before_versions_and_the_shipped(three: Sandbox) -> None:
    (three.root / "aliases.toml").write_text(
        '[aliases]\nlab = "python:3.11"\n"python:3.6-ubuntu18.04" = ["python:2.7", "lab"]\n'
        '"cr.x/y/z:1" = "python:3.13"\n'
        '"python:3.13-debian12" = "lab"\n'
    )
    assert await found(three, "lab") == (
        "python:3.11-debian12",
        "lab is not here; running python:3.11-debian12 (an alias of yours)",
    )
    assert (await found(three, "python:3.6-ubuntu18.04"))[0] == "python:3.11-debian12"
    assert (await found(three, "cr.x/y/z:1"))[0] == "python:3.13-debian12"
    assert await found(three, "python:3.13-debian12") == ("python:3.13-debian12", None), "what is here is not renamed"


async def test_aliases_are_visible(three: Sandbox) -> None:
    (three.root / "aliases.toml").write_text('[aliases]\nlab = "python:3.11"\nnowhere = "python:2.7"\n')
    catalogue = three.catalogue()
    await catalogue.refresh()
    assert catalogue.aliases() == {
        "lab:latest": "python:3.11-debian12",
        "python:3.6-ubuntu18.04": "python:3.6-debian12",
        "python-tensorflow:1.12-py36": "python:3.6-debian12",
    }
    by_name = {image.canonical: image.aliases for image in catalogue.list()}
    assert by_name["python:3.13-debian12"] == ("python", "python:latest", "python:3.13", "python:3.13.0")
    assert by_name["python:3.11-debian12"] == ("python:3.11", "python:3.11.7", "lab:latest")
    assert by_name["python:3.11-debian12-system3.11.2"] == ("python:3.11.2",)
    for name, aliases in by_name.items():
        for alias in aliases:
            assert (await catalogue.resolve(alias)).image.canonical == name


async def test_aliases_in_a_circle(three: Sandbox) -> None:
    (three.root / "aliases.toml").write_text('[aliases]\na = "b"\nb = "a"\n')
    with pytest.raises(ImageNotFound, match="leads back to itself: a:latest -> b:latest -> a:latest"):
        await found(three, "a")
    assert (await found(three, "python"))[0] == "python:3.13-debian12"


@pytest.mark.parametrize("text", ["[aliases", "aliases = 5", "[aliases]\nx = 5\n", "[aliases]\nx = []\n", "\xff"])
async def test_a_broken_table_is_told_where_it_matters(three: Sandbox, text: str) -> None:
    (three.root / "aliases.toml").write_bytes(text.encode("latin-1"))
    assert (await found(three, "python"))[0] == "python:3.13-debian12"
    with pytest.raises(ImageNotFound, match=r"aliases\.toml"):
        await found(three, "lab")


@pytest.mark.parametrize("entry", ['"a b" = "python"', '"x" = "http://y"', '"" = "python"'])
def test_what_is_no_alias(entry: str) -> None:
    with pytest.raises(ConfigError, match="in there cannot be used"):
        parse_aliases(f"[aliases]\n{entry}\n", "there")


def test_the_shipped_table_holds_the_tags_of_the_tutorial() -> None:
    assert set(shipped_aliases()) == {"python:3.6-ubuntu18.04", "python-tensorflow:1.12-py36"}
    assert all(targets[-1] == "python:latest" for targets in shipped_aliases().values())


async def test_an_interpreter_that_vanishes_is_noticed(three: Sandbox) -> None:
    catalogue = three.catalogue()
    await catalogue.refresh()
    path = three.root / "usr/bin/python3.13"
    path.rename(three.root / "away")
    assert (await catalogue.resolve("python")).image.canonical == "python:3.11-debian12"
    with pytest.raises(ImageNotFound, match=f"python:3.13-debian12 cannot be used: its interpreter {path} is gone"):
        await catalogue.resolve("python:3.13-debian12")
    (gone,) = (image for image in catalogue.list() if image.state is ImageState.UNAVAILABLE)
    assert gone.canonical == "python:3.13-debian12"
    assert gone.reason == f"its interpreter {path} is gone"
    assert gone.aliases == ()
    (three.root / "away").rename(path)
    assert (await catalogue.resolve("python")).image.canonical == "python:3.13-debian12"
    assert all(image.state is ImageState.READY for image in catalogue.list())


async def test_an_interpreter_that_is_replaced_is_asked_again(three: Sandbox) -> None:
    catalogue = three.catalogue()
    await catalogue.refresh()
    three.python("usr/bin/python3.13", "3.13.10")
    asked = three.asked
    for _ in range(2):
        assert (await catalogue.resolve("python")).image.runtime_version == "3.13.10"
    assert three.asked == asked + 1


async def test_another_of_its_version_steps_in(three: Sandbox) -> None:
    catalogue = three.catalogue()
    await catalogue.refresh()
    (three.root / "mine/python3.11").unlink()
    assert (await catalogue.resolve("python:3.11")).image.canonical == "python:3.11-debian12-system3.11.2"
    resolution = await catalogue.resolve("python:3.11-debian12")
    assert resolution.notice is not None
    assert resolution.notice.endswith("(same version, other interpreter)")


async def test_one_that_is_installed_later_is_found(three: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = three.catalogue()
    await catalogue.refresh()
    three.python("usr/bin/python3.9", "3.9.1")
    with pytest.raises(ImageNotFound):
        await catalogue.resolve("python:3.9")  # looked a moment ago
    monkeypatch.setattr("bai_tui.app.backend.images.catalogue._LOOK_AGAIN_S", -1.0)
    asked = three.asked
    assert (await catalogue.resolve("python:3.9")).image.canonical == "python:3.9-debian12"
    assert three.asked == asked + 1


async def test_one_file_is_looked_at_for_one_reference_and_all_now_and_then(
    three: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = three.catalogue()
    await catalogue.refresh()
    await catalogue.resolve("python")
    marks: list[str] = []
    real = naming.file_mark

    def mark(interpreter: str) -> tuple[int, int] | None:
        marks.append(interpreter)
        return real(interpreter)

    monkeypatch.setattr(module, "file_mark", mark)
    for _ in range(3):
        await catalogue.resolve("python:3.11")
    assert len(marks) == 3 and len(set(marks)) == 1
    path = three.root / "usr/bin/python3.13"
    path.rename(three.root / "away")
    assert (await catalogue.resolve("python")).image.canonical == "python:3.11-debian12"
    (three.root / "away").rename(path)
    monkeypatch.setattr("bai_tui.app.backend.images.catalogue._CHECK_AGAIN_S", -1.0)
    assert (await catalogue.resolve("python")).image.canonical == "python:3.13-debian12", "the better one is back"
