"""The option value that is a duration."""

from __future__ import annotations

import click

from ..model.durations import parse_duration
from ..model.errors import BadRequest


def duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Returns seconds as decimal text; a click callback.

    Raises:
        click.BadParameter: no duration.
    """
    if value is None:
        return None
    try:
        # not `g`, which writes 200 days as 1.728e+07
        return f"{parse_duration(value):f}".rstrip("0").rstrip(".")
    except BadRequest as exc:
        raise click.BadParameter(exc.message) from None
