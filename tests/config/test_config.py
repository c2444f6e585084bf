from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from bai_tui.app.backend_settings import Settings
from bai_tui.app.config import Paths, private_folder, remote_endpoint, tui_settings
from bai_tui.app.model.durations import parse_duration
from bai_tui.app.model.errors import BadRequest, ConfigError
from bai_tui.app.policies import JournalSettings, SandboxSettings, SchedulerSettings
from bai_tui.app.tui_settings import TuiSettings


def write(text: str) -> Paths:
    paths = Paths.of_user()
    paths.config.mkdir(parents=True)
    (paths.config / "config.toml").write_text(text)
    return paths


def test_folders_are_those_of_xdg(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths = Paths.of_user()
    assert paths.config == home / ".config/bai-tui"
    assert paths.data == home / ".local/share/bai-tui"
    assert paths.state == home / ".local/state/bai-tui"
    assert paths.cache == home / ".cache/bai-tui"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert Paths.of_user().state == tmp_path / "bai-tui"
    assert Paths.of_user().data == paths.data
    assert not home.joinpath(".local").exists(), "asking makes nothing"


def test_no_file_means_defaults() -> None:
    assert Settings.load(Paths.of_user()) == Settings()


def test_every_key_is_read() -> None:
    paths = write(
        "host = '::1'\nport = 0\nidle_timeout = '10m'\nmock_gpus = '2:16g'\ncpu = 3\nmem = '8g'\n",
    )
    assert Settings.load(paths) == Settings("::1", 0, 600.0, "2:16g", 3, "8g")


def test_the_tables_are_read() -> None:
    settings = Settings.load(
        write(
            """
            [scheduler]
            policy = "fair-share"
            backfill = false
            quantum = 0.05
            half_life = "3d"
            weights = {alice = 2, bob = "0.5"}
            [limits]
            max_concurrent_sessions = 4
            total_resource_slots = {cpu = 8, mem = "16g", gpu = 1.5}
            [limits.keypair.alice]
            max_concurrent_sessions = 9
            [idle]
            warn_before = 30
            [idle.utilization]
            thresholds = {cpu_util = 5}
            operator = "or"
            [gpu]
            watch_mock = true
            [memory]
            end_pct = 150
            [sandbox]
            isolation = "bwrap"
            network = false
            max_tasks = 64
            wall_time = "2h"
            work_quota = "10g"
            [journal]
            max_size = "64m"
            overflow = "slow-down"
            retention = "1d"
            """
        )
    )
    assert settings.scheduler == SchedulerSettings(
        policy="fair-share",
        backfill=False,
        quantum=Decimal("0.05"),
        half_life_s=3 * 86400.0,
        weights={"alice": Decimal(2), "bob": Decimal("0.5")},
    )
    assert settings.limits.of("bob").total_resource_slots == {"cpu": "8", "mem": str(16 << 30), "cuda.shares": "1.5"}
    assert settings.limits.of("alice").max_concurrent_sessions == 9
    assert settings.limits.of("alice").total_resource_slots == settings.limits.of("bob").total_resource_slots
    assert settings.idle.warn_before_s == 30
    assert settings.idle.utilization.thresholds == {"cpu_util": 5.0}
    assert settings.idle.utilization.operator == "or"
    assert settings.gpu.watch_mock
    assert settings.memory.end_pct == 150
    assert settings.sandbox == SandboxSettings(
        isolation="bwrap", network=False, max_tasks=64, wall_time_s=7200.0, work_quota_bytes=10 << 30
    )
    assert settings.journal == JournalSettings(max_size_bytes=64 << 20, overflow="slow-down", retention_s=86400.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("idle_timeot = 3", "did you mean 'idle_timeout'"),
        ("zzz = 3", "it knows host"),
        ("port = 'x'", "port"),
        ("port = 70000", "0 to 65535"),
        ("port = true", "port"),
        ("idle_timeout = -1", "no duration"),
        ("idle_timeout = []", "no duration"),
        ("mock_gpus = 'many'", "N or N:MEMORY"),
        ("mock_gpus = '2:'", "N or N:MEMORY"),
        ("mock_gpus = '2:lots'", "lots"),
        ("mock_gpus = true", "N or N:MEMORY"),
        ("cpu = -1", "cpu"),
        ("mem = 'x'", "mem"),
        ("host = 3", "host"),
        ("not toml", "not valid TOML"),
        ("[table]\nx = 1", "unknown key 'table'"),
        ("[scheduler]\npolicies = 'fifo'", "did you mean 'scheduler.policy'"),
        ("scheduler = 'fifo'", "scheduler must be a table"),
        (
            "scheduler.policy = 'fair'",
            "scheduler.policy: 'fair' is not known: write one of fifo",
        ),
        ("scheduler.policy = ['fifo']", "is not known"),
        ("scheduler.backfill = 1", "neither true nor false"),
        ("scheduler.quantum = 0.3", "does not divide a GPU"),
        ("scheduler.quantum = 0", "does not divide a GPU"),
        ("scheduler.quantum = 0.0001", "scheduler.quantum"),
        ("scheduler.half_life = '3d'", "scheduler.half_life contradicts scheduler.policy = 'fifo'"),
        ("[scheduler]\npolicy = 'fair-share'\nhalf_life = 0", "too short"),
        ("scheduler.weights = {a = 1}", "scheduler.weights contradicts scheduler.policy = 'fifo'"),
        ("[scheduler]\npolicy = 'drf'\nweights = {a = 0}", "the weight of 'a' must be more than 0"),
        ("[scheduler]\npolicy = 'drf'\nweights = 3", "table of access keys"),
        ("limits.max_concurrent_sessions = 0", "limits.max_concurrent_sessions: 0 is no count"),
        ("limits.total_resource_slots = {gpus = 1}", "Unknown slot type: 'gpus'"),
        ("limits.total_resource_slots = {mem = 'much'}", "limits.total_resource_slots"),
        ("limits.total_resource_slots = 3", "table of slots"),
        ("limits = 3", "limits must be a table"),
        ("limits.keypair = 3", "limits.keypair must be a table"),
        ("limits.keypair.bob = 3", "limits.keypair.bob must be a table"),
        ("limits.keypair.bob.max_sessions = 3", "limits.keypair.bob.max_sessions"),
        ("idle.utilization.operator = 'or'", "names no thresholds"),
        ("idle.utilization.thresholds = {gpu = 1}", "'gpu' is not measured"),
        ("idle.utilization.thresholds = {cpu_util = 101}", "from 0 to 100"),
        ("gpu.end_pct = 90", "gpu.end_pct = 90 contradicts gpu.warn_pct = 100"),
        ("memory.warn_pct = 120", "memory.end_pct = 110 contradicts memory.warn_pct = 120"),
        ("[gpu]\nwatch = false\nwatch_mock = true", "gpu.watch_mock contradicts gpu.watch"),
        ("[gpu]\nmps = true\nsharing = false", "gpu.mps contradicts gpu.sharing"),
        ("gpu.end_samples = 0", "no count"),
        ("sandbox.network = false", "sandbox.network = false contradicts sandbox.isolation = 'none'"),
        ("sandbox.isolation = 'docker'", "'docker' is not known: write one of none, bwrap"),
        ("sandbox.max_tasks = 3", "from 16 on (0 = no limit)"),
        ("sandbox.work_quota = 'much'", "sandbox.work_quota"),
        ("sandbox.work_quota = ''", "is no size"),
        ("sandbox.work_quota = true", "is no size"),
        ("journal.max_size = '512k'", "journal.max_size: '512k' is too little for a journal: write at least '1m'"),
        ("journal.max_size = 0", "too little"),
        ("journal.overflow = 'block'", "head-and-tail, slow-down"),
        ("journal.max = '1g'", "did you mean 'journal.max_size'"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(text: str, says: str) -> None:
    paths = write(text)
    with pytest.raises(ConfigError) as caught:
        Settings.load(paths)
    assert says in caught.value.message
    assert str(paths.config / "config.toml") in caught.value.message


def test_a_folder_in_place_of_the_file_is_told() -> None:
    paths = Paths.of_user()
    (paths.config / "config.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        Settings.load(paths)


def test_a_file_in_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match=str(folder)):
            private_folder(folder)


def test_the_remote_endpoint_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remote_endpoint() is None
    monkeypatch.setenv("BACKEND_ENDPOINT", "https://api.example.org/,https://two.example.org")
    with pytest.raises(ConfigError, match="BACKEND_ACCESS_KEY is not"):
        remote_endpoint()
    monkeypatch.setenv("BACKEND_ACCESS_KEY", "A")
    with pytest.raises(ConfigError, match="BACKEND_SECRET_KEY is not"):
        remote_endpoint()
    monkeypatch.setenv("BACKEND_SECRET_KEY", "S")
    found = remote_endpoint()
    assert found is not None
    assert (found.url, found.access_key, found.secret_key) == ("https://api.example.org", "A", "S")
    assert "'S'" not in repr(found)
    monkeypatch.setenv("BACKEND_ENDPOINT_TYPE", "session")
    with pytest.raises(ConfigError, match="BACKEND_ENDPOINT_TYPE"):
        remote_endpoint()
    monkeypatch.setenv("BACKEND_ENDPOINT_TYPE", "api")
    monkeypatch.setenv("BACKEND_ENDPOINT", "api.example.org")
    with pytest.raises(ConfigError, match="no URL"):
        remote_endpoint()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), (90, 90), ("10m", 600), ("2h", 7200), ("1.5 h", 5400), ("0", 0), ("1d", 86400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "soon", "1e3", "nan", "inf", "1_0", "m", "1.2.3", "٣", "99999d", True])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_duration(text)


def test_finding_the_backend_imports_little() -> None:
    """Every command and the TUI pass here before they do anything."""
    code = "import sys, bai_tui.app.local; print(*sorted(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {
        "httpx",
        "aiohttp",
        "websockets",
        "sqlite3",
        "textual",
        "asyncio",
        "subprocess",
        "ssl",
        "click",
    }


def test_folders_are_made_for_their_owner_only(home: Path) -> None:
    before = os.umask(0)
    try:
        assert private_folder(home / "a/b/bai-tui") == home / "a/b/bai-tui"
        assert {stat.S_IMODE((home / path).stat().st_mode) for path in ("a", "a/b", "a/b/bai-tui")} == {0o700}
        (home / "a").chmod(0o755)
        (home / "a/b/bai-tui").chmod(0o775)
        private_folder(home / "a/b/bai-tui")
        assert stat.S_IMODE((home / "a/b/bai-tui").stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "a").stat().st_mode) == 0o755, "it was there before: not ours to change"
    finally:
        os.umask(before)


def test_a_folder_of_another_user_is_refused(home: Path) -> None:
    if os.geteuid() == 0:
        folder = home / "theirs"
        folder.mkdir(mode=0o777)
        os.chown(folder, 65534, 65534)
    else:
        folder = Path("/usr")
    with pytest.raises(ConfigError, match=f"{folder} belongs to another user"):
        private_folder(folder)


def test_a_home_that_is_another_one_everywhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(ConfigError, match="absolute path"):
        Paths.of_user()


def test_what_the_screen_reads_is_its_own(home: Path) -> None:
    paths = write(
        "cpu = 'nonsense'\n[tui]\ntheme = 'nord'\nascii = true\nvim = true\nread_only = true\nnotify_after = '1m'\n"
        "bell = false\ndesktop_notice = false\nimages = 'sixel'\nwrap = false\ntimestamps = true\nscrollback = 2000\n"
        "[keys]\nkill = 'f4,delete'\n"
    )
    assert tui_settings(paths) == TuiSettings(
        theme="nord",
        ascii=True,
        vim=True,
        read_only=True,
        notify_after_s=60.0,
        bell=False,
        desktop_notice=False,
        images="sixel",
        wrap=False,
        timestamps=True,
        scrollback_lines=2000,
        keys={"kill": "f4,delete"},
    )
    with pytest.raises(ConfigError, match="nonsense"):
        Settings.load(paths)


def test_what_is_wrong_for_the_screen_keeps_no_backend_from_starting(home: Path) -> None:
    paths = write("[tui]\nvin = true\n[keys]\nkill = 3\n[contexts]\nx = 3\n")
    assert Settings.load(paths) == Settings()
    with pytest.raises(ConfigError, match=re.escape("unknown key 'tui.vin': did you mean 'tui.vim'?")):
        tui_settings(paths)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tui = 3", "tui must be a table"),
        ("tui.ascii = 'yes'", "tui.ascii: 'yes' is not known: write 'auto', true or false"),
        ("tui.images = 'gif'", "tui.images: 'gif' is not known: write one of auto, kitty"),
        ("tui.scrollback = 3", "from 1000 on"),
        ("tui.theme = 3", "tui.theme: 3 is no name"),
        ("keys = 3", "keys must be a table"),
        ("keys.kill = 3", "keys.kill: 3 is no key"),
    ],
)
def test_what_is_wrong_for_the_screen_is_told(home: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tui_settings(write(text))
    assert says in caught.value.message
    assert "config.toml: " in caught.value.message
