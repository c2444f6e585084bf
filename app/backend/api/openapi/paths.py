"""Routes of sessions: what each takes, what it answers."""

from __future__ import annotations

from typing import Any

from ..journal import MAX_RECORDS, MAX_RUNS, MAX_SEQ, MAX_WAIT_S
from .build import (
    EMPTY,
    FLAG,
    INTEGER,
    NUMBER,
    OWNER,
    SESSION,
    TEXT,
    answer,
    asked,
    listing,
    operation,
    query,
    ref,
)

Paths = dict[str, dict[str, Any]]

_LIMIT = query("limit", INTEGER | {"minimum": 1, "maximum": MAX_RECORDS}, "Records of one answer at most; 1000.")
AFTER = query("after", INTEGER | {"minimum": 0, "maximum": MAX_SEQ}, "The number of the last record that is known.")
_PATH = query("path", TEXT, "A folder in the work folder; the work folder itself when absent.")
_FILES = query("files", listing(TEXT), "What to download, once for each; or the body says it.")
_CREATED = (201, answer("It runs, waits or has failed: `status` says which.", ref("Created")))
_TAR = answer("One tar for each file.", {"type": "string"}, media="multipart/mixed")
_NOT_HERE = "A cluster has it; here it is refused."


def not_here(summary: str) -> dict[str, Any]:
    return operation("elsewhere", summary, parameters=SESSION, problems=(501,), more=_NOT_HERE)


def _create(summary: str) -> dict[str, Any]:
    return operation(
        "sessions",
        summary,
        _CREATED,
        body=ref("Create"),
        problems=(409,),
        more="Answers when the session runs, at once with `enqueueOnly`, or after `maxWaitSeconds`.",
    )


def _download(**more: Any) -> dict[str, Any]:
    return operation(
        "files",
        "Files and folders of the work folder",
        (200, _TAR),
        parameters=(*SESSION, _FILES),
        body=asked({"files?": listing(TEXT)}),
        body_required=False,
        **more,
    )


SESSIONS: Paths = {
    "/session": {"post": _create("Begin a session, or take the live one of that name")},
    "/session/_/create": {"post": _create("The same as `POST /session`")},
    "/session/_/match": {
        "get": operation(
            "sessions",
            "Live sessions by the beginning of their name",
            (200, answer("Those that match.", ref("Matches"))),
            parameters=(query("id", TEXT, "The beginning."), OWNER),
        )
    },
    "/session/{ref}": {
        "get": operation(
            "sessions", "All about it", (200, answer("The session.", ref("SessionInfo"))), parameters=SESSION
        ),
        "delete": operation(
            "sessions",
            "End it",
            (200, answer("Its processes are gone; what it has used.", ref("Ended"))),
            parameters=(
                *SESSION,
                query("forced", FLAG, "Also one that is ending already."),
                query("recursive", FLAG, "Those that wait for it, too."),
            ),
            problems=(409,),
        ),
        "patch": operation("sessions", "Give it a new kernel", EMPTY, parameters=SESSION, problems=(409, 501)),
        "post": operation(
            "running code",
            "Run code by long poll",
            (200, answer("What the run says, or completions.", {"anyOf": [ref("Executed"), ref("Completions")]})),
            parameters=SESSION,
            body=ref("Execute"),
            problems=(409,),
        ),
    },
    "/session/{ref}/rename": {
        "post": operation(
            "sessions",
            "Give it another name",
            EMPTY,
            parameters=(*SESSION, query("name", TEXT, "The new name; or the body says it.")),
            body=asked({"name?": TEXT}),
            body_required=False,
            problems=(409,),
        )
    },
    "/session/{ref}/interrupt": {
        "post": operation("running code", "Interrupt what runs", EMPTY, parameters=SESSION, problems=(409,))
    },
    "/session/{ref}/complete": {
        "post": operation(
            "running code",
            "Complete code",
            (200, answer("What may come next.", ref("Completions"))),
            parameters=SESSION,
            body=ref("Complete"),
            body_required=False,
            problems=(409,),
        )
    },
    "/session/{ref}/inspect": {
        "post": operation(
            "running code",
            "Tell what a name stands for",
            (200, answer("What is at the cursor.", ref("Inspection"))),
            parameters=SESSION,
            body=ref("Inspect"),
            body_required=False,
            problems=(409,),
            capability="inspect",
        )
    },
    "/session/{ref}/extend": {
        "post": operation(
            "sessions",
            "Keep it from the idle checks",
            (200, answer("Until when.", ref("Extended"))),
            parameters=SESSION,
            body=asked({"seconds": {"type": ["number", "string"]}}),
            problems=(409,),
            capability="extend",
        )
    },
    "/session/{ref}/logs": {
        "get": operation(
            "running code", "What its runs have written", (200, answer("Text.", ref("Logs"))), parameters=SESSION
        )
    },
    "/session/{ref}/journal": {
        "get": operation(
            "running code",
            "Records by number",
            (200, answer("The records; those of its end, too.", ref("Journal"))),
            parameters=(
                *SESSION,
                AFTER,
                query("before", INTEGER | {"minimum": 0, "maximum": MAX_SEQ}, "The newest before this number instead."),
                _LIMIT,
                query("wait", NUMBER | {"minimum": 0, "maximum": MAX_WAIT_S}, "Seconds to wait for the first."),
            ),
            capability="journal",
        )
    },
    "/session/{ref}/runs": {
        "get": operation(
            "running code",
            "What was run",
            (200, answer("The newest last.", ref("Runs"))),
            parameters=(*SESSION, query("limit", INTEGER | {"minimum": 1, "maximum": MAX_RUNS}, "The newest so many.")),
            capability="follow",
        )
    },
    "/session/{ref}/status-history": {
        "get": operation(
            "sessions",
            "When it came into each status",
            (200, answer("By lower-case status under `result`.", ref("StatusHistory"))),
            parameters=SESSION,
        )
    },
    "/session/{ref}/abusing-report": {
        "get": operation(
            "sessions", "Nobody watches", (200, answer("An empty report.", ref("AbuseReport"))), parameters=SESSION
        )
    },
    "/session/{ref}/dependency-graph": {
        "get": operation(
            "sessions", "What it waits for", (200, answer("A tree.", ref("DependencyGraph"))), parameters=SESSION
        )
    },
    "/session/{ref}/files": {
        "get": operation(
            "files",
            "What lies in a folder",
            (200, answer("`files` is JSON in a string.", ref("Files"))),
            parameters=(*SESSION, _PATH),
            body=asked({"path?": TEXT}),
            body_required=False,
        )
    },
    "/session/{ref}/upload": {
        "post": operation(
            "files",
            "Put files into the work folder: all of them, or none",
            EMPTY,
            parameters=SESSION,
            body={
                "multipart/form-data": {
                    "type": "object",
                    "properties": {"src": listing({"type": "string", "format": "binary"})},
                    "required": ["src"],
                }
            },
        )
    },
    "/session/{ref}/delete-files": {
        "post": operation(
            "files",
            "Remove files, and folders with all that is in them (capability `delete-files`)",
            EMPTY,
            parameters=SESSION,
            body=asked({"files": listing(TEXT)}),
        )
    },
    "/session/{ref}/download": {"get": _download(), "post": _download()},
    "/session/{ref}/commit": {"get": not_here("Commits"), "post": not_here("Commit")},
    "/session/{ref}/direct-access-info": {"get": not_here("Direct access")},
    "/session/{ref}/imagify": {"post": not_here("Make an image of it")},
    "/session/{ref}/start-service": {"post": not_here("Start a service")},
    "/session/{ref}/shutdown-service": {"post": not_here("Stop a service")},
}
