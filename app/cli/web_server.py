"""The server of `bai-tui web`: textual-serve on loopback, behind a secret address.

A page gets a terminal of this user, so nobody else may: other users of the machine do not know the secret, which is
part of every path (a cookie would be sent to servers on other ports, too); a page of another origin that got hold of
it, or of a name that leads here (DNS rebinding), is told by its Origin and Host.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import html
import logging
import secrets
import shlex
import signal
import sys
import weakref
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import WSCloseCode, web
from textual_serve.app_service import AppService
from textual_serve.server import Server

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LEAVE_S: Final = 5.0
"""How long a workspace has for leaving."""
_END_S: Final = _LEAVE_S + 2.0
"""How long all that are open have when the server ends."""
_MOST_CELLS: Final = 1000
"""Of a side of a terminal."""
_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>bai-tui</title>
<link rel="stylesheet" href="{static}css/xterm.css">
<script src="{static}js/textual.js"></script>
<style>
@font-face {{
  font-family: "Roboto Mono"; font-weight: 100 700; src: url("{static}fonts/RobotoMono-VariableFont_wght.ttf");
}}
@font-face {{
  font-family: "Roboto Mono"; font-style: italic; font-weight: 100 700;
  src: url("{static}fonts/RobotoMono-Italic-VariableFont_wght.ttf");
}}
body {{ background: #101418; color: #e6e6e6; font-family: "Roboto Mono", monospace; margin: 0; }}
.said {{ position: absolute; inset: 0; display: none; place-content: center; z-index: 10; background: #101418; }}
.said a {{ color: inherit; }}
body:not(.-first-byte) .starting, body.-closed .closed {{ display: grid; }}
#start {{ display: none; }}
</style>
</head>
<body>
<div class="said starting">starting the workspace ...</div>
<div class="said closed"><p>The workspace was left; sessions go on. <a href="">Open it again</a></p></div>
<div id="start"></div>
<div id="terminal" class="textual-terminal" data-session-websocket-url="{socket}" data-font-size="{size}"></div>
</body>
</html>
"""
"""As that of textual-serve, which takes its font from elsewhere and needs scripts in the page."""
_FONT_SIZES: Final = range(6, 73)


class _Workspace(AppService):
    """The process behind a page. No shell between, and it always ends with the page."""

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            *shlex.split(self.command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._build_environment(width=width, height=height),
        )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        return self._process

    async def run(self) -> None:
        """Carries what the workspace paints to the page until it ends; then the page is closed, too."""
        assert self._process is not None
        try:
            await super().run()
        finally:
            await self.remote_close()

    async def stop(self) -> None:
        """Ends the workspace: when it does not leave by itself, by force."""
        try:
            async with asyncio.timeout(_LEAVE_S):
                await super().stop()
        except TimeoutError:
            log.warning("the workspace of a page did not leave and is killed")
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class _Workspaces(Server):
    """Serves workspaces below a secret path."""

    def __init__(self, host: str, secret: str) -> None:
        command = [sys.executable, "-P", "-m", "bai_tui", "web", "--in-browser"]
        super().__init__(shlex.join(command), host=host, title="bai-tui", public_url="http://unknown.invalid")
        self._name = f"[{host}]" if ":" in host else host
        self._secret = secret
        self._hosts: frozenset[str] = frozenset()
        self._sockets: weakref.WeakSet[asyncio.Task[object]] = weakref.WeakSet()

    def bound(self, port: int) -> str:
        """Takes note of the port; returns the address of the page."""
        self._hosts = frozenset(f"{name}:{port}" for name in (self._name, "localhost"))
        self.public_url = f"http://{self._name}:{port}"
        return f"{self.public_url}/{self._secret}/"

    async def whole(self) -> web.Application:
        """Returns the application."""
        root = web.Application(middlewares=[self._guard])
        root.add_subapp(f"/{self._secret}", await self._make_app())
        # the script of the page asks for downloads there; their keys are random, too
        root.router.add_get("/download/{key}", self.handle_download)
        return root

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.host not in self._hosts:
            raise web.HTTPForbidden(text="this server is only for its own address\n")
        if origin is not None and origin.removeprefix("http://") not in self._hosts:
            raise web.HTTPForbidden(text="pages of other servers get nothing here\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(self._headers())
        return response

    def _headers(self) -> dict[str, str]:
        sockets = " ".join(f"ws://{name}" for name in sorted(self._hosts))
        return {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
                f"img-src 'self' data:; connect-src 'self' {sockets}; frame-ancestors 'none'; base-uri 'none'; "
                "form-action 'none'"
            ),
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    async def handle_index(self, request: web.Request) -> web.Response:
        """Returns the page."""
        size = request.query.get("fontsize", "")
        page = _PAGE.format(
            static=html.escape(f"/{self._secret}/static/"),
            socket=html.escape(f"ws://{request.host}/{self._secret}/ws"),
            size=size if size.isascii() and size.isdecimal() and int(size) in _FONT_SIZES else 16,
        )
        return web.Response(text=page, content_type="text/html")

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Runs a workspace for a page, until it or the page is closed."""
        task = asyncio.current_task()
        assert task is not None
        self._sockets.add(task)
        socket = web.WebSocketResponse(heartbeat=15, timeout=1.0)
        await socket.prepare(request)

        async def close() -> None:
            await socket.close()

        workspace = _Workspace(
            self.command,
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=close,
            download_manager=self.download_manager,
        )
        try:
            await workspace.start(_cells(request, "width", 80), _cells(request, "height", 24))
            await self._process_messages(socket, workspace)
        except (ConnectionError, AssertionError, ValueError, LookupError, TypeError, AttributeError) as exc:
            # the page has gone, or sends what is no message
            log.info("a page was left: %s", exc)
        finally:
            await workspace.stop()
            await socket.close(code=WSCloseCode.GOING_AWAY)
        return socket

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing: the command does."""

    async def on_shutdown(self, app: web.Application) -> None:
        """Lets the workspaces of open pages end."""
        waiting = list(self._sockets)
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting, timeout=_END_S)


def _cells(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")[:6]
    return min(int(text), _MOST_CELLS) if text.isascii() and text.isdecimal() and int(text) else default


async def serve(host: str, port: int, ready: Callable[[str], object], tell: Callable[[str], object]) -> None:
    """Serves workspaces until SIGINT or SIGTERM.

    Args:
        port: 0 = any free one; one that is taken is replaced by a free one, which is told.
        ready: Gets the address once it can be opened.

    Raises:
        OSError: nothing can listen on `host`.
    """
    workspaces = _Workspaces(host, secrets.token_urlsafe(32))
    # no access log: every path holds the secret
    runner = web.AppRunner(await workspaces.whole(), access_log=None, shutdown_timeout=_END_S)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or port == 0:
                raise
            tell(f"port {port} is taken: a free one is used")
            await web.TCPSite(runner, host, 0).start()
        ready(workspaces.bound(runner.addresses[0][1]))
        await ended.wait()
    finally:
        await runner.cleanup()
