"""`bai-tui simulate`, as a user types it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from bai_tui.app.cli.main import invoke

HEADER = "arrival_s,duration_s,slots,user,priority,limit_s\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "0,100,gpu=0.6,ann,,100\n10,50,gpu=1,ben,,50\n20,40,gpu=0.4,cyd,,40\n")
    return path


def test_each_policy_is_a_row(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["simulate", str(trace), "--gpus", "1", "--cpu", "2", "--mem", "1g"]) == 0
    done = capsys.readouterr()
    rows = done.out.splitlines()
    assert rows[0].split("  ")[0] == "POLICY"
    assert [row.split()[0] for row in rows[1:5]] == ["fifo", "lifo", "drf", "fair-share"]
    assert rows[6].startswith("USER")
    assert {row.split()[0] for row in rows[7:]} == {"ann", "ben", "cyd"}
    assert "3 requests on a machine of cpu 2, mem 1g, gpu 1; pack, quantum 0.01; with backfill" in done.err


def test_json_has_every_figure(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", str(trace), "--gpus", "1", "--policy", "fifo,drf", "--policy", "fifo", "--no-backfill"]
    assert invoke([*words, "--output", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(run["policy"], run["backfill"]) for run in found["runs"]] == [("fifo", False), ("drf", False)]
    assert found["machine"]["cuda.shares"] == "1"
    assert found["runs"][0]["wait_s"] == {"mean": 220 / 3, "median": 90.0, "p95": 130.0, "max": 130.0}
    assert found["refused"] == []


def test_csv_can_be_read(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["simulate", str(trace), "--gpus", "1", "--policy", "fifo", "--output", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["user"] for row in rows] == ["", "ann", "ben", "cyd"]
    assert rows[0]["wait_max_s"] == "90.0"
    assert float(rows[0]["gpu_hours"]) == pytest.approx((60 + 50 + 16) / 3600)


def test_a_picture_is_drawn(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["simulate", str(trace), "--gpus", "1", "--policy", "fifo", "--plot"]) == 0
    out = capsys.readouterr().out
    assert "fifo: part of the gpu in use" in out
    assert "fifo: waiting requests" in out
    assert "fifo: waiting time by arrival" in out
    assert all(len(line) <= 100 for line in out.splitlines())
    assert invoke(["simulate", str(trace), "--plot", "--output", "json"]) == 2


def test_samples_are_listed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["simulate", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["NAME", "small", "large"]
    path = tmp_path / "mine.csv"
    assert invoke(["simulate", "small", "--write", str(path)]) == 0
    assert "wrote 13 requests" in capsys.readouterr().err
    assert invoke(["simulate", str(path), "--policy", "fifo", "--output", "json"]) == 0
    mine = json.loads(capsys.readouterr().out)
    assert invoke(["simulate", "small", "--policy", "fifo", "--output", "json"]) == 0
    packaged = json.loads(capsys.readouterr().out)
    for found in (mine, packaged):
        del found["trace"], found["runs"][0]["decisions_per_s"], found["runs"][0]["wall_s"]
    assert mine == packaged


def test_what_the_machine_cannot_serve_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "0,1,gpu=3,ann,,\n0,1,gpu=1,ann,,\n")
    assert invoke(["simulate", str(path), "--gpus", "2", "--policy", "fifo"]) == 0
    done = capsys.readouterr()
    assert "1 of 2 requests were refused and count nowhere:" in done.err
    assert "line 2: 3 cuda.shares can never be granted: this machine has 2 cuda.shares in all" in done.err
    assert invoke(["simulate", str(path), "--gpus", "0", "--policy", "fifo"]) == 1


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ([], 2, "name a trace: a CSV file, or one of small, large"),
        (["nowhere.csv"], 66, "there is no file nowhere.csv; name a CSV file, or a trace that comes"),
        (["BAD"], 65, "line 3: duration_s is 'soon': write seconds, as in 90 or 0.5"),
        (["FOLDER"], 65, "cannot be read: Is a directory"),
        (["BINARY"], 65, "line 2: this is no text in UTF-8"),
        (["small", "--policy", "fiffo"], 2, "'fiffo' is no policy; did you mean fifo?"),
        (["small", "--quantum", "0.3"], 65, "a quantum of 0.3 makes no sense"),
        (["small", "--quantum", "much"], 2, "'much' is no number"),
        (["small", "--mem", "-4g"], 65, "cannot be negative"),
        (["small", "--write", "/nowhere/x.csv"], 65, "/nowhere/x.csv cannot be written"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], status: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.csv").write_text(HEADER + "0,1,gpu=1,ann,,\n0,soon,gpu=1,ann,,\n")
    (tmp_path / "binary.csv").write_bytes(HEADER.encode() + b"0,1,gpu=1,\xff\xfe,,\n")
    places = {"BAD": tmp_path / "bad.csv", "FOLDER": tmp_path, "BINARY": tmp_path / "binary.csv"}
    assert invoke(["simulate", *(str(places.get(word, word)) for word in words)]) == status
    done = capsys.readouterr()
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert told in line


def test_stdin_is_a_trace(trace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(trace.read_text()))
    assert invoke(["simulate", "-", "--gpus", "1", "--policy", "fifo", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 3


def test_stdin_that_is_no_text_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    raw = io.BytesIO(HEADER.encode() + b"0,1,gpu=1,\xff,,\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw, encoding="utf-8"))
    assert invoke(["simulate", "-", "--policy", "fifo"]) == 65
    assert "stdin line 2: this is no text in UTF-8" in capsys.readouterr().err
