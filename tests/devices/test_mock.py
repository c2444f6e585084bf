"""What mock GPUs seem to use: what the file says, never made up."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.devices.mock import MockReadings, mock_gpus

GIB = 1 << 30


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mock-gpus.json"


@pytest.fixture
def readings(file: Path) -> MockReadings:
    return MockReadings(mock_gpus("2:16g"), file)


def put(file: Path, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    file.write_text(text)
    # two writes within one tick of the file system's clock have the same time
    put.ticks = getattr(put, "ticks", 0) + 1  # type: ignore[attr-defined]
    os.utime(file, (put.ticks, put.ticks))  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [None, Path("/nonexistent/mock-gpus.json")])
def test_without_a_file_nothing_is_used(path: Path | None, caplog: pytest.LogCaptureFixture) -> None:
    first, second = MockReadings(mock_gpus("2:16g"), path).read()
    assert (first.device_id, first.present, first.mem_used_bytes, first.mem_total_bytes) == ("gpu0", True, 0, 16 * GIB)
    assert (first.util_pct, first.session_mem_bytes) == (None, {})
    assert second.device_id == "gpu1"
    assert not caplog.records


def test_all_that_can_be_said(file: Path, readings: MockReadings) -> None:
    put(
        file,
        {
            "gpu0": {
                "mem_used": "4g", "util": 35, "temperature": 60, "power": 120, "present": True,
                "sessions": {"train": {"mem": "2g", "util": 20}, "other": {"mem": 1024}, "idle": {}},
            }
        },
    )  # fmt: skip
    first, second = readings.read()
    assert (first.mem_used_bytes, first.util_pct, first.temperature_c, first.power_w) == (4 * GIB, 35.0, 60.0, 120.0)
    assert first.session_mem_bytes == {"train": 2 * GIB, "other": 1024, "idle": 0}
    assert first.session_util_pct == {"train": 20.0, "other": 0.0, "idle": 0.0}
    assert first.process_mem_bytes == {}
    assert second.mem_used_bytes == 0


def test_the_memory_of_sessions_is_added_up(file: Path, readings: MockReadings) -> None:
    put(file, {"gpu1": {"sessions": {"a": {"mem": "1g"}, "b": {"mem": "512m"}}}})
    assert readings.read()[1].mem_used_bytes == GIB * 3 // 2


def test_a_mock_can_be_lost_and_come_back(file: Path, readings: MockReadings) -> None:
    put(file, {"gpu1": {"present": False}})
    first, second = readings.read()
    assert first.present
    assert (second.present, second.problem, second.mem_total_bytes) == (False, "mock-gpus.json says so", 16 * GIB)
    file.unlink()
    assert readings.read()[1].present


def test_each_reading_sees_the_newest_file(file: Path, readings: MockReadings) -> None:
    for used in (1, 2, 3):
        put(file, {"gpu0": {"mem_used": used}})
        assert readings.read()[0].mem_used_bytes == used
        assert readings.read()[0].mem_used_bytes == used


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "Expecting property name"),
        pytest.param("[" * 100_000, "nested too deep", id="deep"),
        ([], "it is []: write an object"),
        ({"gpu7": {}}, "'gpu7' is no mock GPU of this machine: gpu0, gpu1"),
        ({"gpu0": 5}, "gpu0 is 5: write an object"),
        ({"gpu0": {"memory": 1}}, "gpu0 has the unknown key 'memory': it knows mem_used, util"),
        ({"gpu0": {"mem_used": "lots"}}, "gpu0.mem_used: 'lots' is no size"),
        ({"gpu0": {"mem_used": 1.5}}, "gpu0.mem_used is 1.5: write a size"),
        ({"gpu0": {"mem_used": "-1"}}, "gpu0.mem_used: Resource slot 'mem' cannot be negative"),
        ({"gpu0": {"util": 101}}, "gpu0.util is 101: write a number from 0 to 100"),
        ({"gpu0": {"util": True}}, "gpu0.util is true"),
        ('{"gpu0": {"util": NaN}}', "gpu0.util is NaN"),
        ({"gpu0": {"temperature": "hot"}}, 'gpu0.temperature is "hot"'),
        ({"gpu0": {"present": "no"}}, "gpu0.present is 'no': write true or false"),
        ({"gpu0": {"sessions": []}}, "gpu0.sessions is []"),
        ({"gpu0": {"sessions": {"a": {"mem": "x"}}}}, "gpu0.sessions.a.mem: 'x' is no size"),
        ({"gpu0": {"sessions": {"a": {"gpu": 1}}}}, "gpu0.sessions.a has the unknown key 'gpu'"),
    ],
)
def test_a_bad_file_is_said_once_and_changes_nothing(
    file: Path, readings: MockReadings, caplog: pytest.LogCaptureFixture, content: Any, words: str
) -> None:
    put(file, {"gpu0": {"mem_used": "3g"}})
    good = readings.read()
    put(file, content)
    assert [readings.read(), readings.read()] == [good, good]
    (record,) = caplog.records
    assert words in record.message
    assert str(file) in record.message
    assert "\n" not in record.message
    put(file, {"gpu0": {"mem_used": "1g"}})
    assert readings.read()[0].mem_used_bytes == GIB
    put(file, content)
    readings.read()
    assert len(caplog.records) == 2, "a good one between makes it news"


@pytest.mark.parametrize("content", [b"\xff\xfe{", b"\x00" * 10])
def test_a_file_that_is_no_text(
    file: Path, readings: MockReadings, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file.write_bytes(content)
    assert readings.read()[0].mem_used_bytes == 0
    assert len(caplog.records) == 1


def test_things_that_are_no_file(file: Path, readings: MockReadings, caplog: pytest.LogCaptureFixture) -> None:
    file.mkdir()
    assert readings.read()[0].mem_used_bytes == 0
    assert "it is no file" in caplog.text


def test_a_huge_file_is_not_read(file: Path, readings: MockReadings, caplog: pytest.LogCaptureFixture) -> None:
    with file.open("wb") as output:
        output.truncate(100 << 20)
    readings.read()
    assert "4194304 are the most" in caplog.text


def test_a_pipe_does_not_hold_up_the_reader(
    file: Path, readings: MockReadings, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(file)
    assert readings.read()[0].mem_used_bytes == 0
    assert "it is no file" in caplog.text
