"""What a backend warns of while a session runs, in one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .tables import remaining
from .usage import bytes_text

if TYPE_CHECKING:
    from ..client.views import EventView

_LIMITS: Final = {
    "network_timeout": "nobody uses it",
    "session_lifetime": "its lifetime is over",
    "utilization": "it uses too little of what it holds",
}


_OVERUSED: Final = {"mem": "memory", "disk": "the disk in its work folder"}


def warning_of(event: EventView, name: str) -> str | None:
    """Returns what a user should hear of an event, None when it is nothing of that kind.

    Args:
        name: what the session is called.
    """
    data = event.data
    if event.name == "bai_idle_warning":
        when = _words(data.get("remaining"), lambda seconds: f" in {remaining(seconds)}")
        check = str(data.get("check") or "")
        why = _LIMITS.get(check, check)
        keeps = "" if check == "session_lifetime" else f"; `bai-tui extend {name}` keeps it"
        return f"the session {name} is going to be ended{when}: {why}{keeps}"
    if event.name == "bai_overuse_warning":
        what = _OVERUSED.get(str(data.get("resource"))) or f"memory of {data.get('device') or 'its GPU'}"
        used = _words(data.get("used_bytes"), bytes_text)
        limit = _words(data.get("limit_bytes"), bytes_text)
        comes = "the system lets it have no more" if data.get("held") else "if it goes on so, it is ended"
        return f"the session {name} uses {used} of {what}, its share is {limit}: {comes}"
    if event.name == "bai_image_gone":
        return (
            f"the image {event.image} of the session {name} is gone: {event.reason}; the session goes on, but no other "
            "one starts in it"
        )
    if event.name == "bai_image_back":
        return f"the image {event.image} of the session {name} is there again"
    if event.name == "bai_device_lost":
        problem = f": {data['problem']}" if data.get("problem") else ""
        return f"the device {data.get('device')} of the session {name} is gone{problem}"
    if event.name == "bai_device_returned":
        return f"the device {data.get('device')} of the session {name} is back"
    return None


def _words(value: Any, words: Any) -> str:
    return str(words(value)) if isinstance(value, int | float) else ""
