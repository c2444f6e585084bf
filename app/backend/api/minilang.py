"""Backend.AI's mini language of `filter` and `order`: text in, functions over rows out. Knows no field by itself.

    filter  status == "RUNNING" & (name ilike "%train%" | priority > 10)
    order   -created_at,name

A row is any object; a field is a function from row to value. `&` binds tighter than `|`.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from ...model.errors import BadRequest

Row = TypeVar("Row")
Fields = Mapping[str, Callable[[Row], Any]]
Predicate = Callable[[Row], bool]

MAX_DEPTH = 50
_MAX_DIGITS = 300
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*") |
        (?P<number>[+-]?(?:\d+\.\d*|\.\d+|\d+)(?![\w.])) |
        (?P<op>==|!=|>=|<=|[<>()\[\],!&|]) |
        (?P<word>[A-Za-z_]\w*)
    )""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_WORD_OPS = frozenset({"is", "isnot", "like", "ilike", "contains", "in"})
_ATOMS = {"null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise BadRequest(f"the filter cannot be read at character {at + 1}: {text[at : at + 20]!r}")
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return found


def field(fields: Fields[Row], name: str, where: str) -> Callable[[Row], Any]:
    """Returns the function of a field.

    Raises:
        BadRequest: there is no such field; the nearest is named.
    """
    found = fields.get(name)
    if found is None:
        near = difflib.get_close_matches(name, fields, 1, 0.5)
        hint = f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(fields))}"
        raise BadRequest(f"the {where} names an unknown field {name!r}{hint}")
    return found


class _Parser(Generic[Row]):
    def __init__(self, text: str, fields: Fields[Row]) -> None:
        self._items = _tokens(text)
        self._at = 0
        self._text = text
        self._fields = fields
        self._depth = 0

    def parse(self) -> Predicate[Row]:
        predicate = self._either()
        if self._at < len(self._items):
            raise self._wrong("an operator or the end")
        return predicate

    def _peek(self) -> str:
        return self._items[self._at].text if self._at < len(self._items) else ""

    def _take(self, expected: str) -> _Token:
        if self._at >= len(self._items):
            raise self._wrong(expected)
        self._at += 1
        return self._items[self._at - 1]

    def _wrong(self, expected: str) -> BadRequest:
        if self._at >= len(self._items):
            return BadRequest(f"the filter {self._text!r} ends where {expected} should follow")
        token = self._items[self._at]
        return BadRequest(f"the filter has {token.text!r} at character {token.at + 1} where {expected} should stand")

    def _either(self) -> Predicate[Row]:
        parts = [self._both()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _both(self) -> Predicate[Row]:
        parts = [self._single()]
        while self._peek() == "&":
            self._at += 1
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _single(self) -> Predicate[Row]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadRequest(f"the filter is nested more than {MAX_DEPTH} deep")
        try:
            if self._peek() == "!":
                self._at += 1
                inner = self._single()
                return lambda row: not inner(row)
            if self._peek() == "(":
                self._at += 1
                inner = self._either()
                if self._peek() != ")":
                    raise self._wrong("')'")
                self._at += 1
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Predicate[Row]:
        if self._at < len(self._items) and self._items[self._at].kind != "word":
            raise self._wrong("a field name")
        get = field(self._fields, self._take("a field name").text, "filter")
        if self._at < len(self._items) and not (
            self._peek() in ("==", "!=") or self._peek() in _COMPARE or self._peek() in _WORD_OPS
        ):
            raise self._wrong("an operator such as == or like")
        op = self._take("an operator such as == or like").text
        return _predicate(get, op, self._value())

    def _value(self) -> Any:
        token = self._take("a value")
        if token.kind == "string":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
        if token.kind == "number":
            if len(token.text) > _MAX_DIGITS:
                raise BadRequest(f"the filter has a number of {len(token.text)} digits: {_MAX_DIGITS} are read")
            return float(token.text) if "." in token.text else int(token.text)
        if token.kind == "word" and token.text in _ATOMS:
            return _ATOMS[token.text]
        if token.text == "[":
            values: list[Any] = []
            while self._peek() != "]":
                if values and self._take("',' or ']'").text != ",":
                    self._at -= 1
                    raise self._wrong("',' or ']'")
                values.append(self._value())
            self._at += 1
            return values
        self._at -= 1
        raise self._wrong('a value: "text", a number, null, true, false or a [list]')


def _predicate(get: Callable[[Row], Any], op: str, value: Any) -> Predicate[Row]:
    if op in ("==", "is"):
        return lambda row: _same(get(row), value)
    if op in ("!=", "isnot"):
        return lambda row: not _same(get(row), value)
    if op in _COMPARE:
        compare = _COMPARE[op]
        return lambda row: _ordered(compare, get(row), value)
    if op == "in":
        if not isinstance(value, list):
            raise BadRequest("the operator 'in' wants a [list] of values")
        return lambda row: any(_same(get(row), one) for one in value)
    if op == "contains":
        return lambda row: _contains(get(row), value)
    if not isinstance(value, str):
        raise BadRequest(f"the operator {op!r} wants a string")
    pattern = re.compile(_like(value), re.DOTALL | (re.IGNORECASE if op == "ilike" else 0))
    return lambda row: (text := get(row)) is not None and pattern.fullmatch(str(text)) is not None


def _like(text: str) -> str:
    return "".join(".*" if char == "%" else "." if char == "_" else re.escape(char) for char in text)


def _comparable(held: Any, given: Any) -> Any:
    """Returns `given` in the type of `held`: times are written as text."""
    if isinstance(held, datetime) and isinstance(given, str):
        try:
            when = datetime.fromisoformat(given)
        except ValueError:
            raise BadRequest(f"{given!r} is no time: write it as 2026-11-23T04:00:00+00:00") from None
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return given


def _same(held: Any, given: Any) -> bool:
    return bool(held == _comparable(held, given))


def _ordered(compare: Callable[[Any, Any], bool], held: Any, given: Any) -> bool:
    if held is None or given is None:
        return False
    given = _comparable(held, given)
    if isinstance(held, str) != isinstance(given, str):
        raise BadRequest(f"{given!r} cannot be compared with the text {held!r}; is one of them a number?")
    try:
        return compare(held, given)
    except TypeError:
        raise BadRequest(f"{given!r} cannot be compared with {held!r}") from None


def _contains(held: Any, value: Any) -> bool:
    if held is None:
        return False
    if isinstance(held, str):
        return str(value) in held
    return isinstance(held, Sequence) and value in held


def parse_filter(text: str, fields: Fields[Row]) -> Predicate[Row]:
    """Returns the predicate that `text` means; an empty text lets everything through.

    Raises:
        BadRequest: it cannot be read, or names an unknown field. Calling the predicate raises it too, where a
            value has a type that its field cannot be compared with.
    """
    if not text.strip():
        return lambda _: True
    return _Parser(text, fields).parse()


def parse_order(text: str, fields: Fields[Row]) -> Callable[[list[Row]], list[Row]]:
    """Returns the function that sorts rows; empty values come last, whatever the direction.

    Raises:
        BadRequest: an unknown field.
    """
    keys: list[tuple[Callable[[Row], Any], bool]] = []
    for part in text.split(","):
        name = part.strip()
        if name:
            keys.append((field(fields, name.lstrip("+-"), "order"), name.startswith("-")))

    def by_keys(rows: list[Row]) -> list[Row]:
        rows = list(rows)
        for get, down in reversed(keys):
            filled = [row for row in rows if get(row) is not None]
            empty = [row for row in rows if get(row) is None]
            filled.sort(key=get, reverse=down)
            rows = filled + empty
        return rows

    return by_keys
