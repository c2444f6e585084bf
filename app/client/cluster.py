"""What a Backend.AI cluster tells otherwise than our backend, put into the words of ours.

Rows of `compute_session_list` and `compute_session` keep their form: whoever reads them need not know which server
they are of.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..model.errors import RemoteError, Unreachable
from ..model.metrics import CPU_USED, CPU_UTIL, CUDA_MEM, CUDA_UTIL
from ..model.sessions import SessionStatus
from ..model.slots import CPU
from .parsing import mapping, number, slots
from .transport import Transport
from .views import ServerInfo

_NO_CAPACITY: Final = float(2**63 - 1)
"""What a cluster writes where a metric has no capacity."""
_MS_PER_S_IN_PERCENT: Final = 10.0
"""Agents measure `cpu_util` in ms of CPU time a second, 1000 for one core, and called that percent before 26.09."""
_SPOILT_BELOW: Final = 1e-6
_HISTORY_SINCE: Final = (26, 2)
"""Managers since then keep why a session waits in its scheduling history, older ones in `status_data.scheduler`."""
_HISTORY_PATH: Final = "/admin/gql/strawberry"
_HISTORY: Final = ("sessionScopedSchedulingHistories", "")
_AT_MOST: Final = 20
"""Sessions whose history is asked for at once: the first of the queue, which are those that people look at."""
_NODE: Final = "edges{node{result message attempts updatedAt subSteps{step result message}}}"
_MISSING: Final = re.compile(r"-\s+(?P<slot>[\w.-]+): missing=(?P<amount>[^\n)]+)")
_DETAIL: Final = re.compile(r"[^()]*\. \((?P<detail>.*)\)", re.DOTALL)
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EARLIER: Final = re.compile(rf"the earlier session ({_ID.pattern})")


def is_cluster(info: ServerInfo) -> bool:
    """Returns whether the server is somebody else's: ours announces what it can do beyond the public API."""
    return not info.capabilities


def tellable(fields: Sequence[str]) -> list[str]:
    """Returns the fields without what managers fail to tell: an error of theirs for each list, and in their log."""
    return [field for field in fields if not field.startswith("dependencies")]


def in_our_words(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a row whose `containers` tell what is used in our units."""
    containers = row.get("containers")
    if not isinstance(containers, list):
        return row
    cores = slots(row.get("occupying_slots")).amount(CPU)
    told = [
        {
            **one,
            **{key: _stat(one[key], float(cores) * 100) for key in ("live_stat", "last_stat") if key in one},
        }
        for one in containers
        if isinstance(one, Mapping)
    ]
    return {**row, "containers": told}


def _stat(value: Any, cpu_pct: float) -> dict[str, Any]:
    """Returns a `live_stat` in our units.

    Args:
        cpu_pct: Percent of one core that the session was promised; 0 = not known.
    """
    told = mapping(value)
    found: dict[str, Any] = {}
    for name, wire in told.items():
        if not isinstance(wire, Mapping):
            continue
        metric = dict(wire)
        capacity = number(metric.get("capacity")) or 0.0
        if capacity >= _NO_CAPACITY:
            metric["capacity"] = "0"
        if name in (CUDA_MEM, CUDA_UTIL) and not capacity and not number(metric.get("current")):
            continue  # it holds no GPU
        if name == CPU_UTIL:
            if _is_counter(metric, told.get(CPU_USED)):
                continue
            for key in ("current", "stats.max", "stats.avg"):
                if (amount := number(metric.get(key))) is not None:
                    metric[key] = f"{amount / _MS_PER_S_IN_PERCENT:.3f}"
            metric |= {"capacity": f"{cpu_pct or capacity / _MS_PER_S_IN_PERCENT:g}", "unit_hint": "percent"}
        found[str(name)] = metric
    return found


def _is_counter(util: Mapping[str, Any], used: Any) -> bool:
    """Returns whether a `cpu_util` is all the CPU time so far: what 26.09 tells until it has two samples."""
    current = number(util.get("current")) or 0.0
    total = number(used.get("current")) if isinstance(used, Mapping) else None
    return total is not None and current > 0 and abs(current - total) < _SPOILT_BELOW


async def explained(transport: Transport, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Returns the rows, those of PENDING sessions with why they wait in `status_data.scheduler`.

    One request for all of them, none where nothing waits. A manager that does not tell is not asked again.
    """
    waiting = [
        str(row["id"])
        for row in rows
        if row.get("status") == SessionStatus.PENDING
        and _ID.fullmatch(str(row.get("id")))
        and not mapping(row.get("status_data")).get("scheduler")
    ][-_AT_MOST:]
    if not waiting or _HISTORY in transport.unknown_fields or not _keeps_history(await transport.info()):
        return rows
    names = {str(row["id"]): str(row.get("name") or "") for row in rows if str(row.get("id")) in waiting}
    query = "".join(
        f's{i}:{_HISTORY[0]}(scope:{{sessionId:"{one}"}},limit:1){{{_NODE}}}' for i, one in enumerate(waiting)
    )
    try:
        answer = await transport.request(
            "POST", _HISTORY_PATH, json_body={"query": f"query{{{query}}}", "variables": {}}, idempotent=True
        )
    except Unreachable:
        raise
    except RemoteError as exc:
        if exc.http_status < 500:
            transport.unknown_fields.add(_HISTORY)
        return rows
    data = mapping(mapping(answer).get("data"))
    if not data:
        transport.unknown_fields.add(_HISTORY)
    reasons = {
        one: reason for i, one in enumerate(waiting) if (reason := _reason(data.get(f"s{i}"), names)) is not None
    }
    return [
        {**row, "status_data": {**mapping(row.get("status_data")), "scheduler": reason}}
        if (reason := reasons.get(str(row.get("id")))) is not None
        else row
        for row in rows
    ]


def _keeps_history(info: ServerInfo) -> bool:
    match = re.match(r"(\d+)\.(\d+)", info.manager)
    return match is not None and (int(match[1]), int(match[2])) >= _HISTORY_SINCE


def _reason(history: Any, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Returns the newest record of a history in the form of `status_data.scheduler`; None where nothing is wrong."""
    edges = mapping(history).get("edges")
    node = mapping(mapping(edges[0]).get("node")) if isinstance(edges, list) and edges else {}
    if node.get("result") == "SUCCESS" or not node.get("message"):
        return None
    failed = [
        {"name": str(step.get("step") or ""), "msg": " ".join(str(step.get("message") or "").split())}
        for step in node.get("subSteps") or ()
        if isinstance(step, Mapping) and step.get("result") != "SUCCESS"
    ]
    return {
        "msg": one_line(str(node["message"]), names),
        "failed_predicates": failed,
        "retries": node.get("attempts"),
        "last_try": node.get("updatedAt"),
    }


def one_line(message: str, names: Mapping[str, str]) -> str:
    """Returns what a scheduler said in one line: the particular, not the general.

    Args:
        names: Of the sessions that wait now, by id.
    """
    missing = [f"{_plain(match['amount'])} {match['slot']}" for match in _MISSING.finditer(message)]
    if missing:
        return f"no agent has enough free: {', '.join(dict.fromkeys(missing))} missing"
    inner = _DETAIL.fullmatch(message.strip())
    message = message if inner is None else inner["detail"]
    message = re.sub(rf"(\S+) \({_ID.pattern}\)", r"\1", message)
    # A record is written once and counted on: the one that stood in the way may run by now.
    message = _EARLIER.sub(lambda found: found[0] if found[1] in names else "an earlier session", message)
    message = _ID.sub(lambda found: names.get(found[0]) or found[0], message)
    return " ".join(message.split())


def _plain(amount: str) -> str:
    amount = amount.strip()
    return amount.rstrip("0").rstrip(".") if "." in amount and amount.replace(".", "").isdigit() else amount


async def origin(transport: Transport, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what `compute_session` of a cluster has no right answer for: its project and what it depends on.

    Managers tell of one session the first letter of its project, and fail to tell what it depends on.
    """
    sid, cut = str(row.get("id") or ""), len(str(row.get("group_name") or "")) == 1
    if not _ID.fullmatch(sid):
        return {}
    node = b64encode(f"ComputeSessionNode:{sid}".encode()).decode()
    project = f'compute_session_list(limit:1,offset:0,filter:"id == \\"{sid}\\""){{items{{group_name}}}}' if cut else ""
    dependees = f'compute_session_node(id:"{node}"){{dependees{{edges{{node{{name id:row_id}}}}}}}}'
    try:
        told = await transport.graphql(f"query{{{dependees} {project}}}", {})
    except Unreachable:
        raise
    except RemoteError:
        return {"group_name": None} if cut else {}
    edges = mapping(mapping(told.get("compute_session_node")).get("dependees")).get("edges")
    found = {"dependencies": [mapping(edge).get("node") for edge in edges] if isinstance(edges, list) else None}
    if cut:
        items = mapping(told.get("compute_session_list")).get("items")
        found["group_name"] = mapping(items[0]).get("group_name") if isinstance(items, list) and items else None
    return found
