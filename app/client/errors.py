"""Turns error answers into the errors of the house.

The class that the backend raised comes back as a class that is both that one and `RemoteError`, so that a caller may
catch either: `except SessionNotFound` for the meaning, `except RemoteError` for everything a server can say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from ..model.errors import PROBLEM_BASE, BaiTuiError, ConfigError, RemoteError

UNRESOLVED = "unresolved"
_TEXT_LIMIT = 200


_remote_classes: dict[type[BaiTuiError], type[RemoteError]] = {}


def _remote_class(kind: type[BaiTuiError]) -> type[RemoteError]:
    """Returns a class that is a `RemoteError` and a `kind`; the same one each time."""
    found = _remote_classes.get(kind)
    if found is None:
        found = cast(type[RemoteError], type(f"Remote{kind.__name__}", (RemoteError, kind), {"__doc__": kind.__doc__}))
        _remote_classes[kind] = found
    return found


def _tree(root: type[BaiTuiError]) -> Iterator[type[BaiTuiError]]:
    for child in root.__subclasses__():
        if not issubclass(child, RemoteError | ConfigError):
            yield child
            yield from _tree(child)


@cache
def _by_problem() -> Mapping[tuple[str, str], type[BaiTuiError]]:
    """Problem type and title -> class; the title is empty for the class that stands for the type itself."""
    table: dict[tuple[str, str], type[BaiTuiError]] = {}
    for kind in _tree(BaiTuiError):
        table.setdefault((kind.problem, kind.title), kind)
        table.setdefault((kind.problem, ""), kind)
    return table


@cache
def _by_code() -> Mapping[str, type[BaiTuiError]]:
    """Error code -> class, for the codes that one class alone uses."""
    table: dict[str, type[BaiTuiError] | None] = {}
    for kind in _tree(BaiTuiError):
        if "error_code" in vars(kind):
            table[kind.error_code] = None if kind.error_code in table else kind
    return {code: kind for code, kind in table.items() if kind is not None}


def _class_of(problem: str, title: str, code: str) -> type[RemoteError]:
    # The title tells more than the code where both are known: all that is not found shares one problem type.
    kind = _by_problem().get((problem, title)) or _by_code().get(code) or _by_problem().get((problem, ""))
    return RemoteError if kind is None else _remote_class(kind)


def error_of(
    status: int, reason: str, body: bytes, content_type: str, server: str, *, titled: bool = True
) -> RemoteError:
    """Returns the error that an answer of HTTP status `status` means.

    Args:
        server: URL of the endpoint, named when the body does not explain itself.
        titled: begin the message with the problem's title. Our backend's messages are whole sentences without it.
    """
    try:
        problem = json.loads(body) if body else None
    except ValueError:
        problem = None
    if not isinstance(problem, Mapping) or not (problem.get("title") or problem.get("msg")):
        words = " ".join(body.decode("utf-8", "replace").split())[:_TEXT_LIMIT] if "html" not in content_type else ""
        told = f": {words}" if words else ""
        return RemoteError(
            f"{server} answered {status} {reason}".rstrip() + (told or "; is it a Backend.AI endpoint?"),
            http_status=status,
        )
    title, message = str(problem.get("title") or ""), str(problem.get("msg") or "")
    kind = str(problem.get("type") or "").removeprefix(PROBLEM_BASE)
    data = problem.get("data")
    return _class_of(kind, title, str(problem.get("error_code") or ""))(
        _sentence(title if titled or not message else "", message),
        http_status=status,
        problem_type=kind,
        remote_title=title,
        data=data if isinstance(data, Mapping) else None,
    )


def _sentence(title: str, message: str) -> str:
    short = title.strip().rstrip(".")
    if not message or message.strip().rstrip(".") == short:
        return title.strip()
    return f"{short}: {message.strip()}" if short else message.strip()


def graphql_error(errors: Any) -> RemoteError:
    """Returns the error of a GraphQL answer with a non-empty `errors` array.

    Its `data` has under `UNRESOLVED` the fields that the server knows and failed to fill, where those are all its
    errors.
    """
    items = errors if isinstance(errors, list) else [errors]
    first = items[0] if items and isinstance(items[0], Mapping) else {}
    extensions = first.get("extensions")
    code = str(extensions.get("code") or "") if isinstance(extensions, Mapping) else ""
    said = [str(item.get("message", item)) if isinstance(item, Mapping) else str(item) for item in items]
    # A list has an error for each of its rows.
    text = "; ".join(dict.fromkeys(said)) or "GraphQL-generated error"
    fields = list(dict.fromkeys(_field_of(item) for item in items))
    if "" in fields:
        return _class_of("", "", code)(text, http_status=400)
    return _class_of("", "", code)(
        f"the server failed to tell {', '.join(fields)}: {text}", http_status=400, data={UNRESOLVED: fields}
    )


def _field_of(error: Any) -> str:
    """Returns the field below the root that an error is of; empty when it is of the whole query."""
    path = error.get("path") if isinstance(error, Mapping) else None
    names = [part for part in path if isinstance(part, str)] if isinstance(path, list) else []
    return names[-1] if len(names) > 1 else ""


def with_data(kind: type[BaiTuiError], message: str, data: Mapping[str, Any] | None = None) -> RemoteError:
    """Returns an error found on this side that a caller must be able to catch as `kind` and as `RemoteError`."""
    return _remote_class(kind)(message, http_status=kind.status, problem_type=kind.problem, data=data)
