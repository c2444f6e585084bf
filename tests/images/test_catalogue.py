"""The catalogue of several sources: looking, checking, building, naming."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from bai_tui.app.backend.images import Catalogue, RecipeSource, looks
from bai_tui.app.backend.images import catalogue as module
from bai_tui.app.backend.ports import Progress
from bai_tui.app.model.errors import BadRequest, ConfigError, ImageFailed, ImageNotFound
from bai_tui.app.model.images import Image, ImageKind, ImageState
from bai_tui.app.policies import ImageSettings
from bai_tui.tests.waiting import until

from .sources import FakeRegistry, FakeSource, image

PYTHON = "python:3.11-debian12"
DATA = "python-data:3.11"


@pytest.fixture
def pythons() -> FakeSource:
    return FakeSource(ImageKind.PYTHON, [image(PYTHON)])


@pytest.fixture
def recipes() -> FakeSource:
    return FakeSource(ImageKind.RECIPE, [image(DATA, ImageState.BUILDABLE, ImageKind.RECIPE)])


@pytest.fixture
def containers() -> FakeRegistry:
    return FakeRegistry(ImageKind.CONTAINER, [image("python:3.11", kind=ImageKind.CONTAINER)])


def names(catalogue: Catalogue) -> Sequence[str]:
    return [one.canonical for one in catalogue.list()]


def of(catalogue: Catalogue, reference: str) -> Image:
    (found,) = (one for one in catalogue.list() if one.canonical == reference)
    return found


async def leads(catalogue: Catalogue, reference: str, *, exact: bool = False) -> tuple[str, ImageKind]:
    resolution = await catalogue.resolve(reference, exact=exact)
    return resolution.image.canonical, resolution.image.kind


def ignore(progress: Progress) -> None:
    pass


async def test_a_name_means_the_same_recipe_before_and_after_one_of_them_was_built(pythons: FakeSource) -> None:
    new, old = "python-tensorflow:3.13-debian12", "python-tensorflow:1.12-py36"
    for state in (ImageState.BUILDABLE, ImageState.READY):
        recipes = [image(new, ImageState.BUILDABLE, ImageKind.RECIPE), image(old, state, ImageKind.RECIPE)]
        catalogue = Catalogue([pythons, FakeSource(ImageKind.RECIPE, recipes)], Path("none"))
        await catalogue.looked()
        assert await leads(catalogue, "python-tensorflow") == (new, ImageKind.RECIPE)


async def test_what_the_user_edits_counts_at_once(pythons: FakeSource, tmp_path: Path) -> None:
    """Nobody has to tell the backend of a recipe or an alias that was written with an editor."""
    folder, aliases = tmp_path / "recipes", tmp_path / "aliases.toml"
    catalogue = Catalogue([pythons, RecipeSource(tmp_path / "cache", folder)], aliases)
    await catalogue.refresh()
    before = names(catalogue)

    async def mine() -> Image:
        await catalogue.looked()
        (one,) = (one for one in catalogue.list() if one.canonical not in before)
        return one

    folder.mkdir()
    file = folder / "mine.toml"
    text = 'name = "mine"\ntag = "1"\ninterpreter = ">=3.6"\n'
    file.write_text(text + 'packages = ["six"]\n')
    assert (await mine()).packages[0] == "six"
    file.write_text(text + 'packages = ["toolz"]\n')
    assert (await catalogue.resolve("mine")).image.packages[0] == "toolz", "asked for by name it is the new one, too"
    file.write_text(text + 'pakages = ["six"]\n')
    assert "'pakages' is no key of a recipe" in (await mine()).reason
    file.unlink()
    await catalogue.looked()
    assert names(catalogue) == before

    aliases.write_text('[aliases]\nwork = "python"\n')
    assert (await leads(catalogue, "work"))[0] == PYTHON
    aliases.unlink()
    with pytest.raises(ImageNotFound):
        await catalogue.resolve("work")
    looks_before = pythons.looks
    await catalogue.looked()
    assert pythons.looks == looks_before, "what was not edited is not looked at"


# --- looking ---------------------------------------------------------------------------------------------------------


async def test_sources_are_given_what_the_first_has(pythons: FakeSource, recipes: FakeSource) -> None:
    catalogue = Catalogue([pythons, recipes])
    await catalogue.refresh()
    assert names(catalogue) == [PYTHON, DATA]
    assert (pythons.found, recipes.found) == ([], [PYTHON])


@pytest.mark.parametrize("failure", [RuntimeError("broken"), OSError(5, "broken"), TimeoutError()])
async def test_a_source_that_fails_leaves_the_others_and_what_it_had(
    pythons: FakeSource, recipes: FakeSource, containers: FakeSource, failure: Exception
) -> None:
    recipes.failure = failure
    catalogue = Catalogue([pythons, recipes, containers])
    await catalogue.refresh()
    assert names(catalogue) == [PYTHON, "python:3.11"]
    recipes.failure = None
    await catalogue.refresh()
    assert DATA in names(catalogue)
    recipes.failure = pythons.failure = failure
    await catalogue.refresh()
    assert names(catalogue) == [PYTHON, DATA, "python:3.11"]


async def test_a_source_that_hangs_holds_up_neither_the_list_nor_the_default(
    pythons: FakeSource, containers: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.gate = asyncio.Event()
    monkeypatch.setattr(looks, "_GRACE_S", 0.0)
    catalogue = Catalogue([pythons, containers])
    refresh = asyncio.create_task(catalogue.refresh())
    assert await leads(catalogue, "python") == (PYTHON, ImageKind.PYTHON)
    await catalogue.looked()
    assert names(catalogue) == [PYTHON]
    assert not refresh.done()
    containers.gate.set()
    await refresh
    assert names(catalogue) == [PYTHON, "python:3.11"]
    assert (pythons.looks, containers.looks) == (1, 1)


async def test_a_source_that_hangs_is_left_out_after_a_while(
    pythons: FakeSource, containers: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.gate = asyncio.Event()
    monkeypatch.setattr(looks, "_LOOK_S", 0.0)
    catalogue = Catalogue([pythons, containers])
    await catalogue.refresh()
    assert names(catalogue) == [PYTHON]


async def test_what_another_source_could_know_better_waits_for_it(pythons: FakeSource, recipes: FakeSource) -> None:
    """`python-data` and what only a substitute could be are not told before the recipes are known."""
    recipes.gate = asyncio.Event()
    recipes.images.append(image("python:3.11-alpine", ImageState.READY, ImageKind.RECIPE))
    catalogue = Catalogue([pythons, recipes])
    asked = [asyncio.create_task(leads(catalogue, reference)) for reference in ("python-data", "python:3.11-alpine")]
    await until(lambda: recipes.looks == 1)
    assert not any(task.done() for task in asked)
    recipes.gate.set()
    assert await asyncio.gather(*asked) == [(DATA, ImageKind.RECIPE), ("python:3.11-alpine", ImageKind.RECIPE)]
    assert recipes.looks == 1


# --- checking --------------------------------------------------------------------------------------------------------


async def test_an_image_that_cannot_run_is_marked_and_comes_back(
    pythons: FakeSource, containers: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.images = [image("tool:1", kind=ImageKind.CONTAINER)]
    catalogue = Catalogue([pythons, containers])
    await catalogue.refresh()
    tool = of(catalogue, "tool:1")
    assert await catalogue.check(tool) == ""
    containers.reasons["tool:1"] = "it was removed"
    assert await catalogue.check(tool) == "it was removed"
    gone = of(catalogue, "tool:1")
    assert (gone.state, gone.reason) == (ImageState.UNAVAILABLE, "it was removed")
    with pytest.raises(ImageNotFound, match="the image tool:1 cannot be used: it was removed"):
        await catalogue.resolve("tool:1")
    monkeypatch.setattr(module, "_CHECK_AGAIN_S", -1.0)
    del containers.reasons["tool:1"]
    assert await leads(catalogue, "tool:1") == ("tool:1", ImageKind.CONTAINER)
    assert of(catalogue, "tool:1") == tool


async def test_a_damaged_environment_can_be_built_again(pythons: FakeSource, recipes: FakeSource) -> None:
    recipes.images = [image(DATA, kind=ImageKind.RECIPE)]
    recipes.reasons[DATA] = "its environment is gone"
    catalogue = Catalogue([pythons, recipes])
    await catalogue.refresh()
    await catalogue.check(of(catalogue, DATA))
    damaged = of(catalogue, DATA)
    assert (damaged.state, damaged.reason) == (ImageState.BUILDABLE, "its environment is gone")
    assert await leads(catalogue, "python-data") == (DATA, ImageKind.RECIPE)
    assert (await catalogue.make_ready(damaged, ignore)).state is ImageState.READY
    assert (of(catalogue, DATA).state, of(catalogue, DATA).reason) == (ImageState.READY, "")


async def test_a_check_that_fails_is_a_reason(pythons: FakeSource) -> None:
    catalogue = Catalogue([pythons])
    await catalogue.refresh()
    pythons.failure = RuntimeError("no idea")
    assert await catalogue.check(of(catalogue, PYTHON)) == "it could not be checked: no idea"


async def test_an_image_of_no_source(pythons: FakeSource) -> None:
    catalogue = Catalogue([pythons])
    with pytest.raises(ImageFailed, match="of the kind 'recipe', of which there are none here"):
        await catalogue.check(image(DATA, kind=ImageKind.RECIPE))


# --- building --------------------------------------------------------------------------------------------------------


async def test_two_share_one_build_and_both_hear(pythons: FakeSource, recipes: FakeSource) -> None:
    recipes.gate = asyncio.Event()
    recipes.gate.set()
    catalogue = Catalogue([pythons, recipes])
    await catalogue.refresh()
    recipes.gate.clear()
    heard: dict[str, list[Progress]] = {"first": [], "second": []}
    data = of(catalogue, DATA)
    first = asyncio.create_task(catalogue.make_ready(data, heard["first"].append))
    await until(lambda: bool(heard["first"]))
    second = asyncio.create_task(catalogue.make_ready(data, heard["second"].append, anew=True))
    await until(lambda: bool(heard["second"]))
    assert catalogue.building() == {DATA: Progress(1, 2, "half of it")}
    with pytest.raises(ImageFailed, match="is being built or removed"):
        await catalogue.remove(data)
    assert await catalogue.check(data) == "", "whoever builds it tells what becomes of it"
    recipes.gate.set()
    built = await first
    assert built is await second
    assert built == of(catalogue, DATA)
    assert (built.state, built.interpreter) == (ImageState.READY, "/built")
    assert heard == {"first": [Progress(1, 2, "half of it")], "second": [Progress(1, 2, "half of it")]}
    assert (recipes.built, catalogue.building()) == (1, {})
    assert await catalogue.make_ready(data, ignore) == built, "at once: it is ready by now"
    assert recipes.built == 1
    await catalogue.make_ready(built, ignore, anew=True)
    assert recipes.built == 2


async def test_a_build_ends_with_the_last_who_waits_and_never_runs_twice(
    pythons: FakeSource, recipes: FakeSource
) -> None:
    catalogue = Catalogue([pythons, recipes])
    await catalogue.refresh()
    recipes.gate = asyncio.Event()
    data = of(catalogue, DATA)
    first, second = (asyncio.create_task(catalogue.make_ready(data, ignore)) for _ in range(2))
    await until(lambda: recipes.at_once == 1)
    first.cancel()
    await asyncio.wait([first])
    assert (recipes.at_once, recipes.cancelled) == (1, 0), "somebody waits for it"
    second.cancel()
    third = asyncio.create_task(catalogue.make_ready(data, ignore))
    await asyncio.wait([second])
    assert recipes.cancelled == 1
    assert of(catalogue, DATA).state is ImageState.BUILDABLE
    recipes.gate.set()
    await third
    assert (recipes.built, recipes.most_at_once) == (1, 1)


async def test_a_look_from_before_does_not_undo_what_was_built(pythons: FakeSource, recipes: FakeSource) -> None:
    catalogue = Catalogue([pythons, recipes])
    await catalogue.refresh()
    recipes.gate = asyncio.Event()
    look = asyncio.create_task(catalogue.refresh())
    await until(lambda: recipes.looks == 2)
    gate, recipes.gate = recipes.gate, None
    await catalogue.make_ready(of(catalogue, DATA), ignore)
    gate.set()
    await look
    assert of(catalogue, DATA).state is ImageState.READY
    await catalogue.refresh()
    assert of(catalogue, DATA).state is ImageState.BUILDABLE, "the source knows better by now"


async def test_a_build_that_fails_is_told_to_all_and_can_be_tried_again(
    pythons: FakeSource, recipes: FakeSource
) -> None:
    catalogue = Catalogue([pythons, recipes])
    await catalogue.refresh()
    recipes.failure = ImageFailed("no network")
    data = of(catalogue, DATA)
    both = await asyncio.gather(*(catalogue.make_ready(data, ignore) for _ in range(2)), return_exceptions=True)
    assert [str(one) for one in both] == ["no network"] * 2
    assert catalogue.building() == {}
    recipes.failure = None
    await catalogue.make_ready(data, ignore)


async def test_what_cannot_be_had_is_not_built(pythons: FakeSource, recipes: FakeSource) -> None:
    recipes.images = [image(DATA, ImageState.UNAVAILABLE, ImageKind.RECIPE)]
    catalogue = Catalogue([pythons, recipes])
    await catalogue.refresh()
    with pytest.raises(ImageFailed, match=r"python-data:3\.11 cannot be had: it is broken"):
        await catalogue.make_ready(of(catalogue, DATA), ignore)
    assert recipes.built == 0


async def test_what_is_removed_is_off_the_list(pythons: FakeSource, containers: FakeSource) -> None:
    catalogue = Catalogue([pythons, containers])
    await catalogue.refresh()
    container = next(one for one in catalogue.list() if one.in_container)
    containers.images = [container]
    assert await catalogue.remove(container) == "removed python:3.11"
    assert names(catalogue) == [PYTHON]
    with pytest.raises(ImageFailed):
        await catalogue.remove(container)
    assert await catalogue.log(container) == "log of python:3.11"


# --- which engine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "reference", "kind"),
    [
        (ImageSettings(), "python:3.11", ImageKind.PYTHON),
        (ImageSettings(), "python", ImageKind.PYTHON),
        (ImageSettings(), "docker.io/library/python:3.11", ImageKind.CONTAINER),
        (ImageSettings(engine="container"), "python:3.11", ImageKind.CONTAINER),
        (ImageSettings(engine="container"), "python", ImageKind.CONTAINER),
        (ImageSettings(engine="process"), "python:3.11", ImageKind.PYTHON),
        (ImageSettings(engines={"python:3.11": "container"}), "python:3.11", ImageKind.CONTAINER),
        (ImageSettings(engines={"python:3.11": "container"}), "python", ImageKind.PYTHON),
        (ImageSettings(engines={"python": "container"}), "python", ImageKind.CONTAINER),
        (ImageSettings(engine="container", engines={PYTHON: "process"}), PYTHON, ImageKind.PYTHON),
    ],
)
async def test_the_settings_say_which_engine(
    pythons: FakeSource, containers: FakeSource, settings: ImageSettings, reference: str, kind: ImageKind
) -> None:
    resolution = await Catalogue([pythons, containers], settings=settings).resolve(reference)
    assert (resolution.image.kind, resolution.notice) == (kind, None)


async def test_what_the_settings_do_not_allow_is_not_run(pythons: FakeSource, containers: FakeSource) -> None:
    containers.images = [image("tool:1", kind=ImageKind.CONTAINER)]
    sources = [pythons, containers]
    with pytest.raises(ImageNotFound, match=r"tool:1 runs in a container, which images.engine or images.engines does"):
        await Catalogue(sources, settings=ImageSettings(engine="process")).resolve("tool:1")
    with pytest.raises(ImageNotFound, match=r"runs as a process, which images.engine or images.engines does not allow"):
        await Catalogue(sources, settings=ImageSettings(engine="container")).resolve(PYTHON)
    with pytest.raises(ImageNotFound):
        await Catalogue(sources, settings=ImageSettings(engine="process")).resolve("quay.io/some/tool:2")


async def test_an_image_of_a_registry_is_pulled_when_nothing_here_fits(
    pythons: FakeSource, containers: FakeRegistry
) -> None:
    catalogue = Catalogue([pythons, containers])
    assert await leads(catalogue, "quay.io/some/python:3.11-alpine") == (PYTHON, ImageKind.PYTHON)
    exactly = await catalogue.resolve("quay.io/some/python:3.11-alpine", exact=True)
    assert (exactly.image.canonical, exactly.image.state) == ("quay.io/some/python:3.11-alpine", ImageState.PULLABLE)
    with pytest.raises(ImageNotFound):
        await catalogue.resolve("tool:1")  # rather a slip
    tool = (await catalogue.resolve("quay.io/some/tool:1")).image
    await catalogue.refresh()
    assert of(catalogue, "quay.io/some/tool:1") == tool, "it is known from now on"
    await catalogue.make_ready(tool, ignore)
    assert of(catalogue, "quay.io/some/tool:1").state is ImageState.READY
    typo = (await catalogue.resolve("quay.io/some/tolo:1")).image
    containers.failure = ImageFailed("there is none")
    with pytest.raises(ImageFailed):
        await catalogue.make_ready(typo, ignore)
    assert typo.canonical not in names(catalogue)


async def test_an_id_is_a_reference_too(pythons: FakeSource, containers: FakeSource) -> None:
    catalogue = Catalogue([pythons, containers])
    assert await leads(catalogue, "container-python:3.11") == ("python:3.11", ImageKind.CONTAINER)


# --- exact, aliases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [True, False])
async def test_exact_turns_substitutes_into_errors_that_name_the_nearest(pythons: FakeSource, setting: bool) -> None:
    catalogue = Catalogue([pythons], settings=ImageSettings(exact=setting))
    for reference in ("python", "python:3.11", PYTHON):
        assert await leads(catalogue, reference, exact=not setting) == (PYTHON, ImageKind.PYTHON)
    with pytest.raises(ImageNotFound) as error:
        await catalogue.resolve("python:3.6-ubuntu18.04", exact=not setting)
    assert error.value.message == (
        "there is no image 'python:3.6-ubuntu18.04' here, and nothing else may run in its place (exact); "
        "the nearest is 'python:3.11-debian12' (a shipped alias)"
    )
    with pytest.raises(ImageNotFound, match=r"the nearest is 'python:3\.11-debian12'"):
        await catalogue.resolve("pyton:3.11-debian12", exact=not setting)


async def test_what_is_unavailable_goes_on_to_the_aliases_and_says_why(
    pythons: FakeSource, recipes: FakeSource
) -> None:
    recipes.images = [image("python:3.6-ubuntu18.04", ImageState.UNAVAILABLE, ImageKind.RECIPE)]
    catalogue = Catalogue([pythons, recipes])
    resolution = await catalogue.resolve("python:3.6-ubuntu18.04")
    assert resolution.image.canonical == PYTHON
    assert resolution.notice == (
        f"python:3.6-ubuntu18.04 cannot be used (it is broken); running {PYTHON} (a shipped alias)"
    )


async def test_a_short_name_of_what_is_unavailable_says_why(pythons: FakeSource, recipes: FakeSource) -> None:
    recipes.images = [image("r:jupyter-ir", ImageState.UNAVAILABLE, ImageKind.RECIPE)]
    with pytest.raises(ImageNotFound, match="the image r:jupyter-ir cannot be used: it is broken; the nearest is"):
        await Catalogue([pythons, recipes]).resolve("r")


async def test_aliases_are_written_and_hold_at_once(pythons: FakeSource, tmp_path: Path) -> None:
    catalogue = Catalogue([pythons], tmp_path / "aliases.toml")
    await catalogue.refresh()
    await catalogue.alias("lab", "python:3.11")
    assert await leads(catalogue, "lab") == (PYTHON, ImageKind.PYTHON)
    assert "lab:latest" in of(catalogue, PYTHON).aliases
    table = {entry.name: (entry.targets, entry.leads_to, entry.shipped) for entry in catalogue.alias_table()}
    assert table["lab:latest"] == (("python:3.11",), PYTHON, False)
    assert table["python:3.6-ubuntu18.04"] == (("python:3.6", "python:latest"), PYTHON, True)
    await catalogue.alias("python:3.6-ubuntu18.04", "nowhere")
    (own,) = (entry for entry in catalogue.alias_table() if entry.name == "python:3.6-ubuntu18.04")
    assert (own.targets, own.shipped) == (("nowhere:latest",), False)
    with pytest.raises(BadRequest, match="would lead back to itself"):
        await catalogue.alias("nowhere", "python:3.6-ubuntu18.04")
    await catalogue.dealias("lab")
    with pytest.raises(ImageNotFound):
        await catalogue.resolve("lab")


async def test_a_table_that_cannot_be_read_is_told_of(pythons: FakeSource, tmp_path: Path) -> None:
    file = tmp_path / "aliases.toml"
    file.write_text("[aliases")
    catalogue = Catalogue([pythons], file)
    await catalogue.refresh()
    assert len(catalogue.warnings()) == 1 and str(file) in catalogue.warnings()[0]
    with pytest.raises(ConfigError, match=str(file)):
        await catalogue.alias("lab", "python")
    assert file.read_text() == "[aliases"
    file.unlink()
    await catalogue.refresh()
    assert not catalogue.warnings()
    with pytest.raises(ConfigError, match="no file for aliases"):
        await Catalogue([pythons]).alias("lab", "python")
