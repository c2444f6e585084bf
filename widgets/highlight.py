"""Highlights code with Pygments as it is typed: only what is shown is lexed, and only what an edit changed again.

Pygments lexes whole texts. `LineLexer` runs the same rules over the same text, but remembers the state at the beginning
of lines, so that it can begin anywhere it has been and stop as soon as an edit no longer makes a difference. The
tokens equal those of a full run of the rules (tested on the standard library). Lexers that are no tables of rules
(JSON, YAML, Ruby, ...) are run from the beginning by `WholeLexer`, in slices. Pure: no Textual.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from pygments.token import Error, _TokenType

Span = tuple[int, int, str]
"""(start, end, style name) within a line, in characters."""

MAX_LINE_CHARS: Final = 20_000
"""A text with a longer line is not coloured."""
_ROOT: Final = ("root",)
_WINDOW_LINES: Final = 10_000
"""How far beyond the lines that are asked for a rule can look ahead; more when a token reaches that far."""
_SLICE_LINES: Final = 4_000
_REACH_LINES: Final = 400
"""How far above an edit a line outside of every construct is looked for."""
_BACK_LINES: Final = 8


class Source(Protocol):
    """The text, line by line."""

    def lines(self) -> Sequence[str]: ...


class Lexing(Protocol):
    """What gives lines their colours."""

    @property
    def done(self) -> int:
        """Lines before this one are coloured."""

    def edited(self, first: int, old_last: int, new_last: int) -> None:
        """Tells that the lines `first` to `old_last` became `first` to `new_last`, both included."""

    def spans(self, line: int) -> list[Span]:
        """Returns the styles of a line: those of before the last edit while they are not known anew."""

    def lex_to(self, line: int, budget_s: float) -> bool:
        """Lexes up to and including `line`; returns False when the time ran out before."""


STYLES: Final[dict[str, str]] = {
    "Token.Comment": "comment",
    "Token.Comment.Preproc": "decorator",
    "Token.Comment.Hashbang": "comment",
    "Token.Keyword": "keyword",
    "Token.Keyword.Constant": "constant",
    "Token.Keyword.Type": "type",
    "Token.Operator.Word": "keyword",
    "Token.Operator": "operator",
    "Token.Name.Attribute": "function",
    "Token.Name.Builtin": "builtin",
    "Token.Name.Builtin.Pseudo": "constant",
    "Token.Name.Function": "function",
    "Token.Name.Class": "class",
    "Token.Name.Constant": "constant",
    "Token.Name.Tag": "keyword",
    "Token.Name.Variable.Magic": "constant",
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
    "Token.Generic.Deleted": "error",
    "Token.Generic.Heading": "class",
    "Token.Generic.Inserted": "string",
    "Token.Generic.Strong": "class",
    "Token.Generic.Subheading": "function",
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
        self._name = _Names().__getitem__
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
        Where that is too far above, as in a long body in braces, a few lines have to do.
        """
        near = line = min(line - 1, self._done, len(lines) - 1)
        while line > 0 and (self._states[line] != _ROOT or not lines[line].strip()):
            line -= 1
            if near - line > _REACH_LINES:
                line = max(0, near - _BACK_LINES)
                while line > 0 and self._states[line] is None:
                    line -= 1
                break
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

    def _lex(self, target: int, deadline: float, window: int = _WINDOW_LINES) -> bool:
        """Lexes to the target, or to where old lines are right again; returns False when the time ran out."""
        line = self._done
        while line > 0 and self._states[line] is None:
            line -= 1
        lines = self._source.lines()
        goal, target = target, min(target, line + _SLICE_LINES)
        until = target + window
        whole = until >= len(lines)
        # rules may look back over the end of the line before
        text = "\n".join(lines[max(0, line - 1) : until])
        position = len(lines[line - 1]) + 1 if line else 0
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
                if not whole:
                    # a token reaches further than we looked
                    return self._lex(goal, deadline, window * 8)
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


class WholeLexer:
    """The styles of each line of a source whose lexer can only begin at the beginning.

    It runs in slices of time; an edit begins it anew, and until it comes by the lines keep what they had.
    """

    def __init__(self, lexer: Any, source: Source) -> None:
        self._lexer = lexer
        self._source = source
        self._names = _Names()
        self._spans: list[list[Span]] = [[] for _ in source.lines()]
        self._run: Iterator[tuple[int, Any, str]] | None = None
        self._line = 0
        self._start = 0
        self._begun: list[Span] = []
        self._done = 0

    @property
    def done(self) -> int:
        """Lines before this one are coloured."""
        return self._done

    def edited(self, first: int, old_last: int, new_last: int) -> None:
        """Tells that the lines `first` to `old_last` became `first` to `new_last`, both included."""
        self._spans[first : old_last + 1] = [self._spans[first], *([] for _ in range(new_last - first))]
        self._run = None
        self._done = min(self._done, first)

    def spans(self, line: int) -> list[Span]:
        """Returns the styles of a line: those of before the last edit while they are not known anew."""
        return self._spans[line] if line < len(self._spans) else []

    def lex_to(self, line: int, budget_s: float) -> bool:
        """Lexes up to and including `line`; returns False when the time ran out before."""
        lines = self._source.lines()
        line = min(line, len(lines) - 1)
        if self._done > line:
            return True
        if len(self._spans) != len(lines):
            self._spans, self._run = [[] for _ in lines], None
        if self._run is None:
            if any(len(text) > MAX_LINE_CHARS for text in lines):
                self._done = len(lines)
                return True
            self._run = iter(self._lexer.get_tokens_unprocessed("\n".join(lines)))
            self._line, self._start, self._begun = 0, 0, []
        deadline = time.perf_counter() + budget_s
        for count, (at, kind, value) in enumerate(self._run):
            self._take(at, self._names[kind], value)
            if self._line > line:
                self._done = max(self._done, self._line)
                return True
            if count % 64 == 63 and time.perf_counter() > deadline:
                return False
        self._spans[self._line] = self._begun
        self._done = len(self._spans)
        return True

    def _take(self, at: int, name: str | None, value: str) -> None:
        """Takes a token, which may go over several lines."""
        for number, piece in enumerate(value.split("\n")):
            if number:
                self._spans[self._line] = self._begun
                self._line, self._begun = self._line + 1, []
                self._start = at
            if name is not None and piece:
                self._begun.append((at - self._start, at - self._start + len(piece), name))
            at += len(piece) + 1


class _Names(dict[Any, "str | None"]):
    """Style name of each token type, found once."""

    def __missing__(self, kind: Any) -> str | None:
        nearest = kind
        while nearest is not None and str(nearest) not in STYLES:
            nearest = nearest.parent
        name = self[kind] = None if nearest is None else STYLES[str(nearest)]
        return name


def lexing(lexer: Any, source: Source) -> Lexing:
    """Returns what colours a source with a lexer of Pygments."""
    from pygments.lexer import DelegatingLexer, ExtendedRegexLexer, RegexLexer

    if isinstance(lexer, RegexLexer) and not isinstance(lexer, ExtendedRegexLexer | DelegatingLexer):
        return LineLexer(lexer, source)
    return WholeLexer(lexer, source)


def python_lexer() -> Any:
    """Returns Pygments' lexer for Python, set so that text is taken as it is. The import costs some 20 ms."""
    from pygments.lexers.python import PythonLexer

    return PythonLexer(stripnl=False, ensurenl=False)
