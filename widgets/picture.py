"""Pictures as cells: sizes read from headers, pixels by Pillow, rows of cells in each way a terminal understands.

Pillow and the sixel encoder are imported when the first picture is decoded, in a thread. Nothing in a picture is
trusted: what it claims to be is looked at before it is decoded, and large ones are refused.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import shutil
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.color import Color
from rich.segment import ControlType, Segment
from rich.style import Style

from .graphics import CellSize, Mode, kitty_row
from .harmless import pixels
from .text import size as bytes_text

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS: Final = 24_000_000
MAX_BYTES: Final = 32 << 20
MAX_SVG_BYTES: Final = 4 << 20
_SVG_SECONDS: Final = 5
_FORMATS: Final = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}
SVG: Final = "image/svg+xml"
EXTENSIONS: Final = {
    "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", SVG: "svg", "text/html": "html",
    "text/markdown": "md", "text/latex": "tex", "application/json": "json", "text/plain": "txt",
    "application/pdf": "pdf",
}  # fmt: skip
_RAMP: Final = " .:-=+*#%@"
_KEPT_CONTROL: Final = ((ControlType.CURSOR_FORWARD, 0),)
"""Marks a segment as no text; the number is not used."""

Pixels = tuple[int, int]


class PictureError(Exception):
    """A picture cannot be shown; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the head of a picture says."""

    mime: str
    width: int
    height: int


def bytes_of(data: str) -> bytes:
    """Returns what text or a `data:` URL holds.

    Raises:
        PictureError: broken, or too much.
    """
    if len(data) > MAX_BYTES * 4 // 3 + 100:
        raise PictureError(f"not shown: {bytes_text(len(data) * 3 // 4)} are more than {bytes_text(MAX_BYTES)}")
    head, comma, body = data[:200].partition(",")
    if not (comma and head.startswith("data:")):
        return data.encode("utf-8", "replace")
    body = data[len(head) + 1 :]
    if not head.endswith(";base64"):
        from urllib.parse import unquote_to_bytes

        return unquote_to_bytes(body)
    try:
        return base64.b64decode(re.sub(r"\s", "", body), validate=True)
    except (binascii.Error, ValueError):
        raise PictureError("not shown: its data is broken") from None


def amount_bytes(data: str) -> int:
    """Returns about how many bytes text or a `data:` URL holds, without decoding it."""
    head, comma, _ = data[:200].partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        body = len(data) - len(head) - 1
        return body * 3 // 4 - data[-2:].count("=")
    return len(data.encode("utf-8", "replace"))


def look(mime: str, data: str) -> Kind:
    """Returns what the head of a picture says, whatever it was called. Decodes nothing but the head.

    Raises:
        PictureError: no picture, or one of too many pixels.
    """
    if mime == SVG:
        width, height = _svg_size(data[:20_000])
        return Kind(SVG, width, height)
    comma = data.find(",", 0, 200)
    # as much as holds the size of any JPEG with its thumbnail; a multiple of four
    head = data[: comma + 1 + 400_000] if comma != -1 else data
    raw = bytes_of(head[: len(head) - (len(head) - comma - 1) % 4] if len(head) < len(data) else head)
    kind = _head(raw)
    if kind is None:
        raise PictureError("not shown: its data is broken")
    _bounded(kind.width, kind.height)
    return kind


def _bounded(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise PictureError("not shown: it has no pixels")
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"not shown: {width:,} x {height:,} pixels are more than {MAX_PIXELS // 1_000_000} million; save it instead"
        )


def _head(raw: bytes) -> Kind | None:
    try:
        if raw.startswith(b"\x89PNG\r\n\x1a\n") and raw[12:16] == b"IHDR":
            width, height = struct.unpack(">II", raw[16:24])
            return Kind("image/png", width, height)
        if raw[:6] in (b"GIF87a", b"GIF89a"):
            width, height = struct.unpack("<HH", raw[6:10])
            return Kind("image/gif", width, height)
        if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
            return _webp(raw)
        if raw.startswith(b"\xff\xd8"):
            return _jpeg(raw)
    except (struct.error, IndexError):
        pass
    return None


def _webp(raw: bytes) -> Kind | None:
    if raw[12:16] == b"VP8X":
        width = int.from_bytes(raw[24:27], "little") + 1
        return Kind("image/webp", width, int.from_bytes(raw[27:30], "little") + 1)
    if raw[12:16] == b"VP8L":
        bits = int.from_bytes(raw[21:25], "little")
        return Kind("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if raw[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", raw[26:30])
        return Kind("image/webp", width & 0x3FFF, height & 0x3FFF)
    return None


def _jpeg(raw: bytes) -> Kind | None:
    at = 2
    while at + 9 < len(raw):
        if raw[at] != 0xFF:
            return None
        marker = raw[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", raw[at + 5 : at + 9])
            return Kind("image/jpeg", width, height)
        at += 2 + struct.unpack(">H", raw[at + 2 : at + 4])[0]
    return None


_SVG_TAG: Final = re.compile(r"<svg\b[^>]{0,4000}", re.IGNORECASE)
_LENGTH: Final = r'\b{}\s{{0,3}}=\s{{0,3}}["\']\s{{0,3}}(\d{{1,6}}(?:\.\d{{1,6}})?)(pt|px|in|mm|cm)?\s{{0,3}}["\']'
_UNITS: Final = {"pt": 4 / 3, "in": 96.0, "mm": 96 / 25.4, "cm": 96 / 2.54}


def _svg_size(head: str) -> Pixels:
    tag = _SVG_TAG.search(head)
    if tag is None:
        raise PictureError("not shown: it is no SVG")
    found = [re.search(_LENGTH.format(name), tag[0]) for name in ("width", "height")]
    lengths = [float(match[1]) * _UNITS.get(match[2] or "", 1.0) for match in found if match is not None]
    if len(lengths) < 2:
        box = re.search(r'viewBox\s*=\s*["\'][-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]{1,9})[ ,]+([\d.]{1,9})', tag[0])
        try:
            lengths = [float(box[1]), float(box[2])] if box is not None else [300.0, 150.0]
        except ValueError:
            lengths = [300.0, 150.0]
    width, height = (max(1, round(length)) for length in lengths)
    _bounded(width, height)
    return width, height


def fitted(kind: Kind, cell: CellSize, max_columns: int, max_rows: int, *, enlarge: bool = False) -> tuple[int, int]:
    """Returns columns and rows that a picture takes: its own size, or less where there is no room for it."""
    columns, rows = kind.width / cell.width, kind.height / cell.height
    scale = min(max_columns / columns, max_rows / rows)
    if not enlarge:
        scale = min(scale, 1.0)
    return max(1, min(max_columns, round(columns * scale))), max(1, min(max_rows, round(rows * scale)))


def decode(mime: str, data: str, pixels: Pixels) -> Image:
    """Returns the pixels of a picture in the size asked for; of moving ones the first. Slow: call it in a thread.

    Raises:
        PictureError: it is broken, or larger than it said.
    """
    from PIL import Image as Pillow

    raw = bytes_of(data)
    formats = list(_FORMATS.values())
    if mime == SVG:
        raw, formats = _rasterized(raw, pixels), ["PNG"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is checked here
            with Pillow.open(io.BytesIO(raw), formats=formats) as image:
                _bounded(*image.size)
                image.draft(None, pixels)
                image.load()
                shown: Image = image.convert("RGBA" if _has_alpha(image) else "RGB")
                return shown.resize(pixels, Pillow.Resampling.LANCZOS) if shown.size != pixels else shown
    except PictureError:
        raise
    except Exception as error:  # decoders raise anything on broken data
        raise PictureError(f"not shown: its data is broken ({type(error).__name__})") from None


def _has_alpha(image: Any) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _rasterized(raw: bytes, pixels: Pixels) -> bytes:
    """Returns an SVG as PNG by the tool for it, where that is installed; it loads nothing from elsewhere."""
    import subprocess

    tool = shutil.which("rsvg-convert")
    if tool is None:
        raise PictureError("not shown: SVG needs rsvg-convert (package librsvg2-bin); save it, or open it instead")
    if len(raw) > MAX_SVG_BYTES:
        raise PictureError(f"not shown: {bytes_text(len(raw))} of SVG are more than {bytes_text(MAX_SVG_BYTES)}")
    command = [tool, "--format=png", f"--width={pixels[0]}", f"--height={pixels[1]}"]
    try:
        done = subprocess.run(command, input=raw, capture_output=True, timeout=_SVG_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        raise PictureError(f"not shown: to draw it takes longer than {_SVG_SECONDS} s") from None
    except (OSError, subprocess.SubprocessError):
        raise PictureError("not shown: its SVG is broken") from None
    return done.stdout


# -- rows of cells -----------------------------------------------------------------------------------------------------


def pixels_for(mode: Mode, columns: int, rows: int, cell: CellSize) -> Pixels:
    """Returns in which size a picture is decoded."""
    if mode is Mode.BLOCKS:
        return columns, rows * 2
    if mode is Mode.SHADES:
        return columns, rows
    return columns * cell.width, rows * cell.height


def block_rows(image: Image, background: tuple[int, int, int]) -> list[list[Segment]]:
    """Returns a picture as half blocks: the upper pixel of a cell is its text, the lower one its ground."""
    flat = _flat(image, background)
    width, height = flat.size
    data = flat.tobytes()
    rows = []
    for top in range(0, height - 1, 2):
        upper, lower = top * width * 3, (top + 1) * width * 3
        row: list[Segment] = []
        before, count = b"", 0
        for x in range(0, width * 3, 3):
            pair = data[upper + x : upper + x + 3] + data[lower + x : lower + x + 3]
            if pair != before:
                if count:
                    row.append(_half(before, count))
                before, count = pair, 0
            count += 1
        row.append(_half(before, count))
        rows.append(row)
    return rows


def _half(pair: bytes, count: int) -> Segment:
    over, under = pair[:3], pair[3:]
    ground = Color.from_rgb(*under)
    if over == under:
        return Segment(" " * count, Style(bgcolor=ground))
    return Segment("▀" * count, Style(color=Color.from_rgb(*over), bgcolor=ground))


def shade_rows(image: Image, background: tuple[int, int, int]) -> list[list[Segment]]:
    """Returns a picture as characters that are more or less full."""
    grey = _flat(image, background).convert("L")
    width, height = grey.size
    data = grey.tobytes()
    ramp = _RAMP if sum(background) < 384 else _RAMP[::-1]
    steps = len(ramp)
    return [
        [Segment("".join(ramp[value * steps // 256] for value in data[row * width : (row + 1) * width]))]
        for row in range(height)
    ]


def sixel_rows(image: Image, rows: int, background: tuple[int, int, int]) -> list[list[Segment]]:
    """Returns a picture as sixels, each row of cells by itself, so that rows can scroll and be painted alone.

    The cells are blank; the sixels come before the last one, go back to the first, and put the cursor where it was.
    """
    from textual_image._sixel import image_to_sixels

    flat = _flat(image, background)
    columns_px, height = flat.size
    cell_height = height // rows
    flat = flat.quantize(256)
    shown = []
    for row in range(rows):
        part = flat.crop((0, row * cell_height, columns_px, (row + 1) * cell_height))
        shown.append([Segment(image_to_sixels(part))])
    return shown


def placed_sixel(sixels: str, columns: int) -> list[Segment]:
    """Returns the cells of one row of a picture in sixels."""
    if columns < 2:
        return [Segment(" " * columns)]
    back = f"\x1b[{columns - 1}D"
    control = Segment(f"\x1b7{back}{sixels}\x1b8", pixels(), _KEPT_CONTROL)
    return [Segment(" " * (columns - 1)), control, Segment(" ")]


def kitty_rows(number: int, columns: int, rows: int) -> list[list[Segment]]:
    """Returns the placeholders of a picture that the terminal knows by a number of 24 bits."""
    style = Style(color=Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255))
    return [[Segment(kitty_row(row, columns), style)] for row in range(rows)]


def png_base64(image: Image) -> str:
    """Returns pixels as PNG in base64."""
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _flat(image: Image, background: tuple[int, int, int]) -> Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    from PIL import Image as Pillow

    ground = Pillow.new("RGBA", image.size, (*background, 255))
    return Pillow.alpha_composite(ground, image).convert("RGB")
