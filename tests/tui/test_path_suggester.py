"""Paths that are asked for go on by tab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.tui.dialogs import PathPrompt
from bai_tui.app.tui.path_suggester import continued
from textual.widgets import Input

OpenDesk = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("")
    (tmp_path / "tra[in]").mkdir()
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "bad\x1b[2J").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "goes_on"),
    [("t", "tra[in]/"), ("trai", "train.py"), (".h", ".hidden"), ("", None), ("x", None), ("train.py", None),
     ("nowhere/x", None), ("bad", None), ("\0", None)],
)  # fmt: skip
def test_the_first_name_that_fits(folder: Path, typed: str, goes_on: str | None) -> None:
    assert continued(f"{folder}/{typed}") == (None if goes_on is None else f"{folder}/{goes_on}")


def test_from_the_current_folder_and_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    assert continued("trai") == "train.py"
    assert continued("~/trai") == "~/train.py"
    assert continued("~nobody-of-that-name/x") is None


async def test_tab_takes_what_may_follow(open_desk: OpenDesk, folder: Path) -> None:
    async with open_desk() as desk:
        await desk.press("ctrl+o")
        await desk.until(lambda: isinstance(desk.app.screen, PathPrompt) and desk.app.screen.query("#path"))
        field = desk.app.screen.query_one("#path", Input)
        field.value = f"{folder}/trai"
        await desk.press("tab")
        await desk.until(lambda: field.value == f"{folder}/train.py")
        await desk.press("tab", "enter")
        await desk.until(lambda: not isinstance(desk.app.screen, PathPrompt))
        assert str(desk.app.main.query_one("#editor-pane").border_title).find("train.py") >= 0
