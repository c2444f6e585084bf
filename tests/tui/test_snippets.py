from __future__ import annotations

import ast
import textwrap

import pytest
from bai_tui.app.tui import snippets
from bai_tui.app.tui.snippets import Snippet
from hypothesis import given
from hypothesis import strategies as st


def split(text: str) -> list[str]:
    return text.split("\n")


TEXT = split("""\
import os

# %% first
x = 1

@cache
@other(
    1,
)
def f(
    a,
):
    '''text

    # %% no separator: it is indented
    '''
    return a

# %% [markdown]
# prose

#%% second
if x:
    for i in range(3):
        print(i)

    print('done')
else:
    pass
y = 2; z = 3""")


def test_cells_cover_the_text() -> None:
    found = snippets.cells(TEXT)
    assert [(cell.first, cell.end, cell.title, cell.markdown) for cell in found] == [
        (0, 2, "", False),
        (2, 18, "first", False),
        (18, 21, "[markdown]", True),
        (21, 30, "second", False),
    ]
    for row in range(len(TEXT)):
        assert snippets.cell_at(TEXT, row) == next(cell for cell in found if cell.first <= row < cell.end)


def test_cells_one_after_the_other() -> None:
    assert snippets.next_cell(TEXT, 0) == 3
    assert snippets.next_cell(TEXT, 4) == 22, "prose is left out"
    assert snippets.next_cell(TEXT, 25) is None
    assert snippets.previous_cell(TEXT, 25) == 3
    assert snippets.previous_cell(TEXT, 4) == 0
    assert snippets.previous_cell(TEXT, 1) is None
    assert snippets.cell(TEXT, 19).is_empty
    assert snippets.cell(TEXT, 0) == Snippet("import os\n", 0, 2)
    assert snippets.cell([""], 0) == Snippet("", 0, 1)
    assert snippets.cells([]) == [snippets.Cell(0, 0)]


@pytest.mark.parametrize(
    ("row", "first", "end"),
    [
        (0, 0, 1),
        (1, 3, 4),
        *((row, 5, 17) for row in (5, 6, 9, 14, 16)),
        *((row, 22, 29) for row in (20, 24, 25, 28)),
        (29, 29, 30),
        (99, 29, 30),
    ],
)
def test_the_statement_under_the_cursor_is_the_outermost(row: int, first: int, end: int) -> None:
    found = snippets.statement(TEXT, row)
    assert (found.first, found.end) == (first, end)
    assert found.code == "\n".join(TEXT[first:end])


@pytest.mark.parametrize(
    ("text", "row", "code"),
    [
        ("x = (\n\ny = 2\nfor i in a:\n    b\n\n    c\nd", 4, "for i in a:\n    b\n\n    c"),
        ("x = (\n\n@dec\ndef f():\n    pass\n\nq", 4, "@dec\ndef f():\n    pass"),
        ("x = (\n\n@dec\ndef f():\n    pass\n\nq", 2, "@dec\ndef f():\n    pass"),
        ("x = (\n\nif a:\n    b\nelse:\n    c\nd", 5, "if a:\n    b\nelse:\n    c"),
        ("x = (\n\n\n", 3, ""),
        ("%time f()\n!ls\na?\nb = !ls\nfor i in x:\n    %time i\n    j", 6, "for i in x:\n    %time i\n    j"),
        ("%time f()\n!ls", 1, "!ls"),
        ("x = (a\n     % b)", 1, "x = (a\n     % b)"),
    ],
)
def test_broken_code_is_cut_by_its_lines_and_magics_are_known(text: str, row: int, code: str) -> None:
    assert snippets.statement(text.split("\n"), row).code == code


def test_other_languages() -> None:
    lines = split("f <- function(x) {\n  x + 1\n}\n\nf(2)\n# %% next\ng()")
    assert snippets.statement(lines, 1, "r").code == "f <- function(x) {\n  x + 1\n}"
    assert snippets.statement(lines, 4, "r").code == "f(2)"
    assert snippets.cell(lines, 6, "r").code == "# %% next\ng()"
    assert [cell.first for cell in snippets.cells(split("a\n// %% b\nc"), "javascript")] == [0, 1]
    assert [cell.first for cell in snippets.cells(split("a\n-- %% b\nc"), "lua")] == [0, 1]


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        ((22, 0), (23, 0), "if x:"),
        ((24, 8), (24, 13), "print"),
        ((26, 0), (23, 4), "for i in range(3):\n    print(i)"),
        ((23, 4), (24, 16), "for i in range(3):\n    print(i)"),
        ((23, 8), (24, 16), "i in range(3):\n        print(i)"),
        ((26, 2), (26, 2), ""),
    ],
)
def test_a_selection_is_moved_to_the_left(start: tuple[int, int], end: tuple[int, int], code: str) -> None:
    assert snippets.selection(TEXT, start, end).code == code


def test_everything_above() -> None:
    assert snippets.above(TEXT, 24).code == "\n".join([*TEXT[:18]])
    assert snippets.above(TEXT, 4).code == "import os\n"
    assert snippets.above(TEXT, 1).code == "import os"
    assert snippets.above(TEXT, 0).is_empty
    assert snippets.above(split("a = 1\nfor i in a:\n    b\nc"), 2).code == "a = 1"
    assert snippets.above(["a"], 0).is_empty
    assert snippets.above([""], 0).is_empty


def test_a_long_text_is_parsed_around_the_cursor_only() -> None:
    body = [
        f"def f{number}():\n    '''\n    text\n    '''\n    return [\n        {number},\n    ]\n"
        for number in range(2000)
    ]
    lines = "\n".join(body).split("\n")
    assert len(lines) > 10_000
    for row in (0, 4, 8_003, len(lines) - 2):
        found = snippets.statement(lines, row)
        number = row // 8
        assert found.code == body[number].rstrip("\n")


_STATEMENTS = st.sampled_from(
    [
        "x = 1",
        "print('a')",
        "def f(a):\n    return a",
        "@d\nclass A:\n    x = '''\n\n    # %% x\n'''\n\n    def m(self):\n        pass",
        "if a:\n    b\nelif c:\n    d\nelse:\n    e",
        "try:\n    a\nexcept E:\n    b\nfinally:\n    c",
        "for i in x:\n\n    y",
        "z = [\n1,\n  2,\n]",
        "with a as b, \\\n  c:\n    d",
        "async def g():\n    await h()",
        "s = '''a\n  b\nc'''",
        "# a comment",
        "",
        "# %% cell",
        "# %% [markdown]\n# words",
        "%time x",
    ]
)


@given(st.lists(_STATEMENTS, min_size=1, max_size=12), st.data())
def test_what_is_run_is_whole_and_holds_the_cursor(parts: list[str], data: st.DataObject) -> None:
    lines = "\n".join(parts).split("\n")
    row = data.draw(st.integers(0, len(lines) - 1))
    found = snippets.statement(lines, row)
    assert 0 <= found.first < found.end <= len(lines)
    if not found.is_empty:
        assert found.code in parts, "it is one of those that were written"
        assert row < found.end
        assert all(not line.strip() or line.startswith("#") for line in lines[row : found.first])
        if not found.code.startswith("%"):
            ast.parse(found.code)
    cell = snippets.cell_at(lines, row)
    assert cell in snippets.cells(lines) and cell.first <= row < cell.end
    covered = snippets.cells(lines)
    assert [one.end for one in covered[:-1]] == [one.first for one in covered[1:]]
    assert (covered[0].first, covered[-1].end) == (0, len(lines))
    above = snippets.above(lines, row)
    assert above.end <= row or above.is_empty


@given(st.lists(st.text("ab :\t\n(\"'#%\\@", max_size=12), max_size=15), st.integers(0, 40), st.integers(0, 40))
def test_any_text_has_parts(texts: list[str], row: int, other: int) -> None:
    lines = "\n".join(texts).split("\n")
    for language in ("python", "r", "javascript"):
        for found in (snippets.statement(lines, row, language), snippets.cell(lines, row, language)):
            assert 0 <= found.first < found.end <= len(lines)
        assert snippets.above(lines, min(row, len(lines) - 1), language).end <= len(lines)
        below = snippets.next_cell(lines, row, language)
        assert below is None or row < below < len(lines) or below == len(lines) - 1
    row, other = min(row, len(lines) - 1), min(other, len(lines) - 1)
    chosen = snippets.selection(lines, (row, 0), (other, len(lines[other])))
    assert chosen.code == textwrap.dedent(chosen.code) or "\t" in chosen.code
