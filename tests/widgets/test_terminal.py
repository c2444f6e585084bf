"""The terminal under a pilot: keys, mouse, paste, scrollback and selection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from bai_tui.widgets.terminal import PAINT_S, Terminal
from bai_tui.widgets.terminal_emulator import TerminalEmulator
from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Offset
from textual.pilot import Pilot

Opened = Callable[..., AbstractAsyncContextManager["Bench"]]


class Host(App[None]):
    """A terminal below bindings that would like its keys."""

    BINDINGS = [Binding("ctrl+r", "steal", "steal", priority=True), Binding("f5", "steal", "steal")]  # noqa: RUF012
    CSS = "Terminal { width: 30; height: 6; }"

    def __init__(self) -> None:
        super().__init__()
        self.terminal = Terminal()
        self.typed = b""
        self.sizes: list[tuple[int, int]] = []
        self.copied: list[str] = []
        self.backs: list[int] = []
        self.stolen = 0

    def compose(self) -> ComposeResult:
        yield self.terminal

    def action_steal(self) -> None:
        self.stolen += 1

    @on(Terminal.Typed)
    def _typed(self, event: Terminal.Typed) -> None:
        self.typed += event.data

    @on(Terminal.Sized)
    def _sized(self, event: Terminal.Sized) -> None:
        self.sizes.append((event.rows, event.columns))

    @on(Terminal.Copied)
    def _copied(self, event: Terminal.Copied) -> None:
        self.copied.append(event.text)

    @on(Terminal.Scrolled)
    def _scrolled(self, event: Terminal.Scrolled) -> None:
        self.backs.append(event.back)


class Bench:
    def __init__(self, app: Host, pilot: Pilot[None], emulator: TerminalEmulator) -> None:
        self.app, self.pilot, self.emulator = app, pilot, emulator
        self.terminal = app.terminal

    async def write(self, data: bytes) -> bytes:
        answers = await self.emulator.write(data)
        await self.pilot.pause(2 * PAINT_S)  # so long what follows at once is not painted
        return answers

    @property
    def text(self) -> list[str]:
        return [self.terminal.render_line(y).text.rstrip() for y in range(self.terminal.size.height)]

    def taken(self) -> bytes:
        typed, self.app.typed = self.app.typed, b""
        return typed


@pytest.fixture
def opened() -> Opened:
    @asynccontextmanager
    async def make() -> AsyncIterator[Bench]:
        app = Host()
        async with app.run_test(size=(40, 10)) as pilot:
            emulator = TerminalEmulator()
            app.terminal.show(emulator)
            app.terminal.focus()
            await pilot.pause()
            yield Bench(app, pilot, emulator)

    return make


async def test_it_has_the_size_of_its_widget(opened: Opened) -> None:
    async with opened() as bench:
        assert bench.app.sizes[-1] == (6, 30)
        assert (bench.emulator.screen.lines, bench.emulator.screen.columns) == (6, 30)
        bench.terminal.styles.width = 20
        await bench.pilot.pause()
        assert bench.app.sizes[-1] == (6, 20) and bench.emulator.screen.columns == 20


async def test_every_key_is_for_the_program(opened: Opened) -> None:
    async with opened() as bench:
        await bench.pilot.press("a", "ctrl+r", "f5", "escape", "tab", "up", "ctrl+c", "ctrl+q", "ctrl+p", "ö")
        assert bench.taken() == b"a\x12\x1b[15~\x1b\t\x1b[A\x03\x11\x10" + "ö".encode()
        assert bench.app.stolen == 0 and bench.app.is_running
        await bench.write(b"\x1b[?1h")
        await bench.pilot.press("up")
        assert bench.taken() == b"\x1bOA"
        bench.terminal.show(bench.emulator, is_open=False)
        await bench.pilot.press("a", "ctrl+r", "f5")
        assert bench.taken() == b"" and bench.app.stolen == 2


async def test_text_colours_and_the_cursor_are_shown(opened: Opened) -> None:
    async with opened() as bench:
        await bench.write(b"plain \x1b[1;31;48;2;1;2;3mred\x1b[0m " + "日本".encode())
        assert bench.text[0] == "plain red 日本"
        red = next(segment for segment in bench.terminal.render_line(0) if segment.text == "red")
        assert red.style is not None and red.style.bold
        assert red.style.bgcolor is not None and red.style.bgcolor.get_truecolor() == (1, 2, 3)
        assert all(bench.terminal.render_line(y).cell_length == 30 for y in range(6))
        at_cursor = bench.terminal.render_line(0).crop(14, 15)
        beside = bench.terminal.render_line(0).crop(15, 16)
        assert [segment.style for segment in at_cursor] != [segment.style for segment in beside]
        await bench.write(b"\x1b[?25l")
        assert [segment.style for segment in bench.terminal.render_line(0).crop(14, 15)] == [
            segment.style for segment in beside
        ]


async def test_looking_back_stays_in_place_until_something_is_typed(opened: Opened) -> None:
    async with opened() as bench:
        await bench.write(b"".join(b"line %d\r\n" % number for number in range(50)))
        assert bench.text[:5] == [f"line {number}" for number in range(45, 50)]
        bench.terminal.look_back_pages(1)
        assert bench.text == [f"line {number}" for number in range(40, 46)]
        await bench.write(b"more\r\n" * 3)
        assert bench.text[0] == "line 40", "nothing moves under the reader"
        bench.terminal.look_back_pages(100)
        assert bench.text[0] == "line 0"
        bench.terminal.look_back_pages(-1000)
        assert bench.text[4] == "more"
        for event in (events.MouseScrollUp, events.MouseScrollDown):
            await bench.pilot._post_mouse_events([event], Terminal, button=0)
        await bench.pilot._post_mouse_events([events.MouseScrollUp], Terminal, button=0)
        assert bench.app.backs[-1] == 3
        await bench.pilot.press("x")
        assert bench.text[4] == "more" and bench.app.backs[-1] == 0
        assert bench.taken() == b"x"


async def test_the_wheel_is_arrows_for_programs_without_a_mouse(opened: Opened) -> None:
    async with opened() as bench:
        await bench.write(b"\x1b[?1049h\x1b[?1h")
        assert not bench.terminal.can_look_back
        await bench.pilot._post_mouse_events([events.MouseScrollDown], Terminal, button=0)
        assert bench.taken() == b"\x1bOB" * 3


async def test_the_mouse_goes_to_programs_that_want_it(opened: Opened) -> None:
    async with opened() as bench:
        await bench.write(b"\x1b[?1002h\x1b[?1006h")
        await bench.pilot.mouse_down(Terminal, offset=(4, 2))
        await bench.pilot.mouse_up(Terminal, offset=(4, 2))
        assert bench.taken() == b"\x1b[<0;5;3M\x1b[<0;5;3m"
        await bench.pilot.hover(Terminal, offset=(7, 1))
        assert bench.taken() == b"", "who asked for drags is not told of every move"
        await bench.write(b"\x1b[?1003h")
        await bench.pilot.hover(Terminal, offset=(8, 1))
        assert bench.taken() == b"\x1b[<35;9;2M"
        await bench.pilot._post_mouse_events([events.MouseScrollUp], Terminal, button=0)
        assert bench.taken().startswith(b"\x1b[<64;")
        assert bench.app.copied == []


async def test_selected_text_is_copied(opened: Opened) -> None:
    async with opened() as bench:
        await bench.write(b"first row here\r\n" + b"x" * 35 + b"\r\n" + "日本語".encode() + b"   \r\n")
        await bench.pilot.mouse_down(Terminal, offset=(6, 0))
        await bench.pilot._post_mouse_events([events.MouseMove], Terminal, offset=Offset(3, 3), button=1)
        assert bench.terminal.selected_text == "row here\n" + "x" * 35 + "\n日本"
        await bench.pilot.mouse_up(Terminal, offset=(3, 3))
        assert bench.app.copied == ["row here\n" + "x" * 35 + "\n日本"]
        assert bench.taken() == b""
        await bench.write(b"\n" * 20)
        assert bench.terminal.selected_text.startswith("row here"), "it goes along with its rows"
        await bench.pilot.press("a")
        assert bench.terminal.selected_text == ""
        await bench.pilot.click(Terminal, offset=(2, 2))
        assert len(bench.app.copied) == 1, "a click selects nothing"


async def test_pasted_text_is_told_from_typed_text_where_that_is_wanted(opened: Opened) -> None:
    async with opened() as bench:
        bench.terminal.post_message(events.Paste("one\ntwo"))
        await bench.pilot.pause()
        assert bench.taken() == b"one\rtwo"
        await bench.write(b"\x1b[?2004h")
        bench.terminal.paste("x" * 20_000 + "\x1b[201~")
        await bench.pilot.pause()
        assert bench.taken() == b"\x1b[200~" + b"x" * 20_000 + b"[201~\x1b[201~"


async def test_programs_hear_of_the_focus_where_they_want_to(opened: Opened) -> None:
    async with opened() as bench:
        await bench.write(b"\x1b[?1004h")
        bench.app.set_focus(None)
        await bench.pilot.pause()
        bench.terminal.focus()
        await bench.pilot.pause()
        assert bench.taken() == b"\x1b[O\x1b[I"


async def test_a_flood_is_painted_now_and_then_and_rings_once(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as bench:
        rung = 0

        def bell() -> None:
            nonlocal rung
            rung += 1

        bench.emulator.rung = bell
        painted = 0
        paint = bench.terminal._paint

        def counted() -> None:
            nonlocal painted
            painted += 1
            paint()

        monkeypatch.setattr(bench.terminal, "_paint", counted)
        for _ in range(200):
            await bench.emulator.write(b"y\r\n\a" * 10)
        assert painted < 100
        assert rung <= 200
        await bench.pilot.pause(0.1)  # the last paint comes a thirtieth of a second after the one before
        assert bench.text[:5] == ["y"] * 5


async def test_without_a_terminal_it_says_why_and_takes_no_keys(opened: Opened) -> None:
    async with opened() as bench:
        bench.terminal.show(None, note="the session is pending [/b]")
        assert bench.text[0] == "the session is pending [/b]"
        await bench.pilot.press("a", "f5", "shift+pageup")
        await bench.pilot.click(Terminal, offset=(2, 2))
        bench.terminal.paste("x")
        assert bench.taken() == b"" and bench.app.stolen == 1
