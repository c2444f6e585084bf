"""Vim's keys do what Vim does: `vim_cases.json` holds what Vim 9.0 made of random commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bai_tui.widgets.vim import Act, Edit, Effect, Group, Look, Mode, Move, Replay, Say, Select, Text, Undo, Vim
from hypothesis import given, settings
from hypothesis import strategies as st

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "vim_cases.json").read_text(encoding="utf-8"))
NAMES = {"esc": "escape", "cr": "enter", "bs": "backspace"}


class Host:
    """A plain text under the machine."""

    def __init__(self, text: str, cursor: tuple[int, int] = (0, 0)) -> None:
        self.lines = text.split("\n")
        row = min(cursor[0], len(self.lines) - 1)
        self.cursor = row, min(cursor[1], max(0, len(self.lines[row]) - 1))
        self.vim = Vim()
        self.said: list[str] = []
        self.acts: list[Act] = []
        self.looked = ""
        self.selected: Select | None = None
        self._undo: list[tuple[list[str], tuple[int, int]]] = []
        self._group = 0

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def _replace(self, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        assert (0, 0) <= start <= end and end[0] < len(self.lines) and end[1] <= len(self.lines[end[0]])
        self._undo.append((list(self.lines), self.cursor))
        new = self.lines[start[0]][: start[1]] + text + self.lines[end[0]][end[1] :]
        self.lines[start[0] : end[0] + 1] = new.split("\n")

    def _type(self, key: str, character: str | None) -> None:
        row, column = self.cursor
        if key == "enter":
            self._replace(self.cursor, self.cursor, "\n")
            self.cursor = row + 1, 0
        elif key == "backspace" and column:
            self._replace((row, column - 1), self.cursor, "")
            self.cursor = row, column - 1
        elif character:
            self._replace(self.cursor, self.cursor, character)
            self.cursor = row, column + 1

    def press(self, key: str, character: str | None = None) -> None:
        effects = self.vim.press(key, character, Text(self.lines, self.cursor))
        if effects is None:
            assert self.vim.mode is Mode.INSERT or character is None
            self._type(key, character)
            return
        for effect in effects:
            self._do(effect)
        row, column = self.cursor
        assert 0 <= row < len(self.lines) and 0 <= column <= len(self.lines[row])

    def _do(self, effect: Effect) -> None:
        match effect:
            case Edit(start, end, text, cursor):
                self._replace(start, end, text)
                self.cursor = cursor
            case Move(cursor):
                self.cursor = cursor
            case Select(start, end, cursor):
                assert start <= cursor and (cursor < end or start == end or cursor == end)
                self.selected = effect
                self.cursor = cursor
            case Undo(steps):
                for _ in range(steps):
                    if self._undo:
                        self.lines, self.cursor = self._undo.pop()
            case Group(begins):
                if begins:
                    self._group = len(self._undo)
                else:
                    del self._undo[self._group + 1 :]
            case Replay(keys):
                self.vim.replaying(True)
                for key, character in keys:
                    self.press(key, character or None)
                self.vim.replaying(False)
            case Say(text):
                self.said.append(text)
            case Act():
                self.acts.append(effect)
            case Look(pattern):
                self.looked = pattern

    def keys(self, keys: str) -> Host:
        while keys:
            name, closed, rest = keys[1:].partition(">")
            if keys[0] == "<" and closed and name in NAMES:
                self.press(NAMES[name])
                keys = rest
            else:
                self.press(keys[0], keys[0])
                keys = keys[1:]
        return self


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case[2])
def test_does_what_vim_does(case: list[Any]) -> None:
    text, cursor, keys, after, place = case
    host = Host(RECORDED["texts"][text], tuple(cursor)).keys(keys + "<esc>")
    assert (host.text, list(host.cursor)) == (after, place)


@pytest.mark.parametrize(
    ("keys", "after"),
    [
        ("cwX<esc>w.", "X X(c)\n  d"),
        ("dwu", "a b(c)\n  d"),
        ("aone two<esc>u", "a b(c)\n  d"),
        (":s/a/[&]/<cr>", "[&] b(c)\n  d"),
        (r":s/(\w) (\w)/\2 \1/<cr>", "b a(c)\n  d"),
        (":%s/[ad]/X/g<cr>", "X b(c)\n  X"),
        (":2d<cr>", "a b(c)"),
        (":1,2d<cr>", ""),
        ("Vj:s/$/!/<cr>", "a b(c)\n  d"),
        ("/d<cr>x", "a b(c)\n  "),
        ("?d<cr>x", "a b(c)\n  "),
        ("yyjp", "a b(c)\n  d\na b(c)"),
        ("3ix<esc>", "xa b(c)\n  d"),
        ("5", "a b(c)\n  d"),
        ("d<esc>x", " b(c)\n  d"),
    ],
)
def test_commands_of_more_than_one_step(keys: str, after: str) -> None:
    assert Host("a b(c)\n  d").keys(keys).text == after


def test_what_is_not_the_text_is_asked_for() -> None:
    host = Host("a\nb").keys(":w<cr>:w other.py<cr>:q!<cr>:e x<cr>gtzzyy")
    assert host.acts == [
        Act("write"),
        Act("write", "other.py"),
        Act("quit!"),
        Act("edit", "x"),
        Act("next-tab"),
        Act("center"),
        Act("copy", "a"),
    ]


def test_mistakes_are_told_in_a_sentence() -> None:
    host = Host("a\nb").keys(":nonsense<cr>:s/[/x/<cr>/zzz<cr>:s/a/b/q<cr>:s/q/b/<cr>/[<cr>")
    assert [said.split(":")[0] for said in host.said] == [
        "no such command",
        "no regular expression",
        "not found",
        "s does not know q",
        "not found",
        "no regular expression",
    ]
    assert host.text == "a\nb" and host.vim.mode is Mode.NORMAL


def test_mode_and_pending_keys_are_shown() -> None:
    host = Host("a b\nc")
    shown = []
    for key in "2d3w":
        shown.append(host.vim.shown)
        host.keys(key)
    assert shown == ["normal", "normal 2", "normal 2d", "normal 2d3"]
    host.keys("i")
    assert host.vim.shown == "insert"
    host.keys("<esc>V")
    assert host.vim.shown == "visual-line" and host.vim.waits
    host.keys("<esc>:set")
    assert host.vim.shown == ":set"
    host.keys("<bs><bs><bs><bs>")
    assert host.vim.shown == "normal" and not host.vim.waits


def test_a_selection_holds_the_character_under_the_cursor() -> None:
    host = Host("abc\ndef").keys("lvj")
    assert host.selected == Select((0, 1), (1, 2), (1, 1))
    assert host.keys("V").selected == Select((0, 0), (1, 3), (1, 1))
    assert host.keys("vo").selected == Select((0, 1), (1, 2), (0, 1))


KEYS = st.text(alphabet=st.sampled_from("hjklwbeWBE0^$gG{}fFtT;,%dcyYpPxXsSDCJrRiaoOAIuUvV.<>~nN*#23\"'()[] :/?mzZ="))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab (){}'\"\n\n .é漢\t"), max_size=40), st.lists(KEYS, max_size=6))
def test_no_keys_leave_the_text(text: str, keys: list[str]) -> None:
    host = Host(text)
    for some in keys:
        # the host checks every edit and place
        host.keys(some + "<esc>")
    host.press("escape")
    assert host.vim.mode is Mode.NORMAL
