"""Incremental highlighting says what a full run of Pygments says."""

from __future__ import annotations

import ast
import json
import random
import textwrap
from pathlib import Path

import pytest
from bai_tui.widgets.highlight import STYLES, LineLexer, Span, python_lexer


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


def full(text: str) -> list[list[tuple[int, str]]]:
    lines: list[list[tuple[int, str]]] = [[]]
    column = 0
    for _, kind, value in python_lexer().get_tokens_unprocessed(text):
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


def ours(lexer: LineLexer, source: Lines) -> list[list[tuple[int, str]]]:
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

    lexer._name = counted  # type: ignore[method-assign]
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
