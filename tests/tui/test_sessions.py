"""The session list, live."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.app.model.errors import BadRequest
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.launch_screen import LaunchScreen
from bai_tui.tests.tui.fakes import FakeServer
from bai_tui.widgets.resource_form import ResourceForm


async def test_it_shows_state_name_image_slots_and_age(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1", age_s=720, slots={"cpu": "2", "mem": "1g", "gpu": "0.5"})
    async with open_desk() as desk:
        await desk.until(lambda: "py-1" in desk.list_text)
        text = desk.list_text
        for part in ("● py-1", "running", "12m", "python:3.11", "2c", "1G", "0.50"):
            assert part in text


async def test_a_narrow_screen_has_one_line_a_session(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1", age_s=720)
    async with open_desk(size=(80, 24)) as desk:
        await desk.until(lambda: "py-1" in desk.list_text)
        first = next(line for line in desk.list_text.splitlines() if "py-1" in line)
        for part in ("●  running", "py-1", "python:3.11-debian12", "1c", "1G", "12m"):
            assert part in first


async def test_a_pending_session_says_what_it_waits_for(open_desk: Any, server: FakeServer) -> None:
    server.add("job-7", status=SessionStatus.PENDING, status_info="waits for 1.00 gpu: 0.25 free")
    async with open_desk() as desk:
        await desk.until(lambda: "○ job-7" in desk.list_text)
        assert "└ waits for 1.00 gpu: 0.25 free" in desk.list_text


async def test_events_change_rows_at_once(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("job-7", status=SessionStatus.PENDING)
    async with open_desk() as desk:
        await desk.until(lambda: "pending" in desk.list_text)
        server.start(ref)
        await desk.until(lambda: "running" in desk.list_text)


async def test_the_cursor_stays_on_its_session(open_desk: Any, server: FakeServer) -> None:
    for name in ("aaaa", "bbbb", "cccc"):
        server.add(name, age_s=100 - len(server.sessions))
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 3)
        await desk.press("j")
        assert desk.cursor == "bbbb"
        server.add("dddd", age_s=1)
        server.add("0000", age_s=5000)
        server.tell("session_started", "dddd")
        await desk.until(lambda: len(desk.names) == 5)
        assert desk.cursor == "bbbb"
        server.change("aaaa", status=SessionStatus.TERMINATED)
        server.tell("session_terminated", "aaaa", "idle-timeout")
        await desk.until(lambda: "idle-timeout" in desk.list_text)
        assert desk.cursor == "bbbb"
        await desk.press("up", "x")
        await desk.until(lambda: "aaaa" not in desk.names)
        assert desk.cursor == "bbbb"
        await desk.press("k", "k", "k")
        await desk.press("down")
        # as terminals send it
        await desk.press("G")
        assert desk.cursor == desk.names[-1]
        await desk.press("g")
        assert desk.cursor == desk.names[0]
        assert desk.cursor is not None


async def test_names_and_reasons_are_never_markup(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1", image="a[/b]:[red]", status=SessionStatus.PENDING, status_info="[bold]x[/y] \x1b[31m")
    async with open_desk() as desk:
        await desk.until(lambda: "[bold]x[/y]" in desk.list_text)
        server.change("py-1", status_info="", status=SessionStatus.RUNNING)
        server.tell("session_started", "py-1")
        await desk.until(lambda: "a[/b]:[red]" in desk.list_text)
        assert "a[/b]:[red]" in str(desk.app.main.editor_pane._border_subtitle)


async def test_launch_picks_an_image_and_the_row_is_there_at_once(open_desk: Any, server: FakeServer) -> None:
    import asyncio

    server.hold_create = asyncio.Event()
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.bench.sync.connection.images)
        await desk.press("n")
        await desk.until(lambda: isinstance(desk.app.screen, LaunchScreen))
        await desk.press("t", "f", "enter")
        await desk.until(lambda: desk.names == ["tensorflow-1"])
        assert "◌ tensorflow-1" in desk.list_text and "preparing" in desk.list_text
        assert desk.cursor == "tensorflow-1"
        server.hold_create.set()
        await desk.until(lambda: desk.app.screen is desk.app.main)
        await desk.until(lambda: "● tensorflow-1" in desk.list_text)
        assert desk.cursor == "tensorflow-1"
        created = next(what for call, what in server.calls if call == "create")
        assert created["image"] == "python-tensorflow:1.12-py36"
        assert created["resources"] == {"cpu": "1", "mem": "1g"}


async def test_a_refused_launch_says_why_in_the_form(open_desk: Any, server: FakeServer) -> None:
    server.refuse_create = BadRequest("9 gpu is more than this machine has [/x]")
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.bench.sync.connection.images)
        await desk.press("n")
        await desk.until(lambda: isinstance(desk.app.screen, LaunchScreen))
        await desk.press("enter")
        state = desk.app.screen.query_one("#form-state")
        await desk.until(lambda: "more than this machine has" in str(state.content))
        assert desk.names == []
        server.refuse_create = None
        await desk.press("enter")
        await desk.until(lambda: desk.names == ["py-1"])


async def test_a_wrong_amount_is_told_before_it_is_sent(open_desk: Any, server: FakeServer) -> None:
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.bench.sync.connection.images)
        await desk.press("n")
        await desk.until(lambda: isinstance(desk.app.screen, LaunchScreen))
        form = desk.app.screen.query_one(ResourceForm)
        form._input("mem").value = "1x"
        await desk.press("enter")
        await desk.until(lambda: "no size" in str(form.query_one("#form-state").content))
        assert not [call for call, _ in server.calls if call == "create"]
        form._input("mem").value = "1g"
        form._input("gpu").value = "2"
        await desk.until(lambda: "starts at once" in str(form.query_one("#form-state").content))
        form._input("cpu").value = "64"
        await desk.until(lambda: "more cpu than there is" in str(form.query_one("#form-state").content))


async def test_a_lost_connection_is_said_and_healed(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["py-1"])
        server.go_down()
        strip = desk.app.main.query_one("#strip")
        await desk.until(lambda: "reconnecting in" in strip.state)
        server.add("py-2")
        server.up = True
        desk.app.bench.sync.poke()
        await desk.until(lambda: strip.state == "" and desk.names == ["py-1", "py-2"])


@pytest.mark.parametrize("width", [80, 120, 200])
async def test_a_lost_connection_leaves_room_for_the_gauges(open_desk: Any, server: FakeServer, width: int) -> None:
    server.add("py-1")
    async with open_desk(size=(width, 24)) as desk:
        strip = desk.app.main.strip
        await desk.until(lambda: "gpu1" in strip.render_line(0).text)
        server.go_down()
        await desk.until(lambda: "reconnecting in" in strip.state)
        line = strip.render_line(0).text
        assert "reconnecting in" in line
        if width == 80:
            assert "2 gpus mock 0.00/2.00" in line
        else:
            assert "gpu0" in line and "gpu1" in line and "mem" in line
        assert len(line) == width
