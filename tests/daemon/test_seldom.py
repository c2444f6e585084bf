from __future__ import annotations

import logging

from bai_tui.app.backend.seldom import Seldom


def test_a_message_is_let_through_once_a_minute() -> None:
    now = [0.0]
    seldom = Seldom(lambda: now[0])

    def passes(text: str) -> bool:
        return bool(seldom.filter(logging.LogRecord("asyncio", logging.ERROR, "", 0, text, None, None)))

    assert passes("socket.accept() out of system resource\nsocket: 7")
    assert not passes("socket.accept() out of system resource\nsocket: 8")
    assert passes("another")
    now[0] = 60.0
    assert passes("socket.accept() out of system resource")
