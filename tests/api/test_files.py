"""Uploads, listings and downloads: nothing leaves the work folder, nothing half-written stays in it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bai_tui.app.backend.api import workfolder
from bai_tui.tests.waiting import until

# aiohttp's own parser warns about itself
pytestmark = [
    pytest.mark.filterwarnings("ignore:unread_data"),
    pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader"),
]


def multipart(files: dict[str, bytes], boundary: str = "xyz") -> tuple[bytes, str]:
    """As the official client writes it: percent-encoded names, a Content-Length per part."""
    body = b"".join(
        f"--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(data)}\r\n"
        f'Content-Disposition: form-data; name="src"; filename="{name}"\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, data in files.items()
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


async def upload(api: Any, ref: str, files: dict[str, bytes]) -> Any:
    body, kind = multipart(files)
    return await api.send("POST", f"/session/{ref}/upload", raw=io.BytesIO(body), content_type=kind)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
async def ref(api: Any) -> str:
    return str(await api.create("files-01"))


@pytest.fixture
def folder(service: Any, ref: str) -> Path:
    return Path(service.root / ref)


async def test_upload(api: Any, ref: str, folder: Path) -> None:
    big = os.urandom(3_000_000)
    files = {"main.py": b"print(1)", "w%2Fsub%2Fmain.c": b"", "b%C3%BCro 1.txt": b"x", "big": big, "a%2525b": b"%"}
    answer = await upload(api, ref, files)
    assert (answer.status, answer.raw) == (204, b"")
    assert tree(folder) == {"main.py": b"print(1)", "w/sub/main.c": b"", "büro 1.txt": b"x", "big": big, "a%25b": b"%"}
    assert (await upload(api, ref, {"main.py": b"print(2)"})).status == 204
    assert (folder / "main.py").read_bytes() == b"print(2)"
    assert {path.name for path in folder.iterdir()} == {"main.py", "w", "büro 1.txt", "big", "a%25b"}


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "..%2Fx",
        "a/../../x",
        "a%2F..%2F..%2Fx",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "",
        ".",
        "..",
        "a%00b",
        "dir%2F",
        ".upload-1%2Fx",
    ],
)
async def test_names_that_climb(api: Any, ref: str, folder: Path, name: str) -> None:
    answer = await upload(api, ref, {"good.txt": b"good", name: b"bad"})
    assert (answer.status, answer.problem) == (400, "invalid-api-params")
    assert "upload name" in answer.json["msg"]
    assert tree(folder.parent) == {} and list(folder.iterdir()) == []


async def test_links_do_not_lead_out(api: Any, ref: str, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (folder / "out").symlink_to(outside)
    (folder / "file").symlink_to(outside / "secret")
    (folder / "inner").mkdir()
    (folder / "in").symlink_to("inner")
    assert (await upload(api, ref, {"out%2Fnew": b"x"})).status == 400
    assert (await upload(api, ref, {"in%2Fnew": b"x"})).status == 204
    assert (folder / "inner" / "new").read_bytes() == b"x"
    # a link in place of the file itself is replaced, not followed
    assert (await upload(api, ref, {"file": b"mine"})).status == 204
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"secret": "secret"}
    for path in ("out", "out/secret", "/etc", "../", "..%2f"):
        assert (await api.send("GET", f"/session/{ref}/files?path={path}")).status == 400
        assert (await api.send("POST", f"/session/{ref}/download?files={path}")).status == 400


@pytest.mark.parametrize(
    "files", [{"a": b"1", "a/b": b"2"}, {"there": b"1"}, {"plain%2Fx": b"1"}, {"fine": b"1", "plain/y/z": b"2"}]
)
async def test_file_and_folder_of_one_name(api: Any, ref: str, folder: Path, files: dict[str, bytes]) -> None:
    (folder / "there").mkdir()
    (folder / "plain").write_text("kept")
    answer = await upload(api, ref, files)
    assert (answer.status, answer.problem) == (400, "invalid-api-params")
    assert tree(folder) == {"plain": b"kept"}


async def test_too_much(api: Any, ref: str, folder: Path) -> None:
    answer = await upload(api, ref, {"a": bytes(3_000_000), "b": bytes(2_000_000)})
    assert (answer.status, answer.problem) == (413, "content-too-large")
    assert "4194304 bytes" in answer.json["msg"] and list(folder.iterdir()) == []
    many = await upload(api, ref, {f"f{number}": b"" for number in range(1001)})
    assert (many.status, list(folder.iterdir())) == (413, [])


async def test_no_more_than_the_quota_has_room_for(api: Any, service: Any, ref: str, folder: Path) -> None:
    service.room_bytes = 1000
    answer = await upload(api, ref, {"a": bytes(600), "b": bytes(600)})
    assert (answer.status, answer.problem) == (413, "content-too-large")
    assert "takes 1000 bytes more" in answer.json["msg"] and list(folder.iterdir()) == []
    assert (await upload(api, ref, {"a": bytes(600)})).status == 204
    service.room_bytes = 0
    assert (await upload(api, ref, {"b": b"x"})).status == 413
    service.room_bytes = None
    assert (await upload(api, ref, {"b": b"x"})).status == 204


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"x", "text/plain"),
        (b"", "multipart/form-data"),
        (b"no boundary here", "multipart/form-data; boundary=q"),
        (b"", "multipart/form-data; boundary=q"),
        (b"--q--\r\n", "multipart/form-data; boundary=q"),
        (
            b'--q\r\nContent-Disposition: form-data; name="a"\r\n\r\nfield\r\n--q--\r\n',
            "multipart/form-data; boundary=q",
        ),
        (multipart({"a": b"12345"})[0][:-40], "multipart/form-data; boundary=xyz"),
    ],
)
async def test_no_multipart(api: Any, ref: str, folder: Path, raw: bytes, kind: str) -> None:
    answer = await api.send("POST", f"/session/{ref}/upload", raw=raw, content_type=kind)
    assert answer.status == 400 and answer.problem in ("generic-bad-request", "invalid-api-params")
    assert list(folder.iterdir()) == []


async def test_client_gone_in_the_middle(api: Any, ref: str, folder: Path) -> None:
    body, kind = multipart({"a": bytes(1_000_000)})
    target = f"/session/{ref}/upload"
    head = {**api.headers("POST", target, kind), "Host": api.host, "Content-Length": str(len(body))}
    host, port = api.host.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    writer.write(f"POST {target} HTTP/1.1\r\n{lines}\r\n".encode() + body[:500_000])
    await writer.drain()
    async with asyncio.timeout(5):
        await until(lambda: list(folder.iterdir()))
        writer.close()
        await until(lambda: not list(folder.iterdir()))


@pytest.mark.parametrize("form", ["query", "body"])
async def test_list(api: Any, ref: str, folder: Path, form: str) -> None:
    (folder / "a.txt").write_text("hello")
    (folder / "sub").mkdir()
    for path in (".", "/home/work", str(folder)):
        target = f"/session/{ref}/files"
        sent = (
            await api.send("GET", f"{target}?path={path}")
            if form == "query"
            else await api.send("GET", target, {"path": path})
        )
        items = {item["filename"]: item for item in json.loads(sent.json["files"])}
        assert set(items) == {"a.txt", "sub"} and sent.json["errors"] == ""
        assert (items["a.txt"]["size"], items["a.txt"]["mode"][0], items["sub"]["mode"][0]) == (5, "-", "d")
        assert set(items["a.txt"]) == {"mode", "size", "ctime", "mtime", "atime", "filename"}
        assert sent.json["abspath"] == str(folder)
    missing = (await api.send("GET", f"/session/{ref}/files?path=nothing")).json
    assert missing["errors"] == "nothing: No such file or directory"


@pytest.mark.parametrize("form", ["get-body", "post-body", "post-query"])
async def test_download(api: Any, ref: str, folder: Path, form: str) -> None:
    big = os.urandom(2_500_000)
    (folder / "big.bin").write_bytes(big)
    (folder / "sub").mkdir()
    (folder / "sub" / "x.txt").write_text("x")
    (folder / "sub" / "link").symlink_to("x.txt")
    files = ["big.bin", "/home/work/sub"]
    if form == "post-query":
        method, target, body = "POST", f"/session/{ref}/download?files=big.bin&files=/home/work/sub", None
    else:
        method, target, body = form.split("-")[0].upper(), f"/session/{ref}/download", json.dumps({"files": files})
    headers = api.headers(method, target, "application/json")
    async with api.session.request(method, api.base + target, data=body, headers=headers) as answer:
        assert answer.status == 200
        found: dict[str, bytes | str] = {}
        reader = aiohttp.MultipartReader.from_response(answer)
        while (part := await reader.next()) is not None:
            assert isinstance(part, aiohttp.BodyPartReader)
            with tarfile.open(fileobj=io.BytesIO(bytes(await part.read()))) as tar:
                for member in tar:
                    content = tar.extractfile(member) if member.isfile() else None
                    found[member.name] = content.read() if content else member.linkname
    assert found == {"big.bin": big, "sub": "", "sub/x.txt": b"x", "sub/link": "x.txt"}


async def test_download_of_nothing(api: Any, ref: str) -> None:
    assert (await api.send("POST", f"/session/{ref}/download?files=nothing")).problem == "object-not-found"
    assert (await api.send("POST", f"/session/{ref}/download", {})).problem == "invalid-api-params"
    assert (await api.send("GET", f"/session/{ref}/download", raw=b"{")).problem == "generic-bad-request"


def test_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a" * 1_000_000)
    pieces = workfolder.tar_stream(tmp_path, "log")
    gathered = [next(pieces), next(pieces)]
    path.write_bytes(b"")
    with tarfile.open(fileobj=io.BytesIO(b"".join([*gathered, *pieces]))) as tar:
        assert tar.getmember("log").size == 1_000_000


async def test_files_are_removed_links_only_as_links(api: Any, ref: str, folder: Path, tmp_path: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "b.txt").write_text("1")
    (folder / "c.txt").write_text("2")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("3")
    (folder / "link").symlink_to(kept)
    answer = await api.send("POST", f"/session/{ref}/delete-files", {"files": ["a", "c.txt", "link"]})
    assert (answer.status, answer.raw) == (204, b"")
    assert not any(folder.iterdir())
    assert (kept / "file").read_text() == "3"


@pytest.mark.parametrize(
    ("name", "status"),
    [("none", 404), ("x/none", 404), (".", 400), ("..", 400), ("../x", 400), ("/etc/passwd", 400), ("", 400),
     ("/home/work", 400), ("out/passwd", 400), ("a\0b", 400)],
)  # fmt: skip
async def test_what_is_not_in_the_work_folder_is_not_removed(
    api: Any, ref: str, folder: Path, name: str, status: int
) -> None:
    (folder / "out").symlink_to("/etc")
    answer = await api.send("POST", f"/session/{ref}/delete-files", {"files": [name]})
    assert answer.status == status, answer.raw
    assert Path("/etc/passwd").exists()
    assert folder.is_dir()


async def test_nothing_to_remove_is_said(api: Any, ref: str) -> None:
    assert (await api.send("POST", f"/session/{ref}/delete-files", {"files": []})).status == 400
