"""Durations as people write them."""

from __future__ import annotations

from .errors import BadRequest

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LIMIT_S = 10 * 366 * 86400


def parse_duration(text: str | float) -> float:
    """Returns seconds: a number, or a number with s, m, h or d, such as `90`, `10m`, `2h`.

    Raises:
        BadRequest: negative, malformed, not finite, or longer than ten years.
    """
    raw = str(text).strip().lower()
    factor = _UNITS.get(raw[-1:], 0)
    number = raw[:-1].strip() if factor else raw
    # float() would take nan, inf, 1e9 and 1_0 as well
    if isinstance(text, bool) or not number.isascii() or not number.replace(".", "", 1).isdecimal():
        raise BadRequest(
            f"{text!r} is no duration: write seconds, or a number with s, m, h or d, such as 10m (0 = never)"
        )
    seconds = float(number) * (factor or 1)
    if seconds > _LIMIT_S:
        raise BadRequest(f"the duration {text!r} is longer than ten years: write 0 for never")
    return seconds
