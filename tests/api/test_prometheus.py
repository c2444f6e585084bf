"""GET /metrics, read by the parser of Prometheus' own client."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.api import metrics_token
from bai_tui.app.backend.api.context import CONTEXT
from bai_tui.app.backend.api.prometheus import Exposition
from bai_tui.app.backend.ports import GpuReading, Sampled
from bai_tui.app.model.errors import ConfigError
from bai_tui.app.model.metrics import Metric
from prometheus_client.parser import text_string_to_metric_families

GIB = 1 << 30
BEARER = {"Authorization": "Bearer a-token-of-this-test"}
STAT = {
    "cpu_util": Metric(50.5, 100, "percent", 90, 40.25),
    "cpu_used": Metric(1500, unit_hint="msec"),
    "mem": Metric(GIB, 4 * GIB, "bytes", 2 * GIB, GIB),
    "num_procs": Metric(3),
    "io_read": Metric(10, unit_hint="bytes"),
    "io_write": Metric(20, unit_hint="bytes"),
    "cuda_util": Metric(25, 50, "percent"),
}


async def scrape(api: Any, **more: Any) -> dict[str, Any]:
    """Returns family -> samples {labels: value}, as Prometheus reads them."""
    async with api.session.get(api.base + "/metrics", headers=BEARER | more) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return read(await answer.text())


def read(text: str) -> dict[str, Any]:
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families), "each family comes once"
    for family in families:
        assert family.documentation and family.type in ("gauge", "counter")
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith("_total")
    return {
        sample.name: {tuple(sorted(s.labels.items())): s.value for s in family.samples}
        for family in families
        for sample in family.samples
    }


def only(values: dict[Any, float]) -> float:
    (value,) = values.values()
    return value


async def test_what_a_machine_at_work_tells(api: Any, service: Any) -> None:
    ref = await api.create("work-01", config={"resources": {"gpu": "0.5"}})
    await api.create("wait-01", enqueueOnly=True)
    gpu = GpuReading(
        device_id="gpu0", mem_used_bytes=5 * GIB, mem_total_bytes=16 * GIB, util_pct=35.0, temperature_c=60.5
    )
    service.sample(
        Sampled(
            time_s=1_800_000_000.25,
            sessions={ref: STAT},
            gpus=[gpu],
            session_gpu_mem_bytes={ref: {"gpu0": 3 * GIB}},
            cpu_pct=30.0,
            mem_used_bytes=6 * GIB,
        )
    )
    told = await scrape(api)
    assert told["bai_build_info"] == {(("version", "0.1.0"),): 1}
    assert told["bai_sessions"][("status", "RUNNING"),] == 1
    assert told["bai_sessions"][("status", "PENDING"),] == 1
    assert told["bai_sessions"][("status", "PREPARING"),] == 0
    assert only(told["bai_queue_pending"]) == 1
    assert only(told["bai_queue_oldest_wait_seconds"]) >= 0
    session = (("access_key", api.keypair.access_key), ("session_id", ref), ("session_name", "work-01"))
    assert told["bai_session_cpu_seconds_total"] == {session: 1.5}
    assert told["bai_session_memory_bytes"] == {session: GIB}
    assert told["bai_session_memory_promised_bytes"] == {session: 67108864}
    assert told["bai_session_cpu_promised_cores"] == {session: 1}
    assert told["bai_session_processes"] == {session: 3}
    assert told["bai_session_storage_read_bytes_total"] == {session: 10}
    assert told["bai_session_storage_written_bytes_total"] == {session: 20}
    assert told["bai_session_gpu_utilization_ratio"] == {session: 0.25}
    on_gpu = tuple(sorted((*session, ("device", "gpu0"))))
    assert told["bai_session_gpu_memory_bytes"] == {on_gpu: 3 * GIB}
    assert told["bai_session_gpu_promised_ratio"] == {on_gpu: 0.5}
    device = (("device", "gpu0"), ("kind", "mock"), ("model", "Mock GPU"), ("uuid", "GPU-0"))
    assert told["bai_gpu_up"] == {device: 1}
    assert told["bai_gpu_promised_ratio"] == {device: 0.5}
    assert told["bai_gpu_memory_bytes"] == {device: 16 * GIB}
    assert told["bai_gpu_memory_used_bytes"] == {device: 5 * GIB}
    assert told["bai_gpu_utilization_ratio"] == {device: 0.35}
    assert told["bai_gpu_temperature_celsius"] == {device: 60.5}
    assert "bai_gpu_power_watts" not in told, "what the driver does not tell is not made up"
    assert told["bai_slots_available"][("slot", "mem"), ("unit", "bytes")] == 8 * GIB
    assert told["bai_slots_occupied"][("slot", "cuda.shares"), ("unit", "count")] == 0.5
    assert only(told["bai_machine_cpu_ratio"]) == 0.3
    assert only(told["bai_machine_memory_used_bytes"]) == 6 * GIB
    assert only(told["bai_sampled_timestamp_seconds"]) == 1_800_000_000.25


async def test_before_anything_is_measured_and_when_a_gpu_is_lost(api: Any, service: Any) -> None:
    service.lost.add("gpu0")
    told = await scrape(api)
    assert only(told["bai_gpu_up"]) == 0
    assert not any(name.startswith(("bai_session_", "bai_machine", "bai_gpu_memory_used")) for name in told)


async def test_who_may_read_it(api: Any, admin: Any, service: Any) -> None:
    await api.create("mine-01")
    assert read((await api.send("GET", "/metrics")).raw.decode())["bai_sessions"][("status", "RUNNING"),] == 1
    other = api.acting(service.keyring["AKOTHER0000000000000"])
    assert read((await other.send("GET", "/metrics")).raw.decode())["bai_sessions"][("status", "RUNNING"),] == 0
    assert (await scrape(api, Authorization="bearer a-token-of-this-test"))["bai_sessions"][("status", "RUNNING"),] == 1
    for header in ("Bearer wrong", "Bearer a-token-of-this-test2", "Bearer wröng-token"):
        async with api.session.get(api.base + "/metrics", headers={"Authorization": header}) as answer:
            assert (answer.status, (await answer.json(content_type=None))["type"].rpartition("/")[2]) == (
                401,
                "auth-failed",
            )
    async with api.session.get(api.base + "/metrics") as answer:
        assert answer.status == 401
    # the token opens nothing else
    for target in ("/machine", "/session/mine-01", "/metrics/x", "/events/session"):
        async with api.session.get(api.base + target, headers=BEARER) as answer:
            assert answer.status == 400, target
    async with api.session.get(api.base + "/metrics", headers=BEARER | {"Host": "evil.example"}) as answer:
        assert answer.status == 403


async def test_without_a_token_there_is_none_to_know(api: Any, runner: Any) -> None:
    runner.app[CONTEXT].metrics_token = None
    async with api.session.get(api.base + "/metrics", headers={"Authorization": "Bearer None"}) as answer:
        assert answer.status == 401


def test_text_of_users_stays_text() -> None:
    out = Exposition()
    odd = 'a"b\\c\nd{}#, \u00fc'
    out.family("x_bytes", "gauge", "first\nsecond \\ line", [({"name": odd}, 1.5), ({"name": "b"}, float(2**60))])
    out.family("empty", "gauge", "nothing", [({}, None)])
    text = out.text()
    assert text.endswith("\n") and "empty" not in text
    (family,) = text_string_to_metric_families(text)
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"name": odd}, 1.5),
        ({"name": "b"}, float(2**60)),
    ]


def test_the_token_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "metrics.token"
    token = metrics_token(file)
    assert len(token) >= 40 and metrics_token(file) == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert metrics_token(file) == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("of-my-own-choice-123\n")
    assert metrics_token(file) == "of-my-own-choice-123"
    for damaged in (b"", b"short\n", b"two words of a long text", b"\xff" * 40):
        file.write_bytes(damaged)
        with pytest.raises(ConfigError, match="is damaged: remove it"):
            metrics_token(file)
    with pytest.raises(ConfigError, match="cannot be written"):
        metrics_token(tmp_path / "none" / "metrics.token")


async def test_names_with_quotes_reach_prometheus_whole(api: Any, service: Any) -> None:
    ref = await api.create("plain-01")
    session = service.sessions[ref]
    service.sessions[ref] = replace(session, name='odd"\\name')  # of a store that was written by hand
    service.sample(Sampled(time_s=1.0, sessions={ref: STAT}, gpus=[], session_gpu_mem_bytes={}))
    ((labels, _),) = (await scrape(api))["bai_session_memory_bytes"].items()
    assert dict(labels)["session_name"] == 'odd"\\name'
