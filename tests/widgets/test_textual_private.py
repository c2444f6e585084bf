"""What we override in Textual is still what we think it is."""

from __future__ import annotations

import hashlib
import inspect

import pytest
from bai_tui.widgets._textual_private import LEANS_ON, FastDocument, FastWrapped, joined, read_alt
from hypothesis import given
from hypothesis import strategies as st
from textual import constants, events
from textual._xterm_parser import XTermParser
from textual.document._document import Document
from textual.document._wrapped_document import WrappedDocument
from textual.geometry import Offset

KNOWN = {
    "Document.replace_range": "4006b40b1da7",
    "Document.get_size": "d52025dda46f",
    "Document.get_text_range": "a1605a0e5e2c",
    "EditHistory.record": "b589b35bdc4f",
    "EditHistory._pop_undo": "82190a6b5070",
    "WrappedDocument.wrap": "7e67ba98b0c4",
    "WrappedDocument.wrap_range": "87d7fcc7c34a",
    "WrappedDocument.location_to_offset": "20032603f13d",
    "WrappedDocument.offset_to_location": "0e8d617fcc68",
    "WrappedDocument.get_sections": "e6e1051e7c7d",
    "WrappedDocument.get_target_document_column": "8a88ab3d7c57",
    "TextArea._set_document": "3bea23d1becf",
    "TextArea._watch_language": "c51ec11cb822",
    "TextArea._build_highlight_map": "08a9cc360a6c",
    "TextArea._yield_character_locations": "39e76912ec34",
    "TextArea._yield_character_locations_reverse": "a8c9068803d6",
    "TextArea.find_matching_bracket": "a5095ab5db3b",
    "TextArea.render_lines": "5a3931b3e86a",
    "TextArea.render_line": "0fab1cf6e049",
    "TextArea._render_line": "11d1cc3274dc",
    "TextArea.edit": "21cc90872992",
    "TextArea._undo_batch": "56c81dd074b9",
    "TextArea._redo_batch": "617241443293",
    "TextArea._on_key": "7d96cf803349",
    "TextArea._on_paste": "786b2d3d97b5",
    "XTermParser._sequence_to_key_events": "00dfe99846ed",
    "XTermParser.parse": "a5834ad1def8",
    "Widget._scroll_update": "edb9f6257285",
    "StylesCache.get_inner_outer": "d2509f3e7966",
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
    assert document.uncoloured == [(1, 2, 3)]
    assert document.chars == len(document.text)
    document.replace_range((0, 0), (3, 1), "")
    assert document.text == "\n"
    assert document.get_size(4) == (0, 2)


TEXTS = st.text(alphabet=st.sampled_from("ab \n\n\t漢é("), max_size=60)


@given(TEXTS, st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), TEXTS), max_size=6), st.sampled_from([0, 5, 12]))
def test_documents_and_their_wrapping_are_those_of_textual(
    text: str, edits: list[tuple[int, int, str]], width: int
) -> None:
    ours, theirs = FastDocument(text), Document(text)
    wrapped = FastWrapped(ours, width)
    wrapped.wrap(width, 4)
    for first, second, new in edits:
        count = len(theirs.lines)
        start, end = sorted(
            (row % count, column % (len(theirs.lines[row % count]) + 1))
            for row, column in ((first, second), (second, first))
        )
        result = ours.replace_range(start, end, new)
        assert result == theirs.replace_range(start, end, new)
        wrapped.wrap_range(start, end, result.end_location)
        assert ours.lines == theirs.lines and ours.text == theirs.text and ours.chars == len(theirs.text)
        assert ours.get_size(4) == theirs.get_size(4)
    plain = WrappedDocument(theirs, width)
    plain.wrap(width, 4)
    assert wrapped.height == plain.height
    for row, line in enumerate(theirs.lines):
        assert wrapped.get_offsets(row) == plain.get_offsets(row)
        for column in range(len(line) + 1):
            assert wrapped.location_to_offset((row, column)) == plain.location_to_offset((row, column))
    for y in range(plain.height):
        for x in range(14):
            assert wrapped.offset_to_location(Offset(x, y)) == plain.offset_to_location(Offset(x, y))


@pytest.mark.parametrize("text", ["a\x0cb\n", "a\u2028b", "a\rb\nc", "a\r\nb\r\n", "a\r\nb\n", "", "\n\n"])
def test_a_text_stays_what_it_was(text: str) -> None:
    assert FastDocument(text).text == text


def test_line_ends_of_a_file_are_kept() -> None:
    document = FastDocument("a\r\nb\r\n")
    document.replace_range((0, 1), (0, 1), "1\n2\r\n3")
    assert document.text == "a1\r\n2\r\n3\r\nb\r\n"
    assert document.chars == len(document.text)


def test_control_characters_are_shown_as_pictures_of_one_cell() -> None:
    document = FastDocument("a\x1b[31mb\x07\x9bc")
    assert document.get_line(0) == "a␛[31mb␇\ufffdc"
    assert document.get_size(4) == (10, 1)
    assert FastWrapped(document).location_to_offset((0, 7)) == (7, 0)


def test_edits_join() -> None:
    assert joined([]) is None
    assert joined([(5, 5, 6), (2, 2, 2)]) == (2, 5, 6)
    assert joined([(5, 5, 8), (9, 9, 8)]) == (5, 6, 8)
    assert joined([(3, 6, 3), (3, 4, 4)]) == (3, 7, 4)


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("\x1b:", "alt+colon"),
        ("\x1b.", "alt+full_stop"),
        ("\x1b\r", "alt+enter"),
        ("\x1bx", "alt+x"),
        ("\x1bf", "alt+f"),
        ("\x1bb", "alt+b"),
        ("\x1b9", "alt+9"),
        ("\x1b=", "alt+equals_sign"),
        ("\x1b[1;3C", "alt+right"),
        ("\x1bX", "alt+shift+x"),
        ("\x1bö", "alt+ö"),
        ("\x1b", "escape"),
        (":", "colon"),
        ("\x1b[A", "up"),
    ],
)
def test_alt_is_told_with_every_key(monkeypatch: pytest.MonkeyPatch, sent: str, key: str) -> None:
    monkeypatch.setattr(XTermParser, "_sequence_to_key_events", XTermParser._sequence_to_key_events)
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.0)
    monkeypatch.setenv("ESCDELAY", "0")
    read_alt()
    read_alt()
    parser = XTermParser()
    read = [event for event in (*parser.feed(sent), *parser.tick()) if isinstance(event, events.Key)]
    assert [event.key for event in read] == [key]
    assert not any(event.is_printable for event in read if "alt" in event.key), "a field would write it"


def test_the_users_own_delay_after_escape_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XTermParser, "_sequence_to_key_events", XTermParser._sequence_to_key_events)
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.1)
    monkeypatch.setenv("ESCDELAY", "100")
    read_alt()
    assert constants.ESCAPE_DELAY == 0.1
    monkeypatch.delenv("ESCDELAY")
    read_alt()
    assert constants.ESCAPE_DELAY < 0.05
