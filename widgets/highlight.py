"""Highlights Python with Pygments as it is typed: only what is shown is lexed, and only what an edit changed again.

Pygments lexes whole texts. `LineLexer` runs the same rules over the same text, but remembers the state at the beginning
of lines, so that it can begin anywhere it has been and stop as soon as an edit no longer makes a difference. The
tokens equal those of a full run (tested on the standard library). Pure: no Textual.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from pygments.token import Error, _TokenType

Span = tuple[int, int, str]
"""(start, end, style name) within a line, in characters."""

MAX_LINE_CHARS: Final = 20_000
"""A text with a longer line is not coloured."""
_ROOT: Final = ("root",)


class Source(Protocol):
    """The text, line by line."""

    def lines(self) -> Sequence[str]: ...

    def text(self) -> str:
        """Returns the lines joined by `\\n`."""


STYLES: Final[dict[str, str]] = {
    "Token.Comment": "comment",
    "Token.Keyword": "keyword",
    "Token.Keyword.Constant": "constant",
    "Token.Keyword.Type": "type",
    "Token.Operator.Word": "keyword",
    "Token.Operator": "operator",
    "Token.Name.Builtin": "builtin",
    "Token.Name.Builtin.Pseudo": "constant",
    "Token.Name.Function": "function",
    "Token.Name.Class": "class",
    "Token.Name.Decorator": "decorator",
    "Token.Name.Exception": "class",
    "Token.Name.Namespace": "namespace",
    "Token.Name.Function.Magic": "function",
    "Token.Literal.String": "string",
    "Token.Literal.String.Doc": "docstring",
    "Token.Literal.String.Escape": "escape",
    "Token.Literal.String.Interpol": "escape",
    "Token.Literal.String.Affix": "keyword",
    "Token.Literal.Number": "number",
    "Token.Error": "error",
}
"""Token type -> style name; a type that is not named has the style of the nearest one above it."""

_State = tuple[str, ...]


class LineLexer:
    """The styles of each line of a source that changes.

    Args:
        lexer: A Pygments `RegexLexer`.
        source: Where the text comes from.
    """

    def __init__(self, lexer: Any, source: Source) -> None:
        self._lexer = lexer
        self._rules: dict[str, Any] = lexer._tokens
        self._source = source
        self._spans: list[list[Span] | None] = []
        """Per line; None = not lexed yet."""
        self._states: list[_State | None] = []
        """Per line, the state in which a token begins at its start; None = unknown, or within a token."""
        self._done = 0
        """Lines before this one are right."""
        self._old: tuple[int, int] = (0, 0)
        """(first, end) of lines from before an edit: right again once the states agree."""
        self._names: dict[Any, str | None] = {}
        self.reset()

    @property
    def done(self) -> int:
        """Lines before this one are coloured."""
        return self._done

    def reset(self) -> None:
        """Forgets everything: the text is another."""
        lines = self._source.lines()
        self._spans = [None] * len(lines)
        self._states = [None] * len(lines)
        self._states[:1] = [_ROOT]
        self._done = 0 if all(len(line) <= MAX_LINE_CHARS for line in lines) else len(lines)
        self._old = (0, 0)

    def edited(self, first: int, old_last: int, new_last: int) -> None:
        """Tells that the lines `first` to `old_last` became `first` to `new_last`, both included."""
        added = new_last - old_last
        lines = self._source.lines()
        if len(self._spans) + added != len(lines) or any(
            len(line) > MAX_LINE_CHARS for line in lines[first : new_last + 1]
        ):
            self.reset()
            return
        fresh = new_last - first + 1
        # the old colours stay until the new ones are known: no flicker
        self._spans[first : old_last + 1] = [self._spans[first], *([None] * (fresh - 1))]
        self._states[first : old_last + 1] = [self._states[first], *([None] * (fresh - 1))]
        if self._done > old_last:
            self._old = (new_last + 1, self._done + added)
        elif self._old[1] > old_last + 1:
            self._old = (max(new_last + 1, self._old[0] + added), self._old[1] + added)
        else:
            self._old = (0, 0)
        self._done = min(self._done, self._restart(first, lines))

    def _restart(self, line: int, lines: Sequence[str]) -> int:
        """Returns the line from which an edit of `line` can matter: one in the root state above it.

        Rules look ahead: blank lines belong to a docstring that follows, and a quote that opens a docstring is
        told from one that opens a string by whether it is closed anywhere below. Both begin in the root state.
        """
        line = min(line - 1, self._done, len(lines) - 1)
        while line > 0 and (self._states[line] != _ROOT or not lines[line].strip()):
            line -= 1
        return max(0, line)

    def spans(self, line: int) -> list[Span]:
        """Returns the styles of a line: those of before the last edit while they are not known anew."""
        return (self._spans[line] or []) if line < len(self._spans) else []

    def lex_to(self, line: int, budget_s: float) -> bool:
        """Lexes up to and including `line`; returns False when the time ran out before."""
        line = min(line, len(self._spans) - 1)
        deadline = time.perf_counter() + budget_s
        while self._done <= line:
            if not self._lex(line, deadline):
                return False
        return True

    def _lex(self, target: int, deadline: float) -> bool:
        """Lexes to the target, or to where old lines are right again; returns False when the time ran out."""
        line = self._done
        while line > 0 and self._states[line] is None:
            line -= 1
        text = self._source.text()
        position = sum(map(len, self._source.lines()[:line])) + line
        stack = list(self._states[line] or _ROOT)
        rules = self._rules[stack[-1]]
        spans, states, (old_first, old_end) = self._spans, self._states, self._old
        current: list[Span] = []
        line_start, begun = position, line
        end, lexer, name_of = len(text), self._lexer, self._name
        while True:
            if position == line_start:
                here = tuple(stack)
                if line > begun and old_first <= line < old_end and states[line] == here:
                    self._done = old_end
                    self._old = (0, 0)
                    return True
                states[line] = here
                if line > target or (line > begun and line % 8 == 0 and time.perf_counter() > deadline):
                    self._done = line
                    return line > target
            if position >= end:
                spans[line] = current
                self._done = len(spans)
                self._old = (0, 0)
                return True
            start = position
            pieces: tuple[tuple[int, Any, str], ...] = ()
            for matches, action, new_state in rules:
                match = matches(text, position)
                if match is None:
                    continue
                if action is not None:
                    if type(action) is _TokenType:
                        pieces = ((position, action, match.group()),)
                    else:
                        pieces = tuple(action(lexer, match))
                position = match.end()
                if new_state is not None:
                    _step(stack, new_state)
                    rules = self._rules[stack[-1]]
                break
            else:
                if text[position] == "\n":
                    stack = ["root"]
                    rules = self._rules["root"]
                else:
                    pieces = ((position, Error, text[position]),)
                position += 1
            if position == start:
                continue
            if text.find("\n", start, position) == -1:
                for at, kind, value in pieces:
                    name = name_of(kind)
                    if name is not None:
                        current.append((at - line_start, at - line_start + len(value), name))
                continue
            # a token over several lines: close each line that it passes
            for at, kind, value in (*pieces, (position, None, "")):
                name = None if kind is None else name_of(kind)
                cursor = start
                finish = at + len(value)
                while (newline := text.find("\n", cursor, finish)) != -1:
                    if name is not None and newline > max(cursor, at):
                        current.append((max(cursor, at) - line_start, newline - line_start, name))
                    spans[line] = current
                    line, line_start, current = line + 1, newline + 1, []
                    states[line] = states[line] if position == line_start and old_first <= line < old_end else None
                    cursor = newline + 1
                if name is not None and finish > max(cursor, at):
                    current.append((max(cursor, at) - line_start, finish - line_start, name))
                start = max(start, finish)

    def _name(self, kind: Any) -> str | None:
        """Returns the style name of a token type."""
        try:
            return self._names[kind]
        except KeyError:
            nearest = kind
            while nearest is not None and str(nearest) not in STYLES:
                nearest = nearest.parent
            name = self._names[kind] = None if nearest is None else STYLES[str(nearest)]
            return name


def _step(stack: list[str], new_state: Any) -> None:
    """Moves the stack of states as Pygments does."""
    if isinstance(new_state, tuple):
        for state in new_state:
            if state == "#pop":
                if len(stack) > 1:
                    stack.pop()
            elif state == "#push":
                stack.append(stack[-1])
            else:
                stack.append(state)
    elif isinstance(new_state, int):
        if abs(new_state) >= len(stack):
            del stack[1:]
        else:
            del stack[new_state:]
    else:
        stack.append(stack[-1])


def python_lexer() -> Any:
    """Returns Pygments' lexer for Python, set so that text is taken as it is. The import costs some 20 ms."""
    from pygments.lexers.python import PythonLexer

    return PythonLexer(stripnl=False, ensurenl=False)
