"""Resolution over tables and images of any kind: whatever they hold, it ends, and it is honest."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest
from bai_tui.app.backend.images.naming import Named
from bai_tui.app.backend.images.resolve import Match, Resolver
from bai_tui.app.model.errors import ImageNotFound
from bai_tui.app.model.images import ImageKind, ImageReference, ImageState
from bai_tui.app.policies import ENGINES, ImageSettings
from hypothesis import given, settings
from hypothesis import strategies as st

from .sources import image, named

Table = Mapping[str, tuple[str, ...]]
NAMES = ["python", "python-data", "r", "x/python", "cr.y/x/python", "docker.io/library/python"]
TAGS = ["latest", "3.11", "3.11-debian12", "3.6-ubuntu18.04", "jupyter-ir", "3.11.7"]

references = st.builds(lambda name, tag: f"{name}:{tag}", st.sampled_from(NAMES), st.sampled_from(TAGS))
tables = st.dictionaries(references, st.lists(references, min_size=1, max_size=4).map(tuple), max_size=12)


def lists_of(kinds: Sequence[ImageKind]) -> st.SearchStrategy[Sequence[Named]]:
    one = st.builds(
        lambda reference, state, kind: named(image(reference, state, kind)),
        references,
        st.sampled_from(list(ImageState)),
        st.sampled_from(kinds),
    )
    return st.lists(one, max_size=8, unique_by=lambda one: one.key)


choices = st.builds(
    ImageSettings,
    engine=st.sampled_from(ENGINES),
    engines=st.dictionaries(references, st.sampled_from(ENGINES), max_size=2),
)


def find(resolver: Resolver, reference: str, *, exact: bool = False) -> Match | str:
    try:
        return resolver.find(reference, exact=exact)
    except ImageNotFound as exc:
        return exc.message


@settings(max_examples=150, deadline=None)
@given(lists_of(list(ImageKind)), tables, tables, choices, references)
def test_it_ends_and_is_honest(
    here: Sequence[Named], user: Table, shipped: Table, chosen: ImageSettings, asked: str
) -> None:
    resolver = Resolver(here, user, shipped, chosen)
    match = find(resolver, asked)
    again = Resolver(here, user, shipped, chosen)
    again.names(here)
    assert find(again, asked) == match, "the same question has the same answer, whatever was asked before"

    named_so = [one.image for one in here if one.image.canonical == asked]
    if isinstance(match, str):
        assert "the nearest is" in match or "no Python 3.6 or newer was found" in match
        assert "\n" not in match
    else:
        assert match.image.state is not ImageState.UNAVAILABLE
        allowed = {chosen.engines.get(text, chosen.engine) for text in chosen.engines} | {chosen.engine}
        assert allowed != {"process"} or not match.image.in_container
        assert allowed != {"container"} or match.image.in_container
        if not match.why:
            reference = ImageReference.parse(asked)
            assert reference.language == match.image.reference.language
            assert (
                asked in (match.image.canonical,)
                or reference.tag in ("latest", reference.version)
                or (reference.platform == match.image.reference.platform or match.image.in_container)
            )
        if any(one.state is not ImageState.UNAVAILABLE and not one.in_container for one in named_so):
            assert chosen.engine == "container" or chosen.engines or match.image.canonical == asked, "exact goes first"

    exact = find(resolver, asked, exact=True)
    if isinstance(exact, str):
        assert "the nearest is" in exact or "no Python 3.6 or newer was found" in exact
    else:
        assert not exact.why, "exact never substitutes"
        assert exact.image.reference.language == ImageReference.parse(asked).language


@settings(max_examples=100, deadline=None)
@given(lists_of([ImageKind.PYTHON, ImageKind.RECIPE]), tables, references)
def test_the_order_of_the_tables(here: Sequence[Named], user: Table, asked: str) -> None:
    """Exact, the user's, the shipped, another platform: each only where the one before leads nowhere. (Those of
    container engines have several names.)"""
    nothing = Resolver(here, {}, {})
    alone = find(nothing, asked)
    own = find(Resolver(here, user, {}), asked)
    if any(one.image.canonical == asked and one.image.state is not ImageState.UNAVAILABLE for one in here):
        assert own == alone
    elif asked in user:
        short = ImageReference.parse(asked).tag, ImageReference.parse(asked).language
        others = [one for one in map(ImageReference.parse, user[asked]) if (one.tag, one.language) != short]
        leads = [other for other in others if not isinstance(find(nothing, str(other)), str)]
        if leads:
            assert isinstance(own, Match) and own.why == "an alias of yours"
    elif "/" not in asked:
        assert own == alone or isinstance(own, str), "a table of other names changes nothing"


def test_aliases_that_all_lead_to_each_other_lead_nowhere_soon() -> None:
    """Every alias is followed once; by all ways there would be more than atoms."""
    names = [f"a{number}:latest" for number in range(200)]
    dice = random.Random(3)
    table = {name: tuple(dice.sample(names, 100)) for name in names}
    resolver = Resolver([named(image("python:3.11-debian12"))], table, table)
    with pytest.raises(ImageNotFound, match="leads back to itself"):
        resolver.find("a0")
    assert resolver.leads() == {}
