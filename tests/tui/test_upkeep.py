"""Ends that come near, the keys that keep a session or move it in the queue, and what the server warns of."""

from __future__ import annotations

from typing import Any

from bai_tui.app.client.views import IdleCheckView
from bai_tui.app.model.errors import IllegalState, NotImplementedHere
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.tests.tui.fakes import FakeServer
from bai_tui.tests.tui.test_machine import text_of


def idle_in(seconds: float) -> dict[str, IdleCheckView]:
    return {"network_timeout": IdleCheckView(seconds)}


async def test_an_end_comes_nearer_in_the_row(open_desk: Any, server: FakeServer) -> None:
    server.add("notes", age_s=3000, idle_checks=idle_in(1000.0))
    server.add("busy-one", age_s=2000, idle_checks={"network_timeout": IdleCheckView(60.0, in_grace=True)})
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 2)
        main = desk.app.main
        assert "50m" in desk.list_text and "↓" not in desk.list_text
        desk.clock.now += 500
        main._tick()
        assert "↓8:20" in desk.list_text
        desk.clock.now += 400
        main._tick()
        assert "↓1:40" in desk.list_text and "ends soon: unused · + keeps it" in desk.list_text
        assert "in 1:40 (unused), + keeps it" in text_of(main.details)
        # time does not run while it is in use
        assert desk.list_text.count("↓") == 1


async def test_plus_keeps_the_selected_session(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("notes", idle_checks=idle_in(100.0))
    async with open_desk() as desk:
        await desk.until(lambda: "↓1:40" in desk.list_text)
        await desk.press("plus")
        await desk.until(lambda: ("extend", (ref, 1900)) in server.calls)
        await desk.until(lambda: any("notes is kept until 11:38" in text for text in desk.toasts))
        assert any("ends in 31m if nobody uses it" in text for text in desk.toasts)
        await desk.until(lambda: "↓" not in desk.list_text and "ends soon" not in desk.list_text)
        desk.app.main.details.focus()
        await desk.press("minus")
        await desk.until(lambda: ("extend", (ref, 0)) in server.calls)
        await desk.until(lambda: any("notes is not extended any more" in text for text in desk.toasts))


async def test_a_refused_extension_says_why_in_full_and_in_the_row_until_the_next_change(
    open_desk: Any, server: FakeServer
) -> None:
    ref = server.add("notes")
    server.refuse_extend = NotImplementedHere("this cluster cannot extend [a/b]")
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["notes"])
        await desk.press("equals_sign")
        await desk.until(lambda: "this cluster cannot extend [a/b]" in desk.list_text)
        assert "this cluster cannot extend [a/b]" in desk.toasts
        server.change(ref, status=SessionStatus.RESTARTING)
        server.tell("session_started", ref)
        await desk.until(lambda: "cannot extend" not in desk.list_text)


async def test_only_a_running_session_is_kept(open_desk: Any, server: FakeServer) -> None:
    server.add("job-7", status=SessionStatus.PENDING)
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["job-7"])
        await desk.press("plus")
        await desk.until(lambda: "only a session that runs can be extended" in desk.toasts)
        assert not [call for call, _ in server.calls if call == "extend"]


async def test_brackets_move_a_waiting_session(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("job-7", status=SessionStatus.PENDING, priority=93)
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["job-7"])
        await desk.press("right_square_bracket")
        await desk.until(lambda: ("prioritize", (ref, 98)) in server.calls)
        await desk.until(lambda: "job-7 has priority 98 now" in desk.toasts)
        await desk.press("]")
        await desk.until(lambda: ("prioritize", (ref, 100)) in server.calls)
        await desk.until(lambda: "prio    100 of 100" in text_of(desk.app.main.details))
        await desk.press("]")
        await desk.until(lambda: "its priority is 100 already" in desk.toasts)
        server.refuse_priority = IllegalState("it runs already")
        await desk.press("[")
        await desk.until(lambda: "it runs already" in desk.list_text)
        server.change(ref, status=SessionStatus.RUNNING)
        server.tell("session_started", ref)
        await desk.until(lambda: "running" in desk.list_text)
        await desk.press("[")
        await desk.until(lambda: "only a session that waits has use for a priority" in desk.toasts)


async def test_warnings_of_the_server_are_toasts(open_desk: Any, server: FakeServer) -> None:
    for name in ("notes", "train", "eval"):
        server.add(name)
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 3 and server.queues)
        server.warn("bai_idle_warning", "notes", check="network_timeout", remaining=120)
        server.warn("bai_overuse_warning", "train", resource="mem", used_bytes=5 * 2**30, limit_bytes=4 * 2**30)
        for name in ("train", "eval"):
            server.warn("bai_device_lost", name, device="gpu0", problem="no [answer]")
        await desk.until(lambda: len(desk.toasts) == 3)
        assert desk.toasts == [
            "notes ends in 2:00 (unused): select it in the list, + keeps it",
            "train uses more memory than its share: 5G of 4G; it may be ended",
            "gpu0 is lost (no [answer]): train, eval had a share of it",
        ]
        server.warn("bai_device_returned", "train", device="gpu0")
        await desk.until(lambda: "gpu0 is there again: train" in desk.toasts)


async def test_what_is_wrong_with_the_backend_is_shown_until_it_is_over(open_desk: Any, server: FakeServer) -> None:
    server.add("notes")
    async with open_desk() as desk:
        strip = desk.app.main.strip
        await desk.until(lambda: desk.names == ["notes"] and not strip.state)
        server.announced = "the backend cannot write its [database]\nthe disk is full"
        desk.clock.now += 10
        desk.app.bench.sync.poke()
        await desk.until(lambda: strip.state == "the backend cannot write its [database] / the disk is full")
        assert not strip._good
        await desk.until(lambda: desk.toasts == [server.announced])
        server.announced = ""
        desk.clock.now += 10
        desk.app.bench.sync.poke()
        await desk.until(lambda: not strip.state and strip._good)
        assert len(desk.toasts) == 1, "told once"


async def test_a_cluster_announces_without_being_unwell(open_desk: Any, server: FakeServer) -> None:
    server.capabilities = frozenset()
    server.announced = "maintenance on friday"
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.main.strip.state == "maintenance on friday")
        assert desk.app.main.strip._good
        await desk.until(lambda: desk.toasts == ["maintenance on friday"])
