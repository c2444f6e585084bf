"""Warnings that the server pushes, as the sentences of toasts: one for all sessions of a lost device. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ...widgets.text import left, size
from ..client.views import EventView
from .session_rows import IDLE_WHY

IDLE_WARNING: Final = "bai_idle_warning"
OVERUSE_WARNING: Final = "bai_overuse_warning"
DEVICE_LOST: Final = "bai_device_lost"
DEVICE_RETURNED: Final = "bai_device_returned"
IMAGE_GONE: Final = "bai_image_gone"
_TAKEN: Final = frozenset({IDLE_WARNING, OVERUSE_WARNING, DEVICE_LOST, DEVICE_RETURNED, IMAGE_GONE})
_NAMED: Final = 3
"""Sessions that a toast names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Notice:
    text: str
    severity: Literal["information", "warning", "error"]


class Notices:
    """Collects what came in a burst."""

    def __init__(self) -> None:
        self._events: list[EventView] = []

    def take(self, event: EventView) -> bool:
        """Takes an event; returns whether it is one to tell of."""
        if event.name not in _TAKEN:
            return False
        self._events.append(event)
        return True

    def flush(self) -> list[Notice]:
        """Returns the notices of what was taken since the last call, and forgets it."""
        events, self._events = self._events, []
        found = []
        devices: dict[tuple[str, str], list[EventView]] = {}
        images: dict[str, list[EventView]] = {}
        for event in events:
            if event.name in (DEVICE_LOST, DEVICE_RETURNED):
                devices.setdefault((event.name, str(event.data.get("device") or "a device")), []).append(event)
            elif event.name == IMAGE_GONE:
                images.setdefault(event.image or "an image", []).append(event)
            elif event.name == IDLE_WARNING:
                found.append(_idle(event))
            else:
                found.append(_overuse(event))
        for (name, device), of_it in devices.items():
            found.append(_device(name, device, of_it))
        return found + [_image(image, of_it) for image, of_it in images.items()]


def _name(event: EventView) -> str:
    return event.session_name or (event.session_id or "a session")[:8]


def _idle(event: EventView) -> Notice:
    check = str(event.data.get("check") or "")
    remaining = _number(event.data, "remaining")
    when = "soon" if remaining is None else f"in {left(remaining)}"
    why = IDLE_WHY.get(check, check.replace("_", " ")) or "idle"
    return Notice(f"{_name(event)} ends {when} ({why}): select it in the list, + keeps it", "warning")


def _overuse(event: EventView) -> Notice:
    data = event.data
    used, limit = _number(data, "used_bytes"), _number(data, "limit_bytes")
    where = f" of {data['device']}" if data.get("device") else ""
    what = {"mem": "memory", "gpu": "GPU memory"}.get(str(data.get("resource")), str(data.get("resource") or "memory"))
    amounts = "" if used is None or limit is None else f": {size(used)} of {size(limit)}"
    if data.get("resource") == "disk":
        return Notice(f"{_name(event)} has nearly filled its work folder{amounts}; above that it is ended", "warning")
    comes = "the system lets it have no more" if data.get("held") else "it may be ended"
    return Notice(f"{_name(event)} uses more {what}{where} than its share{amounts}; {comes}", "warning")


def _who(events: list[EventView]) -> str:
    names = list(dict.fromkeys(_name(event) for event in events))
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _image(image: str, events: list[EventView]) -> Notice:
    why = next((event.reason for event in events if event.reason), "")
    return Notice(
        f"the image {image} is gone" + (f" ({why})" if why else "") + f": {_who(events)} may fail where it reads more "
        "of it, no other session starts in it",
        "warning",
    )


def _device(name: str, device: str, events: list[EventView]) -> Notice:
    who = _who(events)
    if name == DEVICE_RETURNED:
        return Notice(f"{device} is there again: {who}", "information")
    problem = next((str(event.data["problem"]) for event in events if event.data.get("problem")), "")
    return Notice(f"{device} is lost" + (f" ({problem})" if problem else "") + f": {who} had a share of it", "error")


def _number(data: Mapping[str, Any], key: str) -> float | None:
    try:
        return float(data[key])
    except (KeyError, TypeError, ValueError):
        return None
