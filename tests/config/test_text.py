"""The text of config.toml: where a key is, and how a table goes into it and out of it."""

from __future__ import annotations

import tomllib

import pytest
from bai_tui.app.model.errors import ConfigError
from bai_tui.app.settings.text import lines_of, with_table, without_table


def test_lines_are_those_of_the_file() -> None:
    text = (
        "# a comment\n"
        "port = 1\n"
        "\n"
        "[scheduler] # who\n"
        "weights = {\n"
        "}\n"
        "limits.keypair.a = 3\n"
        "[contexts.'a.b']\n"
        "endpoint = '''\n"
        "http://x\n"
        "'''\n"
        "group = 'g'\n"
    ).replace("{\n}", "[\n1,\n]")
    assert lines_of(
        text,
        [
            ("port",),
            ("scheduler", "weights"),
            ("scheduler", "limits", "keypair", "a"),
            ("contexts", "a.b", "endpoint"),
            ("contexts", "a.b", "group"),
            ("contexts", "a.b", "access_key"),
            ("nothing",),
        ],
    ) == {
        ("port",): 2,
        ("scheduler", "weights"): 5,
        ("scheduler", "limits", "keypair", "a"): 8,
        ("contexts", "a.b", "endpoint"): 10,
        ("contexts", "a.b", "group"): 13,
        ("contexts", "a.b", "access_key"): 9,
    }


TEXT = """\
# mine
port = 1

# the lab
[contexts.lab]
endpoint = "http://lab"  # behind the door
access_key = '''
A'''

# the others
[contexts."b.c"]
endpoint = "http://b"

[tui]
vim = true
"""


def test_a_table_goes_in_and_out_and_leaves_all_else_as_it_was() -> None:
    values = {"endpoint": 'http://x"y', "access_key": "A", "verify_tls": False}
    added = with_table(TEXT, ("contexts", "new one"), values)
    assert added.startswith(TEXT)
    assert tomllib.loads(added)["contexts"]["new one"] == values
    assert without_table(added, ("contexts", "new one")) == TEXT + "\n"


@pytest.mark.parametrize("text", ["", "port = 1", "[tui]\nvim = true", "[contexts]\n", TEXT])
def test_a_table_can_be_added_to_any_file(text: str) -> None:
    assert tomllib.loads(with_table(text, ("contexts", "x"), {"a": 1}))["contexts"]["x"] == {"a": 1}


def test_a_table_is_cut_out_between_its_neighbours() -> None:
    assert without_table(TEXT, ("contexts", "lab")) == TEXT.replace(
        "[contexts.lab]\nendpoint = \"http://lab\"  # behind the door\naccess_key = '''\nA'''\n", ""
    )
    assert '[contexts."b.c"]' not in without_table(TEXT, ("contexts", "b.c"))
    dotted = "contexts.a.endpoint = 'x'\ncontexts.b.endpoint = 'y'\n"
    assert without_table(dotted, ("contexts", "a")) == "contexts.b.endpoint = 'y'\n"


@pytest.mark.parametrize("text", ["contexts = {a = {endpoint = 'x'}, b = {}}", "[contexts]\na.endpoint = 'x'\n"])
def test_what_cannot_be_changed_is_left_alone(text: str) -> None:
    with pytest.raises(ConfigError, match=r"contexts\.a is written in a way that no program can change"):
        without_table(text, ("contexts", "a"))


def test_nothing_is_added_to_an_inline_table() -> None:
    with pytest.raises(ConfigError, match="`bai-tui config edit`"):
        with_table("contexts = {}", ("contexts", "a"), {"x": 1})
