"""Running code: live output, input, interrupt, other sessions, lost connections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bai_tui.app.model.errors import BadRequest, IllegalState
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.choice_box import ChoiceBox
from bai_tui.app.tui.panes.console import ConsoleView
from bai_tui.tests.tui.fakes import FakeServer, Script


async def test_output_appears_while_it_runs(open_desk: Any, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1")
    server.scripts["go()"] = Script([("out", "one\n"), ("gate", gate), ("err", "two\n"), ("exit", 3)])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("go()")
        await desk.press("f5")
        await desk.until(lambda: "one" in desk.console)
        assert "[1]" in desk.console and "go()" in desk.console and "two" not in desk.console
        await desk.until(lambda: "busy" in desk.list_text)
        gate.set()
        await desk.until(lambda: "two" in desk.console and "✕ exit 3" in desk.console)
        await desk.until(lambda: "running" in desk.list_text)


async def test_with_no_session_one_key_starts_one_and_runs_there(open_desk: Any, server: FakeServer) -> None:
    server.starts = False
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.bench.sync.connection.images)
        await desk.code("1 + 1")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.names == ["py-1"] and not (desk.app.main.selected or "").startswith("launching"))
        await desk.until(lambda: "waits for its session" in desk.console)
        server.start("py-1")
        await desk.until(lambda: "ran" in desk.console and "✓" in desk.console)
        assert desk.cursor == "py-1"
        assert len([call for call, _ in server.calls if call == "create"]) == 1


async def test_where_the_session_has_ended_another_like_it_is_started(open_desk: Any, server: FakeServer) -> None:
    server.add("rrrr", image="r-base:4.3", age_s=3)
    server.add("other", age_s=1)
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 2)
        server.change("rrrr", status=SessionStatus.TERMINATED)
        server.tell("session_terminated", "rrrr", "idle-timeout")
        await desk.until(lambda: "ended" in desk.list_text)
        await desk.code("1 + 1")
        await desk.press("ctrl+r")
        await desk.until(lambda: "ran" in desk.console and "✓" in desk.console)
        assert desk.cursor == "r-base-1" and desk.names == ["rrrr", "other", "r-base-1"]
        assert "rrrr has ended" in desk.console
        assert [what["image"] for call, what in server.calls if call == "create"] == ["r-base:4.3"]


async def test_a_run_waits_for_the_first_list(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    server.hold_list = asyncio.Event()
    async with open_desk(connected=False) as desk:
        await desk.until(lambda: desk.app.main.ready)
        await desk.code("1 + 1")
        await desk.press("ctrl+r")
        assert "runs when connected" in desk.hint
        await desk.press("escape")
        assert "runs when" not in desk.hint
        await desk.press("ctrl+r")
        server.hold_list.set()
        await desk.until(lambda: "ran" in desk.console and "✓" in desk.console)
        assert desk.names == ["py-1"] and "following" in desk.hint
        assert not [call for call, _ in server.calls if call == "create"]


async def test_a_name_that_is_taken_costs_another_one(open_desk: Any, server: FakeServer) -> None:
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.bench.sync.connection.images)
        # somebody else was faster, and no list has told of it yet
        server.hold_list = asyncio.Event()
        server.add("py-1")
        await desk.code("1 + 1")
        await desk.press("ctrl+r")
        await desk.until(lambda: "ran" in desk.console and "✓" in desk.console)
        assert desk.cursor == "py-2"
        server.hold_list.set()
        await desk.until(lambda: sorted(desk.names) == ["py-1", "py-2"])


async def test_a_refused_start_is_told_where_one_looks(open_desk: Any, server: FakeServer) -> None:
    server.refuse_create = BadRequest("no room here")
    async with open_desk() as desk:
        await desk.code("1 + 1")
        await desk.press("ctrl+r")
        await desk.until(lambda: "no room here" in desk.console)
        assert desk.names == []


async def test_input_is_answered_in_the_console(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    server.scripts["ask"] = Script([("out", "name? "), ("ask", False), ("ask", True)])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("ask")
        await desk.press("ctrl+r")
        field = desk.app.main.query_one("#answer")
        await desk.until(lambda: field.has_focus)
        assert not field.password
        await desk.press("a")
        await desk.press("escape")
        assert not field.has_focus
        await desk.press("f4")
        assert field.value == "a"
        await desk.press("b", "enter")
        await desk.until(lambda: "got ab" in desk.console)
        assert "name? ab" in desk.console
        await desk.until(lambda: field.password and field.has_focus)
        await desk.press("s", "3", "enter")
        await desk.until(lambda: "✓" in desk.console)
        assert desk.console.count("s3") == 1  # the fake says what it got; what was typed is not shown
        assert not desk.app.main.console_pane.asking


async def test_a_prompt_elsewhere_is_not_missed(open_desk: Any, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1", age_s=2)
    server.add("py-2", age_s=1)
    server.scripts["ask"] = Script([("gate", gate), ("ask", False)])
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 2)
        await desk.code("ask")
        await desk.press("ctrl+r")
        await desk.until(lambda: "busy" in desk.list_text)
        await desk.press("j")
        gate.set()
        await desk.until(lambda: "? py-1" in desk.list_text and "asks" in desk.list_text)
        await desk.until(lambda: any("py-1 asks for input" in text for text in desk.toasts))
        assert not desk.app.main.console_pane.asking
        await desk.press("k")
        await desk.until(lambda: desk.app.main.console_pane.asking)
        # moving over it does not take the focus: the next key is still the list's
        assert desk.app.main.sessions.list.has_focus
        await desk.press("enter")
        await desk.until(lambda: desk.app.main.query_one("#answer").has_focus)
        await desk.press("y", "enter")
        await desk.until(lambda: "got y" in desk.console)


async def test_interrupt(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    server.scripts["loop"] = Script([("out", "on\n"), ("gate", asyncio.Event())])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("loop")
        await desk.press("f3", "ctrl+r")
        await desk.until(lambda: "on" in desk.console)
        await desk.press("f6")
        await desk.until(lambda: "KeyboardInterrupt" in desk.console and "interrupted" in desk.console)


async def test_each_session_keeps_its_own_console(open_desk: Any, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1", age_s=2)
    server.add("py-2", age_s=1)
    server.scripts["slow"] = Script([("out", "first\n"), ("gate", gate), ("out", "later\n")])
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 2)
        await desk.code("slow")
        await desk.press("ctrl+r")
        await desk.until(lambda: "first" in desk.console)
        await desk.press("j")
        await desk.until(lambda: "first" not in desk.console)
        gate.set()
        await desk.until(lambda: "busy" not in desk.list_text)
        assert "later" not in desk.console
        await desk.press("k")
        await desk.until(lambda: "later" in desk.console and "✓" in desk.console)


async def test_what_was_said_before_is_shown(open_desk: Any, server: FakeServer) -> None:
    ref = server.add("py-1")
    session = server.find(ref)
    await session.add("run-started", {"mode": "query", "code": "print(1)", "options": {}}, "r1")
    await session.add("stdout", "1\n", "r1")
    await session.add("run-finished", {"exitCode": 0}, "r1")
    async with open_desk() as desk:
        await desk.until(lambda: "print(1)" in desk.console and "✓" in desk.console)
        # and what somebody else runs there now
        server.begin_run(session, "other()")
        await desk.until(lambda: "[2]" in desk.console and "other()" in desk.console and "ran" in desk.console)


async def test_without_a_journal_the_logs_are_shown(open_desk: Any, server: FakeServer) -> None:
    server.capabilities = frozenset()
    session = server.find(server.add("py-1"))
    await session.add("stdout", "old words\n", "r1")
    async with open_desk() as desk:
        await desk.until(lambda: "old words" in desk.console)


@pytest.mark.parametrize("at", [0, 1, 5])
async def test_a_broken_stream_is_resumed_with_nothing_missing_or_twice(
    open_desk: Any, server: FakeServer, at: int
) -> None:
    gates = [asyncio.Event() for _ in range(6)]
    steps: list[tuple[str, Any]] = []
    for number, gate in enumerate(gates):
        steps += [("gate", gate), ("out", f"line {number}\n")]
    server.add("py-1")
    server.scripts["count"] = Script(steps)
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("count")
        await desk.press("ctrl+r")
        for gate in gates[:at]:
            gate.set()
        await desk.until(lambda: "[1]" in desk.console and (at == 0 or f"line {at - 1}" in desk.console))
        server.go_down()
        session = server.find("py-1")
        async with session.grown:
            session.grown.notify_all()
        await desk.until(lambda: "connection lost" in desk.console)
        for gate in gates:
            gate.set()
        await desk.until(lambda: session.run is not None and session.run.done())
        server.up = True
        desk.app.bench.sync.poke()
        await desk.until(lambda: "✓" in desk.console and "line 5" in desk.console)
        lines = [line for line in desk.console.splitlines() if "line" in line]
        assert [line.strip() for line in lines] == [f"line {number}" for number in range(6)]
        assert desk.console.count("[1]") == 1 and "[2]" not in desk.console


async def test_a_prompt_of_a_run_begun_elsewhere_is_answered(open_desk: Any, server: FakeServer) -> None:
    session = server.find(server.add("py-1"))
    server.scripts["ask"] = Script([("out", "name? "), ("ask", False), ("ask", True)])
    run_id = server.begin_run(session, "ask")
    async with open_desk() as desk:
        field = desk.app.main.query_one("#answer")
        await desk.until(lambda: desk.app.main.console_pane.asking and "asks" in desk.list_text)
        assert not field.has_focus
        server.refuse_answer = IllegalState("not now [/x]")
        await desk.press("f4", "a", "enter")
        await desk.until(lambda: "not now [/x]" in desk.console and desk.app.main.console_pane.asking)
        server.refuse_answer = None
        await desk.press("f4", "b", "enter")
        await desk.until(lambda: "got b" in desk.console)
        await desk.until(lambda: field.password and desk.app.main.console_pane.asking)
        await desk.press("f4", "c", "enter")
        await desk.until(lambda: "got c" in desk.console and "✓" in desk.console)
        assert [what for call, what in server.calls if call == "answer"] == [(run_id, text) for text in "abc"]


async def test_a_large_journal_is_taken_in_parts_that_let_the_screen_be_painted(
    open_desk: Any, server: FakeServer
) -> None:
    server.add("py-1")
    session = server.find("py-1")
    for number in range(60):
        await session.add("stdout", f"part {number}\n" + "x\n" * 60_000, None)
    await session.add("stdout", "the end\n", None)
    async with open_desk() as desk:
        await desk.until(lambda: "the end" in desk.console)
        asked = [limit for call, limit in server.calls if call == "journal"]
        # 120,000 characters a record: two of them are more than is taken at a time
        assert asked[0] == 8 and max(asked[1:20]) == 2
        # and no more of it than one could read
        assert "earlier records are in the session's journal" in str(desk.app.main.console.transcript.lines[0])
        assert len(asked) < 30


@pytest.mark.parametrize("goes_down", [True, False])
async def test_a_backend_that_stops_is_no_news_and_its_next_one_is_read_on(
    open_desk: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch, goes_down: bool
) -> None:
    monkeypatch.setattr("bai_tui.app.tui.reading._AGAIN_S", 0.01)
    server.add("py-1")
    session = server.find("py-1")
    async with open_desk() as desk:
        await session.add("stdout", "before\n", None)
        await desk.until(lambda: "before" in desk.console)
        server.stopping = True
        async with session.grown:
            session.grown.notify_all()
        await desk.pilot.pause()
        if goes_down:
            server.go_down()
            async with session.grown:
                session.grown.notify_all()
            await desk.until(lambda: desk.app.bench.sync.connection.client is None)
        await session.add("stdout", "meanwhile\n", None)
        server.stopping, server.up = False, True
        desk.app.bench.sync.poke()
        await desk.until(lambda: "meanwhile" in desk.console)
        await session.add("stdout", "after\n", None)
        await desk.until(lambda: "after" in desk.console)
        assert "stopping" not in desk.console and "cannot be read" not in desk.console


async def test_a_prompt_is_answered_after_its_stream_broke(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    server.scripts["ask"] = Script([("out", "name? "), ("ask", False)])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("ask")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.app.main.query_one("#answer").has_focus)
        await desk.press("a", "b")
        server.go_down()
        session = server.find("py-1")
        async with session.grown:
            session.grown.notify_all()
        await desk.until(lambda: "connection lost" in desk.console and not desk.app.main.console_pane.asking)
        server.up = True
        desk.app.bench.sync.poke()
        await desk.until(lambda: desk.app.main.console_pane.asking and "connection lost" not in desk.console)
        await desk.press("f4")
        # what was typed before is still there
        await desk.press("c", "enter")
        await desk.until(lambda: "got abc" in desk.console and "✓" in desk.console)
        assert desk.console.count("name? abc") == 1


@pytest.mark.parametrize("is_lost", [True, False])
async def test_an_answer_counts_once_though_the_server_dies_of_it(
    open_desk: Any, server: FakeServer, is_lost: bool
) -> None:
    server.add("py-1")
    server.scripts["ask"] = Script([("ask", False), ("ask", False)])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("ask")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.app.main.query_one("#answer").has_focus)
        server.dies_of_answer = is_lost
        await desk.press("a", "b", "enter")
        await desk.until(lambda: "connection lost" in desk.console)
        server.dies_of_answer, server.up = None, True
        desk.app.bench.sync.poke()
        await desk.until(lambda: "got ab" in desk.console and desk.app.main.console_pane.asking)
        assert server.find("py-1").inputs.empty()
        await desk.press("f4", "c", "enter")
        await desk.until(lambda: "got c" in desk.console and "✓" in desk.console)
        assert desk.console.count("got ab") == 1


async def test_rich_output_leaves_a_line(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    server.scripts["plot"] = Script(
        [("media", ["image/png", "data:image/png;base64," + "A" * 4096]), ("html", "<b>7 &lt; 8</b><script>x</script>")]
    )
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("plot")
        await desk.press("ctrl+r")
        await desk.until(lambda: "[image/png 3K]" in desk.console)
        assert "7 < 8" in desk.console and "script" not in desk.console


async def test_a_session_that_ends_under_a_run_ends_the_run(open_desk: Any, server: FakeServer) -> None:
    server.add("py-1")
    server.starts = False
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        server.scripts["slow"] = Script([("gate", asyncio.Event())])
        await desk.code("slow")
        await desk.press("ctrl+r")
        await desk.until(lambda: "busy" in desk.list_text)
        await desk.press("x")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceBox))
        await desk.press("t")
        await desk.until(lambda: "ended" in desk.list_text)
        await desk.until(lambda: "✕ session ended" in desk.console and "ended under this run" in desk.console)


@pytest.mark.parametrize("capabilities", [(), ("journal", "follow", "devices")])
async def test_a_stream_that_stays_open_after_the_end_of_its_session_is_left(
    open_desk: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch, capabilities: tuple[str, ...]
) -> None:
    monkeypatch.setattr("bai_tui.app.tui.runs.LAST_WORDS_S", 0.05)
    server.capabilities, server.closes_streams = frozenset(capabilities), False
    server.add("py-1")
    server.scripts["slow"] = Script([("out", "on\n"), ("gate", asyncio.Event())])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("slow")
        await desk.press("ctrl+r")
        await desk.until(lambda: "on" in desk.console)
        server.change("py-1", status=SessionStatus.TERMINATED, status_info="idle-timeout")
        server.tell("session_terminated", "py-1", "idle-timeout")
        await desk.until(lambda: "✕ session ended" in desk.console and "idle-timeout; ^r starts" in desk.console)
        assert "ended" in desk.list_text


async def test_a_followed_run_ends_with_its_session(open_desk: Any, server: FakeServer) -> None:
    session = server.find(server.add("py-1"))
    server.scripts["slow"] = Script([("out", "on\n"), ("gate", asyncio.Event())])
    server.begin_run(session, "slow")
    async with open_desk() as desk:
        await desk.until(lambda: "on" in desk.console)
        # the question for more of its journal stays open: nothing wakes it but the news
        server.change("py-1", status=SessionStatus.TERMINATED)
        server.tell("session_terminated", "py-1", "idle-timeout")
        await desk.until(lambda: "✕ session ended" in desk.console)


async def test_a_prompt_takes_no_key_from_who_does_something_else(open_desk: Any, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1")
    server.scripts["ask"] = Script([("gate", gate), ("ask", False)])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("ask")
        await desk.press("ctrl+r", "f2")
        await desk.until(lambda: "busy" in desk.list_text)
        gate.set()
        await desk.until(lambda: desk.app.main.console_pane.asking)
        assert desk.app.main.sessions.list.has_focus
        await desk.press("x")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceBox))
        await desk.press("t")
        await desk.until(lambda: "ended" in desk.list_text)


async def test_the_first_prompt_of_a_session_that_was_started_for_it_takes_the_focus(
    open_desk: Any, server: FakeServer
) -> None:
    server.scripts["ask"] = Script([("ask", False)])
    async with open_desk() as desk:
        await desk.code("ask")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.app.main.query_one("#answer").has_focus)


async def test_only_a_run_that_goes_on_is_painted_again_and_again(
    open_desk: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, ticks = asyncio.Event(), [0]
    tick = ConsoleView.tick

    def counted(console: ConsoleView) -> None:
        ticks[0] += 1
        tick(console)

    monkeypatch.setattr(ConsoleView, "tick", counted)
    server.add("py-1")
    server.scripts["slow"] = Script([("gate", gate)])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        assert ticks == [0]
        await desk.code("slow")
        await desk.press("ctrl+r")
        await desk.until(lambda: ticks[0] >= 2, "two looks at the clock")
        gate.set()
        await desk.until(lambda: "✓" in desk.console)
        assert not desk.app.main.console_pane._run_clock._active.is_set()
