"""Turns rich representations into console records."""

import base64
import json
import re
import sys
import zlib
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

Emit = Callable[[List[Any]], None]

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_DEFAULT_REPR = re.compile(r"^<[\w.]+( object)?( at 0x[0-9a-f]+)?>$|^<Figure size .*>$")
_METHODS = (
    ("image/png", "_repr_png_"),
    ("image/jpeg", "_repr_jpeg_"),
    ("image/svg+xml", "_repr_svg_"),
    ("text/html", "_repr_html_"),
    ("application/json", "_repr_json_"),
    ("text/markdown", "_repr_markdown_"),
    ("text/latex", "_repr_latex_"),
)


def records_of(bundle: Mapping[str, Any]) -> Tuple[Optional[str], List[List[Any]]]:
    """Returns (text for stdout or None, console records) of a MIME bundle.

    The best image goes out as `media`, HTML as `html`. The plain text goes along with HTML where it says
    something, since not every client can show a table; the HTML then ends with a comment that tells which
    lines of the output say the same, for those that can. It is left out for images and for objects whose text
    is only their type: of those JSON, Markdown and LaTeX go out as `media`.
    """
    text = bundle.get("text/plain")
    says_nothing = text is not None and _DEFAULT_REPR.match(str(text)) is not None
    for mime in _IMAGES:
        value = bundle.get(mime)
        if value:
            return None, [["media", [mime, _data_uri(mime, value)]]]
    html = bundle.get("text/html")
    if html:
        if text is None or says_nothing:
            return None, [["html", str(html)]]
        return text, [["html", str(html) + _same_as(str(text))]]
    if bundle.get("application/json") is not None and (text is None or says_nothing):
        data = bundle["application/json"]
        try:
            return None, [["media", ["application/json", data if isinstance(data, str) else json.dumps(data)]]]
        except (TypeError, ValueError, RecursionError):
            pass  # no JSON after all
    for mime in ("text/markdown", "text/latex"):
        if bundle.get(mime):
            if says_nothing:
                return None, [["media", [mime, str(bundle[mime])]]]
            if text is None:
                return str(bundle[mime]), []
    return text, []


def _same_as(text: str) -> str:
    """Returns a comment that tells how many lines of the output before it say the same, and their checksum."""
    checksum = zlib.crc32(text.encode("utf-8", "replace")) & 0xFFFFFFFF
    return "\n<!-- as text above: lines=%d crc32=%08x -->" % (text.count("\n") + 1, checksum)


def _data_uri(mime: str, value: Any) -> str:
    if mime == "image/svg+xml":  # XML travels as text
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if isinstance(value, bytes):
        # IPython's own Image hands out base64 as bytes in some versions
        raw = value.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"RIFF"))
        value = base64.b64encode(value).decode("ascii") if raw else value.decode("ascii", "replace")
    return "data:%s;base64,%s" % (mime, value.replace("\n", ""))


def bundle_of(value: Any) -> Dict[str, Any]:
    """Returns the MIME bundle of `value` by the `_repr_*_` methods, for shells without IPython."""
    bundle: Dict[str, Any] = {"text/plain": repr(value)}
    if isinstance(value, type):
        return bundle
    for mime, name in _METHODS:
        method = getattr(value, name, None)
        if callable(method):
            try:
                found = method()
            except Exception:
                continue  # as IPython does: a broken rich view does not hide the plain one
            if isinstance(found, tuple):  # (data, metadata)
                found = found[0]
            if found is not None:
                bundle[mime] = found
    return bundle


def flush_figures(emit: Emit) -> None:
    """Emits and closes the open figures of matplotlib, where IPython's inline backend does not do it."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or "inline" in pyplot.get_backend():
        return
    import io

    for number in pyplot.get_fignums():
        file = io.BytesIO()
        pyplot.figure(number).savefig(file, format="png", bbox_inches="tight")
        emit(["media", ["image/png", _data_uri("image/png", file.getvalue())]])
    pyplot.close("all")
