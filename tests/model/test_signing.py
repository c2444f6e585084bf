"""The vectors were computed with `ai.backend.client.auth.generate_signature` of backend.ai-client 23.9.10."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from bai_tui.app.model.errors import InvalidAuth
from bai_tui.app.model.signing import authorization, parse_date, signature
from hypothesis import given
from hypothesis import strategies as st

SECRET = "s3cr3t-wJalrXUtnFEMI-K7MDENG"
VERSION = "v7.20230615"
VECTORS = [
    (
        ("GET", "/", "2026-11-23T03:30:27.574174+00:00", "127.0.0.1:8091", "text/plain"),
        "75f5c6f427d9b025cbb9697f8155db96c096b80d179f8e9b5a572892b9c08b96",
    ),
    (
        ("POST", "/session", "2026-11-23T03:30:27.574174+00:00", "127.0.0.1:8091", "application/json"),
        "f89fd29b2bd124424a56bba7f689dd2a1b3d2a8fed15cae43b76c53f5804df4a",
    ),
    (
        ("DELETE", "/session/recfgpu1?forced=true", "2025-01-02T00:00:00+00:00", "localhost:8091", "text/plain"),
        "d3321b1d19409da9d1825273b124d8a5c7d8f1c9cac2c5d48a4a1c0ddaa09878",
    ),
    (
        (
            "GET",
            "/events/session?sessionName=ev-sess-01&scope=*",
            "2026-02-28T23:59:59.999999+00:00",
            "localhost:8091",
            "application/octet-stream",
        ),
        "dc320c5cf41dd4239ddc47379de354dc656aa07651e19069e8a31f1805e9a727",
    ),
    (
        (
            "POST",
            "/session/x/upload",
            "2026-02-28T23:59:59.000001+09:00",
            "api.backend.ai",
            "multipart/form-data; boundary=--abc",
        ),
        "3e7aa3738bd1ba62051ea842452a4578f73a5711528bfb80ea4f2c12c775056f",
    ),
]


def sign(method: str, target: str, date: str, host: str, content_type: str, **other: str) -> str:
    return signature(
        secret_key=other.get("secret_key", SECRET),
        method=method,
        raw_target=target,
        date=date,
        host=host,
        content_type=content_type,
        api_version=VERSION,
        hash_name=other.get("hash_name", "sha256"),
    )


@pytest.mark.parametrize(("request_", "expected"), VECTORS)
def test_the_official_client_signs_the_same(request_: tuple[str, str, str, str, str], expected: str) -> None:
    assert sign(*request_) == expected


@pytest.mark.parametrize("part", range(5))
def test_every_part_is_signed(part: int) -> None:
    request = list(VECTORS[1][0])
    request[part] = ["PUT", "/session?", "2026-11-23T03:30:28+00:00", "localhost:8091", "text/plain"][part]
    assert sign(*request) != VECTORS[1][1]


def test_the_secret_counts() -> None:
    assert sign(*VECTORS[0][0], secret_key="other") != VECTORS[0][1]


def test_case_of_method_and_media_type_does_not_count() -> None:
    assert sign("post", "/session", VECTORS[1][0][2], "127.0.0.1:8091", "Application/JSON") == VECTORS[1][1]


def test_a_target_that_is_no_utf8_can_be_checked() -> None:
    assert len(sign("GET", "/x\udcff", VECTORS[0][0][2], "h\udcfe", "text/plain")) == 64


@pytest.mark.parametrize("name", ["", "nope", "SHA256", "shake_128", "sha256 "])
def test_unknown_hashes_are_refused(name: str) -> None:
    with pytest.raises(InvalidAuth, match="signing hash"):
        sign(*VECTORS[0][0], hash_name=name)


def test_authorization_header() -> None:
    assert authorization("AK", "ab12") == "BackendAI signMethod=HMAC-SHA256, credential=AK:ab12"


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_dates_in_both_forms(when: datetime) -> None:
    assert parse_date(when.isoformat()) == when
    whole = when.replace(microsecond=0)
    assert parse_date(whole.strftime("%a, %d %b %Y %H:%M:%S GMT")) == whole


def test_a_date_without_zone_is_utc() -> None:
    assert parse_date("2026-11-23T03:30:27").utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13-01T00:00:00", "Mon, 99 Foo 2026 00:00:00 GMT",
     "Mon, 01 Jan 2026 00:00:00 +9999999999999999",
     "9" * 5000, "\x00", "Mon, 01 Jan 99999 00:00:00 GMT"],
)  # fmt: skip
def test_bad_dates(text: str) -> None:
    with pytest.raises(InvalidAuth, match="Date header") as error:
        parse_date(text)
    assert len(error.value.message) < 400


@given(st.text(max_size=80))
def test_any_text_is_a_date_or_invalid(text: str) -> None:
    try:
        assert parse_date(text).tzinfo is not None
    except InvalidAuth:
        pass
