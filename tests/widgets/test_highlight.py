"""Incremental highlighting says what a full run of Pygments says."""

from __future__ import annotations

import ast
import json
import random
import textwrap
from pathlib import Path

import pytest
from bai_tui.widgets import languages
from bai_tui.widgets.highlight import STYLES, Lexing, LineLexer, Span, WholeLexer, lexing, python_lexer


class Lines:
    def __init__(self, text: str) -> None:
        self.all = text.split("\n")

    def lines(self) -> list[str]:
        return self.all

    def text(self) -> str:
        return "\n".join(self.all)


def style_name(kind: object) -> str | None:
    while kind is not None and str(kind) not in STYLES:
        kind = kind.parent  # type: ignore[attr-defined]
    return None if kind is None else STYLES[str(kind)]


def cells(spans: list[Span]) -> list[tuple[int, str]]:
    return [(column, name) for start, end, name in spans for column in range(start, end)]


def full(text: str, language: str = "python") -> list[list[tuple[int, str]]]:
    lines: list[list[tuple[int, str]]] = [[]]
    column = 0
    for _, kind, value in languages.lexer(language).get_tokens_unprocessed(text):
        name = style_name(kind)
        for char in value:
            if char == "\n":
                lines.append([])
                column = 0
                continue
            if name is not None:
                lines[-1].append((column, name))
            column += 1
    return lines


def ours(lexer: Lexing, source: Lines) -> list[list[tuple[int, str]]]:
    assert lexer.lex_to(len(source.all) - 1, 60.0)
    return [cells(lexer.spans(line)) for line in range(len(source.all))]


HARD = textwrap.dedent(
    '''
    #!/usr/bin/env python
    """A docstring
    over lines"""
    from \\
        os import path
    import a.b as c, d
    class \\
        Foo(Bar):
        """doc"""
        x = """not a doc
        {x} %s"""
        y = f"""{x!r:>{width}}
        {1 + 2} \\n"""
        def f(self, *, a: int = 0x1F, b=1_000.5e3j) -> None:

            \'\'\'doc
            \'\'\'
            match a:
                case 1: pass
            raise ValueError(b"x\\x00", r"\\d", 'open
            return not a in b
    async def g(): await h  # comment
    @decorator
    def é(): ...
    $ ?
    '''
)


@pytest.mark.parametrize("module", [ast, json, random, textwrap, pytest])
def test_equals_a_full_run_on_the_standard_library(module: object) -> None:
    text = Path(module.__file__).read_text(encoding="utf-8")  # type: ignore[attr-defined]
    source = Lines(text)
    assert ours(LineLexer(python_lexer(), source), source) == full(text)


def test_equals_a_full_run_on_hard_code() -> None:
    source = Lines(HARD)
    assert ours(LineLexer(python_lexer(), source), source) == full(HARD)


@pytest.mark.parametrize("seed", range(12))
def test_equals_a_full_run_after_any_edits(seed: int) -> None:
    chance = random.Random(seed)
    source = Lines(HARD * 3)
    lexer = LineLexer(python_lexer(), source)
    snippets = [
        '"""',
        "'''",
        "x = 1",
        "",
        "\n",
        '"',
        "def f():\n    pass",
        "\\",
        "from ",
        "   ",
        "#",
        "{",
        'f"""',
        "'\n'",
    ]
    for _ in range(60):
        first = chance.randrange(len(source.all))
        last = min(len(source.all) - 1, first + chance.choice([0, 0, 0, 1, 4]))
        old = "\n".join(source.all[first : last + 1])
        start = chance.randrange(len(old) + 1)
        end = min(len(old), start + chance.choice([0, 0, 1, 3, len(old)]))
        new = (old[:start] + chance.choice(snippets) + old[end:]).split("\n")
        source.all[first : last + 1] = new
        lexer.edited(first, last, first + len(new) - 1)
        if chance.random() < 0.7:
            # only what is on the screen is lexed
            assert lexer.lex_to(min(len(source.all) - 1, first + 5), 60.0)
    assert ours(lexer, source) == full(source.text()), repr(source.text())


def test_an_edit_in_a_long_file_lexes_a_few_lines_only() -> None:
    source = Lines(Path(ast.__file__).read_text(encoding="utf-8"))
    lexer = LineLexer(python_lexer(), source)
    ours(lexer, source)
    middle = len(source.all) // 2
    source.all[middle] += "  # x"
    lexer.edited(middle, middle, middle)
    calls = 0
    name = lexer._name

    def counted(kind: object) -> str | None:
        nonlocal calls
        calls += 1
        return name(kind)

    lexer._name = counted
    assert ours(lexer, source) == full(source.text()), repr(source.text())
    assert calls < 1000


def test_time_is_bounded_and_the_rest_comes_later() -> None:
    text = Path(ast.__file__).read_text(encoding="utf-8")
    source = Lines(text)
    lexer = LineLexer(python_lexer(), source)
    rounds = 0
    while not lexer.lex_to(len(source.all) - 1, 0.0):
        rounds += 1
    assert rounds > 10
    assert ours(lexer, source) == full(text)


def test_a_very_long_line_is_not_coloured() -> None:
    source = Lines("x = 1\n" + "y" * 30_000)
    lexer = LineLexer(python_lexer(), source)
    assert ours(lexer, source) == [[], []]


OTHERS = {
    "r": 'f <- function(x) {\n  # why\n  y <- "a\nb"\n  if (TRUE) NULL else x[["k"]]\n}\n',
    "bash": 'for x in *; do\n  cat <<EOF\n  $x "y"\nEOF\n  echo "a $(ls "b") c"\ndone # end\n',
    "javascript": "/* a\n b */ function f(x) {\n  return `t ${x +\n 1} u` / 2; // c\n}\nlet r = /ab+/g;\n",
    "typescript": "interface A { b: string }\n/** doc\n */\nconst c = (d: A): number => d.b.length;\n",
    "rust": 'fn main() {\n    /* a\n */ let s = r#"x\ny"#;\n    println!("{}", s);\n}\n',
    "go": "package a\n\nfunc f() string {\n\treturn `raw\nstring`\n}\n/* x\n*/\n",
    "html": "<p class='a'>\n<script>\nlet x = 1; // y\n</script>\n<!-- a\n b --></p>\n",
    "markdown": "# Head\n\ntext *em*\n\n```\ncode\n```\n\n- item\n",
    "sql": "select 'a\nb' as x -- c\n/* d\n e */ from t;\n",
    "json": '{"a": [1, true,\n null], "b": "c"}\n',
    "yaml": "a:\n  - b: |\n      text\n      more\n    c: 1 # d\n",
    "ruby": "def f\n  x = <<A\n  t #{1}\nA\n  :s\nend\n",
}


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("seed", range(3))
def test_other_languages_equal_a_full_run_after_edits(language: str, seed: int) -> None:
    chance = random.Random(seed)
    source = Lines(OTHERS[language] * 8)
    lexer = lexing(languages.lexer(language), source)
    assert ours(lexer, source) == full(source.text(), language)
    for _ in range(20):
        first = chance.randrange(len(source.all))
        old = source.all[first]
        at = chance.randrange(len(old) + 1)
        new = (old[:at] + chance.choice(["x", " ", "\n", "1", "(a)", "\nb\n"]) + old[at:]).split("\n")
        source.all[first : first + 1] = new
        lexer.edited(first, first, first + len(new) - 1)
        if chance.random() < 0.5:
            lexer.lex_to(min(first + 3, len(source.all) - 1), 60.0)
    assert ours(lexer, source) == full(source.text(), language)


def test_a_construct_that_reaches_far_is_seen_whole() -> None:
    source = Lines("/* begun\n" + "inside\n" * 3_000 + "*/ int x;\n" + "// y\n" * 3_000)
    lexer = lexing(languages.lexer("javascript"), source)
    assert isinstance(lexer, LineLexer)
    assert lexer.lex_to(5, 60.0)
    assert cells(lexer.spans(5)) == [(column, "comment") for column in range(6)]
    assert ours(lexer, source) == full(source.text(), "javascript")


def test_a_lexer_that_begins_at_the_beginning_does_so_in_slices() -> None:
    source = Lines('{"a": 1,\n' * 2_000)
    lexer = lexing(languages.lexer("json"), source)
    assert isinstance(lexer, WholeLexer)
    rounds = 0
    while not lexer.lex_to(len(source.all) - 1, 0.0):
        rounds += 1
    assert rounds > 10 and ours(lexer, source) == full(source.text(), "json")
    source.all[1_000] = '"b'
    before = lexer.spans(1_500)
    lexer.edited(1_000, 1_000, 1_000)
    assert not lexer.lex_to(1_500, 0.0) and lexer.spans(1_500) is before, "the old colours stay until the new ones come"
