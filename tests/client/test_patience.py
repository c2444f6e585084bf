"""How long what may be done twice is done again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from bai_tui.app.client import patience
from bai_tui.app.model.endpoint import Endpoint
from bai_tui.app.model.errors import BaiTuiError, RemoteError

HERE = Endpoint(url="http://127.0.0.1:1", access_key="AK", secret_key="SK")


class Server:
    """Answers, and cannot now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.asked = 0.0, 0
        self.endpoint = HERE
        monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        monkeypatch.setattr(patience, "asyncio", SimpleNamespace(sleep=self.sleep))

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    async def move(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def handshake(self) -> None:
        return None

    async def find(self) -> Endpoint:
        return HERE

    async def refuse(self) -> None:
        self.asked += 1
        raise RemoteError("the disk is full", http_status=503)


async def test_a_server_that_refuses_for_seconds_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = Server(monkeypatch)
    with pytest.raises(BaiTuiError, match="the disk is full"):
        await patience.persist(server, patience.Patience(server.find), server.refuse)
    assert server.asked > 3
    assert patience.REFUSED_S <= server.now_s < 2 * patience.REFUSED_S
