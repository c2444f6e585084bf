"""Code without isolation can write into the files of its own journal: nothing that reads them may fall over it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bai_tui.app.backend.api.frames import frames_of
from bai_tui.app.backend.ports import JournalRecord
from bai_tui.app.backend.service.journal import log_text, read
from bai_tui.app.backend.service.output import runs_of

DATA = [
    '"x"',
    "5",
    "null",
    "[1]",
    "{}",
    '{"exitCode":"x","reason":[1],"signal":{}}',
    '{"exitCode":true}',
    "nonsense",
    "",
]
KINDS = ["stdout", "run-started", "run-finished", "kernel-died", "waiting-input", "dropped", "clean-finished"]


@pytest.fixture(params=DATA)
def forged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    lines = ['{"seq":1,"t":1.0,"run":"r","rec":["run-started",{"mode":"query","code":"1","options":{}}]}']
    for seq, kind in enumerate(KINDS, 2):
        lines.append(f'{{"seq":{seq},"t":1.0,"run":"r","rec":["{kind}",{request.param}]}}')
    lines.append(f'{{"seq":{len(KINDS) + 2},"t":1.0,"run":"r","rec":["stdout","the end"]}}')
    (tmp_path / f"{1:020d}.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_readers_of_a_forged_journal_go_on(forged: Path) -> None:
    assert log_text(forged).endswith("the end")
    assert [run.run_id for run in runs_of(forged)] == ["r"]
    records = list(read(forged))
    assert records[-1].data == "the end"
    for frame in frames_of(record for record in records if record.kind != "stdout"):
        said = json.loads(frame.dump("r"))
        assert said["exitCode"] is None or isinstance(said["exitCode"], int)


def test_an_exit_code_is_a_number() -> None:
    def told(value: object) -> int | None:
        return JournalRecord(1, 0.0, "r", "run-finished", json.dumps(["run-finished", value]).encode()).exit_code

    assert [told({"exitCode": code}) for code in (0, 7, -9)] == [0, 7, -9]
    strange: list[object] = [True, "7", 1.5, None, 1 << 40, []]
    assert [told({"exitCode": code}) for code in strange] == [None] * len(strange)
    assert told("exitCode") is None
