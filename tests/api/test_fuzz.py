"""Requests made up from the description, right and wrong ones, correctly signed: no 5xx, no hang, nothing undescribed.

The same requests are made each time. For a longer search by hand, random each time: BAI_TUI_FUZZ_EXAMPLES=100.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from bai_tui.tests.api import fakes
from bai_tui.tests.api.conformance import DOCUMENT, check
from bai_tui.tests.api.fuzzing import Served, serving
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok

EXAMPLES = int(os.environ.get("BAI_TUI_FUZZ_EXAMPLES", "0"))
ENDLESS = {"/events/session"}
"""It answers until the backend stops; see `test_events`."""
ELSEWHERE = 501


def _operations() -> Iterator[Any]:
    config = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})
    for found in schemathesis.openapi.from_dict(DOCUMENT, config=config).get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path not in ENDLESS:
            yield operation


OPERATIONS = {f"{operation.method.upper()} {operation.path}": operation for operation in _operations()}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("bai_tui.app.backend.api.execute_rest.POLL_S", 0.02)
        patched.setattr("bai_tui.app.backend.api.journal.MAX_WAIT_S", 0.02)
        with serving(tmp_path_factory.mktemp("fuzzed")) as served:
            yield served


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("name", OPERATIONS)
def test_made_up_requests(served: Served, name: str, mode: GenerationMode, caplog: pytest.LogCaptureFixture) -> None:
    operation = OPERATIONS[name]
    if mode is GenerationMode.NEGATIVE and not operation.body and not list(operation.iter_parameters()):
        pytest.skip("it takes nothing that could be wrong")
    caplog.set_level(logging.ERROR)

    @settings(
        max_examples=EXAMPLES or 8,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), there=st.booleans())
    def attempt(case: Any, there: bool) -> None:
        path_parameters = case.path_parameters or {}
        if there and "ref" in path_parameters:
            # what is not there is refused early: half of the requests are about a session that is
            made = served.ask("POST", "/session", {"name": "fuzzed", "image": "python"})
            assert made.status_code == 201, made.text
            case.path_parameters["ref"] = "fuzzed"
        if there and "access_key" in path_parameters:
            case.path_parameters["access_key"] = fakes.OTHER.access_key
        answer = case.call(base_url=served.base, session=served.session, auth=served.auth, timeout=20)
        sent = answer.request
        if answer.status_code == ELSEWHERE:
            assert "501" in DOCUMENT["paths"][operation.path][operation.method]["responses"]
        else:
            assert answer.status_code < 500, f"{sent.method} {sent.path_url} {sent.body!r}: {answer.content[:500]!r}"
        # a made-up path may be another one on the wire
        headers = CaseInsensitiveDict({key: values[0] for key, values in answer.headers.items()})
        check(sent.method, sent.path_url, answer.status_code, headers, answer.content)

    attempt()
    assert not caplog.records, caplog.text


def test_the_fuzz_sees_a_server_error(served: Served) -> None:
    """Else it would prove nothing."""
    with pytest.MonkeyPatch.context() as patched, pytest.raises(AssertionError):
        patched.setattr(fakes.FakeService, "match", lambda *args: 1 / 0)
        operation = OPERATIONS["GET /session/_/match"]
        answer = operation.Case(query={"id": "x"}).call(base_url=served.base, session=served.session, auth=served.auth)
        assert answer.status_code < 500
