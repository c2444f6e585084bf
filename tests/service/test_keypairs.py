"""The ring of keypairs: what is in memory, in the store and in the file of the backend's own keypair agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from bai_tui.app.backend.ports import CreateRequest, Keypair
from bai_tui.app.backend.service.keypairs import LocalKeyring, OwnKeypair, full_user_id
from bai_tui.app.model.errors import BadRequest, ConfigError, Forbidden, IllegalState, ServiceUnavailable
from bai_tui.tests.service.fakes import MemoryStore
from bai_tui.tests.waiting import turns

ROOT = Keypair(access_key="AKROOT", secret_key="sk", user_id="root@localhost", user_uuid="u-root", is_admin=True)


class File:
    """Where the own keypair is kept."""

    def __init__(self) -> None:
        self.secret = ROOT.secret_key
        self.refuse: Exception | None = None

    def keep(self, pair: Keypair) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.secret = pair.secret_key


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
async def ring(store: MemoryStore, file: File) -> LocalKeyring:
    await store.add_keypair(ROOT)
    return LocalKeyring(store, [ROOT], live_sessions=lambda _: 0, own=OwnKeypair(ROOT.access_key, file.keep))


async def agree(ring: LocalKeyring, store: MemoryStore) -> None:
    assert dict(ring) == {pair.access_key: pair for pair in await store.keypairs()}


async def test_memory_and_store_agree(ring: LocalKeyring, store: MemoryStore, file: File) -> None:
    alice = await ring.add(ROOT, user_id="alice")
    await agree(ring, store)
    await ring.modify(ROOT, alice.access_key, is_active=False, is_admin=True)
    await agree(ring, store)
    fresh = await ring.rotate(ROOT, ROOT.access_key)
    assert file.secret == fresh.secret_key != ROOT.secret_key
    await agree(ring, store)
    await ring.remove(ROOT, alice.access_key)
    await agree(ring, store)
    assert list(ring) == [ROOT.access_key]


@pytest.mark.parametrize(
    "change",
    [
        lambda ring, key: ring.add(ROOT, user_id="bob"),
        lambda ring, key: ring.modify(ROOT, key, is_active=False),
        lambda ring, key: ring.rotate(ROOT, key),
        lambda ring, key: ring.remove(ROOT, key),
        lambda ring, key: ring.rotate(ROOT, ROOT.access_key),
    ],
)
async def test_what_is_refused_or_left_changes_both_or_neither(
    ring: LocalKeyring, store: MemoryStore, file: File, change: Callable[[LocalKeyring, str], Any]
) -> None:
    alice = await ring.add(ROOT, user_id="alice")
    before = dict(ring)
    store.refuse = ServiceUnavailable("the disk is full")
    with pytest.raises(ServiceUnavailable):
        await change(ring, alice.access_key)
    assert dict(ring) == before and file.secret == ROOT.secret_key
    store.refuse = None
    await agree(ring, store)
    # the client leaves while it is carried out; a store writes what it was given all the same
    task = asyncio.create_task(change(ring, alice.access_key))
    await turns(1)  # it has begun
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await ring.modify(ROOT, ROOT.access_key)  # nobody holds up who comes next


async def test_a_file_that_cannot_be_written_rotates_nothing(
    ring: LocalKeyring, store: MemoryStore, file: File
) -> None:
    file.refuse = ConfigError("keypair.json cannot be written: No space left on device")
    with pytest.raises(ConfigError):
        await ring.rotate(ROOT, ROOT.access_key)
    assert ring[ROOT.access_key] == ROOT
    await agree(ring, store)


async def test_the_ring_shows_no_secrets(ring: LocalKeyring) -> None:
    alice = await ring.add(ROOT, user_id="alice")
    for shown in (repr(ring), str(ring), repr(alice), str(alice), repr(dict(ring))):
        assert alice.secret_key not in shown


def test_names_of_users() -> None:
    assert full_user_id("alice") == "alice@localhost"
    assert full_user_id("bob.b+x@example.com") == "bob.b+x@example.com"
    for text in ("", "two words", "a@b@c", "a\n", "@x", "a/b", "x" * 65, "<b>"):
        with pytest.raises(BadRequest, match="no name for a user"):
            full_user_id(text)


async def test_who_is_switched_off_while_a_session_is_asked_for_gets_none(world: Any) -> None:
    """The request was let in, waits for its image, and meanwhile the keypair is revoked."""
    waits, looked = asyncio.Event(), asyncio.Event()
    resolve = world.catalogue.resolve

    async def slowly(reference: str, *, exact: bool = False) -> Any:
        waits.set()
        await looked.wait()
        return await resolve(reference, exact=exact)

    world.catalogue.resolve = slowly
    asked = asyncio.create_task(world.service.create(world.user, CreateRequest(name="late", image="python")))
    await waits.wait()
    await world.service.keyring.modify(world.admin, world.user.access_key, is_active=False)
    looked.set()
    with pytest.raises(Forbidden, match="switched off"):
        await asked
    assert len(world.service._register) == 0


async def test_one_with_live_sessions_is_not_forgotten(world: Any) -> None:
    first = await world.create("first")
    await world.create("second")
    with pytest.raises(IllegalState, match="has 2 live sessions: end them first"):
        await world.service.keyring.remove(world.admin, world.user.access_key)
    await world.service.terminate(world.user, "first")
    await world.service.terminate(world.user, "second")
    await world.service.keyring.remove(world.admin, world.user.access_key)
    assert (await world.service.get(world.admin, first.session.id)).access_key == world.user.access_key
    assert world.service.keypair(world.user.access_key) is None
