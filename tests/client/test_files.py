"""Files of a session: listing, copies here, removal; the server is not trusted with where they are written."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.client.api import ApiClient
from bai_tui.app.model.errors import BadRequest, NotImplementedHere, RemoteError

SID = "11111111-2222-4333-8444-555555555555"


def packed(*members: tuple[str, bytes | None, bytes]) -> bytes:
    """Returns a tar of (name, content or None for a folder, type)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mode = kind, len(content or b""), 0o640
            info.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            archive.addfile(info, io.BytesIO(content or b""))
    return out.getvalue()


def answer_with(server: Any, body: bytes) -> list[Any]:
    asked: list[Any] = []

    async def send(request: web.Request) -> web.StreamResponse:
        asked.append((request.query.getall("files"), await request.json()))
        part = (
            b"--b1\r\nContent-Type: application/x-tar\r\nContent-Encoding: identity\r\n\r\n" + body + b"\r\n--b1--\r\n"
        )
        return web.Response(body=part, headers={"Content-Type": "multipart/mixed; boundary=b1"})

    server.answers[f"POST /session/{SID}/download"] = send
    return asked


async def test_a_file_and_a_folder_come_whole(client: ApiClient, server: Any, tmp_path: Path) -> None:
    big = bytes(range(256)) * 9_000
    asked = answer_with(server, packed(("a.bin", big, tarfile.REGTYPE)))
    assert await client.download(SID, "x/a.bin", tmp_path) == tmp_path / "a.bin"
    assert (tmp_path / "a.bin").read_bytes() == big
    assert asked == [(["x/a.bin"], {"files": ["x/a.bin"]})]
    answer_with(server, packed(("out", None, tarfile.DIRTYPE), ("out/l.txt", b"1", tarfile.REGTYPE)))
    assert await client.download(SID, "out", tmp_path) == tmp_path / "out"
    assert (tmp_path / "out" / "l.txt").read_bytes() == b"1"
    assert {path.name for path in tmp_path.iterdir()} == {"a.bin", "out"}


async def test_nothing_is_written_elsewhere(client: ApiClient, server: Any, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    hostile = packed(
        ("../up", b"1", tarfile.REGTYPE),
        ("/tmp/bai-tui-absolute", b"1", tarfile.REGTYPE),  # a name in an archive
        ("link", b"", tarfile.SYMTYPE),
        ("fine", b"2", tarfile.REGTYPE),
    )
    answer_with(server, hostile)
    assert await client.download(SID, "fine", here) == here / "fine"
    assert [path.name for path in tmp_path.rglob("*")] == ["here", "fine"]
    assert not Path("/tmp/bai-tui-absolute").exists()


@pytest.mark.parametrize("body", [b"", b"no archive at all" * 100, packed()])
async def test_what_is_no_download_is_said(client: ApiClient, server: Any, tmp_path: Path, body: bytes) -> None:
    answer_with(server, body)
    with pytest.raises(RemoteError, match="download of a"):
        await client.download(SID, "a", tmp_path)
    assert not any(tmp_path.iterdir())


async def test_a_listing(client: ApiClient, server: Any) -> None:
    items = [
        {"filename": "b", "size": 3, "mtime": 5.5, "mode": "-rw-r--r--"},
        {"filename": "a", "size": 0, "mtime": 1.0, "mode": "drwxr-xr-x"},
    ]
    server.answers[f"GET /session/{SID}/files"] = {"files": json.dumps(items), "errors": "", "abspath": "/home/work"}
    first, second = await client.list_files(SID, "x")
    assert (first.name, first.is_folder, second.name, second.size_bytes) == ("a", True, "b", 3)
    server.answers[f"GET /session/{SID}/files"] = {"files": "", "errors": "x: no such folder", "abspath": ""}
    with pytest.raises(BadRequest, match="no such folder"):
        await client.list_files(SID, "x")


async def test_a_cluster_removes_nothing(client: ApiClient, server: Any) -> None:
    with pytest.raises(NotImplementedHere, match="rm in the session's terminal"):
        await client.delete_files(SID, ["a"])
