"""Reading of JSON bodies: types are checked here, the meaning by the service."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from ...model.durations import parse_duration
from ...model.errors import BadRequest
from ..ports import CreateRequest
from .problems import MalformedBody, TooSlow

MAX_JSON_BYTES: Final = 4 * 1024 * 1024
BODY_TIMEOUT_S: Final = 60.0
"""For the whole of a JSON body."""
LARGEST: Final = 1e12
"""Of numbers; in seconds more than 30,000 years."""
_FROM_NOW: Final = re.compile(
    r"\+?\s*(?=\d)"
    r"(?:(?P<days>\d+(?:\.\d+)?)\s*d(?:ays?)?)?\s*"
    r"(?:(?P<hours>\d+(?:\.\d+)?)\s*h(?:(?:ou)?rs?)?)?\s*"
    r"(?:(?P<minutes>\d+(?:\.\d+)?)\s*m(?:in(?:ute)?s?)?)?\s*"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)\s*s(?:ec(?:ond)?s?)?)?",
    re.ASCII | re.IGNORECASE,
)
"""A time from now in the words of Backend.AI's manager: `30min`, `1d1hr`, `+2hours 15min`."""


def _from_now(text: str) -> datetime | None:
    """Returns the moment that is so long from now; None when `text` is no such time. Raises OverflowError."""
    parts = _FROM_NOW.fullmatch(text.strip())
    if parts is None:
        return None
    return datetime.now(UTC) + timedelta(**{unit: float(number) for unit, number in parts.groupdict("0").items()})


class Fields:
    """The members of a JSON object, taken by name with their types checked; null counts as absent."""

    __slots__ = ("_values", "_where")

    def __init__(self, values: Mapping[str, Any], where: str = "") -> None:
        self._values = values
        self._where = where

    def _get(self, names: tuple[str, ...], kind: type | tuple[type, ...], said: str) -> Any:
        for name in names:
            value = self._values.get(name)
            if value is None:
                continue
            wrong_bool = isinstance(value, bool) and kind is not bool
            if wrong_bool or not isinstance(value, kind):
                raise BadRequest(f"the field '{self._where}{name}' must be {said}")
            return value
        return None

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, *names: str, default: str = "") -> str:
        value = self._get(names, str, "a string")
        return default if value is None else value

    def optional_text(self, *names: str) -> str | None:
        value: str | None = self._get(names, str, "a string or null")
        return value

    def flag(self, *names: str, default: bool = False) -> bool:
        value = self._get(names, bool, "true or false")
        return default if value is None else value

    def integer(self, *names: str, default: int = 0) -> int:
        value = self._get(names, int, "an integer")
        return default if value is None else value

    def number(self, *names: str, default: float = 0.0) -> float:
        value = self._get(names, (int, float), "a number")
        if value is None:
            return default
        if not abs(value) <= LARGEST:  # NaN among them, and integers that are no float
            raise BadRequest(
                f"the field '{self._where}{names[0]}' is beyond what can be counted: {LARGEST:g} is the most"
            )
        return float(value)

    def duration(self, *names: str) -> float:
        """Returns seconds, of a number or of text such as `10m`; 0 when absent."""
        value = self._get(names, (int, float, str), "seconds, or text such as '10m'")
        return 0.0 if value is None else parse_duration(value)

    def moment(self, *names: str) -> datetime | None:
        """Returns the aware datetime of a text in ISO 8601, or of a time from now on; None when absent or empty."""
        text = self._get(names, str, "a time in ISO 8601")
        if not text:
            return None
        try:
            when = _from_now(text) or datetime.fromisoformat(text)
            if when.tzinfo is not None:
                when = when.astimezone(UTC)
        except (ValueError, OverflowError):
            raise BadRequest(
                f"the field '{self._where}{names[0]}' is {text[:64]!r}: write a time such as "
                "2026-01-31T18:00:00+00:00, or from now, such as 2h30m"
            ) from None
        if when.tzinfo is None:
            raise BadRequest(
                f"the field '{self._where}{names[0]}' is {text[:64]!r}, which means another moment in each time zone: "
                f"add an offset, such as {text}+00:00"
            )
        return when

    def object(self, *names: str) -> dict[str, Any]:
        value = self._get(names, dict, "an object")
        return {} if value is None else value

    def texts(self, *names: str) -> list[str]:
        value = self._get(names, list, "a list of strings")
        if value is None:
            return []
        if not all(isinstance(item, str) for item in value):
            raise BadRequest(f"the field '{self._where}{names[0]}' must be a list of strings")
        return list(value)

    def within(self, name: str) -> Fields:
        return Fields(self.object(name), f"{self._where}{name}.")


def parse_object(raw: bytes | str, what: str) -> dict[str, Any]:
    """Returns the JSON object in `raw`, an empty one when there is nothing in it.

    Raises:
        MalformedBody: no JSON, or no object.
    """
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise MalformedBody(f"the body of {what} is no JSON: {exc}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedBody(f"the body of {what} must be a JSON object")
    return value


async def read_object(request: web.Request) -> dict[str, Any]:
    """Returns the JSON object of a request's body, of any method (errors as `parse_object`)."""
    return parse_object(await read_body(request), f"{request.method} {request.path}")


async def read_body(request: web.Request) -> bytes:
    """Returns the body of a request, which has `BODY_TIMEOUT_S` to come.

    Raises:
        TooSlow: it did not.
    """
    if request.content.is_eof():  # it is here already, as nearly always
        return await request.read()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise TooSlow(
            f"the body of {request.method} {request.path} did not come within {BODY_TIMEOUT_S:g} seconds"
        ) from None


async def read_fields(request: web.Request) -> Fields:
    return Fields(await read_object(request))


def _words(values: Mapping[str, Any], where: str) -> dict[str, str]:
    words: dict[str, str] = {}
    for name, value in values.items():
        if not isinstance(value, str | int | float):
            raise BadRequest(f"the field '{where}.{name}' must be a string")
        # as it is written in JSON, which is how our clients and the official one spell it in text, too
        words[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return words


def create_request(body: Mapping[str, Any]) -> CreateRequest:
    """Returns what `POST /session` asks for.

    Raises:
        BadRequest: no image, or a field of the wrong type.
    """
    fields = Fields(body)
    config = fields.within("config")
    image = fields.text("image", "lang")
    if not image:
        raise BadRequest("the field 'image' is missing: name the image to start, for example python:3.11-debian12")
    max_wait_s = fields.number("maxWaitSeconds")
    if max_wait_s < 0:
        raise BadRequest("the field 'maxWaitSeconds' cannot be negative")
    mounts: Sequence[str] = config.texts("mounts")
    return CreateRequest(
        name=fields.optional_text("name", "clientSessionToken") or None,
        image=image,
        architecture=fields.text("architecture", default="x86_64"),
        type=fields.text("type", "sessionType", default="interactive").lower(),
        tag=fields.optional_text("tag"),
        domain=fields.text("domain", default="default"),
        group=fields.text("group", default="default"),
        cluster_size=fields.integer("clusterSize", "cluster_size", default=1),
        enqueue_only=fields.flag("enqueueOnly"),
        max_wait_s=max_wait_s,
        reuse=fields.flag("reuseIfExists", default=True),
        startup_command=fields.optional_text("startupCommand"),
        bootstrap_script=fields.optional_text("bootstrap_script"),
        callback_url=fields.optional_text("callback_url", "callbackURL"),
        priority=fields.integer("priority", default=10),
        resources=config.object("resources"),
        resource_opts=_words(config.object("resource_opts"), "config.resource_opts"),
        environ=_words(config.object("environ"), "config.environ"),
        mounts=mounts,
        dependencies=fields.texts("dependencies", "dependency"),
        starts_at=fields.moment("starts_at", "startsAt"),
        batch_timeout_s=fields.duration("batch_timeout", "batchTimeout"),
    )
