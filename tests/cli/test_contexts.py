from __future__ import annotations

import io
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bai_tui.app.config import Paths
from bai_tui.app.contexts import chosen, chosen_endpoint
from bai_tui.app.local import current_endpoint
from bai_tui.app.model.errors import ConfigError

from .conftest import Manager, Outcome

Bai = Callable[..., Outcome]


@pytest.fixture
def config(home: Path) -> Path:
    return home / ".config" / "bai-tui"


@pytest.fixture
def lab(manager: Manager, bai: Bai, monkeypatch: pytest.MonkeyPatch) -> Manager:
    """A manager that is the context `lab`, and not that of the environment."""
    assert bai("context", "add", "lab").status == 0
    for name in list(os.environ):
        if name.startswith("BACKEND_"):
            monkeypatch.delenv(name)
    return manager


def told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_the_first_list_has_the_local_backend_only(bai: Bai) -> None:
    assert json.loads(bai("context", "list", "--output", "json").out) == [
        {"name": "local", "current": True, "endpoint": None, "access_key": None}
    ]


def test_a_server_is_added_with_a_secret_that_only_its_owner_reads(
    bai: Bai, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, "topsecret\n")
    done = bai("context", "add", "lab", "--endpoint", "http://lab:1/", "--access-key", "A", "--group", "g")
    assert (done.status, done.out) == (0, "lab\n")
    secret = config / "secrets" / "lab"
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == ("topsecret\n", 0o600)
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    assert "topsecret" not in (config / "config.toml").read_text() + done.err
    monkeypatch.setenv("BAI_TUI_CONTEXT", "lab")
    endpoint = chosen_endpoint(Paths.of_user())
    assert endpoint is not None
    assert (endpoint.url, endpoint.access_key, endpoint.secret_key, endpoint.group, endpoint.name) == (
        "http://lab:1",
        "A",
        "topsecret",
        "g",
        "lab",
    )
    again = bai("context", "add", "lab", "--endpoint", "http://b", "--access-key", "B")
    assert (again.status, "--replace" in again.err) == (78, True)
    told(monkeypatch, "other\n")
    assert bai("context", "add", "lab", "--endpoint", "http://b", "--access-key", "B", "--replace").status == 0
    assert endpoint.renew is not None
    renewed = endpoint.renew()
    assert renewed is not None
    assert (renewed.url, renewed.secret_key) == ("http://b", "other")


@pytest.mark.parametrize(
    ("arguments", "secret", "status", "says"),
    [
        (("local", "--endpoint", "http://a", "--access-key", "A"), "s", 78, "that of the local backend"),
        (("a/b", "--endpoint", "http://a", "--access-key", "A"), "s", 78, "made of letters"),
        (("a", "--endpoint", "a", "--access-key", "A"), "s", 78, "'a' is no URL"),
        (("a", "--endpoint", "http://a"), "s", 2, "belong together"),
        (("a",), "s", 2, "BACKEND_ENDPOINT is not set"),
        (("a", "--endpoint", "http://a", "--access-key", "A"), "", 78, "no secret key"),
    ],
)
def test_what_cannot_be_added(
    bai: Bai,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    secret: str,
    status: int,
    says: str,
) -> None:
    told(monkeypatch, secret)
    done = bai("context", "add", *arguments)
    assert (done.status, says in done.err) == (status, True), done
    assert not (config / "config.toml").exists()
    assert not (config / "secrets").exists()


def test_a_context_leads_to_its_server(bai: Bai, lab: Manager) -> None:
    for arguments in (("--context", "lab", "ps"), ("ps", "--context", "lab"), ("session", "list", "--context", "lab")):
        assert "second" in bai(*arguments).out
        os.environ.pop("BAI_TUI_CONTEXT")
    assert bai("context", "use", "lab").out == "lab\n"
    assert "second" in bai("ps").out
    shown = json.loads(bai("context", "show", "--output", "json").out)
    assert (shown["name"], shown["endpoint"], shown["sessions"]) == ("lab", lab.url, 2)
    rows = json.loads(bai("context", "list", "--check", "--output", "json").out)
    assert [(row["name"], row["current"], row["sessions"]) for row in rows] == [
        ("local", False, None),
        ("lab", True, 2),
    ]


def test_the_order_of_what_chooses(bai: Bai, lab: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths.of_user()
    assert chosen(paths).name == "local"
    bai("context", "use", "lab")
    assert chosen(paths).name == "lab"
    monkeypatch.setenv("BACKEND_ENDPOINT", "http://elsewhere")
    monkeypatch.setenv("BACKEND_ACCESS_KEY", "E")
    monkeypatch.setenv("BACKEND_SECRET_KEY", "S")
    assert current_endpoint(paths).url == "http://elsewhere"
    assert "BACKEND_ENDPOINT wins" in bai("context", "use", "lab").err
    monkeypatch.setenv("BAI_TUI_CONTEXT", "lab")
    assert current_endpoint(paths).url == lab.url
    monkeypatch.setenv("BAI_TUI_CONTEXT", "environment")
    assert current_endpoint(paths).url == "http://elsewhere"
    monkeypatch.setenv("BAI_TUI_CONTEXT", "local")
    assert chosen_endpoint(paths) is None


def test_what_is_removed_is_gone(bai: Bai, lab: Manager, config: Path) -> None:
    bai("context", "use", "lab")
    done = bai("context", "rm", "lab")
    assert (done.status, done.out) == (0, "lab\n")
    assert "local backend is the default again" in done.err
    assert chosen(Paths.of_user()).name == "local"
    assert not (config / "secrets" / "lab").exists()
    assert bai("context", "rm", "lab").status == 78
    assert bai("context", "rm", "local").status == 78


def test_an_unknown_one_is_told_with_the_nearest(bai: Bai, lab: Manager) -> None:
    done = bai("ps", "--context", "lba")
    assert (done.status, done.out) == (78, "")
    assert "there is no context 'lba' (chosen by --context or BAI_TUI_CONTEXT): did you mean 'lab'?" in done.err
    assert "did you mean 'lab'?" in bai("context", "use", "lba").err


def test_a_secret_that_others_can_read_is_not_used(lab: Manager, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAI_TUI_CONTEXT", "lab")
    secret = config / "secrets" / "lab"
    secret.chmod(0o640)
    with pytest.raises(ConfigError, match="others can read the secret key"):
        chosen_endpoint(Paths.of_user())
    secret.chmod(0o600)
    secret.write_bytes(b"two\nlines")
    with pytest.raises(ConfigError, match="holds no secret key"):
        chosen_endpoint(Paths.of_user())
    secret.unlink()
    with pytest.raises(ConfigError, match="context add --replace"):
        chosen_endpoint(Paths.of_user())


def test_commands_that_go_nowhere_have_no_such_option(bai: Bai) -> None:
    assert bai("serve", "--context", "lab", "--status").status == 2
    assert "--context" in bai("run", "--help").out
