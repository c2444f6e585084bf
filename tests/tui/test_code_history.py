from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from bai_tui.app.tui import code_history
from bai_tui.app.tui.code_history import CodeHistory, Entry, search


def entries(*codes: str) -> list[Entry]:
    return [Entry(code, 0.0) for code in codes]


def found(query: str, *codes: str) -> list[str]:
    return [hit.entry.code for hit in search(entries(*codes), query)]


def test_what_was_run_is_found_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    history = CodeHistory(folder, "local")
    for at, code in enumerate(["a = 1", "b = 2\n", "a = 1", "   \n"]):
        history.add(Entry(code, float(at), "py-1", "python"))
    again = CodeHistory(folder, "local").load()
    assert again == [Entry("a = 1", 2.0, "py-1", "python", 2), Entry("b = 2", 1.0, "py-1", "python")]
    assert CodeHistory(folder, "http://other").load() == []
    assert history.path is not None
    assert stat.S_IMODE(history.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    history = CodeHistory(tmp_path, "local")
    history.add(Entry("good", 1.0))
    assert history.path is not None
    good = history.path.read_bytes()
    strange = [b"{", b"[]", b"5", b'{"t": "x", "code": "a"}', b'{"t": 1}', b'{"t": 1, "code": 5}', b"\xff", b"[" * 5000]
    history.path.write_bytes(b"\n".join([*strange, good]))
    assert [entry.code for entry in history.load()] == ["good"]


def test_the_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_history, "MAX_ENTRIES", 10)
    monkeypatch.setattr(code_history, "_SLACK", 5)
    history = CodeHistory(tmp_path, "local")
    for number in range(40):
        history.add(Entry(f"x = {number}", float(number)))
        assert len(history.load()) <= 10
        assert history.path is not None and history.path.read_bytes().count(b"\n") <= 16
    assert [entry.code for entry in history.load()] == [f"x = {number}" for number in range(39, 29, -1)]
    history.add(Entry("y" * (code_history.MAX_CODE_CHARS + 1), 99.0))
    assert history.load()[0].code == "x = 39"


def test_counts_stay_when_the_file_is_written_anew(tmp_path: Path) -> None:
    history = CodeHistory(tmp_path, "local")
    for code in ("a", "b", "a", "c", "a"):
        history.add(Entry(code, 1.0))
    history.remove("b")
    assert [(entry.code, entry.count) for entry in history.load()] == [("a", 3), ("c", 1)]
    assert history.path is not None
    assert [json.loads(line)["code"] for line in history.path.read_text().splitlines()] == ["c", "a"]


def test_without_a_folder_it_is_in_memory() -> None:
    history = CodeHistory(None, "local")
    history.add(Entry("a", 1.0))
    history.add(Entry("b", 2.0))
    history.remove("a")
    assert [entry.code for entry in history.load()] == ["b"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = CodeHistory(tmp_path / "file", "local")
    with pytest.raises(OSError):
        history.add(Entry("a", 1.0))
    assert [entry.code for entry in history.load()] == ["a"]


def test_search() -> None:
    codes = ("model.fit(x)", "import numpy as np", "plot(Model)", "np.linalg.norm(\n    model\n)")
    assert found("", *codes) == list(codes)
    assert found("np", *codes) == [codes[1], codes[3]]
    assert found("model", *codes) == [codes[0], codes[2], codes[3]], "small letters stand for both"
    assert found("Model", *codes) == [codes[2]]
    assert found("norm model", *codes) == [codes[3]], "words may be in different lines"
    assert found("impnp", *codes) == [codes[1]], "letters apart in one line"
    assert found("zebra", *codes) == []


def test_where_it_was_found() -> None:
    (hit,) = search(entries("\n\nfirst\n  second = third"), "sec")
    assert (hit.line, hit.offsets) == (3, (2, 3, 4))
    (hit,) = search(entries("\n\nfirst\n  second = third"), "fst")
    assert (hit.line, hit.offsets) == (2, (0, 3, 4))
    (hit,) = search(entries("\n\nfirst"), "")
    assert (hit.line, hit.offsets) == (2, ())


def test_what_begins_a_word_comes_first() -> None:
    assert found("run", "prune(a)", "run(b)") == ["run(b)", "prune(a)"]
