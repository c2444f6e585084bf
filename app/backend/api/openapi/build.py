"""The words in which the description is written: schemas, parameters, operations. Plain data comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
UUID: Schema = {"type": "string", "format": "uuid"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
ANYTHING: Schema = {}
JSON_TEXT: Schema = {"type": "string", "contentMediaType": "application/json"}
JSON = "application/json"
PROBLEM = "application/problem+json"

_MEANINGS = {
    400: "Malformed, or it cannot be granted.",
    401: "No signature, a wrong one, or one that was used before.",
    403: "Not for this caller, or it comes from a web page.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "Not in the state in which it is.",
    413: "The body is too large.",
    415: "The body has a form that is not read, such as a compressed one.",
    417: "The Expect header says something else than 100-continue.",
    429: "The access key has as many connections at work as it may.",
    500: "Something failed inside the backend; its log says more.",
    501: "A Backend.AI cluster has it, this backend has not.",
    503: "The backend stops, or cannot write down what it would do.",
}
ALWAYS = (400, 401, 403, 404, 415, 417, 429, 500, 503)
"""Problems of every signed request: a target that is no path, a signature, a page, an access key to act for."""
WITH_BODY = (408, 413)


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def listing(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def mapping(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def obj(fields: Mapping[str, Schema], *, further: bool = False) -> Schema:
    """Returns an object with these members; a name that ends with `?` may be absent.

    Args:
        further: other members may be there, too.
    """
    return {
        "type": "object",
        "properties": {name.removesuffix("?"): schema for name, schema in fields.items()},
        "required": [name for name in fields if not name.endswith("?")],
        "additionalProperties": further,
    }


def asked(fields: Mapping[str, Schema]) -> Schema:
    """Returns what may be sent: members may be null, which counts as absent, and others are not looked at."""
    schema = obj(
        {name: or_null(field) if name.endswith("?") else field for name, field in fields.items()}, further=True
    )
    return {key: value for key, value in schema.items() if key != "required" or value}


def query(name: str, schema: Schema, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


def path(name: str, text: str) -> dict[str, Any]:
    # a name of one or two dots would be a folder to every URL library
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "pattern": r"^[\w-]"},
        "description": text,
    }


def answer(text: str, schema: Schema | None = None, *, media: str = JSON) -> dict[str, Any]:
    if schema is None:
        return {"description": text}
    return {"description": text, "content": {media: {"schema": schema}}}


def problem(status: int) -> dict[str, Any]:
    return answer(_MEANINGS[status], ref("Problem"), media=PROBLEM)


def operation(
    tag: str,
    summary: str,
    *answers: tuple[int, dict[str, Any]],
    parameters: Sequence[dict[str, Any]] = (),
    body: Schema | dict[str, Schema] | None = None,
    body_required: bool = True,
    problems: Sequence[int] = (),
    signed: bool = True,
    capability: str = "",
    more: str = "",
) -> dict[str, Any]:
    """Returns one operation.

    Args:
        body: schema of a JSON body, or media type -> schema.
        problems: statuses beyond those that every request may meet.
        capability: by which the handshake announces it; empty: part of the public API of Backend.AI.
        more: further text.
    """
    told: dict[int, dict[str, Any]] = dict(answers)
    for status in (*(ALWAYS if signed else (400, 403, 415, 500)), *(WITH_BODY if body else ()), *problems):
        told.setdefault(status, problem(status))
    said = " ".join(text for text in (more, f"Capability `{capability}`." if capability else "") if text)
    made: dict[str, Any] = {"tags": [tag], "summary": summary}
    if said:
        made["description"] = said
    if parameters:
        made["parameters"] = list(parameters)
    if body is not None:
        content = body if any("/" in name for name in body) else {JSON: body}
        made["requestBody"] = {
            "required": body_required,
            "content": {media: {"schema": schema} for media, schema in content.items()},
        }
    made["responses"] = {str(status): told[status] for status in sorted(told)}
    if not signed:
        made["security"] = []
    return made


EMPTY = (204, answer("Done."))
OWNER = query("owner_access_key", TEXT, "The access key to act for; administrators only.")
SESSION = (path("ref", "A session: its id, its name, or a unique beginning of either."), OWNER)
