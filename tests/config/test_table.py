"""The table of keys: schema, template and what is shown go by it, and tell the same as the reader."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import asdict
from typing import Any

import jsonschema_rs
import pytest
from bai_tui.app.backend_settings import Settings
from bai_tui.app.policies import ContextSettings
from bai_tui.app.settings.file import problems_of, read_contexts, read_settings, read_tui_settings
from bai_tui.app.settings.schema import json_schema
from bai_tui.app.settings.shown import documented, shown, template
from bai_tui.app.settings.toml import toml_key, toml_value
from bai_tui.app.tui_settings import TuiSettings
from hypothesis import given
from hypothesis import strategies as st


def problems(text: str) -> list[str]:
    return [problem.message for problem in problems_of(tomllib.loads(text))]


def test_all_that_is_wrong_is_told() -> None:
    assert problems(
        """
        prot = 1
        [scheduler]
        policy = "fair"
        backfill = 3
        [tui]
        vin = true
        [keys]
        kill = 3
        [limits.keypair.bob]
        max_session = 3
        [contexts.local]
        [contexts.two]
        endpoint = "two.example.org"
        secret_key = "s"
        [gpu]
        watch = false
        watch_mock = true
        """
    ) == [
        "unknown key 'prot': did you mean 'port'?",
        "scheduler.policy: 'fair' is not known: write one of fifo, lifo, drf, fair-share",
        "scheduler.backfill: 3 is neither true nor false",
        "unknown key 'tui.vin': did you mean 'tui.vim'?",
        "keys.kill: 3 is no key: write text such as 'f5,ctrl+r' ('' = none)",
        "unknown key 'limits.keypair.bob.max_session': did you mean 'limits.keypair.bob.max_session_lifetime'?",
        "contexts.local: this name is that of the local backend: choose another",
        "contexts.two.endpoint: 'two.example.org' is no URL: write it as http://host:port or https://host",
        "unknown key 'contexts.two.secret_key': did you mean 'contexts.two.secret_key_file'?",
        "contexts.two.access_key is missing: contexts.two cannot be used without",
        "gpu.watch_mock contradicts gpu.watch = false: remove one of them",
    ]


def test_a_context_is_read() -> None:
    table = tomllib.loads(
        "[contexts.two]\nendpoint = 'https://two.example.org/'\naccess_key = 'A'\ngroup = 'lab'\nverify_tls = false\n"
    )
    assert read_contexts(table) == {
        "two": ContextSettings(endpoint="https://two.example.org", access_key="A", group="lab", verify_tls=False)
    }


def test_the_file_to_begin_with_says_nothing() -> None:
    table = tomllib.loads(template())
    assert not problems_of(table)
    assert {key: value for key, value in table.items() if value} == {}
    assert Settings(**read_settings(table)) == Settings()
    assert read_tui_settings(table) == TuiSettings()


def test_what_stands_behind_the_marks_is_what_holds() -> None:
    lines = [line.removeprefix("#") for line in template().splitlines() if not line.startswith("# ")]
    # these mean nothing without a value of the user's, or contradict the default policy
    text = "\n".join(line for line in lines if not line.endswith(" =") and not line.startswith("half_life"))
    table = tomllib.loads(
        text.partition("[contexts")[0].replace("[idle.utilization]", "[idle.utilization]\nthresholds.mem=0")
    )
    del table["limits"]["keypair"]
    assert not problems_of(table)
    found = asdict(Settings(**read_settings(table)))
    found["idle"]["utilization"]["thresholds"] = {}
    assert found == asdict(Settings())
    assert read_tui_settings(table) == TuiSettings()
    assert {name for line in lines for name in re.findall(r"^([a-z_]+) =", line)} == {
        path[-1] for path, _ in documented() if path[0] != "keys"
    }


def test_what_is_in_force_is_shown_with_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAI_TUI_ASCII", "1")
    table = tomllib.loads(
        "idle_timeout = 5400\n[scheduler]\npolicy = 'drf'\nweights = {'a b' = 2}\n[sandbox]\nwork_quota = '2048m'\n"
        "[keys]\nkill = 'x'\n[tui]\nascii = false\n[contexts.two]\nendpoint = 'http://two'\naccess_key = 'A'\n"
    )
    rows = {row.key: (row.text, row.origin, row.variable) for row in shown(table)}
    assert rows["idle_timeout"] == ('"90m"', "file", "")
    assert rows["scheduler.weights"] == ('{"a b" = "2"}', "file", "")
    assert rows["scheduler.backfill"] == ("true", "default", "")
    assert rows["sandbox.work_quota"] == ('"2g"', "file", "")
    assert rows["keys.kill"] == ('"x"', "file", "")
    assert rows["tui.ascii"] == ("true", "environment", "BAI_TUI_ASCII")
    assert rows["contexts.two.group"] == ('"default"', "default", "")


def test_what_is_shown_can_be_read() -> None:
    written = "".join(
        f"{row.key} = {row.text}\n"
        for row in shown({"scheduler": {"policy": "fair-share"}})
        if row.text and not row.key.startswith("idle.utilization")
    )
    table = tomllib.loads(written)
    assert not problems_of(table)
    assert read_tui_settings(table) == TuiSettings()


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", True),
        ("port = 0", True),
        ("port = 70000", False),
        ("port = true", False),
        ("prot = 3", False),
        ("idle_timeout = '90 m'", True),
        ("idle_timeout = 'soon'", False),
        ("idle_timeout = -1", False),
        ("mock_gpus = '2:16g'", True),
        ("mock_gpus = '2:'", False),
        ("mock_gpus = true", False),
        ("[scheduler]\npolicy = 'fair'", False),
        ("[scheduler]\nbackfill = 1", False),
        ("scheduler = 3", False),
        ("[idle.utilization]\nthresholds = {cpu_util = 5}", True),
        ("[idle.utilization]\nthresholds = {cpu = 5}", False),
        ("[idle.utilization]\nthresholds = {cpu_util = 500}", False),
        ("[limits.keypair.a]\nmax_concurrent_sessions = 0", False),
        ("[limits.keypair.a]\nmax_concurrent_sessions = 1", True),
        ("[limits]\ntotal_resource_slots = {cpu = 8, gpu = '1.5'}", True),
        ("[sandbox]\nmax_tasks = 0", True),
        ("[sandbox]\nmax_tasks = 3", False),
        ("[journal]\nmax_size = true", False),
        ("[tui]\nascii = true\nimages = 'sixel'", True),
        ("[tui]\nascii = 'yes'", False),
        ("[tui]\nscrollback = 3", False),
        ("[keys]\nx = 'f1'", True),
        ("[keys]\nx = 3", False),
        ("[contexts.a]\nendpoint = 'https://a'\naccess_key = 'A'", True),
        ("[contexts.a]\nendpoint = 'https://a'", False),
        ("[contexts.a]\nendpoint = 'a'\naccess_key = 'A'", False),
    ],
)
def test_the_schema_says_what_the_reader_says(text: str, good: bool) -> None:
    table = tomllib.loads(text)
    assert jsonschema_rs.validator_for(json_schema()).is_valid(table) is good
    assert (problems_of(table) == []) is good


def test_the_schema_is_one() -> None:
    schema = json_schema()
    jsonschema_rs.meta.validate(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["properties"]["tui"]["properties"]["notify_after"]["default"] == 10
    assert "default" not in schema["properties"]["contexts"]["additionalProperties"]["properties"]["endpoint"]


_PLAIN = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _PLAIN, max_size=3))
def test_what_is_written_as_toml_is_read_back(table: dict[str, Any]) -> None:
    text = "".join(f"{toml_key(key)} = {toml_value(value)}\n" for key, value in table.items())
    assert tomllib.loads(text) == table


_VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["10m", "8g", "0.01", "2:16g", "auto", "http://x", "fifo", "and"]),
    st.datetimes(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4) | st.floats(), max_size=2),
)


@given(
    st.dictionaries(
        st.sampled_from([path for path, _ in documented()]) | st.tuples(st.text(max_size=5), st.text(max_size=5)),
        _VALUES,
        max_size=6,
    )
)
def test_whatever_is_written_is_read_or_told_in_sentences(entries: dict[tuple[str, ...], Any]) -> None:
    table: dict[str, Any] = {}
    for path, value in entries.items():
        inner = table
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                break
        else:
            inner[path[-1]] = value
    found = problems_of(table)
    assert all(problem.message for problem in found)
    if not found:
        assert {row.path for row in shown(table)} >= {path for path in entries if path[0] in ("tui", "gpu")}
