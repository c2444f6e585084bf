from __future__ import annotations

import json
from typing import Any

import pytest
from bai_tui.app.model.console import ExecuteRequest, Frame, RunMode, RunStatus
from bai_tui.app.model.errors import BadRequest
from hypothesis import given
from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_requests_of_the_official_client() -> None:
    query = ExecuteRequest.parse('{"code": "print(1)", "mode": "query", "options": {}}')
    assert query == ExecuteRequest(RunMode.QUERY, "print(1)", {})
    batch = ExecuteRequest.parse(
        '{"code": null, "mode": "batch", "options": {"clean": "*", "build": null, "buildLog": false, "exec": "ls"}}'
    )
    assert batch.mode is RunMode.BATCH
    assert batch.code == ""
    assert batch.options["exec"] == "ls"


@given(st.sampled_from(RunMode), st.text(st.characters(exclude_categories=["Cs"])))
def test_requests_survive_the_wire(mode: RunMode, code: str) -> None:
    request = ExecuteRequest(mode, code, {"exec": code})
    assert ExecuteRequest.parse(request.dump()) == request


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "[]", "1", "null", '{"mode": "query"', '{"mode": "fast"}', "{}", '{"mode": ["query"]}',
        '{"mode": "query", "code": 1}', '{"mode": "query", "options": []x}', '{"mode": "query", "options": [1]}',
        '{"mode": "batch", "options": {"exec": 5}}', '{"mode": "batch", "options": {"clean": ["rm"]}}',
        '{"mode": "query", "code": "\\ud800"}', '{"mode": "batch", "options": {"exec": "\\udfff"}}',
        "[" * 100_000, '{"mode": ' + "9" * 5000 + "}",
    ],
)  # fmt: skip
def test_bad_requests(text: str) -> None:
    with pytest.raises(BadRequest):
        ExecuteRequest.parse(text)


@given(st.dictionaries(st.sampled_from(["mode", "code", "options"]), json_values))
def test_any_object_is_a_request_or_a_bad_one(body: dict[str, Any]) -> None:
    try:
        ExecuteRequest.parse(json.dumps(body))
    except BadRequest:
        pass


def test_a_frame_of_the_manager() -> None:
    frame = Frame.parse(
        '{"status": "finished", "console": [["stdout", "1\\n"]], "exitCode": 0, "options": null, "files": []}'
    )
    assert frame == Frame(RunStatus.FINISHED, [("stdout", "1\n")], 0)


def test_an_input_frame() -> None:
    frame = Frame.parse('{"status": "waiting-input", "console": [], "options": {"is_password": true}, "seq": 7}')
    assert frame.options == {"is_password": True}
    assert frame.seq == 7


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("status", "console", "exitCode", "options", "msg", "seq", "runId", "files"), json_values
        ),
    )
)
def test_any_object_is_a_frame(body: dict[str, Any]) -> None:
    frame = Frame.parse(json.dumps(body))
    assert frame.status in RunStatus
    assert all(isinstance(kind, str) for kind, _ in frame.console)
    assert frame.exit_code is None or isinstance(frame.exit_code, int)


def test_an_unknown_status_goes_on() -> None:
    assert Frame.parse('{"status": "server-restarting"}').status is RunStatus.CONTINUED


@pytest.mark.parametrize("text", ["", "x", "[]", "[" * 100_000, b"\xff"])
def test_bad_frames(text: str | bytes) -> None:
    with pytest.raises(BadRequest, match="the server sent"):
        Frame.parse(text)
