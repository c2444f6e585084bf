"""Handshake, signatures, API versions, and what a browser may not do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from bai_tui.app.backend.api.auth import API_VERSIONS, advertised_version


async def test_handshake_needs_no_signature(api: Any) -> None:
    async with api.session.get(api.base + "/") as answer:
        body = await answer.json()
    assert answer.status == 200
    assert body == {
        "version": "v9.20250722",
        "manager": "0.1.0",
        "bai-tui": {
            "version": "0.1.0",
            "capabilities": [
                "journal",
                "devices",
                "end-of-input",
                "stats",
                "extend",
                "follow",
                "keypairs",
                "inspect",
                "delete-files",
                "images",
            ],
        },
    }
    assert (await api.send("GET", "/")).json["manager"] == "0.1.0"


@pytest.mark.parametrize(
    ("agent", "version"),
    [
        ("Backend.AI Client for Python 23.09.10", "v7.20230615"),
        ("Backend.AI Client for Python 24.3.1", "v8.20240315"),
        ("Backend.AI Client for Python 25.5.2", "v8.20240915"),
        ("Backend.AI Client for Python 26.9.6", "v9.20250722"),
        ("curl/8", "v9.20250722"),
    ],
)
def test_each_client_is_offered_its_own_version(agent: str, version: str) -> None:
    assert advertised_version(agent) == version


@pytest.mark.parametrize("version", API_VERSIONS)
async def test_every_listed_version_is_accepted(api: Any, version: str) -> None:
    assert (await api.send("GET", "/auth", version=version)).status == 200


async def test_other_versions_are_refused(api: Any) -> None:
    answer = await api.send("GET", "/auth", version="v3.20170215")
    assert (answer.status, answer.problem) == (400, "generic-bad-request")
    assert answer.json["title"] == "Unsupported API version."


async def test_absent_version_is_major_5(api: Any) -> None:
    headers = api.headers("GET", "/auth", "text/plain", version="v5.20191215")
    del headers["X-BackendAI-Version"]
    async with api.session.get(api.base + "/auth", headers=headers) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/session/_/match?id=se%20ss&x=a%2Fb",
        "/events/background-task?taskId=*&scope=session,kernel",
        "/session/%65xtra%2F..%2f/logs",
        "/session/%C3%BCn%c3%af/logs",
        "//session",
    ],
)
async def test_target_is_signed_as_it_came(api: Any, target: str) -> None:
    """Undecoded and not normalised: a normalised target would be a 401."""
    assert (await api.send("GET", target)).status in (200, 404)


async def test_media_type_is_signed_bare(api: Any) -> None:
    answer = await api.send("POST", "/auth", {"echo": "hi"}, content_type="Application/JSON; charset=utf-8")
    assert answer.json == {"authorized": "yes", "echo": "hi"}


async def test_host_is_part_of_the_signature(api: Any) -> None:
    other = api.host.replace("127.0.0.1", "localhost")
    assert (await api.send("GET", "/auth", host=other, extra={"Host": other})).status == 200
    assert (await api.send("GET", "/auth", host=other)).status == 401


async def test_unsigned(api: Any) -> None:
    async with api.session.get(api.base + "/session/x") as answer:
        body = await answer.json(content_type="application/problem+json")
    assert answer.status == 401
    assert body == {
        "type": "https://api.backend.ai/probs/auth-failed",
        "title": "Credential/signature mismatch.",
        "error_code": "user_auth_unauthorized",
        "msg": "Unauthorized access",
    }


@pytest.mark.parametrize(
    ("sign", "extra", "status", "problem", "msg"),
    [
        ({"secret": "wrong"}, {}, 401, "auth-failed", "HMAC signature mismatch"),
        ({}, {"Authorization": "Basic abc"}, 400, "invalid-auth-params", "Invalid authorization type name"),
        ({}, {"Authorization": "BackendAI x"}, 400, "invalid-auth-params", "Missing or malformed"),
        ({}, {"Authorization": "BackendAI signMethod=HMAC-SHAKE, credential=a:b"}, 401, "auth-failed", "Access key"),
        ({"date": "2020-01-01T00:00:00+00:00"}, {}, 400, "invalid-auth-params", "Date/time sync error"),
        ({}, {"Date": "yesterday"}, 400, "invalid-auth-params", "the Date header"),
    ],
)
async def test_bad_signatures(
    api: Any, sign: dict[str, str], extra: dict[str, str], status: int, problem: str, msg: str
) -> None:
    answer = await api.send("GET", "/auth?echo=hi", extra=extra, **sign)
    assert (answer.status, answer.problem) == (status, problem)
    assert answer.json["msg"].startswith(msg)


@pytest.mark.parametrize(("minutes", "status"), [(-14.9, 200), (14.9, 200), (-15.1, 400), (15.1, 400)])
async def test_clock_may_be_a_quarter_of_an_hour_off(api: Any, minutes: float, status: int) -> None:
    date = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    assert (await api.send("GET", "/auth", date=date)).status == status


async def test_date_may_come_under_another_name(api: Any) -> None:
    headers = api.headers("GET", "/auth", "text/plain")
    headers["X-BackendAI-Date"] = headers.pop("Date")
    async with api.session.get(api.base + "/auth", headers=headers) as answer:
        assert answer.status == 200


async def test_unknown_and_inactive_keys(api: Any, service: Any) -> None:
    unknown = await api.acting(replace(api.keypair, access_key="AKNOBODY")).send("GET", "/auth")
    assert (unknown.status, unknown.json["msg"]) == (401, "Access key not found in HMAC")
    assert (await api.acting(service.keyring["AKOFF000000000000000"]).send("GET", "/auth")).status == 401


async def test_foreign_host_names_are_refused(api: Any) -> None:
    answer = await api.send("GET", "/auth", host="evil.example:80", extra={"Host": "evil.example:80"})
    assert (answer.status, answer.problem) == (403, "generic-forbidden")
    async with api.session.get(api.base + "/", headers={"Host": "evil.example"}) as handshake:
        assert handshake.status == 403
    async with api.session.get(api.base + "/", headers={"Host": "[::1]:8091"}) as handshake:
        assert handshake.status == 200


async def test_web_pages_are_refused(api: Any) -> None:
    origin = {"Origin": "http://127.0.0.1:3000"}
    assert (await api.send("POST", "/auth", {}, extra=origin)).status == 403
    ref = await api.create()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with api.execute(ref, extra=origin):
            pass
    assert refused.value.status == 403
    answer = await api.send("GET", "/auth", extra=origin)
    assert answer.status == 200
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
