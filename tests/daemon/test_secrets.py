"""Secret keys and what users put into the environment of their sessions: in no log, no title, no error."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.client.api import ApiClient, Endpoint
from bai_tui.app.config import Paths
from bai_tui.app.local import is_alive, read_running, running_backend
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import BaiTuiError

VALUE = "value-that-nobody-is-told-7313"
OURS = "of-the-one-who-starts-the-backend-8222"


def _titles() -> Iterable[tuple[str, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield process.name, (process / "cmdline").read_text(errors="replace") + (process / "comm").read_text()
        except OSError:
            continue


def _requests(endpoint: Endpoint) -> list[str]:
    """Sends what cannot be right, with the secret key where it does not belong; returns the answers."""
    host = endpoint.url.removeprefix("http://")
    told = []
    secret, key = endpoint.secret_key, endpoint.access_key
    for header in (
        f"BackendAI signMethod=HMAC-SHA256, credential={key}:{secret}",
        f"BackendAI signMethod={secret}, credential={key}:x",
        f"BackendAI credential={secret}",
        f"{secret} signMethod=HMAC-SHA256, credential={key}:x",
        f"Bearer {secret}",
        f"Basic {secret}",
        secret,
    ):
        for method, path in (("GET", "/auth"), ("POST", "/session"), ("GET", "/metrics"), ("GET", "/events/session")):
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request(method, path, headers={"Authorization": header, "Date": "Mon, 23 Nov 2026 10:00:00 GMT"})
            answer = connection.getresponse()
            assert answer.status in (400, 401)
            told.append(str(answer.headers) + answer.read().decode())
            connection.close()
    return told


async def _work(endpoint: Endpoint) -> list[str]:
    """Uses sessions with a secret in their environment, until things break; returns what was told."""
    told: list[str] = []
    async with ApiClient(endpoint) as client:
        environ = {"DB_PASSWORD": VALUE}
        made = await client.create_session("python", name="secretive", environ=environ)
        code = "import os\nprint(len(os.environ['DB_PASSWORD']), 'MY_API_KEY' in os.environ)\nprint(open('x/y'))"
        for asked in (code, "import os; os._exit(3)"):
            async with client.execute(made.id, ExecuteRequest(RunMode.QUERY, asked)) as run:
                told += [str(frame) async for frame in run]
        for refused in (
            client.create_session("no-such-image", environ=environ),
            client.create_session("python", environ={"A B": VALUE}),
            client.create_session("python", environ={"A": VALUE + "\0"}),
            client.create_session("python", name="secretive", environ=environ, reuse=False),
            client.create_session("python", environ=environ, resources={"cpu": "9999"}),
        ):
            with pytest.raises(BaiTuiError) as error:
                await refused
            told.append(str(error.value) + repr(error.value.data))
        told.append(repr(endpoint))
        await client.create_session("python", name="goes-on", environ=environ)
        return told


def test_secrets_stay_where_they_belong(
    bai_tui: Callable[..., Any], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", OURS)
    monkeypatch.setenv("UV_PUBLISH_TOKEN", OURS)
    monkeypatch.setenv("BAI_TUI_DEBUG", "1")
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    told: list[str] = []

    def command(*arguments: str, fails: bool = False, **options: Any) -> str:
        done = bai_tui(*arguments, **options)
        assert (done.returncode != 0) == fails, done.stderr
        told.append(done.stderr)
        return str(done.stdout)

    command("serve", "--detach", "--port=0")
    before = running_backend(paths)
    assert before is not None
    secrets = [VALUE, OURS, before.secret_key]
    access_key, secret_key = command("keypair", "add", "--user", "alice").split()
    secrets.append(secret_key)
    secrets.append(command("keypair", "rotate").split()[1])
    secrets.append(command("keypair", "rotate", access_key).split()[1])
    told += [command("keypair", "list"), command("keypair", "list", "--output", "json")]
    endpoint = running_backend(paths)
    assert endpoint is not None and endpoint.secret_key == secrets[-2] != before.secret_key
    told += _requests(endpoint) + _requests(before)
    for wrong in (secret_key, secrets[-1][:-1]):
        away = {"BACKEND_ENDPOINT": endpoint.url, "BACKEND_ACCESS_KEY": access_key, "BACKEND_SECRET_KEY": wrong}
        command("ps", fails=True, env={**os.environ, **away})
        secrets.append(wrong)
    said = asyncio.run(_work(endpoint))
    assert any("30 False" in text for text in said), said
    told += said
    titles = list(_titles())
    backend = read_running(paths)
    assert backend is not None
    environ = Path(f"/proc/{backend.pid}/environ").read_bytes()
    assert OURS.encode() not in environ and b"HOME=" in environ
    os.kill(backend.pid, signal.SIGKILL)
    while is_alive(backend.pid, backend.start_time):
        pass
    # a file that was torn: its text must not be quoted
    file = paths.data / "keypair.json"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4])
    command("ps", fails=True)
    file.write_bytes(whole)
    command("ps")
    titles += _titles()

    found = [(secret, text) for secret in secrets for text in told if secret in text]
    assert not found
    assert not [(pid, title) for pid, title in titles for secret in secrets if secret in title]
    for folder in (paths.state, paths.data, paths.cache, paths.config):
        for item in folder.rglob("*"):
            if item.is_symlink() or not item.is_file():
                continue
            text = item.read_bytes()
            if held := [secret for secret in secrets if secret.encode() in text]:
                assert item.suffix != ".log", (item, held)
                assert stat.S_IMODE(item.stat().st_mode) == 0o600, (item, held)
                assert stat.S_IMODE(item.parent.stat().st_mode) == 0o700, (item, held)
