"""The commands `serve` and `env`. The backend is imported only by the process that becomes it."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace

import click

from ..backend_settings import Settings
from ..config import Paths
from ..local import RunningBackend, ensure_backend, is_alive, read_running, start_detached
from ..model.durations import parse_duration
from ..model.errors import BaiTuiError, ConfigError
from .durations import duration
from .talk import emit, exports, say

_NOT_RUNNING = 3
_STOP_S = 30.0
"""How long `--stop` waits; the daemon's own steps are bounded by less."""

_HELP = """\b
Exit status: 0 done, 1 it failed while it ran, 2 wrong usage,
3 no backend runs (--status), 78 the configuration of this machine."""


@click.command(epilog=_HELP)
@click.option("--detach", is_flag=True, help="Start it in the background; return once it is ready.")
@click.option("--stop", is_flag=True, help="Stop it. Sessions go on; the next backend takes them over.")
@click.option("--kill-sessions", is_flag=True, help="With --stop: end all sessions first.")
@click.option("--status", is_flag=True, help="Say whether it runs, where, and since when.")
@click.option("--output", type=click.Choice(["console", "json"]), help="With --status: how it is printed.")
@click.option("--host", help="Loopback address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 = any free port; taken = a free one.  [default: 8091]")
@click.option("--mock-gpus", metavar="N[:MEMORY]", help="Offer mock GPUs, such as 2:16g, to try shares without any.")
@click.option(
    "--idle-timeout",
    metavar="DUR",
    callback=duration,
    help="End sessions that idle so long; 0 = never.  [default: 30m]",
)
@click.option("--cpu", type=click.IntRange(min=0), metavar="N", help="cpu slots to offer; 0 = all of this machine.")
@click.option("--mem", metavar="SIZE", help="mem to offer, such as 8g; by default all but a reserve.")
@click.option("--ready-fd", type=int, hidden=True)
@click.pass_context
def serve(
    ctx: click.Context,
    detach: bool,
    stop: bool,
    kill_sessions: bool,
    status: bool,
    output: str | None,
    host: str | None,
    port: int | None,
    mock_gpus: str | None,
    idle_timeout: str | None,
    cpu: int | None,
    mem: str | None,
    ready_fd: int | None,
) -> int:
    """Run the local backend: it schedules and runs the sessions of this machine.

    `bai-tui` starts it by itself when needed. Without --detach it stays in the foreground until ctrl+c.
    Options win over config.toml; they are those of the backend that is started, not of one that runs already.
    """
    if detach + stop + status > 1:
        raise click.UsageError("--detach, --stop and --status exclude each other")
    if kill_sessions and not stop:
        raise click.UsageError("--kill-sessions belongs to --stop")
    paths = Paths.of_user()
    if status:
        return _status(paths, json_=(output or ctx.find_root().obj) == "json")
    if stop:
        return _stop(paths, kill_sessions=kill_sessions)
    given = {
        "--host": host,
        "--port": port,
        "--mock-gpus": mock_gpus,
        "--idle-timeout": idle_timeout,
        "--cpu": cpu,
        "--mem": mem,
    }
    options = [f"{name}={value}" for name, value in given.items() if value is not None]
    if detach:
        return _detach(paths, options)
    try:
        settings = _settings(paths, host, port, mock_gpus, idle_timeout, cpu, mem)
    except BaiTuiError as exc:
        if ready_fd is not None:
            os.write(ready_fd, json.dumps({"error": exc.message}).encode() + b"\n")
        raise
    from ..backend.daemon import serve as run

    return run(paths, settings, options=options, ready_fd=ready_fd)


def _settings(
    paths: Paths,
    host: str | None,
    port: int | None,
    mock_gpus: str | None,
    idle_timeout: str | None,
    cpu: int | None,
    mem: str | None,
) -> Settings:
    settings = Settings.load(paths)
    if host is not None:
        settings = replace(settings, host=host)
    if port is not None:
        settings = replace(settings, port=port)
    if mock_gpus is not None:
        settings = replace(settings, mock_gpus=mock_gpus)
    if idle_timeout is not None:
        settings = replace(settings, idle_timeout_s=parse_duration(idle_timeout))
    if cpu is not None:
        settings = replace(settings, cpu=cpu)
    if mem is not None:
        settings = replace(settings, mem=mem)
    return settings


def _detach(paths: Paths, options: list[str]) -> int:
    found = read_running(paths)
    if found is not None:
        hint = "; stop it first to give it other options" if options else ""
        say(f"the backend runs already at {found.endpoint} (pid {found.pid}){hint}")
        return 0
    found, ours = start_detached(paths, options, say)
    if ours:
        say(f"the backend runs at {found.endpoint} (pid {found.pid})")
    else:
        say(f"the backend was started by somebody else meanwhile: {found.endpoint} (pid {found.pid})")
    return 0


def _stop(paths: Paths, *, kill_sessions: bool) -> int:
    found = read_running(paths)
    if found is None:
        say("no backend runs")
        return 0
    try:
        os.kill(found.pid, signal.SIGUSR2 if kill_sessions else signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise ConfigError(f"the backend (pid {found.pid}) is not yours to stop") from None
    deadline = time.monotonic() + _STOP_S
    while is_alive(found.pid, found.start_time):
        if time.monotonic() > deadline:
            raise ConfigError(
                f"the backend (pid {found.pid}) does not stop; `kill -9 {found.pid}` ends it, its sessions go on"
            )
        time.sleep(0.01)  # the end of a process that is no child tells nobody
    say("the backend has stopped" + ("" if kill_sessions else "; sessions go on"))
    return 0


def _status(paths: Paths, *, json_: bool) -> int:
    found = read_running(paths)
    if found is None:
        if json_:
            click.echo(json.dumps({"running": False}))
        else:
            say("no backend runs")
        return _NOT_RUNNING
    sessions, news = _ask(paths, found)
    uptime_s = max(0.0, time.time() - found.started_at)
    if json_:
        click.echo(
            json.dumps(
                {
                    "running": True,
                    "pid": found.pid,
                    "endpoint": found.endpoint,
                    "version": found.version,
                    "uptime_s": round(uptime_s, 1),
                    "sessions": sessions,
                    "log": str(paths.state / "serve.log"),
                    "problems": news.splitlines(),
                }
            )
        )
    else:
        hours, rest = divmod(int(uptime_s), 3600)
        click.echo(f"pid       {found.pid}")
        click.echo(f"endpoint  {found.endpoint}")
        click.echo(f"version   {found.version}")
        click.echo(f"uptime    {hours}:{rest // 60:02}:{rest % 60:02}")
        click.echo(f"sessions  {sessions}")
        click.echo(f"log       {paths.state / 'serve.log'}")
        for line in news.splitlines():
            click.echo(f"problem   {line}")
    return 0


def _ask(paths: Paths, backend: RunningBackend) -> tuple[int, str]:
    """Returns how many live sessions the backend has, and what is wrong with it; asking also shows that it answers."""
    import asyncio

    from ..client.api import ApiClient
    from ..local import running_backend
    from ..model.sessions import LIVE

    async def ask() -> tuple[int, str]:
        endpoint = running_backend(paths)
        if endpoint is None:
            raise ConfigError(f"the backend (pid {backend.pid}) has just ended")
        async with ApiClient(endpoint) as client:
            return (await client.list_sessions(statuses=sorted(LIVE), limit=1))[1], await client.announcement()

    return asyncio.run(ask())


@click.command()
def env() -> int:
    """Print the variables by which other clients reach the local backend, which is started when none runs.

    \b
        eval "$(bai-tui env)"
        backend.ai ps
    """
    endpoint = ensure_backend(Paths.of_user(), say)
    emit(exports(endpoint.url, endpoint.access_key, endpoint.secret_key))
    return 0
