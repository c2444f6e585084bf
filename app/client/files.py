"""The files of a session's work folder: what is there, and copies of it here."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from ..model.errors import BadRequest, BaiTuiError, NotImplementedHere, RemoteError
from .address import segment
from .transport import Transport
from .views import FileView

_HEAD_END: Final = b"\r\n\r\n"
_HEAD_LIMIT_BYTES: Final = 16 * 1024
_SPOOL_BYTES: Final = 1 << 20
"""A download up to this size is not put on the disk before it is unpacked."""


async def list_files(transport: Transport, ref: str, path: str) -> Sequence[FileView]:
    """Returns what lies in a folder, by name.

    Raises:
        BadRequest: there is no such folder.
    """
    answer = await transport.request(
        "GET", f"/session/{segment(ref)}/files", query=[("path", path)], json_body={"path": path}
    )
    told = answer if isinstance(answer, dict) else {}
    if told.get("errors"):
        raise BadRequest(str(told["errors"]))
    try:
        items = json.loads(told.get("files") or "[]")
        return sorted((_view(item) for item in items), key=lambda file: file.name)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise RemoteError(
            f"{transport.url} lists the files of {ref} in a way that is not known here", http_status=200
        ) from None


def _view(item: dict[str, Any]) -> FileView:
    return FileView(
        name=str(item["filename"]),
        size_bytes=int(item.get("size") or 0),
        changed_s=float(item.get("mtime") or 0.0),
        mode=str(item.get("mode") or ""),
    )


async def download(transport: Transport, ref: str, path: str, folder: Path) -> Path:
    """Copies a file, or a folder with all that is in it, into a folder here; returns where it lies now.

    What is there already under that name is overwritten. Links are left out. Cancelled, it may leave a part of it.

    Raises:
        NotFound: there is no such file in the session.
        BaiTuiError: it cannot be written here.
    """
    async with transport.open(
        "POST",
        f"/session/{segment(ref)}/download",
        # the newest managers read the query, earlier ones the body
        query=[("files", path)],
        body=json.dumps({"files": [path]}).encode(),
        content_type="application/json",
        timeout_s=600.0,
        idempotent=True,
        accept="*/*",
    ) as response:
        if response.status >= 400:
            transport.check(response, await transport.error_body(response))
        with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
            async for piece in response.chunks():
                await asyncio.to_thread(spool.write, piece)
            return await asyncio.to_thread(_unpack, spool, path, folder)


def _unpack(spool: IO[bytes], path: str, folder: Path) -> Path:
    spool.seek(0)
    place = spool.read(_HEAD_LIMIT_BYTES).find(_HEAD_END)
    if place < 0:
        raise RemoteError(f"the download of {path} came in a form that is not known here", http_status=200)
    spool.seek(place + len(_HEAD_END))
    first: Path | None = None
    try:
        # a tar tells its end itself: what follows of the answer is not looked at
        with tarfile.open(fileobj=spool, mode="r|") as archive:
            for member in archive:
                target = _write(archive, member, folder)
                first = first or target
    except tarfile.TarError as error:
        raise RemoteError(f"the download of {path} is broken: {error}", http_status=200) from None
    except OSError as error:
        raise BaiTuiError(f"{path} cannot be written into {folder}: {error.strerror or error}") from None
    if first is None:
        raise RemoteError(f"the download of {path} holds no file", http_status=200)
    return folder / first.relative_to(folder).parts[0]


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> Path | None:
    """Writes what an archive holds below a folder; the server is not trusted with where."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not name.parts or not (member.isreg() or member.isdir()):
        return None
    target = folder.joinpath(*name.parts)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    assert source is not None
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(source, file)
            os.fchmod(descriptor, 0o600 | stat.S_IMODE(member.mode) & 0o755)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


async def delete(transport: Transport, ref: str, paths: Sequence[str]) -> None:
    """Removes files, and folders with all that is in them (capability `delete-files`).

    Raises:
        NotImplementedHere: the server has no way to do that.
        NotFound: one is not there; those before it are gone.
    """
    if "delete-files" not in (await transport.info()).capabilities:
        raise NotImplementedHere("this server removes no files for others: use rm in the session's terminal")
    await transport.request("POST", f"/session/{segment(ref)}/delete-files", json_body={"files": list(paths)})
