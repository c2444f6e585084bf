"""Routes around sessions: streams, the machine, GraphQL, and what only a cluster has."""

from __future__ import annotations

from .build import (
    EMPTY,
    FLAG,
    OWNER,
    SESSION,
    TEXT,
    answer,
    asked,
    operation,
    path,
    query,
    ref,
)
from .paths import AFTER, Paths

_SWITCHED = (101, answer("The stream is open."))

STREAMS: Paths = {
    "/stream/session/{ref}/execute": {
        "get": operation(
            "streams",
            "Run code",
            _SWITCHED,
            parameters=SESSION,
            more="A websocket. The first text frame is `Execute`, the server answers with `Frame`s.",
        )
    },
    "/stream/session/{ref}/journal": {
        "get": operation(
            "streams",
            "Follow the journal",
            _SWITCHED,
            parameters=(*SESSION, AFTER, query("attach", FLAG, "Keep it from idling, and answer its prompts.")),
            more="A websocket. The server sends `Journal`s and at the end `{ended, status, reason}`.",
            capability="follow",
        )
    },
    "/stream/session/{ref}/apps": {
        "get": operation("streams", "Its service ports", (200, answer("None.", ref("Nothing"))), parameters=SESSION)
    },
    "/stream/session/{ref}/tcpproxy": {
        "get": operation("elsewhere", "A tunnel to an app", parameters=(*SESSION, query("app", TEXT, "Its name.")))
    },
    "/stream/session/{ref}/httpproxy": {
        "get": operation("elsewhere", "A tunnel to an app", parameters=(*SESSION, query("app", TEXT, "Its name.")))
    },
    "/stream/session/{ref}/pty": {
        "get": operation(
            "streams",
            "A terminal",
            _SWITCHED,
            parameters=SESSION,
            more="A websocket. The client sends `{type: stdin, chars: BASE64}`, `{type: resize, rows, cols}`, "
            "`{type: ping}` and `{type: restart}`; the server sends `{type: out, data: BASE64}` in binary frames, and "
            "`{type: error, data: TEXT}` with `exitCode` when the shell has ended and `ended` when the session has.",
        )
    },
    "/events/session": {
        "get": operation(
            "streams",
            "What happens to sessions",
            (200, answer("Server-sent events.", {"type": "string"}, media="text/event-stream")),
            parameters=(
                query("sessionId", TEXT, "One session; all when absent or `*`."),
                query("sessionName", TEXT, "The same by name."),
                query("ownerAccessKey", TEXT, "Those of one access key."),
                query("scope", TEXT, "`*`, `session`, `kernel`, or several with commas."),
                query("stats", FLAG, "Measures as well, once a second (capability `stats`)."),
                query("progress", FLAG, "How far images are that are built or pulled (capability `images`)."),
            ),
        )
    },
    "/events/background-task": {
        "get": operation(
            "images",
            "How far a background task is",
            (200, answer("Server-sent events.", {"type": "string"}, media="text/event-stream")),
            parameters=(
                query("taskId", TEXT, "Its id, as the mutation has told that began it."),
                query("task_id", TEXT, "The same; what the newest client sends."),
            ),
            more="`bgtask_started`, `bgtask_updated` {current_progress, total_progress, message}, at last "
            "`bgtask_done`, `bgtask_partial_success` {errors}, `bgtask_failed` or `bgtask_cancelled` {message}, then "
            "`server_close`. First where it stands; tasks are known for ten minutes after their end.",
        )
    },
}

AROUND: Paths = {
    "/": {
        "get": operation(
            "around",
            "Who answers, and in which version of the API",
            (200, answer("The handshake.", ref("Handshake"))),
            signed=False,
        )
    },
    "/openapi.json": {
        "get": operation(
            "around",
            "This document",
            (200, answer("OpenAPI 3.1.", {"type": "object", "required": ["openapi", "info", "paths"]})),
        )
    },
    "/auth": {
        "get": operation("around", "Whether the signature is right", (200, answer("It is.", ref("Authorized")))),
        "post": operation(
            "around",
            "The same, with an echo",
            (200, answer("It is.", ref("Authorized"))),
            body=asked({"echo?": TEXT}),
            body_required=False,
        ),
    },
    "/manager/announcement": {
        "get": operation("around", "News", (200, answer("What is wrong with the backend.", ref("Announcement"))))
    },
    "/config/resource-slots": {
        "get": operation("machine", "Slots and their units", (200, answer("By name.", ref("ResourceSlots"))))
    },
    "/config/vfolder-types": {
        "get": operation("elsewhere", "Kinds of folder storage", (200, answer("None.", ref("Nothing"))))
    },
    "/folders": {"get": operation("elsewhere", "Folder storage", (200, answer("None.", ref("Nothing"))))},
    "/resource/presets": {"get": operation("machine", "Presets", (200, answer("None.", ref("Presets"))))},
    "/resource/check-presets": {
        "post": operation(
            "machine",
            "What may still be asked for",
            (200, answer("Slots.", ref("PresetCheck"))),
            parameters=(OWNER,),
            body=asked({"group?": TEXT, "scaling_group?": TEXT}),
            body_required=False,
        )
    },
    "/scaling-groups": {"get": operation("machine", "Scaling groups", (200, answer("One.", ref("ScalingGroups"))))},
    "/machine": {
        "get": operation(
            "machine", "Slots and GPUs", (200, answer("The machine.", ref("Machine"))), capability="devices"
        )
    },
    "/metrics": {
        "get": operation(
            "machine",
            "Measures for Prometheus",
            (200, answer("Text format 0.0.4.", {"type": "string"}, media="text/plain")),
            more="Also with the token of the metrics as `Bearer`.",
        )
        | {"security": [{"signature": []}, {"metrics": []}]}
    },
    "/image/log": {
        "get": operation(
            "images",
            "What the newest building or pulling has written",
            (200, answer("Text.", ref("ImageLog"))),
            parameters=(query("reference", TEXT, "The image, or an alias of it."),),
            capability="images",
        )
    },
    "/image/tasks/{task_id}/cancel": {
        "post": operation(
            "images",
            "Stop a background task",
            EMPTY,
            parameters=(path("task_id", "The task."), OWNER),
            capability="images",
            more="Answers when it has ended; nothing half-made is left. One that has ended already stays as it is.",
        )
    },
    "/admin/gql": {
        "post": operation(
            "GraphQL",
            "Queries and mutations",
            (200, answer("`errors` is absent on success.", ref("GraphQL"))),
            parameters=(OWNER,),
            body=ref("Query"),
        )
    },
    "/admin/graphql": {
        "post": operation(
            "GraphQL",
            "The same for old clients",
            (200, answer("Bare data.", {"type": ["object", "null"]})),
            parameters=(OWNER,),
            body=ref("Query"),
        )
    },
    "/keypair/{access_key}/rotate": {
        "post": operation(
            "around",
            "Another secret key, told this once",
            (200, answer("The new one.", ref("Rotated"))),
            parameters=(path("access_key", "The keypair."),),
            capability="keypairs",
            problems=(409,),
        )
    },
}
