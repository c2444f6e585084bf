"""The layers of enforcement as they are told to the user: what is in force, what it is worth, where its hole is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.devices import LocalDevices, discover
from bai_tui.app.backend.devices.layers import sees_all_processes
from bai_tui.app.backend.devices.nvml import Nvml
from bai_tui.app.backend.ports import Layer
from bai_tui.app.model.sessions import Session
from bai_tui.app.policies import GpuSettings
from bai_tui.tests.devices.fake_nvml import GIB, Card, FakeLibrary

MakeSession = Callable[..., Session]
MakeDevices = Callable[..., LocalDevices]


@pytest.fixture
def devices(driver: Callable[..., tuple[FakeLibrary, Nvml]], tmp_path: Path) -> MakeDevices:
    """A machine with a real GPU of 16 GiB and a mock one."""

    def make(**settings: Any) -> LocalDevices:
        _, nvml = driver(Card("GPU-aa"))
        return discover(
            mock_gpus="1:8g",
            nvml=nvml,
            state=tmp_path,
            gpu=GpuSettings(**settings),
            environ={},
        )

    return make


def told(layers: object) -> list[tuple[str, str, str]]:
    assert isinstance(layers, list)
    assert all(isinstance(layer, Layer) and layer.detail and "\n" not in layer.detail for layer in layers)
    return [(layer.name, layer.applies_to, str(layer.guarantee)) for layer in layers]


def detail(devices: LocalDevices, session: Session, name: str, applies_to: str = "gpu") -> str:
    (text,) = [
        layer.detail for layer in devices.layers(session) if layer.name == name and layer.applies_to == applies_to
    ]
    return text


def test_a_session_that_holds_nothing_has_no_layer(devices: MakeDevices, session: MakeSession) -> None:
    assert told(devices().layers(session())) == []


def test_a_part_of_a_real_gpu(devices: MakeDevices, session: MakeSession) -> None:
    machine = devices()
    held = session({"cpu": {"cpu0": "1"}, "mem": {"mem": str(GIB)}, "cuda.shares": {"gpu0": "0.25"}})
    assert told(machine.layers(held)) == [
        ("environment", "gpu", "cooperative"),
        ("framework-caps", "gpu", "cooperative"),
    ]
    assert detail(machine, held, "environment") == (
        "CUDA_VISIBLE_DEVICES=GPU-aa; code that resets it sees all GPUs of the machine"
    )
    assert "may take 0.2187 of the memory, each process" in detail(machine, held, "framework-caps")


def test_whole_gpus_need_no_caps(devices: MakeDevices, session: MakeSession) -> None:
    assert told(devices().layers(session({"cuda.device": {"gpu0": "1"}}))) == [("environment", "gpu", "cooperative")]


def test_a_session_without_gpu_on_a_machine_with_some(devices: MakeDevices, session: MakeSession) -> None:
    held = session({"cpu": {"cpu0": "1"}})
    assert told(devices().layers(held)) == [("environment", "gpu", "cooperative")]
    assert "is empty: no GPU is seen; code that resets it" in detail(devices(), held, "environment")
    assert told(discover(mock_gpus="1").layers(held)) == []


def test_a_mock_gpu_is_named_as_such(session: MakeSession) -> None:
    (layer,) = discover(mock_gpus="2").layers(session({"cuda.shares": {"gpu1": "0.5"}}))
    assert layer.detail == "mock GPUs are named in BACKENDAI_MOCK_CUDA_DEVICES; they compute nothing"


def test_what_is_switched_off_is_not_told(devices: MakeDevices, session: MakeSession) -> None:
    held = session({"cuda.shares": {"gpu0": "0.5"}})
    assert told(devices(framework_caps=False).layers(held)) == [("environment", "gpu", "cooperative")]


def test_a_client_of_mps(devices: MakeDevices, session: MakeSession, tmp_path: Path) -> None:
    (tmp_path / "mps/sessions").mkdir(parents=True)
    (tmp_path / "mps/sessions/i").touch()
    held = session({"cuda.shares": {"gpu0": "0.5"}})
    text = detail(devices(), held, "mps")
    assert "refuses memory above 0=8192M and gives 50 % of the threads to each process" in text
    assert "code that resets CUDA_MPS_* is not held" in text
    other = session({"cuda.shares": {"gpu0": "0.5"}}, id="other")
    assert "mps" not in {layer.name for layer in devices(mps=True).layers(other)}, "switched on, but not in force"
    (tmp_path / "mps/pipe").mkdir()
    (tmp_path / "mps/pipe/nvidia-cuda-mps-control.pid").write_text(f"{1 << 22}\n")
    assert "mps" not in {layer.name for layer in devices().layers(held)}, "its daemon has died"


@pytest.mark.parametrize(("link", "sees"), [("pid:[4026531836]", True), ("pid:[4026532999]", False), (None, True)])
def test_process_ids_of_a_container_are_not_those_of_the_driver(tmp_path: Path, link: str | None, sees: bool) -> None:
    if link:
        (tmp_path / "proc/self/ns").mkdir(parents=True)
        (tmp_path / "proc/self/ns/pid").symlink_to(link)
    assert sees_all_processes(tmp_path) is sees


def test_a_gpu_tells_whether_its_processes_are_ours(devices: MakeDevices, monkeypatch: pytest.MonkeyPatch) -> None:
    for sees in (True, False):
        monkeypatch.setattr("bai_tui.app.backend.devices.local.sees_all_processes", lambda sees=sees: sees)
        real, mock = devices().list()[-2:]
        assert (real.tells_processes, mock.tells_processes) == (sees, True)
