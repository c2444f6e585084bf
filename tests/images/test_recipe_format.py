"""Recipe files: what is read, what is said of mistakes, which of several wins, and what makes another environment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bai_tui.app.backend.images.naming import Named
from bai_tui.app.backend.images.recipes import bases, cupboard
from bai_tui.app.backend.images.recipes.format import Indexes, Recipe, parse_recipe
from bai_tui.app.model.errors import ConfigError
from bai_tui.app.model.images import ImageState
from hypothesis import given
from hypothesis import strategies as st

from .kitchen import Kitchen
from .sources import image, named

KEYS = [
    "name", "tag", "summary", "interpreter", "packages", "constraints", "installer", "startup", "startup_file",
    "service_ports", "language", "index", "environment", "slots", "estimates", "kernel", "pakages",
]  # fmt: skip
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x3FF, exclude_characters="\x7f"), max_size=20)
VALUES = st.recursive(
    TEXTS.map(json.dumps)
    | st.integers(-9, 10**20).map(str)
    | st.sampled_from(["true", "1.5", "nan", "inf", "1979-05-27"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
        | st.dictionaries(st.sampled_from(["min", "mem", "url", "argv", "size", "A"]), inner, max_size=2).map(
            lambda table: f"{{{', '.join(f'{key} = {value}' for key, value in table.items())}}}"
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
def test_whatever_stands_in_a_recipe_is_read_or_refused_with_file_and_key(keys: dict[str, str]) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in keys.items())
    try:
        recipe = parse_recipe(text, "some/file.toml")
    except ConfigError as exc:
        assert "the recipe some/file.toml" in exc.message
        assert any(f"'{key}" in exc.message for key in [*keys, "name"]), exc.message
    else:
        assert recipe.name == json.loads(keys["name"]).strip()
        assert "pakages" not in keys


@given(st.text(max_size=60))
def test_text_that_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"the recipe f cannot be used|the recipe f is no TOML"):
        parse_recipe(f"{text}\n", "f")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('pakages = ["x"]', "'pakages' is no key of a recipe, did you mean 'packages'?"),
        ('packages = "numpy"', "'packages' must be a list of texts"),
        ('packages = ["numpy >"]', "'packages' 'numpy >' is no requirement"),
        ('packages = ["-r /etc/passwd"]', "'packages' '-r /etc/passwd' is no requirement"),
        ('packages = ["a b @ https://me:secret@x.example/a.whl"]', "'a b @ https://...@x.example/a.whl' is no req"),
        ('interpreter = "3.6"', "'interpreter' '3.6' is no version specifier"),
        ('installer = "conda"', "'installer' is 'conda'; it can be 'uv' or 'pip'"),
        ('tag = "a b"', "'tag' 'a b' cannot be a tag"),
        ('service_ports = ["web"]', "'service_ports' 'web' is no service port"),
        ("[slots.min]\nmem = -1", "'slots.min' is wrong"),
        ("[slots.mni]\nmem = 1", "'slots.mni' is no key"),
        ("[estimates]\nseconds = -1", "'estimates.seconds' must be a number"),
        ('[environment]\n"A B" = "x"', "'environment.A B' is no name of a variable"),
        ('[index]\nurl = "x"\noffline = true', "'index.offline' cannot be true"),
        ('packages = ["x"]\n[kernel]\nargv = ["x"]\ndisplay_name = "X"', "'kernel.argv' must be a list of words"),
        ('startup_file = "gone.py"', "'startup_file' cannot be used"),
    ],
)
def test_mistakes_are_named_by_file_and_key(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_recipe(f'name = "mine"\n{text}', "/recipes/mine.toml", tmp_path)
    assert refused.value.message.startswith("the recipe /recipes/mine.toml cannot be used: ")
    assert words in refused.value.message


def test_paths_start_at_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text("answer = 42\n")
    text = 'name = "x"\nstartup_file = "start.py"\n[index]\nfind_links = ["wheels", "/else", "https://example.org/w"]'
    recipe = parse_recipe(text, "x.toml", tmp_path)
    assert recipe.startup == "answer = 42\n"
    assert recipe.indexes.find_links == (str(tmp_path / "wheels"), "/else", "https://example.org/w")


def test_shipped_recipes_are_the_promised_ones() -> None:
    here = {f"{one.name}:{one.tag}": one for one in cupboard.shipped()}
    names = {name.partition(":")[0] for name in here}
    assert {"python-data", "python-pytorch", "python-tensorflow", "python-jax", "deno"} <= names
    assert here["python:3.6-ubuntu18.04"].packages == ()
    old = here["python-tensorflow:1.12-py36"]
    assert "tensorflow==1.12.0" in old.packages
    assert all("==" in text for text in (*old.packages, *old.constraints))
    assert all(one.summary and ((one.prepare_s and one.size_bytes) or not one.packages) for one in here.values())


def test_a_recipe_of_the_user_takes_the_place_of_the_shipped_one_and_a_broken_one_does_not_hide_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.toml").write_text('name = "python-data"\npackages = ["polars"]\n')
    (tmp_path / "b.toml").write_text('name = "python-tensorflow"\npackages = ["tf-nightly"]\n')
    (tmp_path / "bad.toml").write_text("name = 7\n")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    (tmp_path / "python-jax.toml").write_text("[")
    (tmp_path / "folder.toml").mkdir()
    found = cupboard.read_cupboard(tmp_path)
    packages = {f"{one.name}:{one.tag}": one.packages for one in found.recipes}
    assert packages["python-data:{python}-{platform}"] == ("polars",)
    assert packages["python-tensorflow:{python}-{platform}"] == ("tf-nightly",)
    assert "python-tensorflow:1.12-py36" in packages
    assert not any(name.startswith("python-jax") for name in packages)
    assert [one.name for one in found.broken] == ["bad", "folder", "latin", "python-jax"]
    assert all(str(tmp_path) in one.reason for one in found.broken)


@given(st.permutations(["numpy", "pandas>=2", "six"]), st.sampled_from(["", "x = 1"]))
def test_an_environment_is_another_one_when_other_things_are_installed_and_only_then(
    packages: list[str], startup: str
) -> None:
    (base,) = [named(image("python:3.11.7"))]
    plain = Recipe(name="x", origin="o", packages=("numpy", "pandas>=2", "six"))
    same = replace(plain, packages=tuple(packages), startup=startup, name="y", environ={"A": "b"})
    assert bases.key_of(plain, base) == bases.key_of(same, base)
    assert bases.digest_of(plain, base) != bases.digest_of(same, base)
    others = [
        replace(plain, packages=(*plain.packages, "extra")),
        replace(plain, constraints=("numpy<2",)),
        replace(plain, installer="pip"),
        replace(plain, indexes=Indexes(url="https://example.org/simple")),
    ]
    keys = {bases.key_of(one, base) for one in [plain, *others]}
    keys.add(bases.key_of(plain, named(image("python:3.12.1"))))
    assert len(keys) == len(others) + 2


def test_the_key_of_an_environment_stays_from_version_to_version() -> None:
    # Were it another, everybody's environments would be built again.
    recipe = Recipe(name="x", origin="o", packages=("six",))
    assert bases.key_of(recipe, named(image("python:3.11.7"))) == "d3dc695d061d7e47cc3bacea"


@pytest.mark.parametrize(
    ("specifier", "expected"),
    [("", "3.12.1"), ("<3.12", "3.11.7"), ("==3.13.*", "3.13.0rc"), (">=3.6", "3.12.1"), ("==3.6.*", None)],
)
def test_the_newest_release_that_fits_is_taken(specifier: str, expected: str | None) -> None:
    found: list[Named] = []
    for version, stable in [("3.11.7", True), ("3.13.0rc", False), ("3.12.1", True), ("3.9.18", True)]:
        one = named(image(f"python:{version}"))
        found.append(replace(one, stable=stable))
    recipe = Recipe(name="x", origin="o", interpreter=specifier)
    base = bases.choose(recipe, found)
    assert (base.image.runtime_version if base else None) == expected
    if base is None:
        assert "it needs Python ==3.6.*, and here is 3.9, 3.11, 3.12, 3.13" in bases.missing(recipe, found)


async def test_without_its_interpreter_a_recipe_is_unavailable_and_says_which_it_needs(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    kitchen.recipe('packages = ["tinything"]\ninterpreter = "==3.6.*"')
    (tmp_path / "recipes/broken.toml").write_text("name = 7\n")
    source = kitchen.source()
    images = {one.image.canonical: one.image for one in await source.look(kitchen.found("3.12.1"))}
    assert images["mine:latest"].state is ImageState.UNAVAILABLE
    assert "it needs Python ==3.6.*" in images["mine:latest"].reason
    assert images["python:3.6-ubuntu18.04"].state is ImageState.UNAVAILABLE
    assert "'name' must be a text" in images["broken:latest"].reason
    assert len(source.warnings()) == 1
