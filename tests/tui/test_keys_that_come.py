"""Every key with alt of the table, as a terminal sends it: Textual reads it as the key that the table names."""

from __future__ import annotations

import pytest
from bai_tui.app.tui.actions import ACTIONS
from bai_tui.app.tui.actions.keys import Keys
from bai_tui.widgets._textual_private import read_alt
from bai_tui.widgets.terminal_keys import encode_key
from textual import constants, events
from textual._xterm_parser import XTermParser

KEYS = Keys({}, ACTIONS)


@pytest.mark.parametrize(
    "key", sorted({key for action in ACTIONS for key in KEYS.of(action) if "alt" in key.split("+")})
)
def test_what_a_terminal_sends_is_the_key_of_the_table(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr(XTermParser, "_sequence_to_key_events", XTermParser._sequence_to_key_events)
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.0)
    monkeypatch.setenv("ESCDELAY", "0")
    read_alt()
    parser = XTermParser()
    sent = encode_key(key, None, set()).decode()
    assert [event.key for event in (*parser.feed(sent), *parser.tick()) if isinstance(event, events.Key)] == [key]
