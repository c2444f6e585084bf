"""Uploads as multipart/form-data, streamed from disk in threads."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from ..model.errors import BadRequest
from .address import segment
from .transport import Transport

_FILES_PER_REQUEST = 20
"""What a manager takes at once."""
_CHUNK_BYTES = 256 * 1024


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise BadRequest(f"the file {path} cannot be read: {exc.strerror}") from None


class Form:
    """A multipart body of known length."""

    def __init__(self, files: Sequence[tuple[str, Path]]) -> None:
        self.boundary = secrets.token_hex(16)
        self._parts: list[tuple[bytes, Path, int]] = []
        self._end = f"--{self.boundary}--\r\n".encode()
        for name, path in files:
            try:
                size = path.stat().st_size
            except OSError as exc:
                raise BadRequest(f"the file {path} cannot be read: {exc.strerror}") from None
            # The name is percent-encoded as the official client does it: a slash survives every parser that way.
            head = (
                f"--{self.boundary}\r\n"
                f'Content-Disposition: form-data; name="src"; filename="{quote(name, safe="")}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            )
            self._parts.append((head.encode(), path, size))

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def length(self) -> int:
        return sum(len(head) + size + 2 for head, _, size in self._parts) + len(self._end)

    async def body(self) -> AsyncIterator[bytes]:
        """Yields the body.

        Raises:
            BadRequest: a file cannot be read, or changed its size meanwhile.
        """
        for head, path, size in self._parts:
            yield head
            handle = await asyncio.to_thread(_open, path)
            try:
                left = size
                while left:
                    piece = await asyncio.to_thread(os.read, handle, min(left, _CHUNK_BYTES))
                    if not piece:
                        raise BadRequest(f"the file {path} became shorter while it was uploaded")
                    left -= len(piece)
                    yield piece
            except OSError as exc:
                raise BadRequest(f"the file {path} cannot be read: {exc.strerror}") from None
            finally:
                os.close(handle)
            yield b"\r\n"
        yield self._end


async def upload(transport: Transport, ref: str, files: Mapping[str, Path]) -> None:
    """Uploads `files` (path in the work folder -> file), as many to a request as every server takes."""
    items = list(files.items())
    for start in range(0, len(items), _FILES_PER_REQUEST):
        form = await asyncio.to_thread(Form, items[start : start + _FILES_PER_REQUEST])
        await transport.request(
            "POST",
            f"/session/{segment(ref)}/upload",
            body=form.body(),
            content_type=form.content_type,
            length=form.length,
            timeout_s=600.0,
        )
