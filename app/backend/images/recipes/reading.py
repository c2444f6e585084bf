"""A table of a recipe file, key by key: what is wrong is said with file and key."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ....model.errors import ConfigError
from .output import without_passwords

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Table:
    """Hands out the values of a table; what was never asked for is an unknown key."""

    def __init__(self, values: Mapping[str, Any], origin: str, path: str = "") -> None:
        self._values = values
        self._origin = origin
        self._path = path
        self._known: list[str] = []
        self._tables: dict[str, Table] = {}

    @property
    def given(self) -> bool:
        """Whether there is anything in it."""
        return bool(self._values)

    def wrong(self, key: str, what: str) -> ConfigError:
        """Returns the error that says what is wrong with a key; an empty key stands for the table."""
        place = ".".join(part for part in (self._path, key) if part)
        return ConfigError(f"the recipe {self._origin} cannot be used: '{place}' {without_passwords(what)}")

    def take(self, key: str, default: Any = None) -> Any:
        """Returns a value as it is."""
        self._known.append(key)
        return self._values.get(key, default)

    def text(self, key: str) -> str:
        """Returns a text, of any number of lines; empty when there is none."""
        value = self.take(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, "must be a text")
        if "\0" in value:
            raise self.wrong(key, "must not hold a NUL character")
        return value

    def line(self, key: str, *, required: bool = False) -> str:
        """Returns a text of one line."""
        value = self.text(key).strip()
        if required and not value:
            raise self.wrong(key, "is missing")
        if not value.isprintable():
            raise self.wrong(key, "must be one line of printable characters")
        return value

    def lines(self, key: str) -> tuple[str, ...]:
        """Returns a list of texts."""
        value = self.take(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
            raise self.wrong(key, "must be a list of texts")
        for one in value:
            if not one.isprintable():
                raise self.wrong(key, f"must hold printable characters only, other than {one!r}")
        return tuple(one.strip() for one in value)

    def flag(self, key: str) -> bool:
        value = self.take(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value

    def number(self, key: str) -> float:
        """Returns a number that is not negative; 0 when there is none."""
        value = self.take(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise self.wrong(key, "must be a number, 0 or more")
        try:
            return float(value)
        except OverflowError:
            raise self.wrong(key, "is too large") from None

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """Returns one of `choices`; empty when there is none."""
        value = self.line(key)
        if value and value not in choices:
            raise self.wrong(key, f"is {value!r}; it can be {' or '.join(map(repr, choices))}")
        return value

    def table(self, key: str) -> Table:
        """Returns a table below this one; an empty one when there is none."""
        if key not in self._tables:
            value = self.take(key, {})
            if not isinstance(value, dict):
                raise self.wrong(key, "must be a table")
            self._tables[key] = Table(value, self._origin, f"{self._path}.{key}" if self._path else key)
        return self._tables[key]

    def rest(self) -> Mapping[str, Any]:
        """Returns all there is, whatever the keys."""
        return self._values

    def variables(self) -> Mapping[str, str]:
        """Returns the table as variables of an environment."""
        for name, value in self._values.items():
            if not _VARIABLE.fullmatch(name):
                raise self.wrong(name, "is no name of a variable")
            if not isinstance(value, str) or "\0" in value:
                raise self.wrong(name, "must be a text")
        return dict(self._values)

    def done(self) -> None:
        """Looks whether there are keys that nobody asked for.

        Raises:
            ConfigError: there are; the message names the nearest of those that are known.
        """
        for key in self._values:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1)
                hint = (
                    f", did you mean '{near[0]}'?" if near else f": there are {', '.join(dict.fromkeys(self._known))}"
                )
                raise self.wrong(key, f"is no key of a recipe{hint}")
