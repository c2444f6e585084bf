"""The screen of a terminal: what a program has written, as xterm would show it. Pure: no Textual.

Reads bytes and knows what sequences mean; what they do to the lines is in `terminal_lines`. Modes for keys, mouse and
paste are kept for whoever sends those. Nothing that is written can ask for anything but what this terminal is and where
its cursor stands.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from pyte import charsets
from pyte import modes as pyte_modes
from pyte.screens import Margins

from .terminal_cells import PLAIN, repen
from .terminal_lines import HISTORY_LINES, TerminalLines
from .terminal_parser import Parameters, TerminalParser

MAX_ANSWER_BYTES: Final = 1024
"""Of answers that wait to be taken: a program that asks and asks gets no more."""
_DEVICE: Final = b"\x1b[?62;22c"
_SECOND_DEVICE: Final = b"\x1b[>0;277;0c"
_ALTERNATE: Final = frozenset({47, 1047, 1049})
_MOUSE: Final = (9, 1000, 1002, 1003)
_KEPT_MODES: Final = frozenset({1, 5, 1004, 1006, 2004, 66, *_MOUSE})


class TerminalScreen(TerminalLines):
    """A terminal without keys and paper. Feed it bytes."""

    def __init__(self, columns: int, lines: int, *, history_lines: int = HISTORY_LINES) -> None:
        self.bells = 0
        self.private: set[int] = set()
        """Private modes in force that are for whoever sends keys, mouse and paste."""
        self._answers = bytearray()
        super().__init__(columns, lines, history_lines=history_lines)
        self._parser = TerminalParser(
            text=self.draw, controls=self._controls(), escapes=self._escapes(), sequences=self._sequences()
        )

    def feed(self, data: bytes) -> None:
        """Takes in what a program has written."""
        self._parser.feed(data)

    def take_answers(self) -> bytes:
        """Returns what the program asked for, to be typed; each answer once."""
        answers = bytes(self._answers)
        self._answers.clear()
        return answers

    @property
    def mouse(self) -> int:
        """Which movements of the mouse the program wants: a private mode, 0 = none."""
        return next((mode for mode in reversed(_MOUSE) if mode in self.private), 0)

    def reset(self) -> None:
        """Begins anew; what was scrolled off stays."""
        super().reset()
        self.private.clear()

    # --- modes and answers

    def _set_private(self, on: bool, parameters: Parameters) -> None:
        for mode, *_ in parameters:
            if mode in (6, 7):
                (self.mode.add if on else self.mode.discard)(mode << 5)
                if mode == 6:
                    self.cursor_position()
            elif mode == 25:
                self.cursor.hidden = not on
            elif mode == 1048:
                (self.save_cursor if on else self.restore_cursor)()
            elif mode in _ALTERNATE:
                self.show_alternate(on, with_cursor=mode == 1049)
            elif mode in _KEPT_MODES:
                if on and mode in _MOUSE:
                    self.private.difference_update(_MOUSE)
                (self.private.add if on else self.private.discard)(mode)

    def _set_mode(self, on: bool, parameters: Parameters) -> None:
        for mode, *_ in parameters:
            if mode in (pyte_modes.IRM, pyte_modes.LNM):
                (self.mode.add if on else self.mode.discard)(mode)

    def _answer(self, answer: bytes) -> None:
        if len(self._answers) + len(answer) <= MAX_ANSWER_BYTES:
            self._answers += answer

    def _report(self, mark: bytes, parameters: Parameters) -> None:
        which = parameters[0][0] if parameters else 0
        if which == 5 and not mark:
            self._answer(b"\x1b[0n")
        elif which == 6:
            top = self.margins.top if self.margins is not None and pyte_modes.DECOM in self.mode else 0
            x = min(self.cursor.x, self.columns - 1)
            self._answer(b"\x1b[%s%d;%dR" % (mark, self.cursor.y - top + 1, x + 1))

    def _ring(self) -> None:
        self.bells += 1

    def _reset_softly(self) -> None:
        self.private.clear()
        self.mode = {pyte_modes.DECAWM, pyte_modes.DECTCEM}
        self.margins = None
        self.cursor.hidden = False
        self.cursor.attrs = PLAIN  # type: ignore[assignment]  # see `reset`
        self.g0_charset = self.g1_charset = charsets.LAT1_MAP
        self.charset = 0

    def _margins(self, parameters: Parameters) -> None:
        first = parameters[0][0] if parameters else 1
        last = parameters[1][0] if len(parameters) > 1 else self.lines
        top = max(first, 1) - 1
        bottom = min(last if last > 0 else self.lines, self.lines) - 1
        if top < bottom:
            self.margins = None if (top, bottom) == (0, self.lines - 1) else Margins(top, bottom)
            self.cursor_position()

    def _repeat(self, parameters: Parameters) -> None:
        count = max(parameters[0][0] if parameters else 1, 1)
        if self._last:
            self.draw(self._last * min(count, self.columns * self.lines))

    def _tabs(self, back: bool, parameters: Parameters) -> None:
        count = max(parameters[0][0] if parameters else 1, 1)
        for _ in range(min(count, self.columns)):
            if back:
                self.cursor.x = max((stop for stop in self.tabstops if stop < self.cursor.x), default=0)
            else:
                self.tab()

    def _charset(self, index: int, code: str) -> None:
        charset = charsets.MAPS.get(code, charsets.LAT1_MAP)
        if index:
            self.g1_charset = charset
        else:
            self.g0_charset = charset

    # --- what sequences do

    def _controls(self) -> dict[str, Callable[[], None]]:
        return {
            "\a": self._ring,
            "\b": self.backspace,
            "\t": self.tab,
            "\n": self.linefeed,
            "\v": self.linefeed,
            "\f": self.linefeed,
            "\r": self.carriage_return,
            "\x0e": self.shift_out,
            "\x0f": self.shift_in,
        }

    def _escapes(self) -> dict[str, Callable[[], None]]:
        found: dict[str, Callable[[], None]] = {
            "7": self.save_cursor,
            "8": self.restore_cursor,
            "D": self.index,
            "E": self._next_line,
            "H": self.set_tab_stop,
            "M": self.reverse_index,
            "Z": partial(self._answer, _DEVICE),
            "c": self.reset,
            "#8": self.alignment_display,
            "=": partial(self.private.add, 66),
            ">": partial(self.private.discard, 66),
        }
        for code in ("0", "A", "B", "U", "V"):
            found["(" + code] = partial(self._charset, 0, code)
            found[")" + code] = partial(self._charset, 1, code)
        return found

    def _next_line(self) -> None:
        self.index()
        self.cursor.x = 0

    def _sequences(self) -> dict[str, Callable[[Parameters], None]]:
        found: dict[str, Callable[[Parameters], None]] = {
            "H": self._go,
            "f": self._go,
            "m": self._select,
            "r": self._margins,
            "b": self._repeat,
            "I": partial(self._tabs, False),
            "Z": partial(self._tabs, True),
            "h": partial(self._set_mode, True),
            "l": partial(self._set_mode, False),
            "?h": partial(self._set_private, True),
            "?l": partial(self._set_private, False),
            "n": partial(self._report, b""),
            "?n": partial(self._report, b"?"),
            "c": lambda _: self._answer(_DEVICE),
            ">c": lambda _: self._answer(_SECOND_DEVICE),
            "!p": lambda _: self._reset_softly(),
            "s": lambda _: self.save_cursor(),
            "u": lambda _: self.restore_cursor(),
            "S": lambda parameters: self._scroll(_count(parameters)),
            "T": lambda parameters: self._scroll(-_count(parameters)),
            "J": lambda parameters: self.erase_in_display(_kind(parameters)),
            "?J": lambda parameters: self.erase_in_display(_kind(parameters)),
            "K": lambda parameters: self.erase_in_line(_kind(parameters)),
            "?K": lambda parameters: self.erase_in_line(_kind(parameters)),
            "g": lambda parameters: self.clear_tab_stop(_kind(parameters)),
        }
        counted: dict[str, Callable[[int], None]] = {
            "@": self.insert_characters,
            "A": self.cursor_up,
            "B": self.cursor_down,
            "C": self.cursor_forward,
            "D": self.cursor_back,
            "E": self.cursor_down1,
            "F": self.cursor_up1,
            "G": self.cursor_to_column,
            "L": self.insert_lines,
            "M": self.delete_lines,
            "P": self.delete_characters,
            "X": self.erase_characters,
            "`": self.cursor_to_column,
            "a": self.cursor_forward,
            "d": self.cursor_to_line,
            "e": self.cursor_down,
        }
        found.update({final: partial(_counted, act) for final, act in counted.items()})
        return found

    def _go(self, parameters: Parameters) -> None:
        line = parameters[0][0] if parameters else 1
        column = parameters[1][0] if len(parameters) > 1 else 1
        self.cursor_position(max(line, 1), max(column, 1))

    def _select(self, parameters: Parameters) -> None:
        self.cursor.attrs = repen(self.pen, parameters or ((0,),))  # type: ignore[assignment]  # see `reset`


def _count(parameters: Parameters) -> int:
    return max(parameters[0][0], 1) if parameters else 1


def _kind(parameters: Parameters) -> int:
    return max(parameters[0][0], 0) if parameters else 0


def _counted(act: Callable[[int], None], parameters: Parameters) -> None:
    act(_count(parameters))
