"""Console records onto stdout and stderr."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..model.console import ConsoleRecord
from ..model.errors import ConfigError
from .output import Sink
from .talk import harmless, say

_EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/json": "json",
    "application/pdf": "pdf",
}


def _bytes_of(data: str) -> bytes:
    """Returns what a record's text or data URI holds."""
    head, comma, body = data.partition(",")
    if comma and head.startswith("data:"):
        if not head.endswith(";base64"):
            from urllib.parse import unquote_to_bytes

            return unquote_to_bytes(body)
        try:
            return base64.b64decode(body)
        except binascii.Error:
            pass
    return data.encode("utf-8", "replace")


class Printer:
    """stdout and stderr of `bai-tui run`."""

    def __init__(self, media_dir: Path | None = None) -> None:
        sys.stdout.flush()
        self.out = Sink(1)
        self.err = Sink(2)
        self._media_dir = media_dir
        self._saved = 0

    def end_line(self) -> None:
        """Makes what we say begin on a line of its own, where a person sees both."""
        if self.out.is_terminal and self.err.is_terminal and not (self.out.at_line_start and self.err.at_line_start):
            sys.stderr.write("\n")
            self.out.at_line_start = self.err.at_line_start = True

    async def records(self, records: Sequence[ConsoleRecord]) -> None:
        """Prints records in their order, neighbours of one stream together.

        Raises:
            BrokenPipeError: nobody reads.
            ConfigError: a picture could not be saved.
        """
        texts: list[str] = []
        stream = ""
        for kind, data in records:
            if kind != stream and texts:
                await self._write(stream, "".join(texts))
                texts = []
            stream = kind
            if kind in ("stdout", "stderr"):
                texts.append(str(data))
            else:
                await self._other(kind, data)
        if texts:
            await self._write(stream, "".join(texts))

    async def _write(self, stream: str, text: str) -> None:
        await (self.out if stream == "stdout" else self.err).write(text)

    async def _other(self, kind: str, data: Any) -> None:
        if kind == "media" and isinstance(data, list) and len(data) == 2:
            await self._media(str(data[0]), str(data[1]))
        elif kind == "html":
            await self._media("text/html", str(data))
        elif kind == "log" and isinstance(data, list) and len(data) == 4:
            level, _, logger, text = (harmless(str(part)) for part in data)
            await self.err.write(f"{level} {logger}: {text}\n")
        else:
            self.end_line()
            say(f"[{kind}: a record of a kind that is not known]")

    async def _media(self, mime: str, data: str) -> None:
        if mime in ("text/plain", "text/markdown", "text/latex"):
            await self.out.write(data if data.endswith("\n") else f"{data}\n")
            return
        content = _bytes_of(data)
        self.end_line()
        if self._media_dir is None:
            await self.err.write(f"[{harmless(mime)} {_size(len(content))}]\n")
            return
        self._saved += 1
        path = self._media_dir / f"{self._saved:03d}.{_EXTENSIONS.get(mime, 'bin')}"
        try:
            self._media_dir.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as exc:
            raise ConfigError(f"the file {path} cannot be written: {exc.strerror}") from None
        await self.err.write(f"[{harmless(mime)} {_size(len(content))}: {path}]\n")


def _size(count: int) -> str:
    return f"{count} B" if count < 1024 else f"{round(count / 1024)} KB"
