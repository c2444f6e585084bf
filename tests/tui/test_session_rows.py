"""What the list says of a session below its name."""

from __future__ import annotations

import pytest
from bai_tui.app.client.views import SessionView, WaitingView
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.session_rows import row_of

CLUSTER = WaitingView("no agent has enough free: 1 cuda.shares missing")


@pytest.mark.parametrize(
    ("status", "info", "waiting", "note"),
    [
        (SessionStatus.PENDING, "waits for 1 gpu", CLUSTER, "waits for 1 gpu"),
        (SessionStatus.PENDING, None, CLUSTER, "no agent has enough free: 1 gpu missing"),
        (SessionStatus.PENDING, None, None, ""),
        (SessionStatus.RUNNING, None, CLUSTER, ""),
        (SessionStatus.TERMINATED, "user-requested", None, ""),
        (SessionStatus.TERMINATED, "idle-timeout", None, "idle-timeout"),
    ],
)
def test_a_session_that_waits_says_why_in_its_row(
    status: SessionStatus, info: str | None, waiting: WaitingView | None, note: str
) -> None:
    view = SessionView(id="1", name="py-1", status=status, status_info=info, waiting=waiting)
    assert row_of(view, None).note == note
