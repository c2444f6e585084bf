"""The MPS daemon: started when needed, ended when not, never in the way of a launch. The control program is a script
that does what NVIDIA's documents say of the real one."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from bai_tui.app.backend.devices.mps import Mps
from bai_tui.app.backend.ports import Device
from bai_tui.app.model.sessions import Session

GIB = 1 << 30
MakeSession = Callable[..., Session]

CONTROL = """#!/bin/sh
# nvidia-cuda-mps-control: -d starts the daemon, else commands come by stdin; it answers while the daemon runs
pid="$CUDA_MPS_PIPE_DIRECTORY/nvidia-cuda-mps-control.pid"
if [ "$1" = -d ]; then
    echo "-d $CUDA_VISIBLE_DEVICES" >>"$CUDA_MPS_LOG_DIRECTORY/calls"
    [ -z "$FAKE_SILENT" ] || exit 0
    if [ -n "$FAKE_FAIL" ]; then echo "$FAKE_FAIL" >&2; exit 3; fi
    sleep 600 &
    echo $! >"$pid"
    exit 0
fi
read -r command
[ -z "$FAKE_HANG" ] || exec sleep 600
kill -0 "$(cat "$pid" 2>/dev/null)" 2>/dev/null || { echo "Cannot find MPS control daemon process"; exit 1; }
echo "$command" >>"$CUDA_MPS_LOG_DIRECTORY/calls"
[ "$command" != quit ] || { kill "$(cat "$pid")"; rm "$pid"; }
exit 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "mps"
    yield folder
    pid = folder / "pipe/nvidia-cuda-mps-control.pid"
    if pid.exists():
        os.kill(int(pid.read_text()), 9)


@pytest.fixture
def control(tmp_path: Path) -> str:
    program = tmp_path / "control"
    program.write_text(CONTROL)
    program.chmod(0o700)
    return str(program)


def gpu(number: int, kind: str = "nvidia") -> Device:
    return Device(
        id=f"gpu{number}", slot="cuda.shares", capacity=Decimal(1), uuid=f"GPU-{number}", mem_bytes=10 * GIB, kind=kind
    )


@pytest.fixture
def mps(folder: Path, control: str) -> Mps:
    return Mps(folder, [gpu(0), gpu(1)], control=control)


def calls(folder: Path) -> list[str]:
    file = folder / "log/calls"
    return file.read_text().splitlines() if file.exists() else []


def alive(folder: Path) -> bool:
    return (folder / "pipe/nvidia-cuda-mps-control.pid").exists()


async def test_from_the_first_session_to_the_last(
    mps: Mps, folder: Path, session: MakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (session({"cuda.shares": {"gpu0": "0.5"}}, id=name) for name in "ab")
    assert not folder.exists(), "nothing is made before it is needed"
    await asyncio.gather(mps.take(first), mps.take(second))
    await mps.take(first)
    assert calls(folder).count("-d GPU-0,GPU-1") == 1, "one daemon, for the GPUs that are offered, by UUID"
    assert mps.serves("a")
    assert mps.serves("b")
    for name in ("pipe", "log", "sessions"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700
    await mps.drop("a")
    assert alive(folder)
    await mps.drop("b")
    assert not alive(folder)
    assert calls(folder)[-1] == "quit"
    await mps.drop("b")
    assert not caplog.records


async def test_it_outlives_the_backend_with_its_sessions(
    mps: Mps, folder: Path, control: str, session: MakeSession
) -> None:
    one = session({"cuda.shares": {"gpu0": "0.5"}})
    await mps.take(one)
    await mps.close()
    assert alive(folder)
    assert mps.environment(one, [(gpu(0), Decimal("0.5"))])
    later = Mps(folder, [gpu(0), gpu(1)], control=control)
    assert later.serves(one.id), "the next backend knows its clients"
    await later.take(session({"cuda.shares": {"gpu1": "0.5"}}, id="other"))
    assert calls(folder).count("-d GPU-0,GPU-1") == 1, "and uses the same daemon"
    await later.drop(one.id)
    await later.drop("other")
    assert not alive(folder)
    await later.close()


async def test_a_daemon_left_without_clients_is_ended(
    mps: Mps, folder: Path, control: str, session: MakeSession
) -> None:
    await mps.take(session({"cuda.shares": {"gpu0": "0.5"}}, id="a"))
    (folder / "sessions/a").unlink()
    await Mps(folder, [gpu(0)], control=control).close()
    assert not alive(folder)


async def test_a_daemon_that_died_is_started_again(mps: Mps, folder: Path, session: MakeSession) -> None:
    await mps.take(session({"cuda.shares": {"gpu0": "0.5"}}, id="a"))
    pid = folder / "pipe/nvidia-cuda-mps-control.pid"
    os.kill(int(pid.read_text()), 9)
    pid.unlink()
    await mps.take(session({"cuda.shares": {"gpu0": "0.5"}}, id="b"))
    assert calls(folder).count("-d GPU-0,GPU-1") == 2


@pytest.mark.parametrize(
    ("allocation", "wanted"),
    [
        ({"cuda.shares": {"gpu0": "0.5"}}, True),
        ({"cuda.shares": {"gpu0": "1", "gpu1": "0.5"}}, True),
        ({"cuda.shares": {"gpu0": "1"}}, False),
        ({"cuda.device": {"gpu0": "1"}}, False),
        ({"cpu": {"cpu0": "1"}}, False),
        ({"cuda.shares": {"gpu7": "0.5"}}, False),
        ({"cuda.shares": {"gpu0": "0.5", "gpu7": "0.5"}}, False),
    ],
)
async def test_only_parts_of_gpus_that_it_can_serve(
    mps: Mps, folder: Path, session: MakeSession, allocation: dict[str, dict[str, str]], wanted: bool
) -> None:
    one = session(allocation)
    assert mps.wanted(one) is wanted
    await mps.take(one)
    assert alive(folder) is mps.serves(one.id) is wanted


async def test_limits_by_the_order_in_which_cuda_counts(mps: Mps, folder: Path, session: MakeSession) -> None:
    one = session({"cuda.shares": {"gpu0": "1", "gpu1": "0.33"}})
    visible = [(gpu(0), Decimal(1)), (gpu(1), Decimal("0.33"))]
    assert mps.environment(one, visible) == {}
    await mps.take(one)
    assert mps.environment(one, visible) == {
        "CUDA_MPS_PIPE_DIRECTORY": str(folder / "pipe"),
        "CUDA_MPS_LOG_DIRECTORY": str(folder / "log"),
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": f"1={10 * 1024 * 33 // 100}M",
    }, "the whole one has no limit, and so the percentage has none"
    assert mps.environment(one, visible[1:])["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "33"
    assert mps.environment(one, [(gpu(1), Decimal("0.001"))])["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "1"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"FAKE_FAIL": "An instance of this daemon is\nalready running"}, "ends with 3: An instance of this daemon is"),
        ({"FAKE_SILENT": "1"}, "does not answer"),
        ({"FAKE_HANG": "1", "FAKE_SILENT": "1"}, "does not answer"),
    ],
)
async def test_a_daemon_that_cannot_be_had_fails_no_launch(
    folder: Path,
    control: str,
    session: MakeSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, str],
    words: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    now = 0.0
    mps = Mps(folder, [gpu(0)], control=control, timeout_s=0.2, clock=lambda: now)
    one = session({"cuda.shares": {"gpu0": "0.5"}})
    for _ in range(3):
        await asyncio.wait_for(mps.take(one), 10)
    assert not mps.serves(one.id)
    (record,) = caplog.records
    assert record.message.startswith("no limits by MPS: ")
    assert words in record.message
    assert "\n" not in record.message
    assert calls(folder).count("-d GPU-0") == 1, "the next launches do not wait for it again"
    for name in variables:
        monkeypatch.delenv(name)
    now = 301.0
    await mps.take(one)
    assert mps.serves(one.id), "after a while it is tried again"


async def test_without_the_program(folder: Path, session: MakeSession, caplog: pytest.LogCaptureFixture) -> None:
    mps = Mps(folder, [gpu(0)], control="no-such-program")
    await mps.take(session({"cuda.shares": {"gpu0": "0.5"}}))
    assert "no-such-program is not installed; it comes with the NVIDIA driver" in caplog.text
    assert not folder.exists()
    await mps.close()


async def test_a_folder_that_is_too_deep_for_sockets(
    tmp_path: Path, control: str, session: MakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    mps = Mps(tmp_path / ("x" * 100), [gpu(0)], control=control)
    await mps.take(session({"cuda.shares": {"gpu0": "0.5"}}))
    assert "is too long for its sockets" in caplog.text


async def test_a_folder_that_cannot_be_made(
    tmp_path: Path, control: str, session: MakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mps").write_text("a file")
    mps = Mps(tmp_path / "mps", [gpu(0)], control=control)
    await mps.take(session({"cuda.shares": {"gpu0": "0.5"}}))
    assert "cannot be made: Not a directory" in caplog.text


async def test_variables_of_another_daemon_do_not_reach_ours(
    mps: Mps, folder: Path, session: MakeSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/nonexistent")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    await mps.take(session({"cuda.shares": {"gpu0": "0.5"}}))
    assert calls(folder)[0] == "-d GPU-0,GPU-1"
    assert "the MPS daemon runs" in caplog.text
