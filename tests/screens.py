"""What lets thousands of tests of screens end within minutes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from textual import _wait
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


@pytest.fixture(scope="session", autouse=True)
def short_waits() -> Iterator[None]:
    """Has a pilot wait 10 ms, not 20, to see whether the app has come to rest: it does so twice after each key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_wait, "SLEEP_GRANULARITY", 1 / 100)
        patch.setattr(_wait, "SLEEP_IDLE", 1 / 2000)
        yield
