"""What a session's processes are told of their devices."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from bai_tui.app.backend.devices import LocalDevices, discover
from bai_tui.app.backend.devices.environment import framework_fraction
from bai_tui.app.backend.devices.nvml import Nvml
from bai_tui.app.model.sessions import Session
from bai_tui.app.policies import GpuSettings
from bai_tui.tests.devices.fake_nvml import GIB, Card, FakeLibrary
from hypothesis import given
from hypothesis import strategies as st

MakeSession = Callable[..., Session]
MIB = 1 << 20


@pytest.fixture
def real(driver: Callable[..., tuple[FakeLibrary, Nvml]]) -> LocalDevices:
    """Two real GPUs of 16 and 80 GiB, and a mock one."""
    _, nvml = driver(Card("GPU-aa", "NVIDIA A"), Card("GPU-bb", "NVIDIA B", 80 * GIB))
    return discover(mock_gpus="1:20g", nvml=nvml, environ={})


def test_a_session_without_gpu_sees_none(real: LocalDevices, session: MakeSession) -> None:
    holds = session({"cpu": {"cpu0": "1", "cpu1": "1"}, "mem": {"mem": "1024"}})
    for devices in (real, discover(mock_gpus="2"), discover()):
        assert devices.environment(holds) == {
            "CUDA_VISIBLE_DEVICES": "",
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "NVIDIA_VISIBLE_DEVICES": "void",
            "GPU_COUNT": "0",
            "N_GPUS": "0",
            "OMP_NUM_THREADS": "2",
            "OPENBLAS_NUM_THREADS": "2",
            "NPROC": "2",
        }


def test_real_gpus_are_named_by_uuid(real: LocalDevices, session: MakeSession) -> None:
    environ = real.environment(session({"cuda.shares": {"gpu1": "1", "gpu0": "0.5"}}))
    assert environ["CUDA_VISIBLE_DEVICES"] == environ["NVIDIA_VISIBLE_DEVICES"] == "GPU-aa,GPU-bb"
    assert environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert environ["GPU_MODEL_NAME"] == "NVIDIA A"
    assert environ["GPU_CONFIG"] == "0:8g,1:80g"
    assert environ["GPU_COUNT"] == environ["N_GPUS"] == "2"
    assert "BACKENDAI_MOCK_CUDA_DEVICES" not in environ


def test_mock_gpus_are_never_where_a_library_looks(real: LocalDevices, session: MakeSession) -> None:
    mock = real.list()[-1]
    environ = real.environment(session({"cuda.shares": {"gpu2": "0.5", "gpu0": "1"}}))
    assert environ["CUDA_VISIBLE_DEVICES"] == "GPU-aa"
    assert environ["BACKENDAI_MOCK_CUDA_DEVICES"] == mock.uuid
    assert environ["BACKENDAI_MOCK_CUDA_DEVICE_COUNT"] == "1"
    assert environ["GPU_COUNT"] == "2"


def test_a_session_with_mock_gpus(session: MakeSession) -> None:
    devices = discover(mock_gpus="3:20g")
    uuids = {device.id: device.uuid for device in devices.list()}
    environ = devices.environment(session({"cuda.shares": {"gpu2": "1", "gpu1": "0.33"}}))
    assert environ["CUDA_VISIBLE_DEVICES"] == "", "no library shall look for a mock"
    assert environ["BACKENDAI_MOCK_CUDA_DEVICES"] == f"{uuids['gpu1']},{uuids['gpu2']}"
    assert environ["BACKENDAI_MOCK_CUDA_DEVICE_COUNT"] == environ["GPU_COUNT"] == environ["N_GPUS"] == "2"
    assert environ["GPU_TYPE"] == "cuda"
    assert environ["GPU_MODEL_NAME"] == "Mock GPU 1"
    assert environ["GPU_CONFIG"] == f"0:{int(20 * 1024 * Decimal('0.33'))}m,1:20g"
    assert environ["NPROC"] == "1"
    assert not {"BAI_TUI_GPU_FRACTIONS", "TF_FORCE_GPU_ALLOW_GROWTH"} & set(environ)


def test_a_whole_device_has_all_of_its_memory(session: MakeSession) -> None:
    environ = discover(mock_gpus="1:40g").environment(session({"cuda.device": {"gpu0": "1"}}))
    assert environ["GPU_CONFIG"] == "0:40g"
    whole = discover(mock_gpus="1:40g", gpu=GpuSettings(sharing=False)).environment(
        session({"cuda.device": {"gpu0": "1"}})
    )
    assert whole == environ


def test_a_device_that_is_no_more_is_left_out(session: MakeSession) -> None:
    environ = discover(mock_gpus="1").environment(session({"cuda.shares": {"gpu7": "0.5"}}))
    assert environ["GPU_COUNT"] == "0"


def test_frameworks_are_told_to_stay_within_the_share(real: LocalDevices, session: MakeSession) -> None:
    environ = real.environment(session({"cuda.shares": {"gpu0": "0.5", "gpu1": "1", "gpu2": "0.1"}}))
    # half of 16 GiB less 512 MiB for the CUDA context; a whole one has no cap; mocks are not counted
    assert environ["BAI_TUI_GPU_FRACTIONS"] == "0.4687,1"
    assert environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.4687", "one number for all: the smallest"
    assert environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


@pytest.mark.parametrize("allocation", [{"cuda.shares": {"gpu0": "1"}}, {"cuda.device": {"gpu0": "1", "gpu1": "1"}}])
def test_who_has_whole_gpus_may_take_all(
    real: LocalDevices, session: MakeSession, allocation: dict[str, dict[str, str]]
) -> None:
    environ = real.environment(session(allocation))
    assert not {"BAI_TUI_GPU_FRACTIONS", "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_MEM_FRACTION"} & set(environ)


def test_caps_can_be_switched_off(driver: Callable[..., tuple[FakeLibrary, Nvml]], session: MakeSession) -> None:
    _, nvml = driver(Card("GPU-aa"))
    devices = discover(nvml=nvml, gpu=GpuSettings(framework_caps=False), environ={})
    environ = devices.environment(session({"cuda.shares": {"gpu0": "0.5"}}))
    assert not {"BAI_TUI_GPU_FRACTIONS", "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_MEM_FRACTION"} & set(environ)


def test_jax_is_not_given_both_of_its_names(real: LocalDevices, session: MakeSession) -> None:
    """It refuses to start then."""
    own = session({"cuda.shares": {"gpu0": "0.5"}}, environ={"XLA_CLIENT_MEM_FRACTION": ".3"})
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in real.environment(own)


@pytest.mark.parametrize(
    ("mem_bytes", "share", "expected"),
    [
        (16 * GIB, "1", "1"),
        (16 * GIB, "0.5", "0.4687"),
        (80 * GIB, "0.1", "0.0937"),
        (8 * GIB, "0.1", "0.075"),  # a quarter of the share is less than 512 MiB
        (0, "0.25", "0.25"),  # the driver does not tell how much there is
        (1 * MIB, "0.001", "0.0007"),
        (4, "0.001", "0.0001"),
    ],
)
def test_room_is_left_for_the_cuda_context(mem_bytes: int, share: str, expected: str) -> None:
    assert framework_fraction(mem_bytes, Decimal(share)) == Decimal(expected)


@given(st.integers(64 * MIB, 1 << 48), st.integers(1, 1000))
def test_a_cap_never_exceeds_the_share(mem_bytes: int, thousandths: int) -> None:
    share = Decimal(thousandths) / 1000
    assert 0 < framework_fraction(mem_bytes, share) <= share
