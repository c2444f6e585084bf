"""What we override in Textual is still what we think it is."""

from __future__ import annotations

import hashlib
import inspect

import pytest
from bai_tui.widgets._textual_private import LEANS_ON, FastDocument

KNOWN = {
    "Document.replace_range": "4006b40b1da7",
    "Document.get_size": "d52025dda46f",
    "TextArea._set_document": "3bea23d1becf",
    "TextArea._build_highlight_map": "08a9cc360a6c",
    "TextArea._yield_character_locations": "39e76912ec34",
    "TextArea._yield_character_locations_reverse": "a8c9068803d6",
    "TextArea.find_matching_bracket": "a5095ab5db3b",
    "TextArea.get_line": "f59b5f6cd013",
    "TextArea.render_line": "0fab1cf6e049",
}


def fingerprint(owner: type, name: str) -> str:
    return hashlib.sha256(inspect.getsource(getattr(owner, name)).encode()).hexdigest()[:12]


@pytest.mark.parametrize(("owner", "name"), LEANS_ON, ids=lambda value: getattr(value, "__name__", value))
def test_textual_did_not_change_it(owner: type, name: str) -> None:
    assert fingerprint(owner, name) == KNOWN[f"{owner.__name__}.{name}"], (
        "Textual changed this: read the new source, adapt widgets/_textual_private.py, then note the new fingerprint"
    )


def test_the_fast_document_measures_and_joins_like_textuals() -> None:
    document = FastDocument("a\nbcd\n\tx\n")
    assert document.get_size(4) == (5, 4)
    document.replace_range((1, 1), (2, 1), "漢字\nlong line here\n")
    assert document.text == "a\nb漢字\nlong line here\nx\n"
    assert document.get_size(4) == (14, 5)
    assert document.pending == [(1, 2, 3)]
    document.replace_range((0, 0), (3, 1), "")
    assert document.text == "\n"
    assert document.get_size(4) == (0, 2)
