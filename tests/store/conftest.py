from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from bai_tui.app.backend.store import SqliteStore
from bai_tui.app.model.sessions import Session
from bai_tui.app.model.slots import ResourceSlots

MakeSession = Callable[..., Session]


@pytest.fixture
def make_session() -> MakeSession:
    order = 0

    def make(**fields: Any) -> Session:
        nonlocal order
        order += 1
        values: dict[str, Any] = {
            "id": str(uuid4()),
            "kernel_id": str(uuid4()),
            "name": f"sess-{order:04d}",
            "access_key": "AKIAUSER",
            "image": "python:3.11-debian12",
            "image_asked": "python",
            "created_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=order),
            "requested_slots": ResourceSlots({"cpu": 1, "mem": 2**30}),
            "enqueue_order": order,
        }
        return Session(**(values | fields))

    return make


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "bai-tui.db"


@pytest.fixture
async def store(database: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(database)
    yield store
    await store.close()
