"""The map of the machine, live use in list and details, and what the details say of waiting, idling and limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from bai_tui.app.client.views import DeviceView, IdleCheckView, LayerView, WaitingView
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.layout import SOLO_BELOW
from bai_tui.tests.tui.fakes import NOW_S, FakeServer, Script
from textual.widget import Widget

G = 1024**3
HALF, QUARTER = Decimal("0.5"), Decimal("0.25")


def text_of(widget: Widget) -> str:
    """Returns what a pane shows."""
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height)).rstrip()


def cell_styles(widget: Widget, y: int) -> list[tuple[str, str]]:
    """Returns (character, background) of each cell of a line."""
    return [
        (char, segment.style.bgcolor.name if segment.style and segment.style.bgcolor else "")
        for segment in widget.render_line(y)
        for char in segment.text
    ]


@pytest.fixture
def shared(server: FakeServer) -> FakeServer:
    """Two sessions share gpu0, one waits, one has no GPU."""
    train = server.add("train", slots={"cpu": "2", "mem": "4g", "gpu": "0.5"}, age_s=400)
    evaluate = server.add("eval-small", slots={"cpu": "1", "mem": "1g", "gpu": "0.25"}, age_s=300)
    server.add("notes", age_s=200)
    server.add("job-7", status=SessionStatus.PENDING, status_info="waits for 1.00 gpu", age_s=100)
    server.gpus = (
        DeviceView(
            "gpu0", "Mock GPU", "mock", Decimal(1), 16 * G, {train: HALF, evaluate: QUARTER},
            mem_used_bytes=9 * G, util_pct=62.0, session_mem_bytes={train: 4 * G, evaluate: 5 * G},
        ),
        DeviceView("gpu1", "NVIDIA L4", "nvidia", Decimal(1), 24 * G, {}, mem_used_bytes=6 * G, util_pct=0.0),
    )  # fmt: skip
    return server


async def test_the_map_shows_shares_use_and_free_space(open_desk: Any, shared: FakeServer) -> None:
    async with open_desk() as desk:
        gpu_map = desk.app.main.map
        await desk.until(lambda: "train" in text_of(gpu_map))
        shared.measure({"train": {"cpu_util": (100, 200), "mem": (G, 4 * G)}})
        await desk.until(lambda: "41 %" in text_of(gpu_map))
        lines = text_of(gpu_map).splitlines()
        assert lines[0].startswith(" gpu0") and "▌train" in lines[0] and "▏eval-small" in lines[0]
        assert "0.75/1.00" in lines[0] and lines[1].endswith("9G     62 %") and "Mock GPU" in lines[1]
        # half of the share of train, all of the share of eval and more
        width = lines[0].index("▏ 0.75") - lines[0].index("▕") - 1
        used = lines[1][lines[0].index("▕") + 1 :]
        assert used[: width // 2].rstrip() == "▀" * round(width / 4)
        assert used[round(width * 0.75) - 1] == "▲"
        assert lines[0].count("░") == pytest.approx(width / 4, abs=1)
        # a quarter of gpu1 is used by somebody else
        assert "0.00/1.00" in lines[2] and lines[2].count("░") == width
        assert lines[3].count("▔") == round(width / 4) and "NVIDIA L4" in lines[3]
        assert lines[4].startswith(" cpu") and "4/8" in lines[4] and lines[5].endswith("  41 %")
        assert lines[6].startswith(" mem") and "6G/24G" in lines[6] and lines[7].endswith("9G     38 %")


async def test_selecting_in_the_list_highlights_and_clicking_cells_selects(open_desk: Any, shared: FakeServer) -> None:
    async with open_desk() as desk:
        gpu_map = desk.app.main.map
        await desk.until(lambda: "eval-small" in text_of(gpu_map))
        line = gpu_map.render_line(0).text
        assert "▌train" in line and "▏eval" in line and desk.cursor == "train"
        before = cell_styles(gpu_map, 0)
        await desk.press("j")
        await desk.until(lambda: "▌eval" in gpu_map.render_line(0).text)
        assert "▏train" in gpu_map.render_line(0).text
        after = cell_styles(gpu_map, 0)
        for name in ("train", "eval"):
            at = line.index(name)
            assert before[at][1] and before[at][1] != after[at][1]
        assert "eval-small" in str(gpu_map._border_subtitle) and "gpu0 0.25" in str(gpu_map._border_subtitle)
        # the border is one cell
        await desk.pilot.click(gpu_map, offset=(line.index("train") + 2, 1))
        await desk.until(lambda: desk.cursor == "train")
        await desk.until(lambda: "▌train" in gpu_map.render_line(0).text)
        await desk.pilot.click(gpu_map, offset=(line.index("eval") + 1, 2))
        await desk.until(lambda: desk.cursor == "eval-small")
        await desk.pilot.click(gpu_map, offset=(line.index("░") + 3, 1))
        await desk.pilot.click(gpu_map, offset=(2, 1))
        await desk.pilot.pause()
        assert desk.cursor == "eval-small"
        await desk.pilot.hover(gpu_map, offset=(line.index("░") + 3, 3))
        await desk.until(lambda: "gpu1 · NVIDIA L4 · 0.00/1.00" in str(gpu_map._border_subtitle))
        gpu_map.focus()
        await desk.press("right")
        await desk.until(lambda: desk.cursor == "notes")
        await desk.press("l", "left")
        await desk.until(lambda: desk.cursor == "notes")


async def test_a_click_in_the_list_is_on_the_row_under_the_mouse(open_desk: Any, shared: FakeServer) -> None:
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.app.main.sessions.rows) == 4)
        await desk.pilot.click(desk.app.main.sessions, offset=(4, 2))
        assert desk.cursor == "train"
        await desk.pilot.click(desk.app.main.sessions, offset=(4, 3))
        assert desk.cursor == "eval-small"


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 60), (40, 16), (24, 12)])
async def test_the_map_fits_every_size(open_desk: Any, shared: FakeServer, size: tuple[int, int]) -> None:
    async with open_desk(size=size) as desk:
        main = desk.app.main
        await desk.until(lambda: main.sessions.rows and desk.app.bench.sync.connection.machine.gpus)
        await desk.pilot.pause()
        shown_by_itself = size[0] >= 100 and size[1] >= 38
        assert main.map.display == shown_by_itself
        if not shown_by_itself:
            await desk.press("m")
            await desk.until(lambda: main.map.display and main.map.size.height)
        await desk.until(lambda: "gpu0" in text_of(main.map))
        for y in range(main.map.size.height):
            assert main.map.render_line(y).cell_length == main.map.size.width
        assert "train" in text_of(main.map) or size[0] < 40
        # on so few lines one pane is seen at a time
        if size[1] < SOLO_BELOW:
            await desk.press("escape")
            await desk.until(lambda: main.sessions.list.has_focus and main.sessions.size.height >= 2)
            return
        assert main.sessions.size.height >= 2
        if size[0] >= 100:
            assert main.editor.size.height >= 2 and main.console.size.height >= 3
        await desk.press("f7")
        await desk.pilot.pause()
        assert not main.map.display and main.editor.size.height >= 1
        await desk.press("f7", "f9")
        await desk.pilot.pause()
        await desk.press("escape")
        assert main.sessions.list.has_focus


async def test_a_cluster_has_others_too(open_desk: Any, server: FakeServer) -> None:
    server.capabilities = frozenset()
    server.gpus = ()
    server.add("mine", slots={"cpu": "2", "mem": "4g"})
    server.taken = {"cpu": 5}
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        gpu_map = desk.app.main.map
        assert not gpu_map.display
        await desk.press("m")
        await desk.until(lambda: "others" in text_of(gpu_map))
        line = text_of(gpu_map).splitlines()[0]
        assert "▌mine" in line and "▏others▒" in line and "5/8" in line and "░" in line
        await desk.pilot.click(gpu_map, offset=(line.index("others") + 1, 1))
        await desk.pilot.pause()
        assert desk.cursor == "mine"


async def test_a_run_is_to_be_seen_on_a_narrow_screen(open_desk: Any, shared: FakeServer) -> None:
    async with open_desk(size=(80, 24)) as desk:
        await desk.until(lambda: desk.app.main.sessions.rows)
        await desk.press("m")
        await desk.until(lambda: desk.app.main.map.display)
        await desk.press("ctrl+r")
        await desk.until(lambda: not desk.app.main.map.display and desk.app.main.console.size.height)


async def test_the_choice_is_remembered(open_desk: Any, shared: FakeServer, tmp_path: Any) -> None:
    async with open_desk(folder=tmp_path) as desk:
        await desk.until(lambda: desk.app.main.map.display)
        await desk.press("m")
        await desk.until(lambda: not desk.app.main.map.display)
        await desk.press("ctrl+q")
    async with open_desk(folder=tmp_path) as desk:
        await desk.until(lambda: desk.app.bench.sync.connection.machine.gpus)
        await desk.pilot.pause()
        assert not desk.app.main.map.display
        await desk.press("m")
        await desk.press("ctrl+q")
    async with open_desk(folder=tmp_path, connected=False) as desk:
        # it has its place before the machine is known
        await desk.until(lambda: desk.app.main.ready and desk.app.main.map.display)
        assert desk.app.main.map.outer_size.height == 10


async def test_sixteen_gpus_scroll(open_desk: Any, server: FakeServer) -> None:
    owners = [server.add(f"s-{number:02d}", slots={"gpu": "1"}) for number in range(16)]
    server.gpus = tuple(
        DeviceView(f"gpu{number}", "Mock GPU", "mock", Decimal(1), 16 * G, {owner: Decimal(1)})
        for number, owner in enumerate(owners)
    )
    async with open_desk(size=(120, 40)) as desk:
        gpu_map = desk.app.main.map
        await desk.until(lambda: "gpu0" in text_of(gpu_map))
        await desk.until(lambda: gpu_map.virtual_size.height == 18 * 2)  # the layout follows what is told
        assert gpu_map.size.height < 18 * 2
        gpu_map.focus()
        await desk.press(*(["pagedown"] * 4))
        await desk.until(lambda: "mem" in text_of(gpu_map))
        shown = text_of(gpu_map).splitlines()
        await desk.pilot.click(gpu_map, offset=(30, 1))
        assert desk.cursor is not None and desk.cursor in shown[0]


async def test_a_lost_gpu_is_marked_in_map_and_strip(open_desk: Any, shared: FakeServer) -> None:
    async with open_desk() as desk:
        await desk.until(lambda: "gpu1" in text_of(desk.app.main.map))
        shared.gpus = (shared.gpus[0], replace(shared.gpus[1], lost=True, mem_used_bytes=None, util_pct=None))
        shared.measure({})
        await desk.until(lambda: "lost" in desk.app.main.strip.render_line(0).text)
        line = text_of(desk.app.main.map).splitlines()[2]
        assert "lost" in line and "✕✕" in line


async def test_live_use_is_in_rows_and_details_and_goes_when_rounds_stop(
    open_desk: Any, shared: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bai_tui.app.tui.sync._STATS_AGAIN_S", 0.0)
    async with open_desk() as desk:
        details = desk.app.main.details
        await desk.until(lambda: "train" in desk.list_text and shared.meters)
        for percent in (20, 100, 180):
            shared.measure(
                {"train": {"cpu_util": (percent, 200), "mem": (3 * G, 4 * G), "cuda_mem": (9 * G, 8 * G),
                           "cuda_util": (35, None)}}
            )  # fmt: skip
        await desk.until(lambda: "180%   3G" in desk.list_text)
        text = text_of(details)
        assert "cpu     1.8 of 2" in text and "mem     3G of 4G" in text and "gpu use 35 %" in text
        assert "gpu mem 9G of 8G !" in text
        cpu = next(line for line in text.splitlines() if line.startswith(" cpu"))
        assert cpu[-1] in "▇█" and cpu.rstrip("▇█").rstrip()[-1] in "▁▂▃▄▅2"
        shared.stop_measuring()
        await desk.until(lambda: "180%" not in desk.list_text)
        assert "cpu     2" in text_of(details)
        await desk.until(lambda: shared.meters)
        shared.measure({"train": {"cpu_util": (50, 200), "mem": (G, 4 * G)}})
        await desk.until(lambda: "50%   1G" in desk.list_text)


async def test_rounds_go_on_after_the_connection_was_lost(open_desk: Any, shared: FakeServer) -> None:
    async with open_desk() as desk:
        await desk.until(lambda: shared.meters)
        shared.measure({"train": {"cpu_util": (50, 200), "mem": (G, 4 * G)}})
        await desk.until(lambda: "50%   1G" in desk.list_text)
        shared.go_down()
        await desk.until(lambda: "50%" not in desk.list_text)
        shared.up = True
        desk.app.bench.sync.poke()
        await desk.until(lambda: "50%   1G" in desk.list_text)


async def test_a_round_lays_nothing_out_and_paints_only_what_changed(open_desk: Any, server: FakeServer) -> None:
    for number in range(300):
        server.add(f"sess-{number:03d}", age_s=1000 - number)
    async with open_desk() as desk:
        main = desk.app.main
        await desk.until(lambda: len(main.sessions.rows) == 300 and server.meters)
        names = [row.name for row in main.sessions.rows]
        use = {name: {"cpu_util": (50.0, 100.0), "mem": (float(G // 4), float(G))} for name in names}
        server.measure(use)
        await desk.until(lambda: "50%" in desk.list_text and main.map.display)
        painted: list[int] = []
        laid_out: list[object] = []
        render, layout = main.sessions.list.render_line, main._refresh_layout

        def watched_render(y: int) -> Any:
            painted.append(y)
            return render(y)

        def watched_layout(*args: Any, **more: Any) -> None:
            laid_out.append(args)
            layout(*args, **more)

        main.sessions.list.render_line = watched_render
        main._refresh_layout = watched_layout
        for _ in range(5):
            # what the start and the map that appeared then have still to lay out
            await desk.pilot.pause()
        painted.clear()
        laid_out.clear()
        use[names[2]] = {"cpu_util": (60.0, 100.0), "mem": (float(G // 4), float(G))}
        use[names[250]] = {"cpu_util": (70.0, 100.0), "mem": (float(G // 4), float(G))}
        server.measure(use)
        await desk.until(lambda: desk.app.bench.sync.live.metrics(main.sessions.rows[2].id)["cpu_util"].current == 60)
        await desk.pilot.pause()
        await desk.until(lambda: painted)
        assert set(painted) == {4, 5} and not laid_out


async def test_a_round_and_a_list_that_say_nothing_new_paint_no_pane(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1", age_s=9)
    async with open_desk() as desk:
        main = desk.app.main
        await desk.until(lambda: desk.cursor == "py-1" and server.meters)
        server.measure({"py-1": {"cpu_util": (50, 100), "mem": (G // 4, G)}})
        await desk.until(lambda: "50%" in desk.list_text)
        for _ in range(5):
            await desk.pilot.pause()
        painted: list[str] = []
        for pane in (main.editor, main.console_pane, main.details, main.map):
            pane.refresh = lambda *_, pane=pane, **__: painted.append(pane.id)
        lists = sum(1 for call, _ in server.calls if call == "list")
        desk.app.bench.sync.poke()
        await desk.until(lambda: sum(1 for call, _ in server.calls if call == "list") > lists)
        for _ in range(5):
            await desk.pilot.pause()
        assert painted == []


async def test_one_that_ended_holds_nothing_of_cores_and_memory(open_desk: Any, server: FakeServer) -> None:
    server.add("gone", slots={"cpu": "4", "mem": "4g"}, age_s=9)
    server.add("here", slots={"cpu": "4", "mem": "4g"}, age_s=8)
    async with open_desk() as desk:
        await desk.until(lambda: "here" in text_of(desk.app.main.map) and "gone" in text_of(desk.app.main.map))
        server.change("gone", status=SessionStatus.TERMINATED)
        server.tell("session_terminated", "gone", "user-requested")
        await desk.until(lambda: "gone" not in text_of(desk.app.main.map))
        assert "here" in text_of(desk.app.main.map) and "gone" in desk.names


async def test_a_waiting_session_says_why_and_when(open_desk: Any, server: FakeServer) -> None:
    server.add(
        "job-7",
        status=SessionStatus.PENDING,
        status_info="waits for 0.75 cuda.shares",
        priority=20,
        depends_on=("prepare",),
        waiting=WaitingView(
            "waits for 0.75 cuda.shares; 0.25 free on gpu0; 2nd in the queue; next release expected in 12 min",
            2,
            datetime.fromtimestamp(NOW_S + 720, UTC),
            ("resources", "dependencies"),
        ),
    )
    async with open_desk(size=(200, 60)) as desk:
        details = desk.app.main.details
        await desk.until(lambda: "2nd in the queue" in text_of(details))
        text = " ".join(text_of(details).split())
        for part in ("state pending", "waits for 0.75 gpu; 0.25 free on gpu0 held back by resources, dependencies",
                     "place 2nd in the queue starts by ", ", in 12m prio 20 of 100", "after prepare"):  # fmt: skip
            assert part in text
        assert "└ waits for 0.75 gpu" in desk.list_text


async def test_layers_take_a_line_each_and_say_how_they_work_where_there_is_room(
    open_desk: Any, server: FakeServer
) -> None:
    books = "no more is promised than the machine has"
    server.add(
        "py-1",
        slots={"cpu": "1", "mem": "1g", "gpu": "1.5"},
        allocation={"cuda.shares": {"gpu0": "1", "gpu1": "0.5"}},
        layers=(
            LayerView("accounting", "gpu", "counted", books),
            LayerView("environment", "gpu", "cooperative", "code that resets it sees all GPUs"),
            LayerView("accounting", "mem", "counted", books),
            LayerView("watcher", "mem", "detected", "ends it at 110 %"),
            LayerView("memory-cgroup", "mem", "hard", "the system ends what would take more"),
        ),
    )
    async with open_desk() as desk:
        details = desk.app.main.details
        await desk.until(lambda: "limits" in text_of(details))
        lines = text_of(details).splitlines()
        assert lines[0] == " state   running"
        assert [line for line in lines if line.endswith(("hard", "cooperative", "detected", "counted"))] == [
            " limits  mem cgroup      hard",
            "         gpu environment cooperative",
            "         mem watcher     detected",
            "         all accounting  counted",
        ]
        assert lines[lines.index(" limits  mem cgroup      hard") + 1] == "         the system ends what would"
        assert " gpu     1.00 of gpu0, 0.50 of gpu1" in [line.rstrip() for line in lines]
        assert "py-1" in str(details._border_title)
        # the strongest has room for how it works; all of them have where there is more
        await desk.press("f8", "f9")
        await desk.until(lambda: "see" in text_of(details) and text_of(details).count(books) == 1)
        text = text_of(details)
        assert text.index("the system ends") < text.index("resets it") < text.index("110 %") < text.index(books)


async def test_a_line_of_limits_fits_the_column_at_the_side(open_desk: Any, server: FakeServer) -> None:
    layers = (
        LayerView("tasks-cgroup", "tasks", "hard", ""),
        LayerView("environment", "gpu", "cooperative", ""),
        LayerView("affinity", "cpu", "cooperative", ""),
        LayerView("accounting", "cpu", "counted", ""),
        LayerView("accounting", "mem", "counted", ""),
    )
    server.add("py-1", layers=layers)
    async with open_desk(size=(120, 40)) as desk:
        details = desk.app.main.details
        await desk.until(lambda: "limits" in text_of(details))
        lines = text_of(details).splitlines()
        first = next(number for number, line in enumerate(lines) if "limits" in line)
        assert [line.rstrip() for line in lines[first : first + 5]] == [
            " limits  task cgroup      hard",
            "         gpu  environment cooperative",
            "         cpu  affinity    cooperative",
            "         cpu  accounting  counted",
            "         mem  accounting  counted",
        ]


async def test_what_is_spare_is_left_out_before_it_pushes_anything_out_of_sight(
    open_desk: Any, server: FakeServer
) -> None:
    layers = tuple(LayerView(f"layer-{number}", "gpu", "hard", f"hole {number}") for number in range(4))
    server.add("py-1", layers=layers)
    async with open_desk(size=(120, 40)) as desk:
        details = desk.app.main.details
        await desk.until(lambda: "layer-3" in text_of(details))
        await desk.pilot.pause()
        text = text_of(details)
        assert details.max_scroll_y == 0 and "hole 0" in text and "00000000-0000" in text
        await desk.pilot.resize_terminal(120, 30)
        await desk.until(lambda: details.size.height < 10)
        assert "hole" not in text_of(details)


async def test_limits_and_idle_checks_are_in_the_details_which_scroll(open_desk: Any, server: FakeServer) -> None:
    layers = tuple(LayerView(f"layer-[{number}]", "gpu", "counted", f"[b]hole {number}[/x]") for number in range(12))
    server.add(
        "py-1",
        layers=layers,
        idle_checks={
            "network_timeout": IdleCheckView(1800.0, in_grace=True),
            "utilization": IdleCheckView(300.0, extra={"resources": {"cpu_util": [3.2, 20.0], "odd": "x"}}),
            "session_lifetime": IdleCheckView(None),
        },
    )
    async with open_desk(size=(80, 24)) as desk:
        await desk.until(lambda: desk.names == ["py-1"])
        details = desk.app.main.details
        assert not details.display
        await desk.press("i")
        await desk.until(lambda: details.display and details.has_focus and "in 5:00" in text_of(details))
        text = text_of(details)
        for part in (
            "in 5:00 (too little used), + keeps it",
            "30m from the end of its use",
            "life    never",
            "cpu_util 3 % of 20 % wanted",
            "gpu layer-[0]  counted",
        ):
            assert part in text
        assert "id " not in text
        await desk.press("pagedown", "pagedown", "j", "space", "space")
        await desk.until(lambda: "00000000-0000" in text_of(details))
        await desk.press("escape")
        await desk.until(lambda: not details.display and desk.app.main.sessions.list.has_focus)
        await desk.press("f8")
        await desk.until(lambda: details.has_focus)
        await desk.press("f3")
        await desk.until(lambda: desk.app.main.editor.has_focus and not details.display)


@pytest.mark.parametrize(
    ("width", "lost", "told"), [(80, False, "16 gpus mock 1.50/16.00"), (120, True, "1 lost 1.50")]
)
async def test_the_strip_leaves_no_gpu_out_where_there_are_many(
    open_desk: Any, server: FakeServer, width: int, lost: bool, told: str
) -> None:
    some = {3: {server.add("py-1"): Decimal(1)}, 15: {"other": HALF}}
    server.gpus = tuple(
        DeviceView(f"gpu{at}", "Mock GPU", "mock", Decimal(1), 16 * G, some.get(at, {}), lost=lost and at == 15)
        for at in range(16)
    )
    async with open_desk(size=(width, 24)) as desk:
        strip = desk.app.main.strip
        await desk.until(lambda: told in text_of(strip))
        assert "cpu" in text_of(strip) and "mem" in text_of(strip)


async def test_the_details_say_with_the_list_that_a_run_asks(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    server.scripts["ask"] = Script([("out", "name? "), ("ask", False)])
    async with open_desk(size=(200, 60)) as desk:
        await desk.until(lambda: desk.cursor)
        await desk.code("ask")
        await desk.press("f3", "f5")
        await desk.until(lambda: "asks" in desk.list_text and "asks" in text_of(desk.app.main.details))
        await desk.press("f4", "a", "enter")
        await desk.until(lambda: "running" in text_of(desk.app.main.details))
