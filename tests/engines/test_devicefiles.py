"""Which device files of GPUs an isolated session gets, by a made-up machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from bai_tui.app.backend.engines.devicefiles import device_files, fences_gpus


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Two GPUs, whose numbers are not in the order of their addresses."""
    dev, driver = tmp_path / "dev", tmp_path / "proc/driver/nvidia/gpus"
    (dev / "dri").mkdir(parents=True)
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null", "sda"):
        (dev / name).touch()
    for address, minor, uuid in (("0000:01:00.0", 1, "GPU-aa"), ("0000:02:00.0", 0, "GPU-bb")):
        (driver / address).mkdir(parents=True)
        (driver / address / "information").write_text(
            f"Model: \t\t NVIDIA A100\nIRQ:   \t\t 42\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n"
        )
    return tmp_path


SHARED = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/dri"]


@pytest.mark.parametrize(
    ("visible", "files", "fenced"),
    [
        ("GPU-aa", ["/dev/nvidia1", *SHARED], True),
        ("GPU-bb, GPU-aa", ["/dev/nvidia0", "/dev/nvidia1", *SHARED], True),
        ("", [], True),
        (None, [], True),
        # numbers, and parts of a GPU, name no file: rather all than none
        ("0", ["/dev/nvidia0", "/dev/nvidia1", *SHARED], False),
        ("MIG-cc", ["/dev/nvidia0", "/dev/nvidia1", *SHARED], False),
    ],
)
def test_those_of_its_own_gpus(machine: Path, visible: str | None, files: list[str], fenced: bool) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert device_files(environ, machine) == files
    assert fences_gpus(environ, machine) is fenced


def test_a_machine_without_gpus_has_nothing_to_hide(tmp_path: Path) -> None:
    assert device_files({"CUDA_VISIBLE_DEVICES": "GPU-aa"}, tmp_path) == []
    assert not fences_gpus({}, tmp_path)
