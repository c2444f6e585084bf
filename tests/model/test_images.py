from __future__ import annotations

import pytest
from bai_tui.app.model.errors import BadRequest
from bai_tui.app.model.images import ImageReference
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("python", "python", "latest"),
        (" python:3.11-debian12 ", "python", "3.11-debian12"),
        ("python-tensorflow:1.12-py36", "python-tensorflow", "1.12-py36"),
        ("cr.backend.ai/stable/python:3.6-ubuntu18.04", "cr.backend.ai/stable/python", "3.6-ubuntu18.04"),
        ("localhost:5000/python", "localhost:5000/python", "latest"),
        ("localhost:5000/x/python:3", "localhost:5000/x/python", "3"),
    ],
)
def test_references(text: str, name: str, tag: str) -> None:
    reference = ImageReference.parse(text)
    assert (reference.name, reference.tag) == (name, tag)


def test_parts() -> None:
    reference = ImageReference.parse("cr.backend.ai/stable/python-x:3.6-ubuntu18.04-py")
    assert (reference.language, reference.version, reference.platform) == ("python-x", "3.6", "ubuntu18.04-py")
    assert ImageReference.parse("python:3.11").platform == ""


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ":", ":3.6", "python:", "python:-3", "python:3-", "http://python", "py thon", "python:3 6", "/python",
        "python/", "a//b", "python\n:3", "python:3\n4", "a:b:c", "../python", "пайтон", "x" * 300, "python:3\x00",
    ],
)  # fmt: skip
def test_bad_references_are_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(BadRequest) as error:
        ImageReference.parse(text)
    assert "\n" not in error.value.message
    assert len(error.value.message) < 200


@given(st.text(max_size=60))
def test_a_reference_that_is_read_is_read_again_the_same(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except BadRequest:
        return
    assert ImageReference.parse(str(reference)) == reference
