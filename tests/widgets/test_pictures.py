"""Pictures: read, refused, painted in each way, and what the terminal is told of them."""

from __future__ import annotations

import base64
import io
import re
import shutil
import struct
import subprocess
import zlib
from typing import Any

import pytest
from bai_tui.widgets import picture
from bai_tui.widgets.graphics import (
    MARKS,
    CellSize,
    Mode,
    _passed,
    ask_tmux,
    cell_size,
    detect,
    kitty_forget,
    kitty_picture,
    kitty_row,
)
from bai_tui.widgets.picture import Kind, PictureError, bytes_of, decode, fitted, look
from PIL import Image, ImageDraw
from rich.cells import cell_len
from textual_image._sixel import image_to_sixels

BLACK = (0, 0, 0)


def encoded(width: int = 40, height: int = 20, form: str = "PNG", mode: str = "RGB") -> str:
    image = Image.new(mode, (width, height), (200, 30, 30) if mode == "RGB" else (200, 30, 30, 0))
    ImageDraw.Draw(image).rectangle((0, 0, width // 2 - 1, height), fill=(0, 0, 250))
    file = io.BytesIO()
    image.save(file, form)
    return f"data:image/{form.lower()};base64," + base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_the_head_tells_kind_and_size(form: str) -> None:
    mime = f"image/{form.lower()}"
    assert look("image/whatever", encoded(form=form)) == Kind(mime, 40, 20)
    assert decode(mime, encoded(form=form), (4, 6)).size == (4, 6)


def test_lossless_and_extended_webp_have_a_size_too() -> None:
    for options in ({"lossless": True}, {"exif": b"Exif\0\0x"}):
        file = io.BytesIO()
        Image.new("RGB", (33, 21)).save(file, "WEBP", **options)
        data = "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
        assert look("image/webp", data) == Kind("image/webp", 33, 21)


def test_a_photo_whose_size_comes_after_a_long_preview_is_read() -> None:
    raw = bytes_of(encoded(form="JPEG"))
    padding = b"".join(b"\xff\xe1\xff\xff" + b"x" * 65533 for _ in range(3))
    data = "data:image/jpeg;base64," + base64.b64encode(raw[:2] + padding + raw[2:]).decode()
    assert look("image/jpeg", data).width == 40


@pytest.mark.parametrize(
    ("svg", "size"),
    [
        ("<svg width='30' height='20px'/>", (30, 20)),
        ('<?xml version="1.0"?>\n<svg xmlns="x" viewBox="0 0 12.5 25"/>', (12, 25)),
        ('<svg width="72pt" height="1in"/>', (96, 96)),
        ("<svg/>", (300, 150)),
        ('<svg width="100%" height="50%" viewBox="0 0 . ."/>', (300, 150)),
    ],
)
def test_svg_says_its_size_in_several_ways(svg: str, size: tuple[int, int]) -> None:
    kind = look("image/svg+xml", svg)
    assert (kind.width, kind.height) == size


def test_an_svg_is_drawn_where_there_is_a_tool_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4" fill="red"/></svg>'
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PictureError, match="needs rsvg-convert"):
        decode("image/svg+xml", svg, (8, 8))
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    asked: list[list[str]] = []

    def run(command: list[str], **more: Any) -> Any:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, bytes_of(encoded(8, 8)), b"")

    monkeypatch.setattr(subprocess, "run", run)
    assert decode("image/svg+xml", svg, (8, 8)).size == (8, 8)
    assert asked == [["/bin/rsvg-convert", "--format=png", "--width=8", "--height=8"]]


def bomb(width: int, height: int) -> str:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    raw = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return "data:image/png;base64," + base64.b64encode(raw + b"\0" * 100).decode()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (bomb(60_000, 60_000), "60,000 x 60,000 pixels are more than 24 million"),
        (bomb(0, 5), "it has no pixels"),
        ("data:image/png;base64,AAAA", "its data is broken"),
        ("data:image/png;base64,!!!!", "its data is broken"),
        ("", "its data is broken"),
        ("no picture", "its data is broken"),
        ("data:image/png;base64," + base64.b64encode(b"\xff\xd8\xff\xe0\x00").decode(), "its data is broken"),
    ],
)
def test_what_cannot_be_shown_says_why(data: str, sentence: str) -> None:
    with pytest.raises(PictureError, match=f"^not shown: .*{re.escape(sentence)}"):
        look("image/png", data)


@pytest.mark.parametrize("data", [bomb(100, 100), encoded()[:-40], encoded().replace("iVBOR", "iVBOS")])
def test_broken_pixels_are_a_sentence(data: str) -> None:
    with pytest.raises(PictureError, match="its data is broken"):
        decode("image/png", data, (10, 10))


def test_a_picture_that_lies_in_its_head_is_refused_when_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 100)
    with pytest.raises(PictureError, match="are more than"):
        decode("image/png", encoded(), (10, 10))


def test_too_many_bytes_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_BYTES", 1000)
    with pytest.raises(PictureError, match="are more than"):
        bytes_of("data:image/png;base64," + "A" * 10_000)


def test_a_picture_fits_and_is_not_enlarged_unless_asked() -> None:
    cell = CellSize(8, 16)
    assert fitted(Kind("", 80, 160), cell, 100, 50) == (10, 10)
    assert fitted(Kind("", 800, 160), cell, 50, 50) == (50, 5)
    assert fitted(Kind("", 80, 160), cell, 100, 20, enlarge=True) == (20, 20)
    assert fitted(Kind("", 1, 100_000), cell, 100, 20) == (1, 20)


def test_half_blocks_have_two_pixels_a_cell() -> None:
    image = decode("image/png", encoded(), (4, 4))
    rows = picture.block_rows(image, BLACK)
    assert [sum(cell_len(segment.text) for segment in row) for row in rows] == [4, 4]
    first, last = rows[0][0].style, rows[0][-1].style
    assert first is not None and first.bgcolor is not None and first.bgcolor.triplet is not None
    assert first.bgcolor.triplet.blue > 200
    assert last is not None and last.bgcolor is not None and last.bgcolor.triplet is not None
    assert last.bgcolor.triplet.red > 150


def test_what_is_transparent_has_the_colour_of_the_ground() -> None:
    image = decode("image/png", encoded(mode="RGBA"), (4, 4))
    last = picture.block_rows(image, (1, 2, 3))[0][-1].style
    assert last is not None and last.bgcolor is not None and last.bgcolor.triplet == (1, 2, 3)


def test_shades_need_neither_colour_nor_unicode() -> None:
    (segment,) = picture.shade_rows(decode("image/png", encoded(), (4, 1)), BLACK)[0]
    assert segment.text.isascii() and len(segment.text) == 4 and segment.style is None
    assert segment.text[0] < segment.text[-1] or segment.text[0] != segment.text[-1]


def sixel_pixels(sixels: str) -> tuple[int, int, set[int]]:
    """Returns (width, height, columns of the first row that are painted) of sixels."""
    match = re.fullmatch(r"\x1bP[\d;]*q\"1;1;(\d+);(\d+)(.*)\x1b\\", sixels, re.DOTALL)
    assert match is not None
    painted: set[int] = set()
    for band in match[3].split("-")[:1]:
        for part in band.split("$"):
            column = 0
            for count, char in re.findall(r"(?:!(\d+))?([?-~])", re.sub(r"#\d+(;2;\d+;\d+;\d+)?", "", part)):
                for _ in range(int(count or 1)):
                    if (ord(char) - 63) & 1:
                        painted.add(column)
                    column += 1
    return int(match[1]), int(match[2]), painted


def test_each_row_of_a_picture_in_sixels_stands_for_itself() -> None:
    image = decode("image/png", encoded(), (40, 40))
    rows = picture.sixel_rows(image, 2, BLACK)
    assert len(rows) == 2
    for (segment,) in rows:
        width, height, painted = sixel_pixels(segment.text)
        assert (width, height, painted) == (40, 20, set(range(40)))
    before, control, last = picture.placed_sixel(rows[0][0].text, 5)
    assert (before.text, last.text) == ("    ", " ")
    assert control.text.startswith("\x1b7\x1b[4D\x1bP") and control.text.endswith("\x1b\\\x1b8")
    assert control.cell_length == 0


def test_the_encoder_of_sixels_is_where_it_was() -> None:
    assert image_to_sixels(Image.new("RGB", (2, 2))).startswith("\x1bP")


def test_kitty_is_told_the_picture_once_and_shown_it_by_placeholders() -> None:
    told = kitty_picture(7, "A" * 5000, 3, 2, tmux=False)
    first, second = re.findall(r"\x1b_G([^;]*);(A+)\x1b\\", told)
    assert first[0] == "a=T,U=1,f=100,q=2,i=7,c=3,r=2,m=1" and len(first[1]) == 4096
    assert second == ("q=2,m=0", "A" * 904)
    row = kitty_row(1, 3)
    assert cell_len(row) == 3
    assert row == "".join(f"\U0010eeee{MARKS[1]}{MARKS[column]}" for column in range(3))
    assert len(MARKS) == 297 and MARKS[:3] == ["\u0305", "\u030d", "\u030e"] and MARKS[-1] == "\U0001d244"
    assert _passed(kitty_forget(7, tmux=False), True) == kitty_forget(7, tmux=True)
    assert kitty_forget(7, tmux=True) == "\x1bPtmux;\x1b\x1b_Ga=d,d=I,q=2,i=7\x1b\x1b\\\x1b\\"


TRUE = 1 << 24


@pytest.mark.parametrize(
    ("setting", "environ", "colours", "mode"),
    [
        ("auto", {"TERM": "xterm-kitty"}, TRUE, Mode.KITTY),
        ("auto", {"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, TRUE, Mode.KITTY),
        ("auto", {"TERM": "xterm-ghostty"}, TRUE, Mode.KITTY),
        ("auto", {"TERM": "xterm-kitty"}, 256, Mode.BLOCKS),
        ("auto", {"TERM": "foot"}, TRUE, Mode.SIXEL),
        ("auto", {"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, TRUE, Mode.SIXEL),
        ("auto", {"TERM": "xterm-256color", "KONSOLE_VERSION": "220401"}, TRUE, Mode.SIXEL),
        ("auto", {"TERM": "xterm-256color", "KONSOLE_VERSION": "210000"}, TRUE, Mode.BLOCKS),
        ("auto", {"TERM": "xterm-256color"}, TRUE, Mode.BLOCKS),
        ("auto", {"TERM": "linux"}, 16, Mode.BLOCKS),
        ("auto", {"TERM": "vt100"}, 0, Mode.SHADES),
        ("auto", {"TERM": "screen.xterm-kitty", "KITTY_WINDOW_ID": "1"}, TRUE, Mode.BLOCKS),
        ("kitty", {"TERM": "xterm"}, TRUE, Mode.KITTY),
        ("sixel", {"TERM": "xterm"}, 256, Mode.SIXEL),
        ("blocks", {"TERM": "xterm-kitty"}, TRUE, Mode.BLOCKS),
        ("none", {"TERM": "xterm-kitty"}, TRUE, Mode.NONE),
    ],
)
def test_terminals_are_known_by_what_they_say(setting: str, environ: dict[str, str], colours: int, mode: Mode) -> None:
    assert detect(setting, environ, colours=colours) is mode


@pytest.mark.parametrize(
    ("answer", "mode"),
    [
        ("xterm-kitty|256,RGB|on", Mode.KITTY),
        ("xterm-kitty|256,RGB|off", Mode.BLOCKS),
        ("xterm-kitty|256,RGB|", Mode.BLOCKS),
        ("xterm-256color|256,RGB,sixel|off", Mode.SIXEL),
        ("", Mode.BLOCKS),
    ],
)
def test_in_tmux_what_is_behind_it_counts(answer: str, mode: Mode) -> None:
    environ = {"TMUX": "/tmp/x", "TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}
    assert detect("auto", environ, colours=TRUE, tmux=answer) is mode


def test_ascii_and_browsers_get_what_they_can_show() -> None:
    assert detect("auto", {"TERM": "xterm-kitty"}, colours=TRUE, in_browser=True) is Mode.BLOCKS
    assert detect("blocks", {}, colours=TRUE, ascii_only=True) is Mode.SHADES


def test_tmux_that_does_not_answer_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert ask_tmux() == ""


def test_cells_have_a_size_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.__stdout__", io.StringIO())
    assert cell_size() == CellSize(8, 16)
