"""The machine: which keys are waited for, and what a finished command does.

`ctrl+r` runs code in this program, so redo is `U`; everything else is where Vim has it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..text_find import PatternError
from . import motions as go
from .effects import Act, Edit, Effect, Group, Look, Mode, Move, Place, Replay, Say, Select, Text, Undo
from .ex import run_line
from .operators import Register, operate, put
from .targets import MAX_COUNT, Targets

_OPERATORS: Final = {"d", "c", "y", ">", "<", "gu", "gU", "g~", "gc"}
_PREFIXES: Final = {"g", "z", "Z"}
_TAKES_CHARACTER: Final = {"f", "t", "F", "T", "r"}
_MAY_FAIL: Final = frozenset("jk+-%nN*#;,")
_NAMES: Final = {"space": " ", "backspace": "h", "enter": "+", "left": "h", "right": "l", "up": "k", "down": "j"}
_NAMES_MORE: Final = {"home": "0", "end": "$", "delete": "x"}
_REPEATABLE: Final = frozenset("xXsSDCpPoOiIaAJr~cd<>.")


class Vim(Targets):
    """Vim's modes, registers and pending keys."""

    def __init__(self) -> None:
        super().__init__()
        self.line = ""
        """What is typed after `:`, `/` or `?`, with that sign."""
        self.register = Register("", False)
        self._prefix = ""
        """Keys that wait for one more."""
        self._anchor: Place = (0, 0)
        self._keys: list[tuple[str, str]] = []
        self._last: tuple[tuple[str, str], ...] = ()
        self._replaying = False
        self._line_from = Mode.NORMAL

    # -- for others ----------------------------------------------------------------------------------------------

    @property
    def pending(self) -> str:
        """The keys of a command that is not finished."""
        return f"{self._operator_count}{self._operator}{self._count}{self._prefix}"

    @property
    def shown(self) -> str:
        """What the border says."""
        if self.mode is Mode.LINE:
            return self.line
        return f"{self.mode.value} {self.pending}".rstrip()

    @property
    def waits(self) -> bool:
        """Whether escape has something to take back."""
        return self.mode is not Mode.NORMAL or bool(self.pending)

    def replaying(self, on: bool) -> None:
        """Tells that keys come from a repetition."""
        self._replaying = on

    def text_replaced(self) -> None:
        """Tells that another text is shown: nothing is pending any more."""
        self.mode = Mode.NORMAL
        self._reset()

    def press(self, key: str, character: str | None, text: Text) -> list[Effect] | None:
        """Takes a key.

        Args:
            key: Its name.
            character: What it types, if it does.
            text: The text now.

        Returns:
            What is to be done; None when the key is the editor's.
        """
        if self.mode is Mode.INSERT:
            return self._insert(key, character, text)
        if self.mode is Mode.LINE:
            return self._type_line(key, character, text)
        if key == "escape" or key == "ctrl+c":
            return self._escape(text)
        if key == "backspace" and self._count and not self._prefix:
            self._count = self._count[:-1]
            return []
        sign = character if character is not None and character.isprintable() else _NAMES.get(key, "")
        sign = sign or _NAMES_MORE.get(key, "")
        if not sign and key not in ("ctrl+d", "ctrl+u", "ctrl+f", "ctrl+b", "pageup", "pagedown", "tab"):
            return None
        if key == "tab":
            return []
        self._keys.append((key, character or ""))
        return self._command(sign or key, text)

    # -- modes ---------------------------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._count = self._operator = self._operator_count = self._prefix = ""
        if self.mode is not Mode.INSERT:
            self._keys = []

    def _escape(self, text: Text) -> list[Effect]:
        had_selection = self.mode in (Mode.VISUAL, Mode.VISUAL_LINE)
        self.mode = Mode.NORMAL
        self._reset()
        row, column = text.cursor
        return [Move((row, min(column, go.last_column(text.lines[row]))))] if had_selection else [Look("")]

    def _insert(self, key: str, character: str | None, text: Text) -> list[Effect] | None:
        if key not in ("escape", "ctrl+c"):
            self._keys.append((key, character or ""))
            return None
        self.mode = Mode.NORMAL
        self._keys.append(("escape", ""))
        self._remember()
        self._reset()
        row, column = text.cursor
        return [Group(False), Move((row, max(0, column - 1)))]

    def _remember(self) -> None:
        """Notes the keys of a finished change for `.`."""
        if not self._replaying:
            self._last = tuple(self._keys)

    def _begin_insert(self, cursor: Place, *before: Effect) -> list[Effect]:
        self.mode = Mode.INSERT
        self._count = self._operator = self._operator_count = self._prefix = ""
        return [Group(True), *before, Move(cursor)]

    def _type_line(self, key: str, character: str | None, text: Text) -> list[Effect]:
        sign = self.line[:1]
        if key in ("escape", "ctrl+c") or (key == "backspace" and len(self.line) == 1):
            self.line, self.mode = "", self._line_from
            return [Look("")]
        if key == "enter":
            typed, self.line = self.line[1:], ""
            self.mode = self._line_from
            return self._entered(sign, typed, text)
        if key == "backspace":
            self.line = self.line[:-1]
        elif key == "ctrl+u":
            self.line = sign
        elif character is not None and character.isprintable():
            self.line += character
        return [Look(self.line[1:])] if sign in "/?" else []

    def _entered(self, sign: str, typed: str, text: Text) -> list[Effect]:
        if sign in "/?":
            self._pattern = typed or self._pattern
            self._forward = sign == "/"
            return self._next(text, 1)
        rows = None
        if self.mode in (Mode.VISUAL, Mode.VISUAL_LINE):
            first, last = sorted((self._anchor[0], text.cursor[0]))
            rows = first, last
            self.mode = Mode.NORMAL
        self._reset()
        return run_line(typed, text, rows)

    # -- commands ------------------------------------------------------------------------------------------------

    def _command(self, sign: str, text: Text) -> list[Effect]:
        """Takes a sign of a command."""
        visual = self.mode in (Mode.VISUAL, Mode.VISUAL_LINE)
        if self._prefix:
            prefix, self._prefix = self._prefix, ""
            sign = prefix + sign
        elif sign.isdecimal() and sign.isascii() and (sign != "0" or self._count):
            self._count = (self._count + sign)[:6]
            return []
        elif sign in _PREFIXES or sign in _TAKES_CHARACTER or (sign in "ia" and (visual or self._operator)):
            self._prefix = sign
            return []
        if self._operator and sign in (self._operator, self._operator[-1], self._operator * 2):
            return self._whole_lines(text)
        if sign in _OPERATORS and not self._operator:
            if visual:
                return self._visual_operator(sign, text)
            self._operator, self._operator_count, self._count = sign, self._count, ""
            return []
        target = self._target(sign, text)
        if target is not None:
            return self._moved(sign, *target, text)
        if self._operator:
            self._reset()
            return []
        return self._visual(sign, text) if visual else self._normal(sign, text)

    def _moved(self, sign: str, start: Place, place: Place, how: str, text: Text) -> list[Effect]:
        """Does what a motion is for: goes there, selects up to there, or operates up to there."""
        if sign not in ("j", "k", "$"):
            self._column = None
        if self._operator:
            return self._operated(start, place, how, text, sign)
        if self.mode in (Mode.VISUAL, Mode.VISUAL_LINE):
            self._count = ""
            if how == "object" or (sign[0] in "ia" and len(sign) == 2):
                self._anchor = start
                self.mode = Mode.VISUAL if how == "object" else Mode.VISUAL_LINE
                place = (place[0], max(0, place[1] - 1)) if how == "object" else place
            return [self._selection(place, text)]
        self._reset()
        row, column = place
        return [Move((row, min(column, go.last_column(text.lines[row]))))]

    def _operated(self, start: Place, place: Place, how: str, text: Text, sign: str) -> list[Effect]:
        first, end = sorted((start, place))
        lines = text.lines
        whole = how == go.LINEWISE
        if not whole and first == end and how != go.INCLUSIVE:
            shifts = self._operator in (">", "<") and sign not in _MAY_FAIL
            if not shifts and not (how == "object" and self._operator == "c"):
                self._reset()
                return []
        elif how == go.INCLUSIVE:
            end = end[0], min(len(lines[end[0]]), end[1] + 1)
        elif how == go.EXCLUSIVE and end[0] > first[0] and end[1] == 0:
            # what ends before a line ends with the one above
            whole = first[1] <= len(lines[first[0]]) - len(lines[first[0]].lstrip())
            end = end[0] - 1, len(lines[end[0] - 1])
        if self._operator == "d" and end[0] > first[0]:
            # where only spaces are left, the lines go as well
            whole = whole or not (lines[first[0]][: first[1]].strip() or lines[end[0]][end[1] :].strip())
        return self._apply(self._operator, first, end, whole, text, min(start, place))

    def _whole_lines(self, text: Text) -> list[Effect]:
        """Does what an operator does when it is pressed twice."""
        row = text.cursor[0]
        last = min(len(text.lines) - 1, row + self._times - 1)
        if self._times > 1 and last == row:
            # there are no more lines
            self._reset()
            return []
        return self._apply(self._operator, (row, 0), (last, len(text.lines[last])), True, text, text.cursor)

    def _apply(self, operator: str, first: Place, end: Place, whole: bool, text: Text, cursor: Place) -> list[Effect]:
        done = operate(operator, first, end, whole, text, cursor)
        if done.register is not None:
            self.register = done.register
        copied: list[Effect] = [] if done.register is None else [Act("copy", done.register.text)]
        was_visual = self.mode in (Mode.VISUAL, Mode.VISUAL_LINE)
        self.mode = Mode.NORMAL
        if done.inserts:
            return [*copied, *self._begin_insert(done.cursor, *done.effects)]
        if operator != "y" and not was_visual:
            self._remember()
        self._reset()
        return [*done.effects, *copied, Move(done.cursor)]

    # -- normal mode ---------------------------------------------------------------------------------------------

    def _normal(self, sign: str, text: Text) -> list[Effect]:
        lines, (row, column), times = text.lines, text.cursor, self._times
        line = lines[row]
        if sign in _SHORT:
            # D is d$, x is dl, ...
            operator, motion = _SHORT[sign]
            self._operator, self._operator_count, self._count = operator, self._count, ""
            if motion == operator:
                return self._whole_lines(text)
            if sign in "xs" and not line:
                self._operator = ""
                return self._begin_insert(text.cursor) if sign == "s" else self._done()
            return self._command(motion, text)
        if sign in "iaIA":
            at = {"i": column, "a": min(len(line), column + 1), "I": go.first_sign(line), "A": len(line)}[sign]
            return self._begin_insert((row, min(at, len(line)) if line.strip() or sign != "I" else len(line)))
        if sign in "oO":
            indent = line[: len(line) - len(line.lstrip())] if line.strip() else line
            if sign == "o":
                edit = Edit((row, len(line)), (row, len(line)), "\n" + indent, (row + 1, len(indent)))
            else:
                edit = Edit((row, 0), (row, 0), indent + "\n", (row, len(indent)))
            # the editor indents a line that follows one which opens a block
            return [*self._begin_insert(edit.cursor, edit), *([Act("indent")] if sign == "o" else [])]
        if sign in "pP":
            brought = put(self.register, text, sign == "p", times)
            self._remember()
            return [*self._done(), *([] if brought is None else [brought])]
        if sign[0] == "r" and len(sign) == 2:
            if column + times > len(line):
                return self._done()
            self._remember()
            new = sign[1] * times
            return [*self._done(), Edit((row, column), (row, column + times), new, (row, column + times - 1))]
        if sign == "~":
            end = min(len(line), column + times)
            self._remember()
            new = line[column:end].swapcase()
            cursor = row, min(end, go.last_column(line))
            return [*self._done(), Edit((row, column), (row, end), new, cursor)]
        if sign in ("J", "gJ"):
            self._remember()
            done = operate(sign, (row, 0), (row + max(1, times - 1), 0), True, text)
            return [*self._done(), *done.effects]
        if sign in "uU":
            return [*self._done(), Undo(times if sign == "u" else -times)]
        if sign == ".":
            self._reset()
            return [Replay(self._last)] if self._last else []
        if sign in ("v", "V"):
            self._reset()
            self.mode = Mode.VISUAL if sign == "v" else Mode.VISUAL_LINE
            self._anchor = text.cursor
            return [self._selection(text.cursor, text)]
        if sign in ("n", "N", "*", "#"):
            return self._next(text, times, sign)
        return self._around(sign, text)

    def _around(self, sign: str, text: Text) -> list[Effect]:
        """Does what has nothing to do with the text itself."""
        times = self._times
        count = bool(self._count)
        if sign in (":", "/", "?"):
            self._line_from = self.mode
            self._reset()
            self.mode, self.line = Mode.LINE, sign
            return []
        half = max(1, text.page // 2)
        pages = {"ctrl+d": half, "ctrl+u": -half, "ctrl+f": text.page, "ctrl+b": -text.page}
        pages |= {"pagedown": text.page, "pageup": -text.page}
        if sign in pages:
            row = min(max(0, text.cursor[0] + pages[sign] * times), len(text.lines) - 1)
            place = row, min(text.cursor[1], go.last_column(text.lines[row]))
            if self.mode is not Mode.NORMAL:
                self._count = ""
                return [self._selection(place, text)]
            return [*self._done(), Move(place)]
        acts = {"zz": "center", "z.": "center", "zt": "top", "zb": "bottom", "gt": "next-tab", "gT": "previous-tab"}
        acts |= {"ZZ": "write-quit", "ZQ": "quit!"}
        self._reset()
        if sign in acts:
            return [Act(acts[sign], str(times) if count else "")]
        return []

    def _done(self) -> list[Effect]:
        self._reset()
        return []

    # -- visual modes --------------------------------------------------------------------------------------------

    def _selection(self, cursor: Place, text: Text) -> Effect:
        row = cursor[0]
        cursor = row, min(cursor[1], go.last_column(text.lines[row]))
        first, last = sorted((self._anchor, cursor))
        if self.mode is Mode.VISUAL_LINE:
            return Select((first[0], 0), (last[0], len(text.lines[last[0]])), cursor)
        if self._column == MAX_COUNT and last == cursor and row + 1 < len(text.lines):
            # $ takes the end of the line, too
            return Select(first, (row + 1, 0), cursor)
        return Select(first, (last[0], min(len(text.lines[last[0]]), last[1] + 1)), cursor)

    def _visual_operator(self, sign: str, text: Text) -> list[Effect]:
        shown = self._selection(text.cursor, text)
        assert isinstance(shown, Select)
        # the cursor of a selection goes to its beginning
        cursor = min(self._anchor, text.cursor)
        if self.mode is Mode.VISUAL_LINE and self._anchor <= text.cursor:
            cursor = self._anchor[0], 0
        return self._apply(sign, shown.start, shown.end, self.mode is Mode.VISUAL_LINE, text, cursor)

    def _visual(self, sign: str, text: Text) -> list[Effect]:
        if sign in ("v", "V"):
            other = Mode.VISUAL if sign == "v" else Mode.VISUAL_LINE
            if self.mode is other:
                return self._escape(text)
            self.mode = other
            self._count = ""
            return [self._selection(text.cursor, text)]
        if sign == "o":
            self._anchor, cursor = text.cursor, self._anchor
            self._count = ""
            return [self._selection(cursor, text)]
        if sign in _VISUAL:
            if sign in "DXYSCR":
                self.mode = Mode.VISUAL_LINE
            return self._visual_operator(_VISUAL[sign], text)
        if sign in "pP":
            taken = self.register
            effects = self._visual_operator("d", text)
            deleted, self.register = self.register, taken
            edit = next((effect for effect in effects if isinstance(effect, Edit)), None)
            if edit is None:
                return effects
            new = taken.text.removesuffix("\n") if taken.whole and deleted.whole else taken.text
            if taken.whole and not deleted.whole:
                new = f"\n{taken.text}\n"
            elif deleted.whole and not edit.text:
                # whole lines give way to what comes in their place
                start, end = (edit.start[0], 0), edit.end
                new += "\n" if edit.end[1] == 0 and edit.end > edit.start else ""
                if edit.start[1]:
                    start, new = edit.start, "\n" + new
                edit = replace(edit, start=start, end=end)
            self.register = deleted
            return [replace(edit, text=new, cursor=edit.start)]
        if sign[0] == "r" and len(sign) == 2:
            return self._visual_operator(sign, text)
        return self._around(sign, text)

    # -- search --------------------------------------------------------------------------------------------------

    def _next(self, text: Text, times: int, sign: str = "n") -> list[Effect]:
        place: Place | None = text.cursor
        try:
            for _ in range(min(times, 1000)):
                place = self._search(text, sign)
                if place is None:
                    break
                text, sign = replace(text, cursor=place), "n" if sign in "*#" else sign
        except PatternError as error:
            self._reset()
            return [Say(str(error))]
        pattern = self._pattern
        if self.mode in (Mode.VISUAL, Mode.VISUAL_LINE) and place is not None:
            self._count = ""
            return [Look(pattern), self._selection(place, text)]
        self._reset()
        if place is None:
            return [Look(pattern), Say(f"not found: {pattern}" if pattern else "nothing was looked for yet: / does")]
        return [Look(pattern), Move(place)]


_SHORT: Final = {
    "x": ("d", "l"),
    "X": ("d", "h"),
    "s": ("c", "l"),
    "S": ("c", "c"),
    "D": ("d", "$"),
    "C": ("c", "$"),
    "Y": ("y", "y"),
}
_VISUAL: Final = {
    "x": "d",
    "X": "d",
    "D": "d",
    "s": "c",
    "S": "c",
    "C": "c",
    "R": "c",
    "Y": "y",
    "u": "gu",
    "U": "gU",
    "~": "g~",
    "J": "J",
    "gJ": "gJ",
}
