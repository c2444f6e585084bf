"""The filter of the session list: a line of terms in, a test of rows out. Pure.

Terms are parted by spaces, and a row must meet all of them:

- `train` a regular expression, searched for in name, image, state and reason; `!train` what does not match;
- `-f trn` letters in this order, as a fuzzy finder takes them, from there on;
- `status:running,busy` states by their beginnings; `image:…`, `name:…`, `tag:…`, `owner:…`, `project:…`, `type:…`
  a regular expression in that alone;
- `gpu:>0`, `gpu:0.5`, `cpu:>=4`, `mem:<2g`, `age:>1h`, `prio:>10` numbers;
- `is:marked`, `is:pinned`.

Each can have `!` before it. Lower case meets upper case, unless the term has a capital letter.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from ..app.model.errors import BaiTuiError
from ..app.model.slots import CPU, MEM, parse_amount
from .glyphs import state_words, status_word
from .rows import SessionRow
from .text import gpu_amount

Test = Callable[[SessionRow], bool]

_TEXTS: Final[dict[str, Callable[[SessionRow], str]]] = {
    "name": lambda row: row.name,
    "image": lambda row: row.image,
    "tag": lambda row: row.tag,
    "owner": lambda row: row.owner,
    "project": lambda row: row.project,
    "type": lambda row: row.type,
    "why": lambda row: row.why or row.note,
    "id": lambda row: row.id,
}
_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "": operator.eq,
}
_COMPARED: Final = re.compile(r"(>=|<=|!=|>|<|=|)(.+)")
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
FIELDS: Final = ("status", *_TEXTS, "gpu", "cpu", "mem", "age", "prio", "is")
LONGEST: Final = 200
"""Characters of a filter."""


class FilterError(Exception):
    """What is wrong with a filter, in a few words for the line below it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What `is:` asks for: looked up at every test."""

    marked: Collection[str] = ()
    pinned: Collection[str] = ()


def parsed(text: str, clock: Callable[[], float], sets: Marked) -> Test | None:
    """Returns the test that a filter stands for; None = every row passes.

    Raises:
        FilterError: the filter cannot be read.
    """
    words = text[:LONGEST].split()
    tests: list[Test] = []
    fuzzy = False
    for word in words:
        if word == "-f" and not fuzzy:
            fuzzy = True
            continue
        inverse, term = (word.startswith("!"), word.removeprefix("!"))
        if not term:
            # it is still being written
            continue
        test = _term(term, fuzzy, clock, sets)
        tests.append(_not(test) if inverse else test)
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)


def _not(test: Test) -> Test:
    return lambda row: not test(row)


def _term(term: str, fuzzy: bool, clock: Callable[[], float], sets: Marked) -> Test:
    name, colon, value = term.partition(":")
    if colon and name in FIELDS:
        if not value:
            return lambda row: True
        if name == "status":
            return _states(value)
        if name == "is":
            return _is(value, sets)
        if name in _TEXTS:
            pattern, text_of = _pattern(value), _TEXTS[name]
            return lambda row: pattern.search(text_of(row)) is not None
        return _number(name, value, clock)
    if fuzzy:
        letters = re.compile(".*?".join(map(re.escape, term)), 0 if term != term.lower() else re.IGNORECASE)
        return lambda row: letters.search(row.name) is not None or letters.search(row.image) is not None
    pattern = _pattern(term)
    return lambda row: pattern.search(_haystack(row)) is not None


def _haystack(row: SessionRow) -> str:
    return f"{row.name}\n{row.image}\n{_state(row)}\n{row.why or row.note}\n{row.tag}"


def _state(row: SessionRow) -> str:
    return status_word(row.status, row.status_text, busy=row.busy, asks=row.asks)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.MULTILINE | (0 if text != text.lower() else re.IGNORECASE))
    except re.error as error:
        raise FilterError(f"{text}: {error.msg}") from None


def _states(value: str) -> Test:
    wanted = tuple(word.lower() for word in value.split(",") if word)
    known = state_words()
    for word in wanted:
        if not any(state.startswith(word) for state in known):
            raise FilterError(f"no state begins with {word}: {', '.join(known)}")

    def test(row: SessionRow) -> bool:
        # a busy session runs as well
        return _state(row).startswith(wanted) or (row.answering and "running".startswith(wanted))

    return test


def _is(value: str, sets: Marked) -> Test:
    if value and "marked".startswith(value):
        return lambda row: row.id in sets.marked
    if value and "pinned".startswith(value):
        return lambda row: row.id in sets.pinned
    raise FilterError(f"is:{value}: marked or pinned")


def _number(name: str, value: str, clock: Callable[[], float]) -> Test:
    match = _COMPARED.fullmatch(value)
    if match is None or not match[2].strip("<>=!"):
        # an operator whose number is still to come
        return lambda row: True
    compare = _OPERATORS[match[1]]
    wanted = _amount(name, match[2])
    amount_of = _AMOUNTS.get(name)
    if amount_of is None:
        return lambda row: row.since_s is not None and compare(clock() - row.since_s, wanted)

    def test(row: SessionRow) -> bool:
        amount = amount_of(row)
        return amount is not None and compare(amount, wanted)

    return test


_AMOUNTS: Final[dict[str, Callable[[SessionRow], float | None]]] = {
    "gpu": lambda row: float(gpu_amount(dict(row.slots))),
    "cpu": lambda row: float(row.slots.get(CPU, 0)),
    "mem": lambda row: float(row.slots.get(MEM, 0)),
    "prio": lambda row: None if row.priority is None else float(row.priority),
}


def _amount(name: str, text: str) -> float:
    if name == "age":
        match = _TIME.fullmatch(text)
        if match is None:
            raise FilterError(f"age:{text}: a time is 30s, 5m, 2h or 1d")
        return float(match[1]) * _SECONDS[match[2]]
    try:
        return float(parse_amount(MEM, text)) if name == "mem" else float(text)
    except (ValueError, BaiTuiError):
        raise FilterError(f"{name}:{text}: no {'size' if name == 'mem' else 'number'}") from None
