"""What the keys of the session list do: filter, sort, columns, marks, pins, names, kernels, another one like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bai_tui.app.model.errors import IllegalState
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.actions import of
from bai_tui.app.tui.choice_box import ChoiceBox
from bai_tui.app.tui.column_box import ColumnBox
from bai_tui.app.tui.dialogs import PathPrompt
from bai_tui.app.tui.happenings import Kind
from bai_tui.tests.tui.fakes import FakeServer
from textual import events
from textual.widgets import Static

S = SessionStatus


def shown(desk: Any) -> list[str]:
    return [row.name for row in desk.app.main.sessions.rows]


def told(desk: Any) -> str:
    """What stands at the end of the filter line."""
    return str(desk.app.main.sessions.line.query_one("#filter-told", Static).content)


def logged(desk: Any) -> list[str]:
    return [one.text for one in desk.app.bench.happenings if one.kind is Kind.COMMAND]


def over(desk: Any, kind: type[Any]) -> bool:
    return isinstance(desk.app.screen, kind) and desk.app.screen.is_current


def four(server: FakeServer) -> None:
    server.add("train-1", age_s=90, image="r-base:4.3", slots={"cpu": "4", "mem": "2g", "gpu": "0.5"}, priority=5)
    server.add("notes", age_s=80, slots={"cpu": "1", "mem": "1g"}, priority=30)
    server.add("train-2", age_s=70, status=S.PENDING, slots={"cpu": "2", "mem": "4g", "gpu": "1"}, priority=20)
    server.add("eval", age_s=60, busy=True, priority=10)


# -- filter ------------------------------------------------------------------------------------------------------------


async def test_what_is_typed_filters_at_once_even_in_one_burst(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("slash", *"train")
        await desk.until(lambda: shown(desk) == ["train-1", "train-2"] and told(desk) == "2 of 4")
        await desk.press("space", *"!status:pend")
        await desk.until(lambda: shown(desk) == ["train-1"])
        await desk.press("enter")
        await desk.until(lambda: desk.app.main.sessions.list.has_focus and shown(desk) == ["train-1"])
        server.add("train-3", age_s=1)
        server.tell("session_started", "train-3")
        await desk.until(lambda: shown(desk) == ["train-1", "train-3"] and told(desk) == "2 of 5")
        await desk.press("escape")
        await desk.until(lambda: len(shown(desk)) == 5 and not desk.app.main.sessions.line.is_open)
        assert desk.app.main.sessions.list.has_focus and desk.cursor == "train-1"


async def test_a_burst_of_keys_loses_none(open_desk: Any, server: FakeServer) -> None:
    four(server)
    server.add("img", age_s=1, image="registry/train:1")
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 5)
        # as a terminal sends what was pasted or typed while the program was at work: nobody waits between the keys
        for key, character in [("slash", "/"), *((one, one) for one in "train"), ("slash", "/"), ("backspace", None)]:
            desk.app.post_message(events.Key(key, character))
        await desk.until(lambda: shown(desk) == ["train-1", "train-2", "img"])
        await desk.press("ctrl+u", *"registry", "slash", *"train")
        await desk.until(lambda: shown(desk) == ["img"])


async def test_a_wrong_filter_is_told_and_leaves_the_one_before(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("slash", *"train", "space", "(")
        await desk.until(lambda: "missing )" in told(desk))
        assert shown(desk) == ["train-1", "train-2"]
        await desk.press("backspace", "backspace")
        await desk.until(lambda: told(desk) == "2 of 4")
        await desk.press("ctrl+u", *"status:x")
        await desk.until(lambda: "no state begins with x" in told(desk))
        await desk.press("escape")
        await desk.until(lambda: len(shown(desk)) == 4)


async def test_nothing_is_ended_that_no_filter_shows(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("slash", *"zzz", "enter")
        await desk.until(lambda: "nothing here matches the filter" in desk.list_text)
        await desk.press("x", "X", "plus", "space")
        await desk.pilot.pause()
        assert not [call for call, _ in server.calls if call in ("terminate", "extend")]
        assert desk.cursor == "train-1", "what is selected stays so for the other panes"


async def test_filter_sort_columns_and_pins_are_found_again(open_desk: Any, server: FakeServer, tmp_path: Path) -> None:
    four(server)
    async with open_desk(folder=tmp_path) as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("G", "p", "slash", *"!notes", "enter", "s", "n", "s", "n", "c", "o", "escape")
        await desk.until(lambda: shown(desk) == ["eval", "train-2", "train-1"])
        assert "owner" in desk.app.main.sessions.list.columns
        desk.app.bench.save_state()
    async with open_desk(folder=tmp_path) as desk:
        await desk.until(lambda: shown(desk) == ["eval", "train-2", "train-1"])
        assert "owner" in desk.app.main.sessions.list.columns and told(desk) == "3 of 4"
        assert desk.app.main.sessions.sort_told == "name▾"


# -- order -------------------------------------------------------------------------------------------------------------


async def test_a_column_is_picked_and_picked_again_reverses(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("j", "s")
        await desk.until(lambda: over(desk, ColumnBox))
        await desk.press("r")
        await desk.until(lambda: shown(desk) == ["train-1", "eval", "train-2", "notes"])
        assert desk.cursor == "notes" and "prio▴" in str(desk.app.main.sessions.border_subtitle)
        await desk.press("s", "r")
        await desk.until(lambda: shown(desk) == ["notes", "train-2", "eval", "train-1"])
        await desk.press("S")
        await desk.until(lambda: shown(desk) == ["train-1", "eval", "train-2", "notes"])
        await desk.press("s", "j", "j", "enter")
        await desk.until(lambda: shown(desk) == ["eval", "notes", "train-1", "train-2"])
        await desk.press("s", "minus")
        await desk.until(lambda: shown(desk) == ["train-1", "notes", "train-2", "eval"])
        await desk.press("s", "escape")
        await desk.until(lambda: not over(desk, ColumnBox))
        assert desk.cursor == "notes"


async def test_a_title_that_is_clicked_sorts(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk(size=(140, 40)) as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        assert "cpu" not in desk.list_text.splitlines()[0], "two lines a session have no titles"
        await desk.press("f9")
        await desk.until(lambda: "name" in desk.list_text.splitlines()[0])
        x = desk.list_text.splitlines()[0].index("name")
        for names in (["eval", "notes", "train-1", "train-2"], ["train-2", "train-1", "notes", "eval"]):
            await desk.pilot.click(desk.app.main.sessions.list, offset=(x, 0))
            await desk.until(lambda names=names: shown(desk) == names)
        assert "name▾" in desk.list_text.splitlines()[0]
        await desk.pilot.click(desk.app.main.sessions.list, offset=(x, 3))
        await desk.until(lambda: desk.cursor == "notes")


async def test_columns_are_chosen_while_one_looks(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk(size=(140, 40)) as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("f9", "c")
        await desk.until(lambda: over(desk, ColumnBox))
        await desk.press("r", "i")
        await desk.until(lambda: "prio" in desk.list_text and "image" not in desk.list_text)
        await desk.press("j", "k", "space", "escape")
        await desk.until(lambda: "image" in desk.list_text)
        assert "30" in desk.list_text


async def test_rows_are_sorted_by_use_now_and_then(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4 and server.meters)
        await desk.press("s", "c", "S")
        use = {"notes": {"cpu_util": (90.0, None)}, "eval": {"cpu_util": (10.0, None)}}
        for _ in range(3):
            server.measure(use)
            await desk.pilot.pause()
        await desk.until(lambda: shown(desk)[:2] == ["notes", "eval"])


# -- marks -------------------------------------------------------------------------------------------------------------


async def test_marks_are_set_one_by_one_by_range_and_all(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        pane = desk.app.main.sessions
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("space")
        assert desk.cursor == "notes" and len(pane.list.table.marks) == 1
        assert "●✓train-1" in desk.list_text
        await desk.press("j", "ctrl+@")
        assert len(pane.list.table.marks) == 3
        await desk.until(lambda: "3 marked · 4" in str(pane.border_subtitle))
        await desk.press("backspace")
        assert not pane.list.table.marks
        await desk.press("asterisk")
        assert len(pane.list.table.marks) == 4
        await desk.press("escape")
        assert not pane.list.table.marks


async def test_what_is_done_is_done_to_the_marked_ones_and_says_to_how_many(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("asterisk", "plus")
        await desk.until(lambda: any(toast.startswith("3 sessions are kept until") for toast in desk.toasts))
        assert any(toast.endswith("(1 is not running)") for toast in desk.toasts)
        assert len([call for call, _ in server.calls if call == "extend"]) == 3
        assert logged(desk) == ["bai-tui extend --by 1800 train-1 notes eval"]
        await desk.press("right_square_bracket")
        await desk.until(lambda: "train-2 has priority 25 now (3 are not waiting)" in desk.toasts)
        assert logged(desk)[1:] == ["bai-tui session set-priority train-2 25"]


async def test_marks_that_the_filter_hides_are_left_out(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("asterisk", "slash", *"notes", "enter", "plus")
        await desk.until(lambda: any(toast.startswith("notes is kept until") for toast in desk.toasts))
        assert "3 marked ones are hidden by the filter and left out" in desk.toasts
        assert len([call for call, _ in server.calls if call == "extend"]) == 1


async def test_the_mouse_marks_with_ctrl_and_shift(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        pane = desk.app.main.sessions
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.pilot.click(pane.list, offset=(4, 0), control=True)
        await desk.pilot.click(pane.list, offset=(4, 4), shift=True)
        await desk.until(lambda: len(pane.list.table.marks) == 3)


# -- one session -------------------------------------------------------------------------------------------------------


async def test_pinned_ones_come_first(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("G", "p")
        await desk.until(lambda: shown(desk)[0] == "eval" and "eval is pinned" in desk.toasts)
        assert desk.cursor == "eval" and "◐◆eval" in desk.list_text
        await desk.press("p")
        await desk.until(lambda: shown(desk)[3] == "eval" and "eval is not pinned any more" in desk.toasts)


async def test_rename_asks_until_the_name_is_right(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("r")
        await desk.until(lambda: over(desk, PathPrompt) and desk.app.screen.focused is not None)
        for typed, said in ((["ctrl+u"], "write a name"), ([*"a b"], "cannot be used"),
                            (["ctrl+u", *"notes"], "there is a live session notes already")):  # fmt: skip
            await desk.press(*typed, "enter")
            error = desk.app.screen.query_one("#path-error", Static)
            await desk.until(lambda said=said, error=error: said in str(error.content))
        await desk.press("ctrl+u", *"train-9", "enter")
        await desk.until(lambda: not over(desk, PathPrompt) and shown(desk)[0] == "train-9")
        assert next(what for call, what in server.calls if call == "rename")[1] == "train-9"
        assert logged(desk) == ["bai-tui rename train-1 train-9"]
        await desk.press("asterisk", "r")
        await desk.until(lambda: any("one session at a time" in toast for toast in desk.toasts))


async def test_restart_asks_before_memory_is_lost(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("R")
        await desk.until(lambda: over(desk, ChoiceBox))
        await desk.press("enter")
        await desk.until(lambda: not over(desk, ChoiceBox))
        assert not [call for call, _ in server.calls if call == "restart"]
        await desk.press("R", "r")
        await desk.until(lambda: "train-1 has a fresh kernel" in desk.toasts)
        assert logged(desk) == ["bai-tui restart train-1"]
        server.refuse_restart = IllegalState("it cannot be restarted [now]")
        await desk.press("R", "r")
        await desk.until(lambda: "it cannot be restarted [now]" in desk.list_text)
        await desk.press("j", "j", "R")
        await desk.until(lambda: "only a session that runs can be restarted" in desk.toasts)


async def test_again_asks_for_the_same_image_and_slots(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        await desk.press("a")
        await desk.until(lambda: len(shown(desk)) == 5)
        asked = next(what for call, what in server.calls if call == "create")
        assert asked["image"] == "r-base:4.3" and asked["resources"]["cuda.shares"] == "0.5"


async def test_nothing_is_changed_while_read_only(open_desk: Any, server: FakeServer) -> None:
    four(server)
    async with open_desk() as desk:
        await desk.until(lambda: len(shown(desk)) == 4)
        desk.app.bench.switch.on = True
        await desk.press("x", "X", "plus", "minus", "r", "R", "a", "right_square_bracket", "left_square_bracket")
        await desk.pilot.pause()
        assert len(desk.app.screen_stack) == 1 and not desk.app.bench.ending.waiting
        assert {call for call, _ in server.calls} <= {"list", "journal"}
        await desk.press("space", "slash")
        await desk.until(lambda: desk.app.main.sessions.line.is_open), "what only looks goes on"


def test_every_key_of_the_list_is_pressed_by_a_test() -> None:
    folder = Path(__file__).parent
    files = (
        "test_session_keys",
        "test_ending",
        "test_sessions",
        "test_upkeep",
        "test_history",
        "test_machine",
        "test_app",
        "test_images",
    )
    source = "".join((folder / f"{name}.py").read_text() for name in files)
    missing = [
        action.id
        for action in (*of("sessions"), *of("history"))
        if not any(f'"{key}"' in source for key in action.key.split(","))
    ]
    assert missing == []
