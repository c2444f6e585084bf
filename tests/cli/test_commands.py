"""`ps`, `rm`, the small commands, errors, help."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aiohttp import web
from bai_tui import __version__
from bai_tui.app.cli import exit_codes, tables
from bai_tui.app.model.slots import ResourceSlots

from .conftest import OTHER, SID, Manager, Outcome

Bai = Callable[..., Outcome]


@pytest.mark.parametrize("words", [("ps",), ("session", "list"), ("admin", "sessions"), ("admin", "session", "list")])
def test_ps_and_its_other_names(manager: Manager, bai: Bai, words: tuple[str, ...]) -> None:
    done = bai(*words)
    assert done.status == 0
    header, first, second = done.out.splitlines()
    assert header.split() == ["NAME", "ID", "STATUS", "IMAGE", "SLOTS", "AGE"]
    # in a pipe nothing is cut
    assert first.split()[:4] == [
        "first-session",
        SID,
        "RUNNING",
        "local/stable/python-tensorflow:1.12-py36-ubuntu18.04",
    ]
    assert "cpu 1, mem 1g, gpu 0.5" in first
    assert second.split() == ["second", OTHER, "PENDING", "python:3.11", "-", "-"]


MEASURED = {
    "tag": "mine",
    "priority": 10,
    "idle_checks": json.dumps(
        {
            "network_timeout": {"remaining": 1750.2, "remaining_time_type": "grace_period", "extra": None},
            "utilization": {
                "remaining": 9000,
                "remaining_time_type": "expire_after",
                "extra": {"resources": {"cpu_util": [37.25, 10.0]}},
            },
            "session_lifetime": {"remaining": None, "remaining_time_type": "expire_after", "extra": None},
        }
    ),
    "containers": [
        {
            "live_stat": json.dumps(
                {
                    "cpu_util": {"current": "37", "capacity": "100", "unit_hint": "percent", "stats.max": "90"},
                    "mem": {"current": str(300 * 2**20), "capacity": str(2**30), "unit_hint": "bytes"},
                    "cuda_mem": {"current": str(2**31), "capacity": str(2**33), "unit_hint": "bytes"},
                    "cuda_util": {"current": "35", "capacity": "50", "unit_hint": "percent"},
                }
            ),
            "last_stat": None,
        }
    ],
    "status_data": json.dumps(
        {
            "allocation": {"cuda.shares": {"gpu0": "0.5"}},
            "enforcement": [
                {"name": "accounting", "applies_to": "gpu", "guarantee": "counted", "detail": "kept in the books"},
                {
                    "name": "environment",
                    "applies_to": "gpu",
                    "guarantee": "cooperative",
                    "detail": "CUDA_VISIBLE_DEVICES",
                },
            ],
        }
    ),
}
"""What our backend tells of a session that runs."""


def asked(manager: Manager) -> str:
    return str(json.loads(manager.bodies[-1])["query"])


def statuses(manager: Manager) -> set[str]:
    return set(json.loads(manager.bodies[-1])["variables"]["status"].split(","))


def test_which_sessions_are_listed(manager: Manager, bai: Bai) -> None:
    bai("ps")
    # what is listed can be named: no command finds a session by name that has ended, in an ERROR or not
    assert {"PENDING", "RUNNING", "CREATING", "RESTARTING"} <= statuses(manager)
    assert not {"TERMINATED", "CANCELLED", "ERROR"} & statuses(manager)
    bai("ps", "--running")
    assert statuses(manager) == {"PREPARING", "CREATING", "RUNNING", "RUNNING_DEGRADED"}
    bai("ps", "--dead")
    assert statuses(manager) == {"TERMINATED", "CANCELLED", "ERROR"}
    for option in (["-a"], ["--all"], ["-s", "all"]):
        bai("ps", *option)
        assert len(statuses(manager)) == 13
    bai("ps", "-s", "running,pending")
    assert statuses(manager) == {"RUNNING", "PENDING"}
    done = bai("ps", "-s", "RUNING")
    assert (done.status, "did you mean RUNNING?" in done.err) == (2, True)


def test_fields(manager: Manager, bai: Bai) -> None:
    assert bai("ps", "-f", "name,session_id").out == (
        f"NAME           SESSION_ID\nfirst-session  {SID}\nsecond         {OTHER}\n"
    )
    assert bai("ps", "--plain", "-f", "session_id").out == f"{SID}\n{OTHER}\n"
    assert bai("ps", "--name-only").out == "first-session\nsecond\n"
    done = bai("ps", "-f", "name,sesion_id")
    assert (done.status, done.out) == (2, "")
    assert "there is no field 'sesion_id'; did you mean session_id?" in done.err
    assert bai("ps", "-f", ",").status == 2


def test_detail_says_what_a_session_uses_and_waits_for(manager: Manager, bai: Bai) -> None:
    manager.handshake["bai-tui"] = {"capabilities": ["stats"]}
    manager.rows[0].update(MEASURED)
    manager.rows[1].update(status_data=json.dumps({"scheduler": {"msg": "waits for 0.5 cuda.shares", "position": 2}}))
    header, first, second = bai("ps", "--detail").out.splitlines()
    assert header.split()[6:] == (
        ["CPU", "MEM", "GPU-MEM", "GPU", "IDLE", "PRIORITY", "TAG", "CREATED", "ENFORCED", "INFO"]
    )
    assert first.split()[-10:] == [
        "37%/100%",
        "300m/1g",
        "2g/8g",
        "35%/50%",
        "29m",
        "10",
        "mine",
        "2026-11-23T03:30:29Z",
        "accounting,environment",
        "-",
    ]
    assert second.endswith("  waits for 0.5 cuda.shares")
    assert "containers" in asked(manager)
    # a list that shows no use does not ask for it
    bai("ps")
    assert "containers" not in asked(manager)


def test_info_is_the_reason_where_a_cluster_tells_no_more(manager: Manager, bai: Bai) -> None:
    assert bai("ps", "--detail").out.splitlines()[2].endswith("waits for 1 cuda.shares")


@pytest.mark.parametrize("words", [("--output", "json", "ps"), ("ps", "--output", "json")])
def test_json(manager: Manager, bai: Bai, words: tuple[str, ...]) -> None:
    body = json.loads(bai(*words, "--detail").out)
    assert (body["count"], body["total_count"]) == (2, 2)
    assert body["items"][0]["session_id"] == SID
    assert body["items"][0]["occupying_slots"] == {"cpu": "1", "mem": "1073741824", "cuda.shares": "0.5"}
    assert list(json.loads(bai(*words, "-f", "status,name").out)["items"][0]) == ["status", "name"]
    assert list(json.loads(bai(*words, "--name-only").out)["items"][0]) == ["name"]


def test_all_of_the_details_are_data(manager: Manager, bai: Bai) -> None:
    manager.rows[0].update(MEASURED)
    first, second = json.loads(bai("ps", "--detail", "--output", "json").out)["items"]
    assert first["live_stat"]["cuda_mem"]["current"] == "2147483648"
    assert first["idle_remaining"] == 1750.2
    assert first["idle_checks"]["session_lifetime"]["remaining"] is None
    assert first["enforcement"][1]["guarantee"] == "cooperative"
    assert first["allocation"] == {"cuda.shares": {"gpu0": "0.5"}}
    assert (second["live_stat"], second["waiting"], second["enforcement"]) == (None, None, None)
    fields = "name,waiting,live_stat,enforcement,idle_remaining"
    row = bai("ps", "-f", fields, "--plain", "--limit", "1").out
    assert row.startswith("first-session  -") and row.endswith("  1750.2\n") and '"cooperative"' in row


def test_pages(manager: Manager, bai: Bai) -> None:
    manager.rows = [{"id": str(n), "name": f"s{n:04d}", "status": "RUNNING"} for n in range(250)]
    assert bai("ps", "--name-only").out.split() == [f"s{n:04d}" for n in range(250)]
    assert bai("ps", "--name-only", "--limit", "120", "--offset", "10").out.split() == [
        f"s{n:04d}" for n in range(10, 130)
    ]
    assert len(bai("ps", "--name-only", "--limit", "3").out.split()) == 3


def test_an_empty_list_is_a_header(manager: Manager, bai: Bai) -> None:
    manager.rows = []
    assert bai("ps") == Outcome(0, "NAME  ID  STATUS  IMAGE  SLOTS  AGE\n", "")
    assert bai("ps", "--name-only").out == ""
    assert json.loads(bai("--output", "json", "ps").out) == {"count": 0, "total_count": 0, "items": []}


def test_names_of_a_server_cannot_play_with_the_terminal(manager: Manager, bai: Bai) -> None:
    manager.rows[0]["name"] = "evil\x1b]0;x\x07\nname"
    assert "evil?]0;x? name" in bai("ps").out
    assert "\x1b" not in bai("ps", "--name-only").out


@pytest.mark.parametrize("words", [("rm",), ("kill",), ("destroy",), ("session", "rm"), ("session", "destroy")])
def test_rm_tries_all(manager: Manager, bai: Bai, words: tuple[str, ...]) -> None:
    done = bai(*words, "--forced", "fir", "nothing", OTHER)
    assert (done.status, done.out) == (exit_codes.FAILED, f"fir\n{OTHER}\n")
    assert done.err == (
        "bai-tui: nothing: no live session has an id or name that begins with 'nothing'; "
        "`bai-tui ps` lists what there is\n"
    )
    assert manager.deleted == [f"/session/{SID}?forced=true", f"/session/{OTHER}?forced=true"]


def test_rm_of_one(manager: Manager, bai: Bai) -> None:
    done = bai("rm", "-s", SID)
    assert done == Outcome(0, f"{SID}\nMETRIC    VALUE\ncpu_used  12 msec\n", "")
    assert bai("rm").status == exit_codes.USAGE


def test_rm_of_one_that_went_with_another(manager: Manager, bai: Bai) -> None:
    async def with_the_other(request: web.Request) -> web.StreamResponse:
        del manager.rows[1]
        return await manager._delete(request)

    manager.answers[f"DELETE /session/{SID}"] = with_the_other
    assert bai("rm", "-r", "first", OTHER) == Outcome(0, f"first\n{OTHER}\n", "")
    assert manager.deleted[0] == f"/session/{SID}?recursive=true"
    # without -r nobody took it along: it was never there
    assert bai("rm", OTHER).status == exit_codes.FAILED
    assert bai("rm", "-r", OTHER).status == exit_codes.FAILED


def test_rm_of_an_ambiguous_prefix(manager: Manager, bai: Bai) -> None:
    manager.rows[1]["name"] = "first-two"
    done = bai("rm", "first")
    assert done.status == exit_codes.FAILED
    assert "could mean 2 sessions" in done.err
    assert not manager.deleted


def test_small_commands(manager: Manager, bai: Bai) -> None:
    assert bai("logs", "first") == Outcome(0, "line\x1b[31m one\x1b[0m\n", "")
    assert bai("interrupt", "first", "second") == Outcome(0, "first\nsecond\n", "")
    assert bai("rename", "second", "newname").status == 0
    assert manager.targets()[-1] == f"POST /session/{OTHER}/rename?name=newname"
    done = bai("session", "restart", "first")
    assert (done.status, done.err) == (1, "bai-tui: first: Unknown URL path.\n")
    assert bai("images").out.splitlines()[1].split() == ["r/python:3.11", "py", "-", "-", "yes"]
    assert json.loads(bai("--output", "json", "image", "list").out)["items"][0]["aliases"] == ["py"]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("words", [("ps",), ("rm", "abcd"), ("run", "--rm", "-c", "x", "python"), ("images",)])
def test_an_endpoint_that_does_not_answer(bai: Bai, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.setenv("BACKEND_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("BACKEND_ACCESS_KEY", "a")
    monkeypatch.setenv("BACKEND_SECRET_KEY", "b")
    done = bai(*words)
    assert (done.status, done.out) == (exit_codes.UNREACHABLE, "")
    assert done.err.startswith("bai-tui: http://127.0.0.1:")
    assert done.err.endswith("does not answer: Connection refused\n")
    assert done.err.count("\n") == 1


def test_an_endpoint_that_is_none(bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_ENDPOINT", "127.0.0.1:8091")
    monkeypatch.setenv("BACKEND_ACCESS_KEY", "a")
    monkeypatch.setenv("BACKEND_SECRET_KEY", "b")
    done = bai("ps")
    assert done.status == exit_codes.CONFIG
    assert done.err.count("\n") == 1


def test_a_wrong_secret(manager: Manager, bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_SECRET_KEY", "wrong")
    done = bai("ps")
    assert done == Outcome(exit_codes.DENIED, "", "bai-tui: Credential/signature mismatch: HMAC signature mismatch\n")
    manager.refused.clear()


def test_a_defect_is_told_without_a_traceback(bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("bai_tui.app.cli.endpoint.endpoint", broken)
    done = bai("ps")
    assert done.status == exit_codes.INTERNAL
    assert done.err.startswith("bai-tui: this is a defect of bai-tui: ZeroDivisionError")
    monkeypatch.setenv("BAI_TUI_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        bai("ps")


def test_interrupted_before_anything_happened(bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bai_tui.app.cli.endpoint.endpoint", interrupted)
    assert bai("ps").status == exit_codes.INTERRUPTED


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("ps",),
        ("run",),
        ("rm",),
        ("kill",),
        ("logs",),
        ("images",),
        ("top",),
        ("info",),
        ("create",),
        ("extend",),
        ("session",),
        ("session", "set-priority"),
        ("session", "list"),
        ("admin",),
        ("admin", "session"),
        ("image",),
        ("image", "list"),
    ],
)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_everywhere(bai: Bai, words: tuple[str, ...], option: str) -> None:
    done = bai(*words, option)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Usage: bai-tui")
    assert all(len(line) <= 100 for line in done.out.splitlines())


def test_the_exit_statuses_in_the_help_are_the_real_ones(bai: Bai) -> None:
    text = " ".join(bai("run", "--help").out.split())
    for code, words in (
        (exit_codes.USAGE, "wrong usage"),
        (exit_codes.REFUSED, "the server refused"),
        (exit_codes.NOT_FOUND, "no such image"),
        (exit_codes.UNREACHABLE, "no answer"),
        (exit_codes.INTERNAL, "a defect"),
        (exit_codes.STILL_QUEUED, "still queued"),
        (exit_codes.DENIED, "not allowed"),
        (exit_codes.CONFIG, "the configuration"),
        (exit_codes.INTERRUPTED, "interrupted"),
    ):
        assert f"{code} {words}" in text


def test_version(bai: Bai) -> None:
    assert bai("--version").out == f"bai-tui, version {__version__}\n"


def test_a_command_that_is_none(bai: Bai) -> None:
    done = bai("sesion")
    assert done == Outcome(
        2, "", "bai-tui: there is no command 'sesion'; did you mean 'session'? (see `bai-tui --help`)\n"
    )
    assert bai("zzzz").status == 2


def test_without_a_terminal_there_is_no_workspace(bai: Bai) -> None:
    done = bai()
    assert (done.status, "needs a terminal" in done.err) == (2, True)


# --- tables ------------------------------------------------------------------------------------------------------


def test_tables_fit_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    rows = [["name-" * 10, "12345678", "RUNNING", "local/stable/python:3.11-debian12", "cpu 1, mem 1g, gpu 0.5", "12s"]]
    for columns in (80, 60):
        size = os.terminal_size((columns, 24))
        monkeypatch.setattr("shutil.get_terminal_size", lambda fallback=(80, 24), size=size: size)
        lines = tables.table(["NAME", "ID", "STATUS", "IMAGE", "SLOTS", "AGE"], rows, (0, 3, 4)).splitlines()
        assert all(tables.width_of(line) <= columns for line in lines)
        assert lines[1].endswith("12s") and "12345678" in lines[1]


def test_wide_characters_keep_columns_straight() -> None:
    assert tables.table(None, [["日本", "a"], ["abcd", "b"]]) == "日本  a\nabcd  b\n"
    assert tables.cut("日本語", 5) == "日本…"
    assert tables.cut("日本語", 4) == "日…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (7200, "2h"),
        (86400 * 6, "6d"),
        (86400 * 30, "4w"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert tables.age(now - timedelta(seconds=seconds), now) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (44.2, "45s"),
        (1799.9, "30m"),
        (1799, "29m"),
        (7199.99, "2h"),
        (7190, "1h59m"),
        (86400 * 2 + 3600 * 3 + 59, "2d3h"),
        (86400 * 40, "40d"),
    ],
)
def test_times_that_are_left(seconds: float, text: str) -> None:
    assert tables.remaining(seconds) == text


def test_sizes() -> None:
    assert tables.size(Decimal(536870912)) == "512m"
    assert tables.size(Decimal(1610612736)) == "1.5g"
    assert tables.size(Decimal(100)) == "100"
    slots: dict[str, Decimal | int] = {
        "rocm.device": 1,
        "cuda.shares": Decimal("0.5"),
        "mem": 2**30,
        "cuda.device": 0,
        "cpu": 1,
    }
    assert tables.slots(ResourceSlots(slots)) == "cpu 1, mem 1g, gpu 0.5, rocm.device 1"
