"""HTML, Markdown and JSON as lines: right, in any width, and in bounded time whatever is in them."""

from __future__ import annotations

import json
import time

import pytest
from bai_tui.widgets.blocks import ASCII_SHAPES, ROLES, Code, RichLine, highlighted, layout, wrap
from bai_tui.widgets.html_blocks import html_blocks, html_text
from bai_tui.widgets.json_tree import PAGE, JsonTree
from bai_tui.widgets.markdown_blocks import markdown_blocks
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

FRAME = """<div><style scoped>.dataframe { color: red }</style><table border="1" class="dataframe">
<thead><tr style="text-align: right;"><th></th><th>name</th><th>value</th></tr></thead>
<tbody><tr><th>0</th><td>a &lt; b</td><td>1.50</td></tr><tr><th>1</th><td>漢字</td><td>-22.00</td></tr></tbody>
</table><p>2 rows × 2 columns</p></div>"""


def texts(lines: list[RichLine]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def page(html: str, width: int = 60) -> list[str]:
    return texts(layout(html_blocks(html), width))


def test_a_data_frame_is_a_table() -> None:
    assert page(FRAME) == [
        "╭───┬───────┬────────╮",
        "│   │ name  │  value │",
        "├───┼───────┼────────┤",
        "│ 0 │ a < b │   1.50 │",
        "│ 1 │ 漢字  │ -22.00 │",
        "╰───┴───────┴────────╯",
        "",
        "2 rows × 2 columns",
    ]
    assert texts(layout(html_blocks(FRAME), 60, shapes=ASCII_SHAPES))[0] == "+---+-------+--------+"
    assert "1\t漢字\t-22.00" in html_text(FRAME)


def test_cells_that_span_rows_and_columns_keep_the_others_in_place() -> None:
    html = (
        "<table><thead><tr><th></th><th colspan=2>both</th></tr></thead>"
        "<tr><th rowspan=2>bar</th><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr></table>"
    )
    assert page(html)[1:-1] == ["│     │ both │   │", "├─────┼──────┼───┤", "│ bar │    1 │ 2 │", "│     │    3 │ 4 │"]


def test_large_tables_are_cut_and_say_so() -> None:
    head = "".join(f"<th>column{n}</th>" for n in range(30))
    row = "<tr>" + "".join(f"<td>{n * 1000}</td>" for n in range(30)) + "</tr>"
    lines = page(f"<table><tr>{head}</tr>{row * 50}</table>")
    assert lines[-1] == "… 30 more rows, 24 more columns"
    assert all(cell_len(line) <= 60 for line in lines)
    assert "0" in lines[3] and "29000" in lines[3]
    # what is not even parsed is counted
    more = page(f"<table><tr>{head}</tr>{row * 20_000}</table>")
    assert more[-1] == "… 19,980 more rows, 24 more columns"


def test_other_html_is_text() -> None:
    assert page("<h1>T</h1><p>a <b>b</b>\n c<br>d</p><ul><li>one<li>two<ul><li>deep</ul></ul><ol><li>x</ol>") == [
        "T", "", "a b c", "d", "• one", "• two", "  • deep", "1. x",
    ]  # fmt: skip
    assert page('<a href="https://x.org">there</a> <a href="javascript:x">no</a>') == ["there (https://x.org) no"]
    assert page("<pre>a\n  b</pre><script>evil()</script><hr>&amp;<img alt='pic'>", 8) == [
        "  a", "    b", "", "────────", "", "&[pic]",
    ]  # fmt: skip
    assert page("7 < 8 > 6 <3 <!-- no --> <?php x ?> ok") == ["7 < 8 > 6 <3 ok"]


def test_markdown_is_laid_out() -> None:
    text = (
        "# Title\n\nsome **bold** `x` [link](https://a.b)\n\n- one\n  - deep\n\n1. a\n2. b\n\n> said\n\n"
        "```python\ndef f(): ...\n```\n\n| a | b |\n|---|---|\n| x | 1 |\n"
    )
    lines = layout(markdown_blocks(text), 40)
    assert texts(lines) == [
        "Title", "", "some bold x link (https://a.b)", "• one", "  • deep", "1. a", "2. b", "", "  said", "",
        "  def f(): ...", "", "╭───┬───╮", "│ a │ b │", "├───┼───┤", "│ x │ 1 │", "╰───┴───╯",
    ]  # fmt: skip
    roles = {text: role for line in lines for text, role in line}
    assert (roles["Title"], roles["bold"], roles["x"], roles["def"]) == ("head", "strong", "code", "keyword")


def test_code_of_any_language_is_coloured_and_of_none_is_not() -> None:
    assert highlighted("let x = 1;", "javascript")[0][0] == ("let", "keyword")
    assert highlighted("let x = 1;", "nonsense") == [(("let x = 1;", "code"),)]


def test_a_tree_opens_closes_and_shows_more() -> None:
    tree = JsonTree.parse(json.dumps({"a": 1, "b": [1, {"c": None}], "long": "x" * 99, "big": list(range(1000))}))
    assert tree is not None
    shown = texts([row.line for row in tree.rows(30)])
    assert shown[:5] == ["▾ {4}", "    a: 1", "  ▾ b: [2]", "      0: 1", "    ▸ 1: {1}"]
    assert shown[-2:] == ['    long: "xxxxxxxxxxxxxxxxxx…', "  ▸ big: [1,000]"]
    rows = tree.rows(30)
    assert tree.toggle(rows[4]) and not tree.toggle(rows[1])
    assert texts([row.line for row in tree.rows(30)])[5] == "        c: null"
    assert tree.toggle(tree.rows(30)[-1])
    rows = tree.rows(30)
    assert len(rows) == 8 + PAGE + 1 and rows[-1].shows_more
    assert tree.toggle(rows[-1])
    assert len(tree.rows(30)) == 8 + 1000
    assert tree.toggle(tree.rows(30)[0])
    assert len(tree.rows(30)) == 1


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{", "", "[1,]", " " * 3_000_000 + "1", '{"a":' * 5_000 + "1" + "}" * 5_000]
)
def test_what_is_no_tree_is_none(text: str) -> None:
    assert JsonTree.parse(text) is None


def test_a_number_of_any_length_is_one_line() -> None:
    tree = JsonTree.parse("[" + "1" * 100_000 + "]")
    assert tree is not None
    assert [cell_len("".join(text for text, _ in row.line)) <= 20 for row in tree.rows(20)] == [True, True]


HOSTILE = {
    "open": "<" * 10_000_000,
    "comments": "<!--" * 1_000_000,
    "cdata": "<![CDATA[" * 500_000,
    "attributes": "<a b='" * 1_000_000,
    "quotes": "<a " + "x='' " * 1_000_000,
    "deep": "<div>" * 1_000_000,
    "deep tables": "<table><tr><td>" * 300_000,
    "deep lists": "<ul><li>" * 500_000,
    "entities": "&#x" * 2_000_000,
    "ends": "</" * 2_000_000,
    "scripts": "<script>" * 500_000,
    "brackets": "[" * 100_000,
    "images": "![" * 50_000,
    "stars": "**a " * 50_000,
    "quotes in markdown": ">" * 100_000,
    "one word": "x" * 1_000_000,
    "spans": "<table><tr>" + "<td colspan=99999 rowspan=99999>x" * 5_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_takes_long(name: str) -> None:
    began = time.process_time()
    for blocks in (html_blocks(HOSTILE[name]), markdown_blocks(HOSTILE[name])):
        lines = layout(blocks, 80)
        assert all(sum(cell_len(text) for text, _ in line) <= 80 for line in lines)
    assert time.process_time() - began < 3.0


@given(st.text(alphabet="<>/ab='\"&;! -[]`*_#|\n漢", max_size=200), st.integers(4, 40))
def test_any_text_fits_any_width(text: str, width: int) -> None:
    for blocks in (html_blocks(text), markdown_blocks(text), [Code(text)]):
        for line in layout(blocks, width):
            assert sum(cell_len(part) for part, _ in line) <= width
            assert all(role in ROLES or role == "" for _, role in line)
            assert not any(char in part for part, _ in line for char in "\n\r\x1b")


@given(st.text(alphabet="ab 漢\n", max_size=80), st.integers(1, 12))
def test_wrapping_loses_no_word(text: str, width: int) -> None:
    lines = wrap(((text, ""),), width)
    kept = "".join("".join(part for part, _ in line) for line in lines)
    assert kept.replace(" ", "") == text.replace(" ", "").replace("\n", "")
