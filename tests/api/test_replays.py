"""A signature is good for one request, also after a restart, a full disk, a damaged file and a clock set back."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.api.replays import GENERATION_S, Replayed, Replays
from bai_tui.app.model.signing import MAX_CLOCK_SKEW_S
from yarl import URL

NOW = 1_800_000_000.0
KEY, OTHER = "AKONE", "AKTWO"


def mac(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


class Ticking:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


def refused(replays: Replays, number: int, date_s: float, *, key: str = KEY, now_s: float | None = None) -> bool:
    try:
        replays.accept(key, mac(number), date_s, now_s=date_s if now_s is None else now_s)
    except Replayed:
        return True
    return False


# --- over the wire


async def _twice(api: Any, method: str, target: str, **sent: Any) -> list[tuple[int, str]]:
    headers = api.headers(method, target, "application/json", **sent)
    answers = []
    for body in (b'{"echo": "one"}', b'{"echo": "two"}'):
        async with api.session.request(method, URL(api.base + target), data=body, headers=headers) as answer:
            answers.append((answer.status, await answer.text()))
    return answers


async def test_a_request_that_is_sent_again_is_refused(api: Any) -> None:
    (first, _), (second, text) = await _twice(api, "POST", "/auth")
    assert (first, second) == (200, 401)
    assert "auth-failed" in text and "this request was made before" in text
    assert api.keypair.secret_key not in text


async def test_a_stolen_request_cannot_run_other_code(api: Any) -> None:
    """The body is not signed: the one thing that keeps a thief from sending another is that the signature is used."""
    ref = await api.create()
    target = f"/session/{ref}"
    headers = api.headers("POST", target, "application/json")
    for body, status in ((b'{"mode":"query","code":"say mine"}', 200), (b'{"mode":"query","code":"say stolen"}', 401)):
        async with api.session.post(api.base + target, data=body, headers=headers) as answer:
            assert answer.status == status
    assert "stolen" not in (await api.send("GET", f"/session/{ref}/logs")).json["result"]["logs"]


async def test_a_stolen_websocket_is_refused(api: Any) -> None:
    ref = await api.create()
    headers = api.headers("GET", f"/stream/session/{ref}/execute", None)
    url = f"{api.base}/stream/session/{ref}/execute"
    async with api.session.ws_connect(url, headers=headers) as ws:
        await ws.send_json({"mode": "query", "code": "say hi"})
        assert (await ws.receive_json())["console"] == [["stdout", "hi\n"]]
    async with api.session.get(url, headers=headers | {"Connection": "Upgrade", "Upgrade": "websocket"}) as answer:
        assert answer.status == 401


async def test_equal_requests_signed_at_different_moments_are_two(api: Any) -> None:
    for _ in range(20):
        assert (await api.send("GET", "/auth")).status == 200


async def test_a_date_of_whole_seconds_is_good_for_one_equal_request(api: Any) -> None:
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    (first, _), (second, text) = await _twice(api, "POST", "/auth", date=date)
    assert (first, second) == (200, 401)
    assert "microsecond" in text


async def test_a_refused_signature_is_not_remembered(api: Any, runner: Any) -> None:
    from bai_tui.app.backend.api.context import CONTEXT

    replays = runner.app[CONTEXT].replays
    before = len(replays)
    for _ in range(5):
        assert (await api.send("GET", "/auth", secret="wrong")).status == 401
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert (await api.send("GET", "/auth", date=old)).status == 400
    assert len(replays) == before


# --- what is remembered, and for how long


def test_what_is_dated_ahead_is_remembered_until_it_is_too_old(ticking: Ticking) -> None:
    replays = Replays(monotonic_s=ticking)
    ahead_s = NOW + MAX_CLOCK_SKEW_S - 1
    assert not refused(replays, 1, ahead_s, now_s=NOW)
    number = 2
    # to the very end of the window in which it would be let in, with others before and after each half hour
    for passed_s in range(60, GENERATION_S - 1, 60):
        ticking.s = passed_s
        assert not refused(replays, number, NOW + passed_s)
        assert refused(replays, 1, ahead_s, now_s=NOW + passed_s)
        number += 1


def test_memory_does_not_grow_with_time(ticking: Ticking) -> None:
    replays = Replays(monotonic_s=ticking)
    for number in range(3000):
        ticking.s = number * 10.0
        assert not refused(replays, number, NOW + ticking.s)
    assert len(replays) <= 2 * GENERATION_S / 10 + 2


def test_a_flood_makes_old_requests_refused_and_never_forgotten(ticking: Ticking) -> None:
    replays = Replays(monotonic_s=ticking, capacity=100)
    for number in range(1000):
        assert not refused(replays, number, NOW + number / 100)
    assert len(replays) <= 200
    assert all(refused(replays, number, NOW + number / 100, now_s=NOW + 10) for number in range(1000))


def test_a_flood_under_one_key_takes_nothing_from_another(ticking: Ticking) -> None:
    replays = Replays(monotonic_s=ticking, capacity=100)
    assert not refused(replays, 0, NOW, key=OTHER)
    for number in range(1, 500):  # dated ahead as far as may be, to shut everybody out
        refused(replays, number, NOW + MAX_CLOCK_SKEW_S - 500 / number, now_s=NOW)
    assert refused(replays, 5001, NOW + 1, now_s=NOW + 1)
    assert not refused(replays, 5002, NOW + 1, key=OTHER, now_s=NOW + 1)
    assert refused(replays, 0, NOW, key=OTHER, now_s=NOW + 1)


def test_a_clock_that_is_set_back_brings_nothing_back(ticking: Ticking) -> None:
    replays = Replays(monotonic_s=ticking)
    assert not refused(replays, 1, NOW)
    back_s = NOW - 7200
    number = 2
    for passed_s in range(0, 7200 + MAX_CLOCK_SKEW_S, 300):
        ticking.s += 300
        assert not refused(replays, number, back_s + passed_s), "an honest request after the clock was set"
        number += 1
        if abs(back_s + passed_s - NOW) < MAX_CLOCK_SKEW_S:
            assert refused(replays, 1, NOW, now_s=back_s + passed_s)


def test_a_clock_that_jumps_ahead_and_back_locks_nobody_out(ticking: Ticking) -> None:
    replays = Replays(monotonic_s=ticking)
    assert not refused(replays, 1, NOW)
    assert not refused(replays, 2, NOW + 1e7)
    ticking.s = 5.0
    assert not refused(replays, 3, NOW + 5)
    assert refused(replays, 1, NOW, now_s=NOW + 5)


# --- the backend after this one


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Replays]:
    replays = Replays(tmp_path, now_s=NOW - 1)
    for number in range(50):
        replays.accept(KEY, mac(number), NOW + number, now_s=NOW + number)
    yield replays
    replays.close()


def test_a_restart_forgets_nothing(begun: Replays, tmp_path: Path) -> None:
    # not closed: as after kill -9
    again = Replays(tmp_path, now_s=NOW + 51)
    assert all(refused(again, number, NOW + number, now_s=NOW + 52) for number in range(50))
    assert not refused(again, 99, NOW + 10, now_s=NOW + 52), "another one of the same time is let in"
    third = Replays(tmp_path, now_s=NOW + 53)
    assert refused(third, 99, NOW + 10, now_s=NOW + 54)
    assert refused(third, 3, NOW + 3, now_s=NOW + 54)
    again.close()
    third.close()


def test_both_generations_outlive_a_restart(tmp_path: Path, ticking: Ticking) -> None:
    replays = Replays(tmp_path, now_s=NOW - 1, monotonic_s=ticking, capacity=100)
    for number in range(250):
        replays.accept(KEY, mac(number), NOW + number / 100, now_s=NOW + 3)
    replays.close()
    again = Replays(tmp_path, now_s=NOW + 3, capacity=100)
    # the last hundred and fifty are in the files, a mark stands for the others
    assert all(refused(again, number, NOW + number / 100, now_s=NOW + 4) for number in range(250))
    assert not refused(again, 999, NOW + 4)
    again.close()


def test_the_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        replays = Replays(tmp_path, now_s=NOW, capacity=2)
        for number in range(5):
            replays.accept(KEY, mac(number), NOW + 1 + number, now_s=NOW + 1)
        replays.close()
    finally:
        os.umask(before)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["requests.0", "requests.1"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert b"AKONE" not in files[0].read_bytes()


def test_a_torn_record_is_cut_off(begun: Replays, tmp_path: Path) -> None:
    file = tmp_path / "requests.0"
    with file.open("ab") as end:
        end.write(b"half a record")
    again = Replays(tmp_path, now_s=NOW + 51)
    assert not refused(again, 99, NOW + 10, now_s=NOW + 52), "nothing is missing, so nothing is refused"
    assert refused(again, 7, NOW + 7, now_s=NOW + 52)
    third = Replays(tmp_path, now_s=NOW + 52)
    assert refused(third, 99, NOW + 10, now_s=NOW + 53), "written behind whole records"
    again.close()
    third.close()


@pytest.mark.parametrize("damage", ["a bit", "the head", "no file", "a folder", "nothing in it", "garbage", "a link"])
def test_what_cannot_be_read_refuses_what_is_older(
    begun: Replays, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "requests.0"
    raw = bytearray(file.read_bytes())
    raw[5 if damage == "the head" else 100] ^= 1
    if damage in ("no file", "a folder", "a link"):
        file.unlink()
    if damage == "a folder":
        file.mkdir()
    elif damage == "a link":
        (tmp_path / "victim").write_bytes(b"keep")
        file.symlink_to(tmp_path / "victim")
    elif damage == "nothing in it":
        file.write_bytes(b"")
    elif damage == "garbage":
        file.write_bytes(os.urandom(1000))
    elif damage != "no file":
        file.write_bytes(raw)
    again = Replays(tmp_path, now_s=NOW + 51)
    assert all(refused(again, number, NOW + number, now_s=NOW + 52) for number in range(50))
    assert refused(again, 98, NOW + 10, now_s=NOW + 52), "nobody knows"
    assert not refused(again, 99, NOW + 52)
    if damage == "a folder":
        return
    third = Replays(tmp_path, now_s=NOW + 60)
    assert refused(third, 98, NOW + 10, now_s=NOW + 61), "nor does the backend after that"
    assert refused(third, 99, NOW + 52, now_s=NOW + 61)
    assert not refused(third, 100, NOW + 61)
    if damage == "a link":
        assert (tmp_path / "victim").read_bytes() == b"keep"
    again.close()
    third.close()


def test_another_boot_of_the_machine_refuses_what_is_older(
    begun: Replays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is synced to the disk: after a power failure the end of the file may be missing."""
    boot = tmp_path / "boot_id"
    boot.write_text("another boot")
    monkeypatch.setattr("bai_tui.app.backend.api.replays._BOOT_ID", boot)
    again = Replays(tmp_path, now_s=NOW + 51)
    assert refused(again, 99, NOW + 50, now_s=NOW + 52)
    assert not refused(again, 99, NOW + 52)
    again.close()


def test_a_full_disk_is_told_and_lets_nothing_through_later(
    begun: Replays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("bai_tui.app.backend.api.replays.os.write", full)
        assert not refused(begun, 60, NOW + 60), "requests go on"
        assert not refused(begun, 61, NOW + 61)
    assert "No space left on device" in caplog.text and "in memory only" in caplog.text
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    assert refused(begun, 60, NOW + 60, now_s=NOW + 62)
    again = Replays(tmp_path, now_s=NOW + 63)
    assert refused(again, 60, NOW + 60, now_s=NOW + 64)
    assert refused(again, 61, NOW + 61, now_s=NOW + 64)
    assert not refused(again, 62, NOW + 64)
    again.close()


def test_a_disk_that_was_full_for_a_while_is_written_again(
    tmp_path: Path, ticking: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    replays = Replays(tmp_path, now_s=NOW - 1, monotonic_s=ticking)
    with monkeypatch.context() as patched:
        patched.setattr("bai_tui.app.backend.api.replays.os.write", lambda fd, data: 3)  # a part of a record
        assert not refused(replays, 1, NOW + MAX_CLOCK_SKEW_S - 1, now_s=NOW)
    ticking.s = GENERATION_S + 1.0
    late_s = NOW + GENERATION_S - 5
    assert not refused(replays, 2, late_s)
    replays.close()
    again = Replays(tmp_path, now_s=late_s + 1)
    assert refused(again, 2, late_s, now_s=late_s + 2)
    assert refused(again, 1, NOW + MAX_CLOCK_SKEW_S - 1, now_s=late_s + 2), "its mark was written in its place"
    assert not refused(again, 3, late_s + 2)
    again.close()
