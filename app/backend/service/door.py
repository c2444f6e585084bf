"""The way in: from a request to a session in the queue, or to the live one of that name."""

from __future__ import annotations

import asyncio

from ...model.errors import ServiceUnavailable, SessionExists
from ...model.images import Image
from ...model.sessions import SessionStatus, check_session_name
from ...policies import SandboxSettings
from ..ports import CreateOutcome, CreateRequest, Keypair
from .admission import EXACT_IMAGE, Defaults, build_session, flag_opt
from .dependencies import check_dependencies, dependencies_of
from .entries import Entry, Register
from .finder import Finder
from .imagework import ImageWork
from .keypairs import LocalKeyring
from .lifecycle import Lifecycle
from .recorder import Recorder
from .states import States

S = SessionStatus


class Door:
    """Admits, and waits with those who come as long as they like."""

    def __init__(
        self,
        *,
        images: ImageWork,
        register: Register,
        finder: Finder,
        lifecycle: Lifecycle,
        recorder: Recorder,
        states: States,
        defaults: Defaults,
        sandbox: SandboxSettings,
        keyring: LocalKeyring,
    ) -> None:
        self._images = images
        self._register = register
        self._finder = finder
        self._lifecycle = lifecycle
        self._recorder = recorder
        self._states = states
        self._defaults = defaults
        self._sandbox = sandbox
        self._keyring = keyring
        self._closed = False
        self.last_order = 0
        """Position of the newest admission."""

    def close(self) -> None:
        """Lets nobody in any more."""
        self._closed = True

    async def create(self, caller: Keypair, request: CreateRequest) -> CreateOutcome:
        """Admits, queues, starts; or finds the live session of that name. See `LocalService.create`."""
        self._refuse_when_closed()
        if request.name is not None:
            check_session_name(request.name)
        resolution = await self._images.resolve(request.image, exact=flag_opt(request, EXACT_IMAGE))
        existing = self._named(caller, request)
        if existing is not None and existing.session.status is S.TERMINATING:
            await existing.ended.wait()  # the name is free in a moment
            existing = self._named(caller, request)
        if existing is None:
            dependencies = await dependencies_of(caller, request.dependencies, self._register, self._finder.ended)
            existing = self._named(caller, request)
        if existing is not None:
            return await self._reuse(existing, request, resolution.image)
        # from here to the admission nothing else happens: what was checked stays true
        self._refuse_when_closed()
        self._keyring.check(caller)
        check_dependencies(dependencies)
        session = build_session(
            caller,
            request,
            resolution,
            offered=self._lifecycle.queue.available(),
            defaults=self._defaults,
            sandbox=self._sandbox,
            depends_on=[dependency.id for dependency in dependencies],
            now=self._states.now(),
        )
        self.last_order += 1
        session.enqueue_order = self.last_order
        entry = Entry(session, image=resolution.image)
        self._lifecycle.admit(entry)
        return await self._wait(entry, request, created=True)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ServiceUnavailable("the backend is stopping and takes no new sessions: try again in a moment")

    def _named(self, caller: Keypair, request: CreateRequest) -> Entry | None:
        return self._register.named(caller.access_key, request.name) if request.name is not None else None

    async def _reuse(self, entry: Entry, request: CreateRequest, image: Image) -> CreateOutcome:
        session = entry.session
        data = {"existingSessionId": session.id}
        if not request.reuse:
            raise SessionExists(f"there is a live session {session.name!r} already: take another name", data=data)
        if session.image != image.canonical:
            raise SessionExists(
                f"the live session {session.name!r} runs {session.image}, not {image.canonical}: take another name",
                data=data,
            )
        return await self._wait(entry, request, created=False)

    async def _wait(self, entry: Entry, request: CreateRequest, *, created: bool) -> CreateOutcome:
        timed_out = False
        if not request.enqueue_only:
            try:
                async with asyncio.timeout(request.max_wait_s if request.max_wait_s > 0 else None):
                    await entry.settled.wait()
            except TimeoutError:
                timed_out = True
        await self._recorder.settled()
        if created and entry.session.id in self._recorder.unwritten():
            await self._vouch(entry)
        # not what it waits for: nobody is told of that here, and it is the most expensive of an admission's questions
        return CreateOutcome(entry.session, created, timed_out)

    async def _vouch(self, entry: Entry) -> None:
        """Sees to it that a session lives on after this process, although the database could not be told of it.

        Raises:
            ServiceUnavailable: it would be forgotten, so it was not taken.
        """
        session = entry.session
        if session.status is not S.PENDING:
            await entry.settled.wait()  # from here on its folder knows of it
            return
        if await self._finder.is_remembered(session) or session.status is not S.PENDING:
            return
        failure = self._recorder.failure
        self._lifecycle.cancel(entry, f"not-recorded: {failure}")
        self._recorder.forget(session)  # clients try again and again: a history of that is of no use
        raise ServiceUnavailable(f"the session {session.name} was not queued, it could not be remembered: {failure}")
