"""The asynchronous client of Backend.AI's API; the only door to a server, ours or a real cluster's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from ..model.console import ExecuteRequest, Frame
from ..model.endpoint import Endpoint as Endpoint
from ..model.sessions import SessionStatus
from .views import CreatedSession, EventView, ImageView, JournalLine, MachineView, ServerInfo, SessionView


class ExecuteStream(Protocol):
    """An open run. Iterate it for frames until one is `finished`; the iteration ends by itself then."""

    def __aiter__(self) -> AsyncIterator[Frame]: ...

    async def send_input(self, text: str) -> None:
        """Answers a `waiting-input` frame."""


class ApiClient:
    """One endpoint, one connection pool. Use as an async context manager.

    Every method raises `RemoteError` for an error answer and `Unreachable` when there is none, with a message fit
    for a user. All are safe to cancel: nothing is half-sent that the server would act on twice.
    """

    def __init__(self, endpoint: Endpoint) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def handshake(self) -> ServerInfo: ...

    async def create_session(
        self,
        image: str,
        *,
        name: str | None = None,
        resources: Mapping[str, str] | None = None,
        resource_opts: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        type: str = "interactive",
        startup_command: str | None = None,
        enqueue_only: bool = False,
        max_wait_s: int = 0,
        reuse: bool = True,
        priority: int | None = None,
        tag: str | None = None,
    ) -> CreatedSession: ...

    async def list_sessions(
        self,
        *,
        statuses: Sequence[SessionStatus] | None = None,
        limit: int = 100,
        offset: int = 0,
        filter: str | None = None,
        order: str | None = None,
    ) -> tuple[Sequence[SessionView], int]:
        """Returns one page and the total count."""

    async def session_rows(
        self,
        fields: Sequence[str],
        *,
        statuses: Sequence[SessionStatus] | None,
        limit: int,
        offset: int,
        filter: str | None = None,
        order: str | None = None,
    ) -> tuple[Sequence[Mapping[str, Any]], int]:
        """Returns raw GraphQL rows with exactly `fields`, for `ps -f`."""

    async def resolve(self, ref: str) -> str:
        """Returns the id of the live session that `ref` (id, name, or unique prefix of either) means.

        Raises: SessionNotFound, AmbiguousReference.
        """

    async def session(self, ref: str) -> SessionView: ...

    async def terminate(self, ref: str, *, forced: bool = False, recursive: bool = False) -> Mapping[str, Any]:
        """Returns the session's statistics, empty when the server has none."""

    async def rename(self, ref: str, name: str) -> None: ...

    async def interrupt(self, ref: str) -> None: ...

    async def complete(self, ref: str, code: str, row: int, col: int) -> Sequence[str]: ...

    async def upload(self, ref: str, files: Mapping[str, Path]) -> None:
        """Uploads files; keys are paths relative to the work folder."""

    async def logs(self, ref: str) -> str: ...

    async def journal(self, ref: str, *, after: int = 0, limit: int = 1000, wait_s: float = 0) -> Sequence[JournalLine]:
        """Returns journal records after a number (capability `journal` only); waits up to `wait_s` for the first."""

    def execute(self, ref: str, request: ExecuteRequest) -> AbstractAsyncContextManager[ExecuteStream]:
        """Opens a run over the websocket. Leaving the context closes the socket."""

    def events(self, *, session: str | None = None) -> AsyncIterator[EventView]:
        """Yields events until the server closes or the connection is lost (then raises Unreachable)."""

    async def images(self) -> Sequence[ImageView]: ...

    async def machine(self) -> MachineView:
        """Returns slots and GPUs: capability `devices`, else agents (admin), else what check-presets tells."""
