"""What is answered: the schemas of the components."""

from __future__ import annotations

from ....model.sessions import SessionStatus, SessionType
from .build import (
    ANYTHING,
    FLAG,
    INTEGER,
    JSON_TEXT,
    MOMENT,
    NUMBER,
    TEXT,
    UUID,
    Schema,
    asked,
    listing,
    mapping,
    obj,
    one_of,
    or_null,
    ref,
)

_STATUS = one_of(*(status.value for status in SessionStatus))
_SLOTS = ref("Slots")
_MATCH = obj({"id": UUID, "name": TEXT, "status": ref("Status")})

ANSWERS: dict[str, Schema] = {
    "Problem": obj(
        {"type": {"type": "string", "format": "uri"}, "title": TEXT, "error_code": TEXT, "msg": TEXT}, further=True
    ),
    "Handshake": obj(
        {
            "version": {"type": "string", "pattern": r"^v\d+\.\d{8}$"},
            "manager": TEXT,
            "bai-tui": obj({"version": TEXT, "capabilities": listing(TEXT)}),
        }
    ),
    "Authorized": obj({"authorized": one_of("yes"), "echo": TEXT}),
    "Status": _STATUS,
    "Slots": mapping({"type": "string", "pattern": r"^(-?[0-9]+(\.[0-9]+)?|Infinity)$"})
    | {"description": "Amount by slot, a decimal string."},
    "Metric": obj(
        {"current": TEXT, "capacity": TEXT, "pct": TEXT, "unit_hint": TEXT, "stats.max?": TEXT, "stats.avg?": TEXT}
    ),
    "Metrics": mapping(ref("Metric")),
    "Created": obj(
        {
            "sessionId": UUID,
            "sessionName": TEXT,
            "status": one_of("RUNNING", "PENDING", "TIMEOUT", "TERMINATED", "ERROR", "CANCELLED"),
            "servicePorts": listing(ANYTHING, maxItems=0),
            "created": FLAG,
            "image": TEXT,
            "imageNotice": or_null(TEXT),
            "statusInfo?": TEXT,
        }
    ),
    "IdleCheck": obj(
        {
            "remaining": or_null(NUMBER),
            "remaining_time_type": one_of("grace_period", "expire_after"),
            "extra": or_null(mapping(ANYTHING)),
        }
    ),
    "SessionInfo": obj(
        {
            "age": INTEGER,
            "domainName": TEXT,
            "groupId": UUID,
            "userId": or_null(TEXT),
            "lang": TEXT,
            "image": TEXT,
            "imageAsked": TEXT,
            "architecture": TEXT,
            "registry": TEXT,
            "tag": TEXT,
            "containerId": or_null(TEXT),
            "sessionId": UUID,
            "sessionName": TEXT,
            "occupiedSlots": JSON_TEXT,
            "occupyingSlots": JSON_TEXT,
            "requestedSlots": JSON_TEXT,
            "occupiedShares": JSON_TEXT,
            "environ": JSON_TEXT,
            "resourceOpts": JSON_TEXT,
            "status": ref("Status"),
            "statusInfo": or_null(TEXT),
            "statusData": or_null(mapping(ANYTHING)),
            "creationTime": MOMENT,
            "terminationTime": or_null(MOMENT),
            "numQueriesExecuted": INTEGER,
            "lastStat": or_null(ref("Metrics")),
            "idleChecks": mapping(ref("IdleCheck")),
        }
    ),
    "Ended": obj(
        {
            "stats": {
                "type": "object",
                "properties": {"version": {"const": 2}, "status": one_of("terminated", "cancelled")},
                "required": ["version", "status"],
                "additionalProperties": ref("Metric"),
            }
        }
    ),
    "Logs": obj({"result": obj({"logs": TEXT})}),
    "StatusHistory": {
        "type": "object",
        "properties": {"result": mapping(or_null(MOMENT))},
        "required": ["result"],
        "additionalProperties": or_null(MOMENT),
    },
    "DependencyGraph": obj(
        {
            "session_id": UUID,
            "session_name": TEXT,
            "status": {"type": "string", "pattern": r"^KernelStatus\.[A-Z_]+$"},
            "status_changed": TEXT,
            "depends_on": listing(ref("DependencyGraph")),
        }
    ),
    "AbuseReport": obj({"kernel": UUID, "abuse_report": {"type": "null"}}),
    "Extended": obj({"kept_until": or_null(MOMENT), "remaining": or_null(NUMBER)}),
    "Matches": obj({"matches": listing(_MATCH)}),
    "Completions": obj(
        {
            "result": obj(
                {
                    "status": one_of("finished"),
                    "error": {"type": "null"},
                    "suggestions": listing(TEXT),
                    "types": listing(TEXT),
                    "cursor_start": INTEGER,
                    "cursor_end": INTEGER,
                    "busy": FLAG,
                }
            )
        }
    ),
    "Inspection": obj(
        {
            "found": FLAG,
            "busy": FLAG,
            "name": TEXT,
            "type": TEXT,
            "signature": TEXT,
            "doc": TEXT,
            "text": TEXT,
        }
    ),
    "ConsoleRecord": {
        "type": "array",
        "prefixItems": [{"type": "string"}, ANYTHING],
        "minItems": 2,
        "maxItems": 2,
        "description": "Kind and data, such as `stdout` and text.",
    },
    "Frame": obj(
        {
            "status": one_of(
                "continued", "clean-finished", "build-finished", "waiting-input", "finished", "exec-timeout", "error"
            ),
            "console": listing(ref("ConsoleRecord")),
            "exitCode": or_null(INTEGER),
            "options": or_null(obj({"is_password": FLAG})),
            "files": listing(ANYTHING, maxItems=0),
            "seq": or_null(INTEGER),
            "runId": TEXT,
            "msg?": TEXT,
        }
    ),
    "Executed": obj({"result": ref("Frame")}),
    "JournalRecord": obj({"seq": INTEGER, "t": NUMBER, "run": or_null(TEXT), "rec": ref("ConsoleRecord")}),
    "Journal": obj({"records": listing(ref("JournalRecord"))}),
    "Run": obj(
        {
            "id": TEXT,
            "after": INTEGER,
            "started": NUMBER,
            "mode": TEXT,
            "code": TEXT,
            "last": INTEGER,
            "ended": or_null(NUMBER),
            "exitCode": or_null(INTEGER),
            "died": FLAG,
            "reason": or_null(TEXT),
        }
    ),
    "Runs": obj({"runs": listing(ref("Run"))}),
    "Files": obj({"files": JSON_TEXT, "errors": TEXT, "abspath": TEXT}),
    "Gpu": obj(
        {
            "id": TEXT,
            "uuid": TEXT,
            "model": TEXT,
            "kind": one_of("nvidia", "mock", "host"),
            "capacity": TEXT,
            "mem_bytes": INTEGER,
            "promised": mapping(TEXT),
            "lost": FLAG,
            "mem_used_bytes": or_null(INTEGER),
            "util_pct": or_null(NUMBER),
            "temperature_c": or_null(NUMBER),
            "power_w": or_null(NUMBER),
            "session_mem_bytes": mapping(INTEGER),
        }
    ),
    "Machine": obj({"available": _SLOTS, "occupied": _SLOTS, "gpus": listing(ref("Gpu"))}),
    "ResourceSlots": mapping(TEXT),
    "Presets": obj({"presets": listing(ANYTHING, maxItems=0)}),
    "PresetCheck": obj(
        {
            "presets": listing(ANYTHING, maxItems=0),
            "keypair_limits": _SLOTS,
            "keypair_using": _SLOTS,
            "keypair_remaining": _SLOTS,
            "group_limits": _SLOTS,
            "group_using": _SLOTS,
            "group_remaining": _SLOTS,
            "scaling_group_remaining": _SLOTS,
            "scaling_groups": mapping(obj({"using": _SLOTS, "remaining": _SLOTS})),
        }
    ),
    "ScalingGroups": obj({"scaling_groups": listing(obj({"name": TEXT}))}),
    "ImageLog": obj({"log": TEXT}),
    "Announcement": obj({"enabled": FLAG, "message": TEXT}),
    "Nothing": listing(ANYTHING, maxItems=0),
    "Rotated": obj({"access_key": TEXT, "secret_key": TEXT}),
    "GraphQL": obj(
        {
            "data": or_null(mapping(ANYTHING)),
            "errors?": listing(obj({"message": TEXT}, further=True), minItems=1),
        }
    ),
}

ASKED: dict[str, Schema] = {
    "Create": asked(
        {
            "image?": TEXT | {"description": "Such as `python:3.11`; `lang` is another name for it. One is needed."},
            "lang?": TEXT,
            "name?": TEXT | {"description": "4 to 64 characters; made up when absent. Also `clientSessionToken`."},
            "clientSessionToken?": TEXT,
            "architecture?": TEXT,
            "type?": TEXT | {"description": ", ".join(kind.value for kind in SessionType)},
            "sessionType?": TEXT,
            "tag?": TEXT,
            "domain?": TEXT,
            "group?": TEXT,
            "clusterSize?": INTEGER,
            "enqueueOnly?": FLAG,
            "maxWaitSeconds?": NUMBER | {"minimum": 0},
            "reuseIfExists?": FLAG,
            "startupCommand?": TEXT,
            "bootstrap_script?": TEXT,
            "callback_url?": TEXT,
            "owner_access_key?": TEXT,
            "priority?": INTEGER,
            "dependencies?": listing(TEXT),
            "starts_at?": TEXT | {"description": "ISO 8601 with an offset, or from now, such as `2h30m`."},
            "batch_timeout?": {"type": ["number", "string"]},
            "config?": asked(
                {
                    "resources?": mapping({"type": ["string", "number"]}),
                    "resource_opts?": mapping({"type": ["string", "number", "boolean"]}),
                    "environ?": mapping({"type": ["string", "number", "boolean"]}),
                    "mounts?": listing(TEXT),
                }
            ),
        }
    ),
    "Execute": asked(
        {
            "mode?": one_of("query", "batch", "continue", "input", "complete"),
            "code?": TEXT,
            "runId?": TEXT | {"pattern": r"^[A-Za-z0-9_.-]{1,64}$"},
            "options?": mapping(ANYTHING),
        }
    ),
    "Complete": asked({"code?": TEXT, "options?": asked({"row?": INTEGER, "col?": INTEGER})}),
    "Inspect": asked({"code?": TEXT, "cursor?": INTEGER, "detail?": INTEGER | {"enum": [0, 1]}}),
    "Query": asked({"query": TEXT, "variables?": mapping(ANYTHING), "operationName?": TEXT}),
}
