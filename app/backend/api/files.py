"""Endpoints of the work folder: list, upload, download. All disk work happens in threads, piece by piece."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from aiohttp import BodyPartReader, MultipartReader, hdrs, web
from aiohttp.http import HttpProcessingError

from ...model.errors import BadRequest
from .body import Fields, parse_object, read_body, read_object
from .context import caller_of, context_of, service_of
from .problems import ContentTooLarge, MalformedBody, TooSlow
from .workfolder import Staging, check_wanted, listing, remove, tar_stream, upload_name

log = logging.getLogger(__name__)
T = TypeVar("T")

_FILENAME: Final = re.compile(r';\s*filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
MAX_FILES: Final = 1000
"""Files of one upload request."""
MAX_PARTS: Final = 2 * MAX_FILES
"""Plain form fields included."""
GRACE_S: Final = 60.0
SLOWEST_BYTES_PER_S: Final = 1024
"""An upload may take `GRACE_S`, and a second for each so many bytes."""
_PIECE: Final = 1024 * 1024
_PART_HEAD: Final = "Content-Type: application/x-tar\r\nContent-Encoding: identity\r\n\r\n"


async def _folder(request: web.Request) -> Path:
    return await service_of(request).work_dir(caller_of(request), request.match_info["ref"])


async def list_files(request: web.Request) -> web.Response:
    """GET /session/{ref}/files: `path` is taken from the query or from a JSON body, as clients differ."""
    folder = await _folder(request)
    path = request.query.get("path") or Fields(await read_object(request)).text("path", default=".")
    answer = await asyncio.to_thread(_listed, folder, path)
    return web.Response(body=answer, content_type="application/json")


def _listed(folder: Path, path: str) -> bytes:
    items, error, absolute = listing(folder, path)
    return json.dumps({"files": json.dumps(items), "errors": error, "abspath": absolute}).encode()


async def upload(request: web.Request) -> web.Response:
    """POST /session/{ref}/upload: all files of the request come into being, or none."""
    folder = await _folder(request)
    if not request.content_type.startswith("multipart/"):
        raise MalformedBody("an upload is multipart/form-data")
    try:
        parts = await request.multipart()
    except (ValueError, AssertionError) as exc:
        raise MalformedBody(f"the upload is no multipart body: {exc}") from None
    staging = Staging(folder)
    try:
        await asyncio.to_thread(staging.open, secrets.token_hex(8))
        room_bytes = await service_of(request).upload_room_bytes(caller_of(request), request.match_info["ref"])
        await _receive(parts, staging, _Pace(request, context_of(request).upload_limit_bytes, room_bytes))
        if not len(staging):
            raise BadRequest("the upload holds no file: send each as a part with a filename")
        await asyncio.to_thread(staging.commit)
    finally:
        await asyncio.shield(asyncio.to_thread(staging.close))
    return web.Response(status=204)


class _Pace:
    """Holds an upload to its size and to the slowest rate, whatever it is made of."""

    def __init__(self, request: web.Request, limit_bytes: int, room_bytes: int | None) -> None:
        """`room_bytes` is what the work folder still takes; None = whatever fits on the disk."""
        self._content = request.content
        self._room_bytes = room_bytes
        self.limit_bytes = limit_bytes if room_bytes is None else min(limit_bytes, room_bytes)
        self._began_s = asyncio.get_running_loop().time()

    def too_large(self) -> ContentTooLarge:
        if self.limit_bytes == self._room_bytes:
            return ContentTooLarge(
                f"the work folder takes {self._room_bytes} bytes more, then its quota is used up: remove files from "
                "it, or upload less"
            )
        return ContentTooLarge(f"an upload takes at most {self.limit_bytes} bytes: send the files in several")

    async def read(self, step: Awaitable[T]) -> T:
        """Returns what `step` reads of the body.

        Raises:
            TooSlow: it did not come in time.
            ContentTooLarge: the body is larger than an upload may be, boundaries and all.
        """
        came_bytes = self._content.total_bytes
        if came_bytes > self.limit_bytes + MAX_PARTS * 1024:
            raise self.too_large()
        try:
            async with asyncio.timeout_at(self._began_s + GRACE_S + came_bytes / SLOWEST_BYTES_PER_S):
                return await step
        except TimeoutError:
            raise TooSlow(f"{came_bytes} bytes of the upload came in too long a time: send it again") from None


async def _receive(parts: MultipartReader, staging: Staging, pace: _Pace) -> None:
    left = pace.limit_bytes
    count = 0
    try:
        while (part := await pace.read(parts.next())) is not None:
            count += 1
            if count > MAX_PARTS:
                raise ContentTooLarge(f"an upload takes at most {MAX_PARTS} parts: send the rest in another")
            if not isinstance(part, BodyPartReader):
                raise MalformedBody("an upload holds files only, no nested multipart")
            name = _part_name(part)
            if name is None:
                continue  # a plain form field
            if len(staging) >= MAX_FILES:
                raise ContentTooLarge(f"an upload takes at most {MAX_FILES} files: send the rest in another")
            file = await asyncio.to_thread(staging.create, upload_name(name))
            left = await _store(part, file, left, pace)
    except HttpProcessingError as exc:  # the headers of a part
        raise MalformedBody(f"the upload is no multipart body: {exc.message.partition(chr(10))[0]}") from None
    except (ValueError, AssertionError, RuntimeError) as exc:
        raise MalformedBody(f"the upload is no multipart body: {exc}") from None


def _part_name(part: BodyPartReader) -> str | None:
    """Returns the file name of a part as it was sent; aiohttp's own reading cuts leading slashes off silently."""
    match = _FILENAME.search(part.headers.get(hdrs.CONTENT_DISPOSITION, ""))
    return re.sub(r"\\(.)", r"\1", match[1]) if match else part.filename


async def _store(part: BodyPartReader, file: BinaryIO, left: int, pace: _Pace) -> int:
    """Writes one part and closes the file; returns how many bytes the request may still bring."""
    try:
        ended = False
        while not ended:
            pieces, size = [], 0
            while size < _PIECE:
                chunk = await pace.read(part.read_chunk(_PIECE))
                if not chunk:
                    ended = True
                    break
                pieces.append(chunk)
                size += len(chunk)
            left -= size
            if left < 0:
                raise pace.too_large()
            if pieces:
                await asyncio.to_thread(file.writelines, pieces)
    finally:
        await asyncio.to_thread(file.close)
    return left


async def delete_files(request: web.Request) -> web.Response:
    """POST /session/{ref}/delete-files (capability `delete-files`): files and whole folders go for good."""
    folder = await _folder(request)
    asked = Fields(await read_object(request)).texts("files")
    await asyncio.to_thread(remove, folder, asked)
    return web.Response(status=204)


async def download(request: web.Request) -> web.StreamResponse:
    """{GET,POST} /session/{ref}/download: one tar per file as multipart/mixed, made while it is sent."""
    folder = await _folder(request)
    asked = request.query.getall("files", [])
    if not asked:
        raw = await read_body(request)
        asked = Fields(parse_object(raw, f"{request.method} {request.path}")).texts("files")
    await asyncio.to_thread(check_wanted, folder, asked)
    boundary = f"bai-{secrets.token_hex(16)}"
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: f"multipart/mixed; boundary={boundary}"})
    await response.prepare(request)
    try:
        for name in asked:
            await response.write(f"--{boundary}\r\n{_PART_HEAD}".encode())
            pieces = tar_stream(folder, name)
            while piece := await asyncio.to_thread(_next_piece, pieces):
                await response.write(piece)
            await response.write(b"\r\n")
        await response.write(f"--{boundary}--\r\n".encode())
    except ConnectionError:
        log.info("the client of %s left before the end of its download", request.path)
    except (OSError, BadRequest) as exc:
        # half of it is sent: a cut connection is what tells that the rest is missing
        log.warning("the download %s was cut: %s", request.path, exc)
        if request.transport is not None:
            request.transport.abort()
    return response


def _next_piece(pieces: Iterator[bytes]) -> bytes:
    """Returns the next pieces joined to about one MiB, empty at the end."""
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= _PIECE:
            break
    return b"".join(gathered)
