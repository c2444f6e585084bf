"""Style sheets for tests that start many apps in one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet


@pytest.fixture(scope="session", autouse=True)
def parsed_once() -> Iterator[None]:
    """Keeps what Textual has parsed from one app to the next: the same text with the same variables gives the same
    rules. Parsing is a sixth of the time that a screen takes to start."""
    kept: dict[tuple[Any, ...], list[RuleSet]] = {}
    parse = Stylesheet._parse_rules

    def once(sheet: Stylesheet, css: str, *place: Any, **more: Any) -> list[RuleSet]:
        key = (css, place, tuple(more.items()), frozenset(sheet._variables.items()))
        if key not in kept:
            kept[key] = parse(sheet, css, *place, **more)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", once)
        yield
