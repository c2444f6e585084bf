"""Rows of the editor hold the text, whatever is laid over it."""

from __future__ import annotations

from bai_tui.widgets.code_painter import BRACKET, CURRENT, CURSOR, GUIDE, MATCH, SELECTED, Look, Painter, Row, guides
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

NAMES = ("keyword", "string", "")
LOOK = Look(
    base=Style(color="white"),
    cursor_row=Style(bgcolor="blue"),
    gutter=Style(),
    cursor_gutter=Style(),
    mark=Style(bold=True),
    names={name: Style(color="red") for name in NAMES},
    flags={flag: Style(bgcolor="green") for flag in (MATCH, CURRENT, SELECTED, BRACKET, CURSOR, GUIDE)},
    guide="",
)


def painted(row: Row) -> str:
    painter = Painter()
    painter.use(LOOK)
    strip = painter.strip((0, 0), row)
    assert painter.strip((0, 0), row) is strip, "painted once"
    assert strip.cell_length == row.width == cell_len(strip.text)
    return strip.text


def row(text: str, **changes: object) -> Row:
    values: dict[str, object] = {
        "text": text,
        "start": 0,
        "end": len(text),
        "spans": [],
        "layers": (),
        "gutter": "",
        "mark": "",
        "on_cursor_row": False,
        "selected_end": False,
        "scroll_x": 0,
        "width": 20,
        "tab": 4,
    }
    return Row(**{**values, **changes})  # type: ignore[arg-type]  # by name


@given(
    st.text(alphabet="ab (\t漢é", max_size=30),
    st.lists(st.tuples(st.integers(0, 31), st.integers(1, 9), st.sampled_from([MATCH, SELECTED, CURSOR])), max_size=4),
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from(NAMES)), max_size=6),
    st.integers(0, 12),
    st.integers(4, 30),
)
def test_the_text_is_there(
    text: str, layers: list[tuple[int, int, int]], steps: list[tuple[int, str]], scroll_x: int, width: int
) -> None:
    spans, at = [], 0
    for length, name in steps:
        spans.append((at, at + length, name))
        at += length
    laid = tuple(
        (start, min(len(text) + 1, start + length), flag) for start, length, flag in layers if start <= len(text)
    )
    shown = painted(row(text, spans=spans, layers=laid, scroll_x=scroll_x, width=width))
    if text.isascii():
        expected = text.expandtabs(4)[scroll_x : scroll_x + width].ljust(width)
        assert shown == expected


def test_number_sign_and_selected_end() -> None:
    assert painted(row("x", gutter=" 7  ")) == " 7  x" + " " * 15
    assert painted(row("x", gutter=" 7  ", mark="▶", selected_end=True)) == " 7 ▶x" + " " * 15


def test_a_section_of_a_wrapped_line() -> None:
    assert painted(row("abc def", start=4, end=7)) == "def" + " " * 17


def test_guides_stand_at_levels() -> None:
    assert guides("            x", 12, 4) == ((4, 5, GUIDE), (8, 9, GUIDE))
    assert guides("\t\tx", 8, 4) == () and guides("  x", 2, 4) == ()
