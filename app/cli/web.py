"""`bai-tui web`: the workspace in a browser of this machine."""

from __future__ import annotations

import ipaddress
import os

import click

from ..model.errors import ConfigError
from . import exit_codes
from .lazy import CONTEXT
from .talk import emit, say

_MISSING = (
    "the workspace is served by the package textual-serve, which is not installed: `pip install 'bai-tui[web]'`, "
    "then try again"
)


def _loopback(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    host = "127.0.0.1" if value == "localhost" else value
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise click.BadParameter(
        f"{value!r} is not this machine: write 127.0.0.1 or ::1; from elsewhere, go through ssh -L 8092:127.0.0.1:8092"
    )


@click.command("web", context_settings=CONTEXT)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8092,
    show_default=True,
    help="0 = any free port; taken = a free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, callback=_loopback, help="Loopback address.")
@click.option("--open", "open_", is_flag=True, help="Open it in the browser.")
@click.option("--in-browser", is_flag=True, hidden=True)
def web(port: int, host: str, open_: bool, in_browser: bool) -> int:
    """Serve the workspace in a browser on this machine, until ctrl+c.

    The address that is printed holds a secret: whoever has it has your sessions. It ends with this command. Each page
    is a workspace of its own; when it is closed, sessions go on.
    """
    if in_browser:
        return _screen()
    try:
        import textual_serve  # noqa: F401 - is it there?
    except ModuleNotFoundError:
        raise ConfigError(_MISSING) from None
    import asyncio

    from .web_server import serve

    def ready(url: str) -> None:
        emit(f"{url}\n")
        say("open this address in a browser of this machine; ctrl+c ends it")
        if open_:
            import webbrowser

            webbrowser.open(url)

    asyncio.run(serve(host, port, ready, say))
    return exit_codes.OK


def _screen() -> int:
    """Runs the workspace for a page: its keys and frames go through pipes to the process that serves it."""
    if "TEXTUAL_DRIVER" not in os.environ:
        raise click.UsageError("--in-browser is for `bai-tui web` itself")
    from ..tui.app import run

    return run(None)
