"""The list that is asked for while Textual is being imported."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.model.endpoint import Endpoint
from bai_tui.app.tui import head_start
from bai_tui.tests.tui.fakes import FakeServer


def test_it_imports_no_textual() -> None:
    code = "import sys, bai_tui.app.tui.head_start, bai_tui.app.client.api as _; print('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_settings_of_the_backend_are_not_imported_for_the_screen() -> None:
    code = "import sys, bai_tui.app.tui.app as _; print('bai_tui.app.policies' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_backend_means_no_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert head_start.begin(None).result(20) is None


def test_an_endpoint_that_does_not_answer_means_no_list() -> None:
    assert head_start.begin(Endpoint(url="http://127.0.0.1:1", access_key="a", secret_key="b")).result(20) is None


async def test_the_first_list_is_shown_before_there_is_a_connection(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    first: head_start.FirstList = Future()
    first.set_result([session.view for session in server.sessions.values()])
    server.up = False
    async with open_desk(first=first) as desk:
        await desk.until(lambda: "py-1" in desk.list_text and "reconnecting" in desk.app.main.strip.state)
        server.up = True
        desk.app.bench.sync.poke()
        await desk.until(lambda: not desk.app.main.strip.state)
        assert desk.names == ["py-1"]


async def test_a_first_list_that_failed_is_asked_for_again(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    first: head_start.FirstList = Future()
    first.set_exception(RuntimeError("a defect"))
    async with open_desk(first=first) as desk:
        await desk.until(lambda: desk.names == ["py-1"])
