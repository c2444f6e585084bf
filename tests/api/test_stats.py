"""What sessions and GPUs use, in every form in which it is told."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from bai_tui.app.backend.api.stats import StatsEncoder
from bai_tui.app.backend.ports import GpuReading, Guarantee, IdleCheck, Layer, Sampled
from bai_tui.app.model.metrics import Metric, parse_metrics
from bai_tui.tests.api.fakes import ADMIN
from bai_tui.tests.waiting import until
from yarl import URL

GIB = 1 << 30
STAT = {
    "cpu_util": Metric(50.5, 100, "percent", 90, 40.25),
    "cpu_used": Metric(1500, unit_hint="msec"),
    "mem": Metric(GIB, 4 * GIB, "bytes", 2 * GIB, GIB),
    "cuda_mem": Metric(3 * GIB, 8 * GIB, "bytes", 3 * GIB, GIB),
}
WIRE = {
    "cpu_util": {
        "current": "50.5",
        "capacity": "100",
        "pct": "50.50",
        "unit_hint": "percent",
        "stats.max": "90",
        "stats.avg": "40.25",
    },
    "cpu_used": {"current": "1500", "capacity": "0", "pct": "0.00", "unit_hint": "msec"},
}


def measured(*refs: str, time_s: float = 1_800_000_000.5) -> Sampled:
    gpu = GpuReading(
        device_id="gpu0",
        mem_used_bytes=5 * GIB,
        mem_total_bytes=16 * GIB,
        util_pct=35.0,
        temperature_c=60.0,
        power_w=120.5,
    )
    return Sampled(
        time_s=time_s,
        sessions=dict.fromkeys(refs, STAT),
        gpus=[gpu],
        session_gpu_mem_bytes={ref: {"gpu0": 3 * GIB} for ref in refs},
        cpu_pct=30.0,
        core_pct=(20.0, 40.0),
        mem_used_bytes=6 * GIB,
    )


INFO = """query($id: UUID!) { compute_session(id: $id) { status_data idle_checks dependencies { name id }
    containers { live_stat last_stat } } }"""


async def ask(api: Any, ref: str) -> dict[str, Any]:
    answer = await api.gql(INFO, id=ref)
    assert "errors" not in answer, answer
    return dict(answer["data"]["compute_session"])


async def test_live_and_last(api: Any, service: Any) -> None:
    ref = await api.create("live-01")
    assert (await ask(api, ref))["containers"] == [{"live_stat": None, "last_stat": None}]
    service.sample(measured(ref))
    (container,) = (await ask(api, ref))["containers"]
    live = json.loads(container["live_stat"])
    assert {name: live[name] for name in WIRE} == WIRE
    assert parse_metrics(live) == STAT
    assert (await api.send("GET", f"/session/{ref}")).json["lastStat"] == live
    ended = (await api.send("DELETE", f"/session/{ref}")).json
    assert ended == {"stats": {"version": 2, "status": "terminated", **live}}
    # the sampler has forgotten it; the record keeps what was measured last
    service.stats.clear()
    service.sessions[ref].last_stat = live
    (container,) = (await ask(api, ref))["containers"]
    assert json.loads(container["last_stat"]) == live


async def test_why_it_waits_and_what_enforces(api: Any, service: Any) -> None:
    first = await api.create("first-1")
    waiting = await api.create("second-1", enqueueOnly=True, dependencies=["first-1"])
    service.sessions[waiting].depends_on.append("f0000000-0000-4000-8000-000000000000")
    service.enforced = [Layer("environment", "gpu", Guarantee.COOPERATIVE, "code that resets it sees all")]
    pending, running = await ask(api, waiting), await ask(api, first)
    assert json.loads(pending["status_data"])["scheduler"] == {
        "msg": "waits for 1 cpu; 0 free; next in the queue",
        "failed_predicates": [{"name": "resources", "msg": "waits for 1 cpu; 0 free; next in the queue"}],
        "passed_predicates": [],
        "retries": 2,
        "position": 1,
    }
    assert "enforcement" not in json.loads(pending["status_data"])
    assert json.loads(running["status_data"])["enforcement"] == [
        {
            "name": "environment",
            "applies_to": "gpu",
            "guarantee": "cooperative",
            "detail": "code that resets it sees all",
        }
    ]
    assert "scheduler" not in json.loads(running["status_data"])
    assert pending["dependencies"] == [{"name": "first-1", "id": first}]
    assert running["dependencies"] == []


async def test_all_idle_checks(api: Any, service: Any) -> None:
    ref = await api.create("idle-01")
    service.checks = [
        IdleCheck("network_timeout", 600.12345, in_grace=True),
        IdleCheck("session_lifetime", None),
        IdleCheck("utilization", 30.0, extra={"resources": {"cpu_util": [1.5, 10.0]}}),
    ]
    assert json.loads((await ask(api, ref))["idle_checks"]) == {
        "network_timeout": {"remaining": 600.123, "remaining_time_type": "grace_period", "extra": None},
        "session_lifetime": {"remaining": None, "remaining_time_type": "expire_after", "extra": None},
        "utilization": {
            "remaining": 30.0,
            "remaining_time_type": "expire_after",
            "extra": {"resources": {"cpu_util": [1.5, 10.0]}},
        },
    }


async def test_machine(api: Any, service: Any) -> None:
    ref = await api.create("gpu-01", config={"resources": {"gpu": "0.5"}})
    service.sample(measured(ref))
    (gpu,) = (await api.send("GET", "/machine")).json["gpus"]
    assert gpu == gpu | {
        "promised": {ref: "0.5"},
        "lost": False,
        "mem_used_bytes": 5 * GIB,
        "util_pct": 35.0,
        "temperature_c": 60.0,
        "power_w": 120.5,
        "session_mem_bytes": {ref: 3 * GIB},
    }
    service.lost.add("gpu0")
    silent = GpuReading(device_id="gpu0", present=False, problem="does not answer", mem_used_bytes=77)
    service.sample(Sampled(time_s=1.0, sessions={}, gpus=[silent], session_gpu_mem_bytes={}))
    (gpu,) = (await api.send("GET", "/machine")).json["gpus"]
    assert gpu == gpu | {"lost": True, "mem_used_bytes": None, "util_pct": None, "session_mem_bytes": {}}


AGENT = '{ agent(agent_id: "i-local") { live_stat cpu_cur_pct mem_cur_bytes hardware_metadata } }'


async def test_agent(admin: Any, service: Any) -> None:
    service.sample(measured())
    agent = (await admin.gql(AGENT))["data"]["agent"]
    assert (agent["cpu_cur_pct"], agent["mem_cur_bytes"]) == (30.0, 6.0 * GIB)
    live = json.loads(agent["live_stat"])
    assert live["node"]["cpu_util"] == {"current": "60", "capacity": "200", "pct": "30.00", "unit_hint": "percent"}
    assert list(live["devices"]["cpu_util"]) == ["0", "1"]
    assert live["devices"]["cuda_mem"]["gpu0"]["pct"] == "31.25" == live["node"]["cuda_mem"]["pct"]
    assert live["devices"]["cuda_util"]["gpu0"]["current"] == "35"
    assert live["devices"]["mem"]["root"] == live["node"]["mem"]
    service.lost.add("gpu0")
    agent = (await admin.gql(AGENT))["data"]["agent"]
    assert "cuda_mem" not in json.loads(agent["live_stat"])["node"]
    assert json.loads(agent["hardware_metadata"])["gpu0"]["status"] == "unavailable"


async def test_agent_for_a_client_that_fails_at_it(admin: Any, service: Any) -> None:
    service.sample(measured())
    agents = {"User-Agent": "Backend.AI Client for Python 23.09.10"}
    answer = await admin.send("POST", "/admin/gql", {"query": AGENT}, extra=agents)
    assert answer.json["data"]["agent"]["live_stat"] is None


def stream(api: Any, query: str) -> Any:
    target = f"/events/session?{query}"
    return api.session.get(URL(api.base + target, encoded=True), headers=api.headers("GET", target, "text/plain"))


async def event(answer: Any) -> tuple[str, dict[str, Any]]:
    name = (await answer.content.readline()).decode().removeprefix("event: ").strip()
    data = json.loads((await answer.content.readline()).decode().removeprefix("data: "))
    assert await answer.content.readline() == b"\n"
    return name, data


async def test_stream(api: Any, admin: Any, service: Any) -> None:
    mine, its = await api.create("mine-01", config={"resources": {"gpu": "0.5"}}), await admin.create("admins-1")
    async with stream(api, "sessionName=*&scope=session&stats=true") as answer:
        await until(lambda: service.rounds)
        service.sample(measured(mine, its))
        name, data = await event(answer)
        assert name == "bai_stats"
        assert data["time"] == 1_800_000_000.5 and data["cpu_pct"] == 30.0 and data["mem_used_bytes"] == 6 * GIB
        assert data["sessions"].keys() == {mine}, "those of others are not told"
        assert parse_metrics(data["sessions"][mine]) == STAT
        (gpu,) = data["gpus"]
        assert (gpu["promised"], gpu["util_pct"]) == ({mine: "0.5"}, 35.0)
        await service.emit("session_started", service.sessions[mine])
        assert (await event(answer))[0] == "session_started"
        service.sample(measured(mine, time_s=1_800_000_001.5))
        assert (await event(answer))[1]["time"] == 1_800_000_001.5
    async with asyncio.timeout(5):
        while service.rounds:  # the reader has left: it is forgotten at the next thing to tell
            service.sample(measured(mine))
            await asyncio.sleep(0.01)


async def test_stream_of_one_session(api: Any, service: Any) -> None:
    mine, other = await api.create("mine-01"), await api.create("mine-02")
    async with stream(api, f"sessionId={mine}&scope=*&stats=true") as answer:
        await until(lambda: service.rounds)
        service.sample(measured(mine, other))
        assert (await event(answer))[1]["sessions"].keys() == {mine}
        await api.send("DELETE", f"/session/{mine}")
        assert [(await event(answer))[0], (await event(answer))[0]] == ["session_terminated", "server_close"]


async def test_nobody_gets_measures_who_did_not_ask(api: Any, service: Any) -> None:
    ref = await api.create("quiet-01")
    async with stream(api, "sessionName=*&scope=*") as answer:
        await service.listening()
        assert service.rounds == []
        service.sample(measured(ref))
        await service.emit("session_started", service.sessions[ref])
        assert (await event(answer))[0] == "session_started"
    assert (await api.send("GET", "/events/session?stats=perhaps")).problem == "invalid-api-params"


async def test_slow_reader_gets_the_newest_and_holds_no_memory(api: Any, service: Any) -> None:
    """A reader that does not read: what comes meanwhile is not kept for it."""
    refs = [await api.create(f"slow-{number:02}") for number in range(20)]
    target = "/events/session?stats=true"
    lines = [f"GET {target} HTTP/1.1", f"Host: {api.host}"]
    lines += [f"{name}: {value}" for name, value in api.headers("GET", target, "text/plain").items()]
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (URL(api.base).host, URL(api.base).port))
    try:
        await loop.sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode())
        await until(lambda: service.rounds)
        for number in range(3000):
            service.sample(measured(*refs, time_s=float(number)))
            await asyncio.sleep(0)
        sent = 0
        seen = b""
        while b'"time": 2999.0' not in seen:
            async with asyncio.timeout(5):
                seen = seen[-100:] + (piece := await loop.sock_recv(sock, 65536))
            assert piece
            sent += len(piece)
        # what was on its way when it stopped reading, in the buffers of the system; all of it would be 30 MB and more
        assert sent < 10_000_000
    finally:
        sock.close()
    service.stop()


def test_what_is_written_once_is_not_written_again(api: Any, service: Any) -> None:
    encoder = StatsEncoder()
    sampled = measured("a", "b")
    first = encoder.encode(service, ADMIN, sampled)
    kept = encoder._written["a"][1]
    assert encoder.encode(service, ADMIN, sampled) == first
    assert encoder._written["a"][1] is kept
    encoder.encode(service, ADMIN, measured("b", time_s=5.0))
    assert encoder._written.keys() == {"b"}, "of an old round nothing is kept"
