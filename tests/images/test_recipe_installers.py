"""What installers are told about indexes, and what is made of what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from bai_tui.app.backend.images.recipes.format import Indexes
from bai_tui.app.backend.images.recipes.indexes import for_pip, for_uv, pip_settings
from bai_tui.app.backend.images.recipes.output import Understanding, clean, reason
from hypothesis import example, given
from hypothesis import strategies as st

INDEX = "index-url"
UV = """\
Using Python 3.11.7 environment at: v
Resolved 3 packages in 147ms
Downloading numpy (15.9MiB)
Downloading torch (800.0MiB)
 Downloaded numpy
   Building termcolor==1.1.0
      Built termcolor==1.1.0
Prepared 3 packages in 4.11s
Installed 3 packages in 1.01s
Bytecode compiled 2817 files in 8.81s
 + numpy==2.4.6
"""
PIP = """\
Looking in links: /wheels
Collecting six
  Downloading https://files.example.org/files/b7/ce/six-1.17.0-py2.py3-none-any.whl (11 kB)
Collecting numpy<2 (from -r list.txt (line 1))
Installing collected packages: six, numpy
Successfully installed numpy-1.26.4 six-1.17.0
"""
NO_VERSION = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of numpy==99 and you require numpy==99, we can conclude that your requirements are
         unsatisfiable.
"""
OLDER_UV = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because nosuch was not found in the package registry and you require nosuch, we can conclude that your
      requirements are unsatisfiable.
"""
NO_NETWORK = """\
error: Failed to fetch: http://nohost.invalid/of/six/
  cause: error sending request for url (http://nohost.invalid/of/six/)
  cause: client error (Connect)
  cause: dns error
  cause: failed to lookup address information: Name or service not known
"""
NO_BUILD = """\
error: The build backend returned an error
  cause: Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)

         [stderr]
         Traceback (most recent call last):
         RuntimeError: no compiler
"""
FULL = """\
error: Failed to install: numpy-2.4.6.whl (numpy==2.4.6)
  cause: failed to copy file from /cache/a.so to /env/a.so: No space left on device (os error 28)
"""
OLD_PIP = """\
Collecting numpy==99
  Could not find a version that satisfies the requirement numpy==99 (from versions: 1.3.0, 1.4.1)
No matching distribution found for numpy==99
"""
NEW_PIP = """\
ERROR: Could not find a version that satisfies the requirement numpy==99 (from versions: none)
ERROR: No matching distribution found for numpy==99
[notice] A new release of pip is available
"""
PIP_NO_NETWORK = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('...')': /simple/six/
ERROR: No matching distribution found for six
"""


def test_progress_of_uv_counts_packages_to_the_end() -> None:
    understanding = Understanding()
    steps = [step for line in UV.splitlines() if (step := understanding.hear(line)) is not None]
    assert [(step.current, step.total) for step in steps] == [
        (0, 4), (0, 4), (0, 4), (1, 4), (1, 4), (2, 4), (2, 4), (3, 4), (4, 4),
    ]  # fmt: skip
    assert [step.message for step in steps[-2:]] == ["compiling", "installed"]
    assert steps[3].message == "downloading torch (800.0MiB)"


def test_progress_of_pip_names_each_package() -> None:
    understanding = Understanding()
    steps = [step for line in PIP.splitlines() if (step := understanding.hear(line)) is not None]
    assert [step.message for step in steps] == [
        "package 1: six",
        "downloading six-1.17.0-py2.py3-none-any.whl (11 kB)",
        "package 2: numpy<2",
        "installing 2 packages",
    ]
    assert steps[-1].total == 2


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (NO_VERSION, ["No solution found", "no version of numpy==99", "requirements are unsatisfiable"]),
        (OLDER_UV, ["No solution found", "nosuch was not found", "requirements are unsatisfiable"]),
        (NO_NETWORK, ["the package index cannot be reached", "nohost.invalid", "Name or service not known"]),
        (NO_BUILD, ["The build backend returned an error", "exit status: 1", "RuntimeError: no compiler"]),
        (FULL, ["the disk is full: Failed to install: numpy", "No space left on device"]),
        (OLD_PIP, ["No matching distribution found for numpy==99"]),
        (NEW_PIP, ["No matching distribution found for numpy==99"]),
        (PIP_NO_NETWORK, ["the package index cannot be reached: No matching distribution found for six"]),
        ("", ["ended with exit code 7 and said nothing"]),
    ],
)
def test_the_decisive_lines_become_a_sentence(said: str, words: list[str]) -> None:
    sentence = reason(said.splitlines(), 7)
    assert all(word in sentence for word in words), sentence
    assert not sentence.endswith(".")


@given(st.lists(st.text(max_size=600), max_size=8))
@example(["."])
def test_whatever_an_installer_says_is_one_printable_line_of_bounded_length(lines: list[str]) -> None:
    cleaned = [clean(line) for line in lines]
    assert all(line.isprintable() for line in cleaned)
    assert 0 < len(reason(cleaned, 1)) <= 400
    understanding = Understanding()
    for line in cleaned:
        if step := understanding.hear(line):
            assert step.current >= 0
            assert len(step.message) <= 120


def test_escape_sequences_are_dropped_whole() -> None:
    assert clean("\x1b[2K\x1b[37m⠙\x1b[0m numpy\x1b]0;title\x07\b") == "⠙ numpy"


def test_passwords_in_addresses_are_not_kept() -> None:
    said = clean("Looking in https://user:secret@index.example/of, tool@git+ssh://token@code.example/x@v1")
    assert said == "Looking in https://...@index.example/of, tool@git+ssh://...@code.example/x@v1"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "pip.conf").write_text(f"[global]\n{INDEX} = https://system.example/of\ntimeout = 60\n")
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text(
        f"[global]\nextra_{INDEX.replace('-', '_')} = https://a.example/s\n  https://b.example/s\n"
        "[install]\nfind-links = /wheels\n"
    )
    return {"HOME": str(tmp_path), "PATH": "/bin"}


def test_pip_is_read_from_its_files_in_order_and_then_from_its_variables(home: dict[str, str], tmp_path: Path) -> None:
    settings = pip_settings(home, tmp_path)
    assert settings.index == "https://system.example/of"
    assert settings.extra == ("https://a.example/s", "https://b.example/s")
    assert settings.find_links == ("/wheels",)
    assert pip_settings({**home, "PIP_INDEX_URL": "https://env.example"}, tmp_path).index == "https://env.example"
    assert pip_settings({**home, "PIP_CONFIG_FILE": "/dev/null"}, tmp_path).index == ""


def test_uv_is_told_what_pip_is_configured_to_unless_it_has_settings_of_its_own(
    home: dict[str, str], tmp_path: Path
) -> None:
    told = for_uv(Indexes(), home, tmp_path)
    assert told.environ["UV_DEFAULT_INDEX"] == "https://system.example/of"
    assert told.environ["UV_INDEX"] == "https://a.example/s https://b.example/s"
    assert told.arguments == ("--find-links", "/wheels")
    own = for_uv(Indexes(), {**home, "UV_INDEX_URL": "https://uv.example"}, tmp_path)
    assert "UV_DEFAULT_INDEX" not in own.environ
    assert own.arguments == ()
    (tmp_path / ".config/uv").mkdir()
    (tmp_path / ".config/uv/uv.toml").touch()
    assert "UV_DEFAULT_INDEX" not in for_uv(Indexes(), home, tmp_path).environ


def test_a_recipe_says_where_else_packages_are(home: dict[str, str], tmp_path: Path) -> None:
    secret = "https://user:password@mine.example/of"
    indexes = Indexes(url=secret, extra=("https://more.example",), find_links=("/mine",))
    uv, pip = for_uv(indexes, home, tmp_path), for_pip(indexes, home, tmp_path)
    assert uv.environ["UV_DEFAULT_INDEX"] == pip.environ["PIP_INDEX_URL"] == secret
    assert uv.environ["UV_INDEX"].split()[0] == pip.environ["PIP_EXTRA_INDEX_URL"].split()[0] == "https://more.example"
    assert "https://a.example/s" in uv.environ["UV_INDEX"]
    assert "https://a.example/s" in pip.environ["PIP_EXTRA_INDEX_URL"]
    assert "password" not in " ".join([*uv.arguments, *pip.arguments])
    for told in (
        for_uv(Indexes(find_links=("/w",), offline=True), home, tmp_path),
        for_pip(Indexes(offline=True), home, tmp_path),
    ):
        assert "--no-index" in told.arguments
        assert not set(told.environ) & {"UV_INDEX", "UV_DEFAULT_INDEX", "PIP_INDEX_URL"}


def test_installers_do_not_work_on_another_environment_than_theirs(home: dict[str, str], tmp_path: Path) -> None:
    stray = dict.fromkeys(("VIRTUAL_ENV", "PYTHONPATH", "PIP_TARGET", "UV_PYTHON", "CONDA_PREFIX"), "/elsewhere")
    for told in (for_uv(Indexes(), {**home, **stray}, tmp_path), for_pip(Indexes(), {**home, **stray}, tmp_path)):
        assert not set(told.environ) & set(stray)
