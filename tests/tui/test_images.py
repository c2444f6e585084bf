"""Images in the TUI: what can be had and how, building with progress, and sessions that wait for it or lost theirs."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.app.client.views import ImageView, ProgressView
from bai_tui.app.model.errors import Forbidden
from bai_tui.app.model.images import ImageState
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.tui.actions import ACTIONS, of
from bai_tui.app.tui.actions.keys import Keys
from bai_tui.app.tui.choice_box import ChoiceBox
from bai_tui.app.tui.image_log_screen import ImageLogScreen
from bai_tui.app.tui.launch_memory import LaunchMemory
from bai_tui.app.tui.launch_screen import LaunchScreen
from bai_tui.app.tui.samples import SAMPLES
from bai_tui.tests.tui.fakes import FakeServer
from bai_tui.tests.tui.test_every_action import Asked
from bai_tui.widgets.image_picker import ImagePicker, ranked
from bai_tui.widgets.resource_form import ResourceForm
from bai_tui.widgets.rows import ImageRow
from textual.widgets import OptionList

G = 1024**3
DATA = "python-data:3.11"
SHELF = (
    ImageView("python:3.11-debian12", aliases=("python",), state=ImageState.READY, kind="python", language="python",
              runtime_version="3.11.7"),
    ImageView(DATA, aliases=("data",), state=ImageState.BUILDABLE, kind="recipe", language="python", installed=False,
              packages=("numpy>=2", "pandas", "matplotlib"), summary="numpy, pandas and matplotlib", prepare_s=40.0,
              min_slots=ResourceSlots.parse({"cpu": "2", "mem": "2g"}),
              default_slots=ResourceSlots.parse({"cpu": "2", "mem": "4g"}), service_ports=("jupyter:http:8081",),
              digest="sha256:0123456789abcdef0123456789abcdef"),
    ImageView("deno:2.1", state=ImageState.READY, kind="recipe", language="typescript", size_bytes=90 * 1024**2),
    ImageView("julia:1.11", state=ImageState.UNAVAILABLE, reason="no julia on the machine [x]", installed=False),
    ImageView("debian/python:3.12", state=ImageState.PULLABLE, kind="container", size_bytes=G, installed=False),
)  # fmt: skip


@pytest.fixture
def shelf(server: FakeServer) -> FakeServer:
    server.capabilities |= {"images"}
    server.image_views = SHELF
    return server


async def opened(desk: Any) -> LaunchScreen:
    """Opens the launch form once the images are known."""
    await desk.until(lambda: desk.app.bench.sync.connection.images and desk.app.bench.sync.connection.machine.gauges)
    await desk.press("n")
    await desk.until(lambda: isinstance(desk.app.screen, LaunchScreen) and desk.app.screen.focused is not None)
    screen = desk.app.screen
    assert isinstance(screen, LaunchScreen)
    return screen


async def chosen(desk: Any, *letters: str) -> LaunchScreen:
    """Opens the form and looks for an image."""
    screen = await opened(desk)
    await desk.press(*letters)
    await desk.pilot.pause()
    return screen


def lines(screen: LaunchScreen) -> list[str]:
    """The list of images as it is seen."""
    listing = screen.query_one("#image-list", OptionList)
    return [listing.render_line(y).text.rstrip() for y in range(listing.size.height)]


def said(screen: LaunchScreen) -> str:
    """What stands below the form."""
    return str(screen.query_one("#form-state").render())


def about(screen: LaunchScreen) -> str:
    """What is told of the image."""
    widget = screen.query_one("#image-about")
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))


def done(server: FakeServer) -> list[str]:
    return [call for call, _ in server.calls if call.endswith(("-image", "-images", "-task", "create"))]


async def test_states_are_told_in_shape_and_word(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk() as desk:
        screen = await opened(desk)
        found = lines(screen)
        assert "✓ python:3.11-debian12 ready" in found[0] and "python 3.11.7" not in found[0] and "3.11.7" in found[0]
        assert "✓ deno:2.1" in found[1] and "90M" in found[1] and "typescript" in found[1]
        assert "◌ python-data:3.11" in found[2] and "build ~40s" in found[2] and "= data" in found[2]
        assert "↓ debian/python:3.12" in found[3] and "pull 1G" in found[3]
        assert "✕ julia:1.11" in found[4] and "unavailable" in found[4] and "no julia on the machine [x]" in found[4]
        # columns stand below each other, and no line is longer than its place
        assert (
            len({line.index(word) for line, word in zip(found, ("ready", "ready", "build", "pull"), strict=False)}) == 1
        )
        assert all(len(line) <= screen.query_one("#image-list").size.width for line in found)


async def test_what_cannot_run_says_why_and_is_not_launched(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk() as desk:
        screen = await chosen(desk, *"julia", "enter")
        await desk.until(lambda: "julia:1.11 cannot run here: no julia on the machine [x]" in said(screen))
        await desk.press("ctrl+b")
        await desk.until(lambda: said(screen) == "no julia on the machine [x]")
        assert done(shelf) == [] and desk.app.screen is screen


async def test_the_form_takes_what_the_image_needs(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk() as desk:
        screen = await opened(desk)
        form = screen.query_one(ResourceForm)
        assert (form.values["cpu"], form.values["mem"]) == ("1", "1g")
        await desk.press(*"data")
        await desk.until(lambda: (form.values["cpu"], form.values["mem"]) == ("2", "4g"))
        assert said(screen) == "the image is built first, which takes about 40s; then it starts"
        # what was typed stays, and what is too little is told
        form.fill({"mem": "1g"})
        await desk.until(lambda: "the image needs at least 2g mem" in said(screen))
        await desk.press("escape")
        await desk.until(lambda: form.values["cpu"] == "1" and form.values["mem"] == "1g")
        await desk.until(lambda: "starts at once" in said(screen))


async def test_all_that_is_known_stands_in_place_of_the_list_or_beside_it(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk() as desk:
        screen = await chosen(desk, *"data")
        assert not screen.query_one("#image-about").display
        await desk.press("alt+i")
        await desk.until(lambda: "matplotlib" in about(screen))
        told = about(screen)
        for part in ("can be built, about 40s", "data", "numpy>=2", "cpu 2, mem 4G", "cpu 2, mem 2G", "0123456789ab",
                     "jupyter:http:8081", "an environment built from a recipe"):  # fmt: skip
            assert part in told, part
        assert not screen.query_one("#image-list").display
        # one goes on through the list while it is read
        await desk.press("escape", "down")
        await desk.until(lambda: "deno:2.1" in about(screen))
        await desk.press("alt+i")
        await desk.until(lambda: screen.query_one("#image-list").display)
    async with open_desk(size=(180, 50)) as desk:
        screen = await chosen(desk, *"data")
        await desk.until(lambda: "matplotlib" in about(screen))
        assert screen.query_one("#image-list").display


async def test_building_shows_how_far_it_is_and_nothing_jumps(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk() as desk:
        screen = await opened(desk)
        picker = screen.query_one(ImagePicker)
        await desk.press("down", "down", "ctrl+b")
        await desk.until(lambda: shelf.builds)
        build = shelf.builds["build-1"]
        build.step(1, 4, "installing numpy [x]")
        await desk.until(lambda: "building 25%" in lines(screen)[2] and "installing numpy [x]" in lines(screen)[2])
        assert lines(screen)[2].count("█") == 2 and picker.image is not None and picker.image.reference == DATA
        await desk.press("ctrl+b")
        await desk.until(lambda: "is being built already" in said(screen))
        desk.clock.now += 20
        picker.tick()
        await desk.until(lambda: "no news for 20s" in lines(screen)[2])
        build.finish()
        await desk.until(lambda: "ready" in lines(screen)[2] and DATA in lines(screen)[2])
        assert any(f"{DATA} is ready" in toast for toast in desk.toasts)
        await desk.press("alt+i")
        await desk.until(lambda: "ready" in about(screen))
        assert "about 40s" not in about(screen), "it takes no time any more"
        log = [entry.text for entry in desk.app.bench.happenings if "image" in entry.text]
        assert log == [f"bai-tui image build {DATA}"]


async def test_what_others_build_is_seen_and_not_stopped(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk() as desk:
        screen = await opened(desk)
        shelf.tell_image("bai_image_progress", DATA, progress=ProgressView(3, 4, "linking"))
        await desk.until(lambda: "building 75%" in lines(screen)[2])
        await desk.press("down", "down", "ctrl+t")
        await desk.until(lambda: "for a session, or by somebody else" in said(screen))
        # the list of the server knows better
        desk.app.bench.refresh_images()
        await desk.until(lambda: "build ~40s" in lines(screen)[2])
        assert done(shelf) == []


async def test_a_building_is_stopped_and_a_failure_keeps_its_reason(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk(size=(180, 50)) as desk:
        screen = await chosen(desk, *"data", "ctrl+b")
        await desk.until(lambda: shelf.builds)
        await desk.press("ctrl+t")
        await desk.until(lambda: any("nothing half-made is left" in toast for toast in desk.toasts))
        assert done(shelf) == ["prepare-image", "cancel-task"]
        await desk.until(lambda: "build ~40s" in lines(screen)[0])
        await desk.press("ctrl+t")
        await desk.until(lambda: "is not being built" in said(screen))
        await desk.press("ctrl+b")
        await desk.until(lambda: len(shelf.builds) == 2)
        shelf.builds["build-2"].step(1, 3, "asking the index")
        shelf.builds["build-2"].finish("failed", "no network: see build.log")
        await desk.until(lambda: "no network: see build.log (^l shows the log)" in " ".join(about(screen).split()))
        assert any("could not be built: no network" in toast for toast in desk.toasts)
        await desk.press("ctrl+l")
        await desk.until(lambda: isinstance(desk.app.screen, ImageLogScreen))
        console = desk.app.screen.console
        await desk.until(lambda: "asking the index" in console.render_line(0).text)
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is screen)
        # a sentence that has the name of the image in it is told as it is
        await desk.press("ctrl+b")
        await desk.until(lambda: len(shelf.builds) == 3)
        shelf.builds["build-3"].finish("failed", f"{DATA} was not made: no space")
        await desk.until(lambda: any(toast.startswith(f"{DATA} was not made: no space") for toast in desk.toasts))


async def test_removing_asks_and_rebuilding_too(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk() as desk:
        screen = await opened(desk)
        await desk.press("ctrl+d")
        await desk.until(lambda: "was found on the machine" in said(screen))
        await desk.press("down", "ctrl+d")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceBox))
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is screen)
        assert done(shelf) == []
        await desk.press("ctrl+b")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceBox))
        await desk.press("b")
        await desk.until(lambda: ("prepare-image", ("deno:2.1", True)) in shelf.calls)
        shelf.builds["build-1"].finish()
        await desk.until(lambda: any("deno:2.1 is ready" in toast for toast in desk.toasts))
        await desk.press("ctrl+d")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceBox))
        await desk.press("r")
        await desk.until(lambda: "build" in lines(screen)[1] and "deno" in lines(screen)[1])
        log = [entry.text for entry in desk.app.bench.happenings if "image" in entry.text]
        assert log == ["bai-tui image build --anew deno:2.1", "bai-tui image rm deno:2.1"]


async def test_a_refusal_and_a_rescan_are_told(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk() as desk:
        screen = await chosen(desk, *"data")
        shelf.refuse_image = Forbidden("only an administrator may [x]")
        await desk.press("ctrl+b", "alt+s")
        await desk.until(lambda: sum("only an administrator may [x]" in toast for toast in desk.toasts) == 2)
        shelf.refuse_image = None
        shelf.image_views = (*SHELF, ImageView("r:4.4", state=ImageState.READY, kind="jupyter", language="R"))
        await desk.press("escape", "alt+s")
        await desk.until(lambda: any("r:4.4" in line for line in lines(screen)))
        # what came is behind what one looked at
        assert "r:4.4" in lines(screen)[5]


async def test_a_launch_builds_first_and_says_so_everywhere(open_desk: Any, shelf: FakeServer) -> None:
    shelf.starts = False
    async with open_desk() as desk:
        await chosen(desk, *"data", "enter")
        await desk.until(lambda: desk.app.screen is desk.app.main and desk.cursor == "data-1")
        shelf.change("data-1", status=SessionStatus.PULLING)
        shelf.tell("session_pulling", "data-1")
        shelf.tell_image("bai_image_progress", DATA, progress=ProgressView(1, 2, "installing [numpy]"))
        await desk.until(lambda: "pulling" in desk.list_text and "50% installing" in desk.list_text)
        assert "its image python-data:3.11 is being made ready" in desk.console
        assert "50% installing [numpy]" in desk.console and "L in the session list shows the log" in desk.console
        await desk.code("print(1)")
        await desk.press("ctrl+r")
        await desk.until(lambda: "waits for its image 50%" in desk.console)
        shelf.tell_image("bai_image_progress", DATA, progress=ProgressView(2, 2, "done"))
        await desk.until(lambda: "waits for its image 100%" in desk.console)
        shelf.start("data-1")
        await desk.until(lambda: "ran" in desk.console)
        assert "%" not in desk.list_text


async def test_a_failed_build_says_why_and_shows_its_log(open_desk: Any, shelf: FakeServer) -> None:
    shelf.add("data-1", status=SessionStatus.PULLING, image=DATA)
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor == "data-1" and shelf.queues)
        why = "failed-to-start: no wheel of numpy [x]"
        shelf.change("data-1", status=SessionStatus.ERROR, status_info=why)
        shelf.tell("session_terminated", "data-1", why)
        await desk.until(lambda: "could not be started: no wheel of numpy [x]" in desk.console)
        assert "└ no wheel of numpy [x]" in desk.list_text and "failed" in desk.list_text
        assert "L in the session list shows the log" in desk.console
        await desk.press("L")
        await desk.until(lambda: isinstance(desk.app.screen, ImageLogScreen))
        console = desk.app.screen.console
        await desk.until(lambda: f"there is no log of {DATA}" in console.render_line(0).text)
        assert [e.text for e in desk.app.bench.happenings if " log " in e.text] == [f"bai-tui image log {DATA}"]


async def test_an_image_that_is_gone_is_told_in_list_details_and_toast(open_desk: Any, shelf: FakeServer) -> None:
    ref = shelf.add(
        "py-1", image="python:3.11-debian12", image_notice="python:3.6 is not here: python:3.11-debian12 runs"
    )
    async with open_desk(size=(200, 60)) as desk:
        details = desk.app.main.details

        def told() -> str:
            text = (details.render_line(y).text for y in range(details.size.height))
            return " ".join(" ".join(text).split())

        await desk.until(lambda: shelf.queues and desk.cursor == "py-1" and "python:3.6 is not here" in told())
        shelf.change(ref, image_gone="its interpreter was removed")
        shelf.tell("bai_image_gone", ref, "its interpreter was removed")
        await desk.until(lambda: "gone: its interpreter was removed" in told())
        await desk.until(lambda: "✕ gone:" in desk.list_text)
        await desk.until(lambda: any("is gone" in toast and "py-1" in toast for toast in desk.toasts))


async def test_the_editor_speaks_the_language_of_the_image(open_desk: Any, shelf: FakeServer) -> None:
    shelf.image_views = (*SHELF, ImageView("lab/notebook:5", state=ImageState.READY, language="C++17"))
    shelf.add("one", image="lab/notebook:5")
    async with open_desk() as desk:
        await desk.until(lambda: desk.cursor == "one" and desk.app.bench.sync.connection.images)
        await desk.press("f3", "alt+t")
        await desk.until(lambda: desk.app.main.editor.language == "cpp")
        await desk.press(*"x=1", "ctrl+slash")
        await desk.until(lambda: desk.app.main.editor.text.startswith("// x=1"))


async def test_the_sample_is_in_the_language_of_the_session_until_it_is_changed(
    open_desk: Any, shelf: FakeServer
) -> None:
    shelf.add("ts", image="deno:2.1", age_s=90)
    shelf.add("py", age_s=60)
    async with open_desk() as desk:
        editor = desk.app.main.editor
        await desk.until(lambda: desk.cursor == "ts" and editor.text == SAMPLES["typescript"])
        assert editor.language == "typescript"
        await desk.press("j")
        await desk.until(lambda: editor.text == SAMPLES["python"] and editor.language == "python")
        await desk.press("f3", *"x=1", "f2", "k")
        await desk.until(lambda: desk.cursor == "ts")
        assert editor.text.startswith("x=1") and editor.language == "python"


async def test_a_cluster_has_the_picker_without_states(open_desk: Any, server: FakeServer) -> None:
    server.capabilities = frozenset()
    server.image_views = (*server.image_views, ImageView("cr/far:1", installed=False, size_bytes=3 * G))
    async with open_desk() as desk:
        screen = await opened(desk)
        text = "\n".join(lines(screen))
        assert "must be fetched first (3G)" in text and "ready" not in text and "✓" not in text
        await desk.press("ctrl+b")
        await desk.until(lambda: "by itself" in said(screen))
        await desk.press("ctrl+d")
        await desk.until(lambda: "administrators" in said(screen))
        await desk.press("ctrl+l")
        await desk.until(lambda: "keeps no log" in said(screen))
        await desk.press("alt+s")
        await desk.until(lambda: "asked for anew" in said(screen))
        assert done(server) == []


async def test_with_no_session_run_starts_the_default_at_once(open_desk: Any, shelf: FakeServer) -> None:
    async with open_desk() as desk:
        await desk.press("ctrl+r")
        await desk.until(lambda: "ran" in desk.console)
        assert [what["image"] for call, what in shelf.calls if call == "create"] == ["python"]


async def test_every_key_of_the_images_does_its_action(
    open_desk: Any, shelf: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk() as desk:
        await opened(desk)
        asked = Asked(monkeypatch)
        keys = Keys({}, ACTIONS)
        for action in of("images"):
            for key in keys.of(action):
                asked.actions.clear()
                await desk.press(key)
                assert ("images", action.action) in asked.actions, f"{action.id}: {key} did {asked.actions}"
        assert asked.missing == []


@pytest.mark.parametrize("action", [action for action in of("images") if action.changes], ids=lambda action: action.id)
async def test_what_changes_images_is_refused_while_read_only(open_desk: Any, shelf: FakeServer, action: Any) -> None:
    async with open_desk() as desk:
        screen = await chosen(desk, *"deno")
        desk.app.bench.switch.on = True
        await desk.press(Keys({}, ACTIONS).of(action)[0])
        await desk.until(lambda: any("read-only" in toast for toast in desk.toasts))
        assert done(shelf) == [] and desk.app.screen is screen


def test_the_order_is_that_of_use_then_of_state_and_stays_while_one_looks() -> None:
    rows = [
        ImageRow("gone", state=ImageState.UNAVAILABLE),
        ImageRow("build", state=ImageState.BUILDABLE),
        ImageRow("ready", state=ImageState.READY),
        ImageRow("used", state=ImageState.BUILDABLE),
        ImageRow("pinned", state=ImageState.UNAVAILABLE),
    ]
    memory = LaunchMemory(recent=["used"], pinned=["pinned"])
    shown = memory.ordered(rows)
    assert [row.reference for row in shown] == ["pinned", "used", "ready", "build", "gone"]
    later = [ImageRow("new", state=ImageState.READY), ImageRow("build", state=ImageState.READY), *rows[2:]]
    assert [row.reference for row in memory.in_order(shown, later)] == ["pinned", "used", "ready", "build", "new"]


def test_what_cannot_run_is_found_last() -> None:
    rows = [ImageRow("r:1", state=ImageState.UNAVAILABLE), ImageRow("ruby-for-r:1", state=ImageState.READY)]
    assert [row.reference for row, _ in ranked(rows, "r")] == ["ruby-for-r:1", "r:1"]
