"""What is said when the server warns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bai_tui.app.client.views import EventView
from bai_tui.app.tui.notices import Notices


def event(name: str, session: str = "notes", **data: Any) -> EventView:
    return EventView(name, f"id-{session}", session, data=data)


def told(*events: EventView) -> Sequence[tuple[str, str]]:
    notices = Notices()
    assert all(notices.take(one) for one in events)
    found = [(notice.text, notice.severity) for notice in notices.flush()]
    assert notices.flush() == []
    return found


def test_an_end_is_announced_with_the_key() -> None:
    assert told(event("bai_idle_warning", check="network_timeout", remaining=119.6)) == [
        ("notes ends in 1:59 (unused): select it in the list, + keeps it", "warning")
    ]
    assert "too little used" in told(event("bai_idle_warning", check="utilization", remaining="60"))[0][0]
    assert told(event("bai_idle_warning"))[0][0].startswith("notes ends soon (idle)")
    assert "(new check)" in told(event("bai_idle_warning", check="new_check", remaining="x"))[0][0]


def test_overuse_names_amounts_and_place() -> None:
    warning = event("bai_overuse_warning", resource="gpu", device="gpu0", used_bytes=5 * 2**30, limit_bytes=4 * 2**30)
    assert told(warning) == [
        ("notes uses more GPU memory of gpu0 than its share: 5G of 4G; it may be ended", "warning")
    ]
    disk = event("bai_overuse_warning", resource="disk", used_bytes=19 * 2**20, limit_bytes=20 * 2**20)
    assert told(disk)[0][0] == "notes has nearly filled its work folder: 19M of 20M; above that it is ended"
    held = event("bai_overuse_warning", resource="mem", held=True)
    assert told(held)[0][0] == "notes uses more memory than its share; the system lets it have no more"
    assert told(event("bai_overuse_warning"))[0][0] == "notes uses more memory than its share; it may be ended"


def test_a_lost_device_is_one_notice_for_all_its_sessions() -> None:
    lost = [event("bai_device_lost", name, device="gpu1", problem="fell off the bus") for name in "abcde"]
    other = event("bai_device_lost", "a", device="gpu0")
    assert told(*lost, other) == [
        ("gpu1 is lost (fell off the bus): a, b, c and 2 more had a share of it", "error"),
        ("gpu0 is lost: a had a share of it", "error"),
    ]
    assert told(event("bai_device_returned", device="gpu1")) == [("gpu1 is there again: notes", "information")]


def test_other_events_are_left_alone() -> None:
    assert not Notices().take(event("session_started"))
    assert not Notices().take(event("bai_session_extended"))
