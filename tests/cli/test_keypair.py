"""`bai-tui keypair`: what it prints, where, and with which status; on our backend and on a cluster."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from bai_tui.tests.api.fakes import ADMIN, OFF, OTHER, USER

Bai = Callable[..., Any]


@pytest.fixture
def as_admin(toy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("BACKEND_ACCESS_KEY", ADMIN.access_key)
    monkeypatch.setenv("BACKEND_SECRET_KEY", ADMIN.secret_key)
    return toy


def test_add_prints_the_two_keys_once(as_admin: Any, bai: Bai) -> None:
    made = bai("keypair", "add", "--user", "alice")
    access_key, secret_key = made.out.split()
    assert (made.status, made.err) == (0, "")
    pair = as_admin.service.keypair(access_key)
    assert (pair.secret_key, pair.user_id, pair.is_admin) == (secret_key, "alice@localhost", False)
    listed = bai("keypair", "list")
    assert access_key in listed.out and secret_key not in listed.out
    (row,) = json.loads(bai("keypair", "list", "-u", "alice", "-o", "json").out)["items"]
    assert row["access_key"] == access_key and (row["is_active"], row["sessions"]) == (True, 0)
    assert not {key for key in row if "secret" in key}


def test_add_for_other_programs(as_admin: Any, bai: Bai) -> None:
    told = json.loads(bai("keypair", "add", "--admin", "-o", "json").out)
    assert told["user_id"] == ADMIN.user_id, "without a name it is one's own"
    assert as_admin.service.keypair(told["access_key"]).is_admin
    lines = bai("keypair", "add", "--user", "bob@example.com", "--env").out.splitlines()
    told = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    assert as_admin.service.keypair(told["BACKEND_ACCESS_KEY"]).secret_key == told["BACKEND_SECRET_KEY"]
    assert told["BACKEND_ENDPOINT"].startswith("http://127.0.0.1:") and told["BACKEND_ENDPOINT_TYPE"] == "api"


def test_what_is_revoked_opens_nothing(as_admin: Any, bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bai("keypair", "revoke", USER.access_key, OTHER.access_key).out.split() == [
        USER.access_key,
        OTHER.access_key,
    ]
    lines = {line.split()[0]: line for line in bai("keypair", "list").out.splitlines()}
    assert "revoked" in lines[USER.access_key] and " active" in lines[ADMIN.access_key]
    monkeypatch.setenv("BACKEND_ACCESS_KEY", USER.access_key)
    monkeypatch.setenv("BACKEND_SECRET_KEY", USER.secret_key)
    refused = bai("ps")
    assert refused.status == 77 and "switched off" in refused.err and refused.out == ""
    monkeypatch.setenv("BACKEND_ACCESS_KEY", ADMIN.access_key)
    monkeypatch.setenv("BACKEND_SECRET_KEY", ADMIN.secret_key)
    assert bai("keypair", "activate", USER.access_key).status == 0
    assert as_admin.service.keypair(USER.access_key).is_active
    assert bai("keypair", "rm", OFF.access_key).out.strip() == OFF.access_key
    assert as_admin.service.keypair(OFF.access_key) is None


def test_rotate_prints_the_new_secret(toy: Any, bai: Bai) -> None:
    before = toy.service.keypair(USER.access_key).secret_key
    made = bai("keypair", "rotate")
    access_key, secret_key = made.out.split()
    assert made.status == 0 and access_key == USER.access_key and secret_key != before
    assert toy.service.keypair(USER.access_key).secret_key == secret_key
    refused = bai("keypair", "rotate")
    assert refused.status == 77 and "mismatch" in refused.err
    assert before not in refused.err and secret_key not in refused.err


def test_ordinary_users_hear_one_sentence(toy: Any, bai: Bai) -> None:
    for arguments in (
        ("add", "--user", "eve"),
        ("revoke", OTHER.access_key),
        ("activate", OFF.access_key),
        ("rm", OTHER.access_key),
        ("rotate", OTHER.access_key),
    ):
        refused = bai("keypair", *arguments)
        assert (refused.status, refused.out) == (77, ""), arguments
        assert refused.err.startswith("bai-tui: only an administrator may ") and refused.err.count("\n") == 1
    own = bai("keypair", "list")
    assert [line.split()[0] for line in own.out.splitlines()[1:]] == [OFF.access_key, USER.access_key]


def test_what_cannot_be_is_told(as_admin: Any, bai: Bai) -> None:
    as_admin.session("sess-01")
    kept = bai("keypair", "rm", USER.access_key)
    assert kept.status == 65 and "has a live session: end it first" in kept.err
    own = bai("keypair", "revoke", ADMIN.access_key)
    assert own.status == 65 and "stays an administrator's" in own.err
    several = bai("keypair", "revoke", "AKNOBODY", OTHER.access_key)
    assert several.status == 1 and several.out.split() == [OTHER.access_key] and "AKNOBODY: there is no" in several.err
    assert bai("keypair", "rotate", "AKNOBODY").status == 66
    assert bai("keypair", "add", "--user", "two words").status == 65
    assert bai("keypair", "revoke").status == 2


def test_a_cluster(manager: Any, bai: Bai) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    refused: dict[str, str] = {}
    row = {
        "access_key": "AKOLD",
        "user_id": "eve@example.com",
        "is_active": True,
        "is_admin": False,
        "created_at": None,
    }

    def answer(query: str, variables: dict[str, Any]) -> Any:
        asked.append((query, variables))
        if "keypair_list" in query:
            return {"data": {"keypair_list": {"items": [row], "total_count": 1}}}
        if "create_keypair" in refused and "create_keypair" in query:
            return {"data": {"create_keypair": None}, "errors": [{"message": refused["create_keypair"]}]}
        if "create_keypair" in query:
            made = {"access_key": "AKNEW", "secret_key": "sk-new"}
            return {"data": {"create_keypair": {"ok": True, "msg": "success", "keypair": made}}}
        if "modify_keypair" in query:
            return {"data": {"modify_keypair": {"ok": False, "msg": "no permission to execute modify_keypair"}}}
        if "delete_keypair" in query:
            return {"data": {"delete_keypair": {"ok": False, "msg": "no matching deletekeypair"}}}
        return {"data": {"keypair": {"user_id": "me@example.com"}}}

    manager.graphql = answer
    assert bai("keypair", "add", "--policy", "small").out == "AKNEW sk-new\n"
    assert asked[-1][1] == {
        "user_id": "me@example.com",
        "input": {"is_active": True, "is_admin": False, "resource_policy": "small", "rate_limit": 30000},
    }
    assert "eve@example.com" in bai("keypair", "list").out
    denied = bai("keypair", "revoke", "AKOLD")
    assert denied.status == 77 and f"only an administrator of {manager.url} may switch keypairs" in denied.err
    assert asked[-1][1] == {"access_key": "AKOLD", "input": {"is_active": False}}
    assert bai("keypair", "rm", "AKOLD").err == "bai-tui: there is no keypair AKOLD\n"
    refused["create_keypair"] = "Entity not found. (No UserRow matches the given key)"
    assert f"{manager.url} has no user x@y; `bai-tui keypair list`" in bai("keypair", "add", "--user", "x@y").err
    rotated = bai("keypair", "rotate")
    assert (
        rotated.status == 65 and "is a cluster and rotates no keypair" in rotated.err and rotated.err.count("\n") == 1
    )
