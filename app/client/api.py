"""The asynchronous client of Backend.AI's API; the only door to a server, ours or a real cluster's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from ..model.console import ExecuteRequest, Frame
from ..model.endpoint import Endpoint as Endpoint
from ..model.errors import BaiTuiError
from ..model.inspection import Completions, Inspection
from ..model.sessions import SessionStatus
from . import events as _events
from . import keypairs as _keypairs
from . import machine as _machine
from . import measuring as _measuring
from . import queries as _queries
from . import sessions as _sessions
from . import stream as _stream
from .insides import Insides
from .shelf import Shelf
from .transport import Transport
from .views import (
    CreatedSession,
    EventView,
    ExtensionView,
    JournalLine,
    KeypairView,
    MachineView,
    NewKeypair,
    RunView,
    ServerInfo,
    SessionView,
    StatsView,
)

if TYPE_CHECKING:
    from .follow import Following
    from .patience import Patience
    from .pty import Pty


class ExecuteStream(Protocol):
    """An open run. Iterate it for frames until one is `finished`; the iteration ends by itself then.

    Iterating raises `Unreachable` when the connection is lost before `finished`, and `RemoteError` when the server
    gives up the run: a stream that simply ends has ended well.
    """

    def __aiter__(self) -> AsyncIterator[Frame]: ...

    async def send_input(self, text: str) -> None:
        """Answers a `waiting-input` frame."""


class ApiClient(Insides, Shelf):
    """One endpoint, one connection pool. Use as an async context manager.

    Every method raises `RemoteError` for an error answer and `Unreachable` when there is none, with a message fit
    for a user; where the answer names a known problem, the error is of that class as well (`SessionNotFound`,
    `ImageNotFound`, ...). All are safe to cancel: nothing is half-sent that the server would act on twice.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """
        Raises:
            ConfigError: the URL of the endpoint cannot be used.
        """
        self.endpoint = endpoint
        self.transport = Transport(endpoint)
        """The way to the server; another one after `move`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.transport.close()

    async def move(self, endpoint: Endpoint) -> None:
        """Goes to `endpoint` from now on: the server was started anew, at another port or with another keypair.

        What waits for an answer of the old one raises `Unreachable`.

        Raises:
            ConfigError: the URL of the endpoint cannot be used.
        """
        left, self.transport = self.transport, Transport(endpoint)
        self.endpoint = endpoint
        await left.close()

    async def handshake(self) -> ServerInfo:
        """Asks the server for its version and capabilities anew; other methods ask by themselves, once."""
        return await self.transport.handshake()

    async def info(self) -> ServerInfo:
        """Returns the answer of the last handshake, making one when there was none."""
        return await self.transport.info()

    async def create_session(
        self,
        image: str,
        *,
        name: str | None = None,
        resources: Mapping[str, str] | None = None,
        resource_opts: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        mounts: Sequence[str] = (),
        type: str = "interactive",
        startup_command: str | None = None,
        enqueue_only: bool = False,
        max_wait_s: int = 0,
        reuse: bool = True,
        priority: int | None = None,
        tag: str | None = None,
        depends_on: Sequence[str] = (),
        starts_at: datetime | None = None,
        batch_timeout_s: float = 0.0,
        exact: bool = False,
    ) -> CreatedSession:
        """Creates a session, or finds the live one of that name; returns when it runs, or as the arguments say.

        Args:
            name: None = a fresh one.
            resources: slot -> amount as typed; `gpu` is understood by every server.
            mounts: names of storage folders of a cluster; our backend has none and refuses them.
            max_wait_s: give up waiting after so many seconds (status `TIMEOUT`, the session stays queued); 0 = never.
            depends_on: ids, names or unique prefixes of live sessions that must end with success first; ids or whole
                names of ended ones, of which the last counts.
            starts_at: aware; a batch session starts no earlier.
            batch_timeout_s: a batch session is ended after so long, in whole seconds; 0 = never.
            exact: the very image or none (capability `images`; a cluster substitutes nothing anyway).

        Raises: ImageNotFound (with the nearest in its message), SessionExists, QuotaExceeded, ...
        """
        return await _sessions.create(
            self.transport,
            image,
            name=name,
            resources=resources,
            resource_opts=resource_opts,
            environ=environ,
            mounts=mounts,
            type=type,
            startup_command=startup_command,
            enqueue_only=enqueue_only,
            max_wait_s=max_wait_s,
            reuse=reuse,
            priority=priority,
            tag=tag,
            depends_on=depends_on,
            starts_at=starts_at,
            batch_timeout_s=batch_timeout_s,
            exact=exact,
        )

    async def list_sessions(
        self,
        *,
        statuses: Sequence[SessionStatus] | None = None,
        limit: int = 100,
        offset: int = 0,
        filter: str | None = None,
        order: str | None = None,
        stats: bool = False,
    ) -> tuple[Sequence[SessionView], int]:
        """Returns one page and the total count.

        Args:
            statuses: None = all, ended ones too.
            limit: at most 100, which is what servers allow.
            stats: with `SessionView.stat`.
        """
        return await _queries.list_sessions(
            self.transport, statuses=statuses, limit=limit, offset=offset, filter=filter, order=order, stats=stats
        )

    async def all_sessions(self, statuses: Sequence[SessionStatus], *, stats: bool = False) -> Sequence[SessionView]:
        """Returns all sessions of these statuses, page after page; see `list_sessions`."""
        return await _queries.all_sessions(self.transport, statuses, stats=stats)

    async def session_rows(
        self,
        fields: Sequence[str],
        *,
        statuses: Sequence[SessionStatus] | None,
        limit: int,
        offset: int,
        filter: str | None = None,
        order: str | None = None,
        access_key: str | None = None,
        lenient: bool = False,
        reasons: bool = False,
    ) -> tuple[Sequence[Mapping[str, Any]], int]:
        """Returns raw GraphQL rows with `fields`, and the total count, for `ps -f`.

        Args:
            lenient: leave out fields that the server cannot tell instead of failing.
            reasons: `status_data` of PENDING sessions says why they wait, which may take a request more.
        """
        return await _queries.session_rows(
            self.transport,
            fields,
            statuses=statuses,
            limit=limit,
            offset=offset,
            filter=filter,
            order=order,
            access_key=access_key,
            lenient=lenient,
            reasons=reasons,
        )

    async def resolve(self, ref: str) -> str:
        """Returns the id of the live session that `ref` (id, name, or unique prefix of either) means.

        A full id is returned as it is, without asking the server.

        Raises: SessionNotFound, AmbiguousReference.
        """
        return await _queries.resolve(self.transport, ref)

    async def resolve_all(self, refs: Sequence[str]) -> Mapping[str, str | BaiTuiError]:
        """Returns for each of `refs` what `resolve` returns or raises; asks the server as often as for one."""
        return await _queries.resolve_all(self.transport, refs)

    async def newest_ended(self, name: str) -> SessionView | None:
        """Returns the newest of our own ended sessions of exactly that name; None when there is none."""
        return await _queries.newest_ended(self.transport, name)

    async def ended_by_id(self, prefix: str) -> SessionView | None:
        """Returns the ended session whose id begins with `prefix` (4 characters or more), of the newest thousand; None
        when there is none.

        Raises: AmbiguousReference.
        """
        return await _queries.ended_by_id(self.transport, prefix)

    async def session(self, ref: str, *, stats: bool = False) -> SessionView:
        """Returns one session; an ended one by its full id only: see `newest_ended` and `ended_by_id`.

        Args:
            stats: with `SessionView.stat`.

        Raises: SessionNotFound, AmbiguousReference.
        """
        return await _queries.session(self.transport, ref, stats=stats)

    async def terminate(self, ref: str, *, forced: bool = False, recursive: bool = False) -> Mapping[str, Any]:
        """Ends a session. Returns its statistics, empty when the server has none."""
        return await _sessions.terminate(self.transport, ref, forced=forced, recursive=recursive)

    async def extend(self, ref: str, seconds: float) -> ExtensionView:
        """Keeps every idle check from ending a session for `seconds` from now; 0 takes that back.

        Raises: NotImplementedHere (the server is a cluster), IllegalState (it does not run).
        """
        return await _sessions.extend(self.transport, ref, seconds)

    async def prioritize(self, ref: str, priority: int) -> int:
        """Gives a session another priority, 0 to 100; returns the one it has then, which a server may have cut.

        Raises: NotImplementedHere (the server is too old), SessionNotFound, AmbiguousReference.
        """
        return await _queries.prioritize(self.transport, ref, priority)

    async def restart(self, ref: str) -> None:
        """Restarts the kernel of a session; new managers refuse that."""
        await _sessions.restart(self.transport, ref)

    async def rename(self, ref: str, name: str) -> None:
        """Gives a session another name."""
        await _sessions.rename(self.transport, ref, name)

    async def interrupt(self, ref: str) -> None:
        """Interrupts what runs in a session, as ctrl+c would."""
        await _sessions.interrupt(self.transport, ref)

    async def answer(self, session_id: str, run_id: str, text: str, prompt: int) -> None:
        """Answers a prompt of a run, whoever holds its stream; returns when the server has taken it (capability
        `follow` only). Done again for the same prompt, it counts once.

        Args:
            prompt: journal number of the record that asks.

        Raises: NotFound (no such session), IllegalState (the run asks for nothing), Unreachable (it may have arrived).
        """
        from .follow import answer

        await answer(self, session_id, run_id, text, prompt)

    async def complete(self, ref: str, code: str, row: int, col: int) -> Completions:
        """Returns completions for `code` with the cursor at line `row` and column `col`, both from 0.

        Raises: IllegalState (the session takes no code), SessionNotFound, Unreachable.
        """
        return await _sessions.complete(self.transport, ref, code, row, col)

    async def inspect(self, ref: str, code: str, cursor: int, *, detail: int = 0) -> Inspection:
        """Returns what the name at character `cursor` of `code` stands for (capability `inspect` only).

        Args:
            detail: 1 = with the source.

        Raises: NotImplementedHere (a genuine cluster), IllegalState (the session takes no code), SessionNotFound.
        """
        return await _sessions.inspect(self.transport, ref, code, cursor, detail)

    async def logs(self, ref: str) -> str:
        """Returns what the session has written so far."""
        return await _sessions.logs(self.transport, ref)

    async def journal(
        self, ref: str, *, after: int = 0, limit: int = 1000, wait_s: float = 0, before: int | None = None
    ) -> Sequence[JournalLine]:
        """Returns journal records after a number (capability `journal` only); waits up to `wait_s` for the first.

        Args:
            before: instead of all that, the newest records below this number (capability `follow` only).
        """
        return await _sessions.journal(self.transport, ref, after=after, limit=limit, wait_s=wait_s, before=before)

    async def list_runs(self, ref: str) -> Sequence[RunView]:
        """Returns the runs that the session's journal knows of, newest last (capability `follow` only)."""
        return await _sessions.list_runs(self.transport, ref)

    def follow(
        self,
        session_id: str,
        *,
        after: int = 0,
        attach: bool = False,
        patience: Patience | None = None,
        refused: Callable[[str], object] = lambda _: None,
    ) -> Following:
        """Returns a reader of the session's journal from a number on, until the session has ended.

        The server pushes (capability `follow` only). A lost connection is made again while there is `patience`, and
        the reading goes on where it was.

        Args:
            session_id: in full: names do not lead to sessions that have ended.
            attach: keeps the session from idling, and may answer the prompts of its runs.
            refused: is told why an answer was not taken.
        """
        from .follow import Following

        return Following(self, session_id, after=after, attach=attach, patience=patience, refused=refused)

    @asynccontextmanager
    async def execute(
        self, ref: str, request: ExecuteRequest, *, patience: Patience | None = None
    ) -> AsyncIterator[ExecuteStream]:
        """Opens a run over the websocket. Leaving the context closes the socket.

        Args:
            patience: how long a lost server is waited for; the run is then read on from the session's journal. Needs
                `ref` to be a full id and the capability `follow`: without it, as without patience, the stream breaks.
        """
        if patience is None or "follow" not in (await self.info()).capabilities:
            async with _stream.execute(self.transport, ref, request) as stream:
                yield stream
            return
        from uuid import uuid4

        from .resume import PersistentRun

        run = PersistentRun(self, ref, replace(request, run_id=request.run_id or uuid4().hex), patience)
        try:
            yield run
        finally:
            await run.close()

    def pty(self, ref: str) -> AbstractAsyncContextManager[Pty]:
        """Opens the terminal of a session, whose shell is started when there is none. Leaving the context closes the
        connection; the shell goes on.

        Raises: SessionNotFound, IllegalState (it does not run), NotImplementedHere, Unreachable.
        """
        from .pty import attach

        return attach(self.transport, ref)

    def events(self, *, session: str | None = None, progress: bool = False) -> AsyncGenerator[EventView]:
        """Yields `bai_connected` as soon as the subscription stands, then events until the server closes.

        Args:
            progress: with `bai_image_progress` events while images are built or pulled, see `EventView.progress`
                (capability `images`; a server without it has none).

        Raises:
            Unreachable: the connection was lost.
        """
        return _events.events(self.transport, session, progress=progress)

    def stats(self) -> AsyncGenerator[StatsView]:
        """Yields what sessions and GPUs use: what is known now, then each new round, until the server closes.

        Our backend (capability `stats`) pushes a round every second; a cluster is asked every few seconds, and tells
        of its sessions only. Whoever leaves it early closes it (`aclose`).

        Raises:
            Unreachable: the connection was lost.
        """
        return _measuring.stats(self.transport)

    async def keypairs(self, user_id: str | None = None) -> Sequence[KeypairView]:
        """Returns the keypairs of our user, or of `user_id`; to an administrator, None means those of all users."""
        return await _keypairs.keypairs(self.transport, user_id)

    async def add_keypair(
        self, user_id: str | None = None, *, is_admin: bool = False, policy: str = "default"
    ) -> NewKeypair:
        """Makes a keypair; on our backend its user comes with it, on a cluster there must be the user.

        Args:
            user_id: None = another one for our own user.
            policy: name of a resource policy; our backend has the one.

        Raises: Forbidden (we are no administrator).
        """
        return await _keypairs.add_keypair(self.transport, user_id, is_admin=is_admin, policy=policy)

    async def switch_keypair(self, access_key: str, *, is_active: bool) -> None:
        """Switches a keypair off or on again; what is off is refused, and its sessions go on.

        Raises: Forbidden (we are no administrator).
        """
        await _keypairs.switch_keypair(self.transport, access_key, is_active=is_active)

    async def delete_keypair(self, access_key: str) -> None:
        """Deletes a keypair.

        Raises: Forbidden (we are no administrator).
        """
        await _keypairs.delete_keypair(self.transport, access_key)

    async def rotate_keypair(self, access_key: str) -> NewKeypair:
        """Gives a keypair another secret key; the one before is refused from now on.

        Raises: NotImplementedHere (the server is a cluster), Forbidden (it is not ours, and we are no administrator).
        """
        return await _keypairs.rotate_keypair(self.transport, access_key)

    async def machine(self) -> MachineView:
        """Returns slots and GPUs: capability `devices`, else agents (admin), else what check-presets tells."""
        return await _machine.machine(self.transport)

    async def announcement(self) -> str:
        """Returns what the server tells everybody, a sentence a line; empty when it says nothing."""
        return await _machine.announcement(self.transport)
