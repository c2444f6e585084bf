"""Where the panes stand: sizes as arithmetic, edges drawn by mouse and keys, small screens, zoom, jumping."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.tui.jump import JumpScreen
from bai_tui.app.tui.layout import EDGES, Layout, Places, drawn_to, places
from bai_tui.app.tui.main_screen import MainScreen
from bai_tui.app.tui.resize import ResizeScreen
from bai_tui.tests.tui.fakes import FakeServer
from textual import events
from textual.geometry import Offset

# -- arithmetic --------------------------------------------------------------------------------------------------------


def test_every_size_leaves_room_for_every_pane() -> None:
    dice = random.Random(5)
    for _ in range(5_000):
        width, height = dice.randint(60, 320), dice.randint(18, 120)
        wishes = Layout()
        for edge in EDGES:
            setattr(wishes, edge, dice.choice((0, 1, dice.randint(1, 2_000))))
        now = places(width, height, wishes, map_wants=dice.choice((0, dice.randint(4, 40))))
        room = height - 2
        if width < 100:
            assert now.top >= 3 and now.editor >= 4 and now.work - now.editor >= 4 and now.top + now.work == room
        else:
            assert now.side >= 24 and width - now.side - now.right >= 40 and (now.right >= 24) == (width >= 160)
            assert now.editor >= 4 and now.work - now.editor >= 3 and now.map_height + now.work == room
            assert (now.foot >= 3) == (width < 160)


def test_what_is_drawn_is_what_there_is_next_time() -> None:
    wishes = Layout()
    before = places(120, 40, wishes, map_wants=10)
    for edge in EDGES:
        if cells := getattr(before, edge):
            setattr(wishes, edge, drawn_to(edge, cells + 2, before))
            assert getattr(places(120, 40, wishes, map_wants=10), edge) == cells + 2, edge
            setattr(wishes, edge, 0)


# -- edges -------------------------------------------------------------------------------------------------------------


async def drag(desk: Any, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Presses the mouse at one cell of the screen, moves it to another and lets it go."""
    screen = desk.app.screen

    async def tell(kind: type[events.MouseEvent], place: tuple[int, int], button: int) -> None:
        x, y = place
        event = kind(
            widget=None, x=x, y=y, delta_x=0, delta_y=0, button=button, shift=False, meta=False, ctrl=False,
            screen_x=x, screen_y=y,
        )  # fmt: skip
        desk.app.post_message(event)
        await desk.pilot.pause()

    await tell(events.MouseDown, start, 1)
    middle = ((start[0] + end[0]) // 2, (start[1] + end[1]) // 2)
    await tell(events.MouseMove, middle, 1)
    await tell(events.MouseMove, end, 1)
    await tell(events.MouseUp, end, 1)
    assert screen is desk.app.screen


@pytest.mark.parametrize(
    ("size", "edge", "by"),
    [((120, 40), "side", (12, 0)), ((120, 40), "foot", (0, -5)), ((120, 40), "editor", (0, 6)),
     ((120, 40), "map_height", (0, 3)), ((200, 60), "right", (-9, 0)), ((200, 60), "side", (-8, 0)),
     ((80, 24), "top", (0, 3)), ((80, 24), "editor", (0, -2))],
)  # fmt: skip
async def test_edges_are_drawn_by_the_mouse(
    open_desk: Any, server: FakeServer, tmp_path: Path, size: tuple[int, int], edge: str, by: tuple[int, int]
) -> None:
    server.add("py-1", slots={"cpu": "1", "mem": "1g", "gpu": "0.5"})
    async with open_desk(size=size, folder=tmp_path) as desk:
        main: MainScreen = desk.app.main
        await desk.until(lambda: desk.app.bench.sync.connection.machine.gpus)
        await desk.pilot.pause()
        (found,) = (one for one in main.frame.edges() if one.name == edge)
        before = getattr(main.frame.places, edge)
        start = found.region.x + (0 if found.upright else found.region.width // 2), found.region.y
        await drag(desk, start, (start[0] + by[0], start[1] + by[1]))
        after = getattr(main.frame.places, edge)
        assert after - before == sum(by) * found.sign
        assert desk.app.mouse_captured is None and not main.text_selection
        (there,) = (one for one in main.frame.edges() if one.name == edge)
        assert there.region.offset - found.region.offset == Offset(*by)
        await desk.press("ctrl+q")
    async with open_desk(size=size, folder=tmp_path) as desk:
        await desk.until(lambda: desk.app.bench.sync.connection.machine.gpus)
        await desk.pilot.pause()
        assert getattr(desk.app.main.frame.places, edge) == after


async def test_a_press_on_a_tab_is_a_click_and_no_drag(open_desk: Any) -> None:
    async with open_desk() as desk:
        main = desk.app.main
        await desk.until(lambda: desk.app.bench.sync.connection.machine.gpus)
        await desk.pilot.pause()
        before = main.frame.places
        region = main.dock.region
        at = next(
            x
            for x in range(region.x, region.right)
            if "files" in str(main.get_style_at(x, region.y).meta.get("@click", ""))
        )
        await desk.pilot.click(offset=(at, region.y))
        await desk.pilot.pause()
        assert main.dock.current == "files" and main.frame.places == before


async def test_edges_are_drawn_by_keys(open_desk: Any) -> None:
    async with open_desk() as desk:
        main = desk.app.main
        await desk.pilot.pause()
        before = main.frame.places
        await desk.press("ctrl+backslash")
        await desk.until(lambda: isinstance(desk.app.screen, ResizeScreen))
        await desk.press("right", "right", "down")
        after: Places = main.frame.places
        assert (after.side, after.foot) == (before.side + 8, before.foot - 1)
        await desk.press("equals_sign")
        assert main.frame.places == before
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is main)
        await desk.press("f3", "ctrl+backslash")
        await desk.until(lambda: isinstance(desk.app.screen, ResizeScreen))
        await desk.press("h", "k")
        assert (main.frame.places.side, main.frame.places.editor) == (before.side - 4, before.editor - 1)
        await desk.press("escape")


# -- sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (60, 18), (40, 12), (30, 8)])
async def test_every_pane_can_be_reached_on_a_small_screen(
    open_desk: Any, server: FakeServer, size: tuple[int, int]
) -> None:
    server.add("py-1")
    keys = {"sessions": "f2", "editor": "f3", "console": "f4", "details": "f8", "files": "f11", "events": "f12"}
    async with open_desk(size=size) as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        main = desk.app.main
        for pane, key in keys.items():
            await desk.press(key)
            await desk.pilot.pause()
            assert main.focused_pane == pane
            assert main.pane(pane).region.height >= 3 and main.frame.sees(pane), pane
        await desk.press("f7")
        await desk.pilot.pause()
        assert main.frame.sees("map")


async def test_a_storm_of_sizes_breaks_nothing(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1", slots={"cpu": "1", "mem": "1g", "gpu": "0.5"})
    dice = random.Random(3)
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.bench.sync.connection.machine.gpus)
        main = desk.app.main
        for turn in range(40):
            if turn % 5 == 0:
                await desk.press(dice.choice(("f2", "f3", "f4", "f7", "f8", "f9", "f12")))
            await desk.pilot.resize_terminal(dice.randint(1, 260), dice.randint(1, 90))
        await desk.pilot.resize_terminal(120, 40)
        await desk.press("f2")
        await desk.pilot.pause()
        assert main.frame.sees("sessions") and main.focused_pane == "sessions"
        assert desk.app.return_code is None


# -- which panes are seen ----------------------------------------------------------------------------------------------


async def test_zoom_of_every_pane(open_desk: Any) -> None:
    async with open_desk() as desk:
        main = desk.app.main
        for key in ("f2", "f3", "f4", "f8", "f11", "f12"):
            await desk.press(key, "f9")
            await desk.pilot.pause()
            pane = main.pane(main.focused_pane)
            assert pane.region.size == (120, 38), main.focused_pane
            await desk.press("f9")
            await desk.pilot.pause()
            assert pane.region.size != (120, 38)


async def test_the_pane_of_the_dock_is_remembered(open_desk: Any, tmp_path: Path) -> None:
    async with open_desk(folder=tmp_path) as desk:
        await desk.press("f12", "f2", "ctrl+q")
    async with open_desk(folder=tmp_path) as desk:
        assert desk.app.main.dock.current == "events" and desk.app.main.focused_pane == "sessions"


# -- jumping -----------------------------------------------------------------------------------------------------------


async def test_a_letter_goes_to_its_pane(open_desk: Any) -> None:
    async with open_desk() as desk:
        main = desk.app.main
        for letter, pane in (("e", "editor"), ("c", "console"), ("d", "details"), ("v", "events"), ("m", "map")):
            await desk.press("ctrl+g")
            await desk.until(lambda: isinstance(desk.app.screen, JumpScreen) and desk.app.screen.query(".jump-label"))
            await desk.press(letter)
            await desk.until(lambda: desk.app.screen is main)
            await desk.until(lambda pane=pane: main.focused_pane == pane, pane)
        await desk.press("ctrl+g")
        await desk.until(lambda: isinstance(desk.app.screen, JumpScreen))
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is main)
        assert main.focused_pane == "map"


async def test_every_tab_has_a_letter(open_desk: Any) -> None:
    async with open_desk() as desk:
        main = desk.app.main
        await desk.press("f3", "alt+t", "alt+t")
        await desk.pilot.pause()
        await desk.press("ctrl+g")
        await desk.until(lambda: isinstance(desk.app.screen, JumpScreen) and desk.app.screen.query(".jump-label"))
        actions = [place.action for place in desk.app.screen._places.values()]
        assert sum("show_tab" in action for action in actions) == 3
        assert {f"pane({name!r})" for name in ("sessions", "console", "terminal", "files", "events")} <= set(actions)
        first = next(letter for letter, place in desk.app.screen._places.items() if "show_tab(" in place.action)
        await desk.press(first)
        await desk.until(lambda: desk.app.screen is main)
        await desk.until(lambda: main.editor_pane.documents.current is main.editor_pane.documents.all[0])


async def test_a_letter_covers_one_cell_of_a_title(open_desk: Any) -> None:
    async with open_desk() as desk:
        await desk.press("ctrl+g")
        await desk.until(lambda: isinstance(desk.app.screen, JumpScreen) and desk.app.screen.query(".jump-label"))
        await desk.pilot.pause()
        labels = {label.region.offset: label.region.width for label in desk.app.screen.query(".jump-label")}
        places = desk.app.screen._places.values()
        assert {place.at: place.word for place in places if not place.word}
        assert all(labels[place.at] == 1 for place in places if not place.word)


async def test_panes_that_are_not_seen_have_a_letter_too(open_desk: Any) -> None:
    async with open_desk(size=(80, 24)) as desk:
        await desk.press("ctrl+g")
        await desk.until(lambda: isinstance(desk.app.screen, JumpScreen) and desk.app.screen.query(".jump-label"))
        await desk.pilot.click(
            offset=next(place.at for place in desk.app.screen._places.values() if place.word == "details")
        )
        await desk.until(lambda: desk.app.screen is desk.app.main)
        await desk.until(lambda: desk.app.main.frame.sees("details"))
