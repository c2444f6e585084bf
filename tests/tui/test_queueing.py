from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from bai_tui.app.model.sessions import SessionStatus
from bai_tui.app.tui.code_screens import RunQueueScreen
from bai_tui.app.tui.run_queue import RunQueue
from bai_tui.tests.tui.conftest import Desk
from bai_tui.tests.tui.fakes import FakeServer, Script

OpenDesk = Callable[..., Any]


def queue_of(desk: Desk) -> RunQueue:
    return desk.app.bench.runs.of(desk.app.main.selected or "").queue


def said_of_queue(desk: Desk) -> str:
    lines = desk.app.main.console_pane.queue_lines
    return "\n".join(lines.render_line(y).text.rstrip() for y in range(lines.size.height)) if lines.display else ""


async def run(desk: Desk, code: str) -> None:
    await desk.code(code)
    await desk.press("ctrl+r")


async def busy(desk: Desk, *codes: str) -> None:
    """Runs the first and queues the others."""
    await desk.until(lambda: desk.names)
    await run(desk, codes[0])
    await desk.until(lambda: "[1]" in desk.console)
    for code in codes[1:]:
        waiting = len(queue_of(desk))
        await run(desk, code)
        await desk.until(partial(_longer, queue_of(desk), waiting))


def _longer(queue: RunQueue, than: int) -> bool:
    return len(queue) > than


async def test_what_is_run_meanwhile_follows_in_order(open_desk: OpenDesk, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1")
    server.scripts |= {name: Script([("out", f"this is {name}\n")]) for name in ("two", "three")}
    server.scripts["slow"] = Script([("gate", gate)])
    async with open_desk() as desk:
        await busy(desk, "slow", "two", "three")
        await desk.until(lambda: "2 queued" in said_of_queue(desk))
        assert said_of_queue(desk).splitlines() == [" ◌ two", " ◌ three", " 2 queued · alt+q shows them"]
        assert "queued" in desk.hint and not desk.toasts
        gate.set()
        await desk.until(lambda: "this is three" in desk.console)
        assert desk.console.index("this is two") < desk.console.index("this is three")
        assert not said_of_queue(desk)


async def test_a_failure_holds_the_rest_back_until_told(open_desk: OpenDesk, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1")
    server.scripts["bad"] = Script([("gate", gate), ("exit", 1)])
    async with open_desk() as desk:
        await busy(desk, "bad", "two", "three")
        gate.set()
        await desk.until(lambda: "paused: run [1] failed" in said_of_queue(desk))
        # what is run now runs at once: it mends what was wrong
        await run(desk, "mend")
        await desk.until(lambda: desk.console.count("ran") == 1)
        assert len(queue_of(desk)) == 2
        await desk.press("alt+q")
        await desk.until(lambda: isinstance(desk.app.screen, RunQueueScreen))
        await desk.press("g", "escape")
        await desk.until(lambda: desk.console.count("ran") == 3)
        assert not queue_of(desk)


async def test_an_interrupt_holds_the_rest_back(open_desk: OpenDesk, server: FakeServer) -> None:
    server.add("py-1")
    server.scripts["slow"] = Script([("gate", asyncio.Event())])
    async with open_desk() as desk:
        await busy(desk, "slow", "two")
        await desk.press("f6")
        await desk.until(lambda: "paused: run [1] was interrupted" in said_of_queue(desk))


async def test_the_queue_is_changed_in_its_list(open_desk: OpenDesk, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1")
    server.scripts["slow"] = Script([("gate", gate)])
    async with open_desk() as desk:
        await busy(desk, "slow", "a", "b", "c", "d")
        await desk.press("alt+q")
        await desk.until(lambda: isinstance(desk.app.screen, RunQueueScreen))
        await desk.press("j", "x")
        assert [queued.code for queued in queue_of(desk).waiting] == ["a", "c", "d"]
        await desk.press("J")
        assert [queued.code for queued in queue_of(desk).waiting] == ["a", "d", "c"]
        await desk.press("k", "k", "K")
        assert [queued.code for queued in queue_of(desk).waiting] == ["a", "d", "c"]
        await desk.press("X")
        assert not queue_of(desk)
        await desk.press("escape")
        gate.set()
        await desk.until(lambda: "✓" in desk.console)
        assert "ran" not in desk.console
        await desk.until(lambda: not said_of_queue(desk))


async def test_the_list_follows_what_happens(open_desk: OpenDesk, server: FakeServer) -> None:
    gate, other = asyncio.Event(), asyncio.Event()
    server.add("py-1")
    server.scripts |= {"slow": Script([("gate", gate)]), "two": Script([("gate", other)])}
    async with open_desk() as desk:
        await busy(desk, "slow", "two", "three")
        await desk.press("alt+q")
        await desk.until(lambda: isinstance(desk.app.screen, RunQueueScreen))
        gate.set()
        await desk.until(lambda: desk.app.screen.query("#queue-list"))
        listing = desk.app.screen.query_one("#queue-list")
        await desk.until(lambda: getattr(listing, "option_count", 0) == 1)
        other.set()
        await desk.until(lambda: getattr(listing, "option_count", 1) == 0)


async def test_a_queue_outlives_the_connection(open_desk: OpenDesk, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1")
    server.scripts["slow"] = Script([("gate", gate)])
    async with open_desk() as desk:
        await busy(desk, "slow", "two")
        server.go_down()
        await desk.until(lambda: desk.app.bench.sync.connection.client is None)
        gate.set()
        await asyncio.sleep(0)  # lets the run of the server end
        assert len(queue_of(desk)) == 1
        server.up = True
        desk.app.bench.sync.poke()
        await desk.until(lambda: "ran" in desk.console, "the second run")


async def test_sessions_have_queues_of_their_own_and_an_end_drops_them(open_desk: OpenDesk, server: FakeServer) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    first = server.add("py-1", age_s=2)
    server.add("py-2", age_s=1)
    server.scripts |= {"slow0": Script([("gate", gates[0])]), "slow1": Script([("gate", gates[1])])}
    async with open_desk() as desk:
        await desk.until(lambda: len(desk.names) == 2)
        desk.app.main.sessions.select(first)
        await desk.until(lambda: desk.cursor == "py-1")
        await busy(desk, "slow0", "a")
        desk.app.main.sessions.select(server.find("py-2").view.id)
        await desk.until(lambda: desk.cursor == "py-2")
        await desk.until(lambda: not said_of_queue(desk))
        await busy(desk, "slow1", "b", "c")
        gates[1].set()
        await desk.until(lambda: desk.console.count("ran") == 2)
        queue = desk.app.bench.runs.of(first).queue
        assert len(queue) == 1
        server.change(first, status=SessionStatus.TERMINATED)
        server.tell("session_terminated", first)
        await desk.until(lambda: not queue)


async def test_lines_that_were_run_have_signs(open_desk: OpenDesk, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1")
    server.scripts["# %% one\nslow"] = Script([("gate", gate), ("exit", 1)])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("# %% one\nslow\n# %% two\nb")
        await desk.press("f3", "ctrl+t")
        editor = desk.app.main.editor
        await desk.until(lambda: editor.buffer.marks == {0: "●", 1: "●"})
        await desk.press("ctrl+t")
        await desk.until(lambda: editor.buffer.marks == {0: "●", 1: "●", 2: "◌", 3: "◌"})
        editor.move_cursor((1, 0))
        await desk.press("enter")
        assert editor.buffer.marks == {0: "●", 1: "●", 3: "◌", 4: "◌"}, "they move with their lines"
        gate.set()
        await desk.until(lambda: editor.buffer.marks[0] == "✕" and editor.buffer.marks[3] == "◌")
        queue_of(desk).clear()
        desk.app.main.show_code()
        await desk.until(lambda: {row for row, sign in editor.buffer.marks.items() if sign} == {0, 1})
        await desk.press("ctrl+t")
        await desk.until(lambda: not any(editor.buffer.marks.get(row) for row in (0, 1)))


async def test_signs_stay_with_their_text_while_another_is_shown(open_desk: OpenDesk, server: FakeServer) -> None:
    gate = asyncio.Event()
    server.add("py-1")
    server.scripts["slow"] = Script([("gate", gate), ("exit", 1)])
    async with open_desk() as desk:
        await desk.until(lambda: desk.names)
        await desk.code("slow")
        await desk.press("f3", "ctrl+t")
        editor = desk.app.main.editor
        first = editor.buffer
        await desk.until(lambda: first.marks == {0: "●"})
        await desk.press("alt+t")
        await desk.until(lambda: editor.buffer is not first)
        assert editor.buffer.marks == {}
        gate.set()
        await desk.until(lambda: first.marks == {0: "✕"})
        assert editor.buffer.marks == {}
        await desk.press("alt+comma")
        await desk.until(lambda: editor.buffer is first and first.marks == {0: "✕"})
