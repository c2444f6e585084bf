"""The launch form: pins, presets, sliders, several at once, environment, and what was launched last."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from bai_tui.app.cli.plan import with_units
from bai_tui.app.client.views import AboutView
from bai_tui.app.model.errors import BadRequest
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.tui.launch_memory import KEPT_IMAGES, KEPT_LAUNCHES, LaunchMemory
from bai_tui.app.tui.launch_screen import LaunchScreen
from bai_tui.app.tui.launching import command_of
from bai_tui.app.tui.store import LaunchRequest
from bai_tui.tests.tui.fakes import FakeServer
from bai_tui.widgets.image_picker import ImagePicker, ranked
from bai_tui.widgets.resource_form import PRESETS, ResourceForm, parse_environ
from bai_tui.widgets.rows import ImageRow
from bai_tui.widgets.slider import Slider
from hypothesis import given
from hypothesis import strategies as st


async def form_of(desk: Any) -> ResourceForm:
    await desk.until(lambda: desk.app.bench.sync.connection.images and desk.app.bench.sync.connection.machine.gauges)
    await desk.press("n")
    await desk.until(lambda: isinstance(desk.app.screen, LaunchScreen))
    form = desk.app.screen.query_one(ResourceForm)
    assert isinstance(form, ResourceForm)
    return form


def created(server: FakeServer) -> list[dict[str, Any]]:
    return [what for call, what in server.calls if call == "create"]


async def test_several_at_once_with_their_environment(open_desk: Any, server: FakeServer) -> None:
    async with open_desk() as desk:
        form = await form_of(desk)
        form.fill({"name": "sweep", "count": "3", "env": "SEED=1 NOTE='two words'"})
        await desk.press("enter")
        await desk.until(lambda: desk.names == ["sweep", "sweep-2", "sweep-3"])
        await desk.until(lambda: len(created(server)) == 3)
        assert all(one["environ"] == {"SEED": "1", "NOTE": "two words"} for one in created(server))
        line = next(entry.text for entry in desk.app.bench.happenings if "create" in entry.text)
        assert "-e SEED" in line and "SEED=1" not in line


async def test_the_last_launch_again_with_one_key(open_desk: Any, server: FakeServer, tmp_path: Any) -> None:
    async with open_desk(folder=tmp_path) as desk:
        form = await form_of(desk)
        form.fill({"cpu": "2", "mem": "2g", "env": "A=1"})
        await desk.press("enter")
        await desk.until(lambda: len(created(server)) == 1 and desk.app.screen is desk.app.main)
        await desk.press("alt+n")
        await desk.until(lambda: len(created(server)) == 2)
        await desk.press("ctrl+q")
    first, second = created(server)
    assert first["resources"] == second["resources"] == {"cpu": "2", "mem": "2g"}
    assert (first["name"], second["environ"]) != (second["name"], {})
    async with open_desk(folder=tmp_path) as desk:
        form = await form_of(desk)
        assert form.values["cpu"] == "1"
        await desk.press("f3")
        assert (form.values["cpu"], form.values["env"]) == ("2", "A=1")


async def test_another_like_it_has_its_environment_too(open_desk: Any, server: FakeServer) -> None:
    one = server.add("py-9", slots={"cpu": "2", "mem": "2g"})
    server.sessions[one].about = AboutView({"SEED": "3"}, mounts=("data",))
    async with open_desk() as desk:
        await desk.until(lambda: desk.names == ["py-9"])
        await desk.press("a")
        await desk.until(lambda: len(created(server)) == 1)
        (made,) = created(server)
        assert (made["environ"], made["mounts"], made["resources"]) == (
            {"SEED": "3"},
            ("data",),
            {"cpu": "2", "mem": str(2 << 30)},
        )
        assert desk.app.bench.memory.of(LaunchMemory).newest().environ == {"SEED": "3"}


async def test_presets_and_sliders_fill_the_boxes(open_desk: Any, server: FakeServer) -> None:
    async with open_desk() as desk:
        form = await form_of(desk)
        total = next(gauge.total for gauge in desk.app.bench.sync.connection.machine.gauges if gauge.label == "cpu")
        await desk.press(*["f2"] * (PRESETS.index("half") + 1))
        assert Decimal(form.values["cpu"]) == total // 2
        slider = form.query_one("#slider-cpu", Slider)
        assert slider.value == total // 2
        slider.focus()
        await desk.press("home", "right", "right")
        assert form.values["cpu"] == "2"
        await desk.press("end", "end")
        assert Decimal(form.values["cpu"]) == total


async def test_a_refusal_stands_until_something_else_is_typed(open_desk: Any, server: FakeServer) -> None:
    server.refuse_create = BadRequest("no room [/x]")
    async with open_desk() as desk:
        form = await form_of(desk)
        state = form.query_one("#form-state")
        await desk.press("enter")
        await desk.until(lambda: "no room [/x]" in str(state.render()))
        server.add("other", slots={"cpu": "1"})
        server.tell("session_started", "other")
        await desk.until(lambda: "other" in desk.names)
        form.set_machine(desk.app.bench.sync.connection.machine)
        assert "no room [/x]" in str(state.render()) and state.has_class("-error")
        form.fill({"cpu": "2"})
        await desk.until(lambda: "starts at once" in str(state.render()))


async def test_what_a_lost_connection_said_goes_when_it_is_back(open_desk: Any, server: FakeServer) -> None:
    async with open_desk() as desk:
        form = await form_of(desk)
        state = form.query_one("#form-state")
        server.go_down()
        await desk.until(lambda: desk.app.bench.sync.connection.client is None)
        await desk.press("enter")
        await desk.until(lambda: "not connected" in str(state.render()))
        server.up = True
        await desk.until(lambda: "starts at once" in str(state.render()))
        assert not state.has_class("-error")


async def test_a_pinned_image_comes_first_and_stays_there(open_desk: Any, server: FakeServer, tmp_path: Any) -> None:
    async with open_desk(folder=tmp_path) as desk:
        await form_of(desk)
        picker = desk.app.screen.query_one(ImagePicker)
        await desk.press("down", "f4")
        pinned = desk.app.bench.memory.of(LaunchMemory).pinned
        assert len(pinned) == 1 and picker._shown[0].reference == pinned[0]
        await desk.press("escape", "ctrl+q")
    async with open_desk(folder=tmp_path) as desk:
        await form_of(desk)
        assert desk.app.screen.query_one(ImagePicker)._shown[0].reference == pinned[0]


def test_what_is_remembered_is_bounded_and_survives_being_damaged() -> None:
    memory = LaunchMemory()
    for number in range(50):
        memory.launched(LaunchRequest(f"i{number}", "n", {"cpu": "1"}))
    assert (len(memory.recent), len(memory.launches)) == (KEPT_IMAGES, KEPT_LAUNCHES)
    assert memory.newest() == LaunchRequest("i49", "", {"cpu": "1"}, any_name=True)
    memory.launches = ["x", {"image": 3}, {"image": "ok", "count": -4, "environ": "no", "mounts": 7}]  # type: ignore[list-item]  # as a damaged file gives it
    assert memory.newest() == LaunchRequest("ok", "", {}, any_name=True)


def test_languages_and_packages_are_found() -> None:
    images = [ImageRow("a:1", language="r"), ImageRow("b:1", packages=("numpy", "pandas")), ImageRow("pandora:1")]
    assert ranked(images, "pandas")[0][0].reference == "b:1"
    assert ranked(images, "r")[0][0].reference == "a:1"


@pytest.mark.parametrize(
    ("mem", "typed"), [("1073741824", "1g"), ("1g", "1g"), ("1536m", "1536m"), ("1025", "1025b"), ("0", "0b")]
)
def test_the_command_asks_for_the_same_memory(mem: str, typed: str) -> None:
    argv = command_of(LaunchRequest("python:3.11", "x", {"mem": mem}), "x-1")
    assert argv[4] == f"mem={typed}"
    slot, _, amount = argv[4].partition("=")
    assert ResourceSlots.parse(with_units({slot: amount})) == ResourceSlots.parse({"mem": mem})


def test_the_command_that_does_the_same() -> None:
    request = LaunchRequest("python:3.11", "x", {"cpu": "1", "cuda.shares": "0.5"}, environ={"TOKEN": "secret"})
    assert command_of(request, "x-1") == [
        "create", "-t", "x-1", "-r", "cpu=1", "-r", "cuda.shares=0.5", "-e", "TOKEN", "python:3.11",
    ]  # fmt: skip


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), st.text(max_size=12), max_size=4))
def test_an_environment_is_read_as_it_was_written(environ: dict[str, str]) -> None:
    import shlex

    text = " ".join(f"{key}={shlex.quote(value)}" for key, value in environ.items())
    assert parse_environ(text) == environ


@pytest.mark.parametrize("text", ["A", "1A=2", "A='", "=x", "A B=1"])
def test_what_is_no_environment_is_said(text: str) -> None:
    with pytest.raises(BadRequest, match="environment"):
        parse_environ(text)
