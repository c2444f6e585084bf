"""A work folder whose owner works against the backend: links put in at the worst moment, pipes, names of all kinds."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from bai_tui.app.backend.api import beneath, workfolder
from bai_tui.app.backend.api.workfolder import MAX_DEPTH, Staging, check_wanted, listing, tar_stream
from bai_tui.app.model.errors import BadRequest, NotFound
from bai_tui.tests.api.test_files import multipart, upload


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


def unpacked(raw: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {member.name: member for member in tar}


# --- links put in between a look and a use


def test_a_staging_folder_that_is_replaced_by_a_link(root: Path, outside: Path) -> None:
    staging = Staging(root)
    staging.open("t")
    (root / ".upload-t").rename(root / "moved")
    (root / ".upload-t").symlink_to(outside)
    with staging.create(PurePosixPath("x")) as file:
        file.write(b"mine")
    staging.commit()
    staging.close()
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (root / "x").read_bytes() == b"mine"


def test_a_folder_that_is_replaced_by_a_link_before_files_are_moved_in(
    root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "sub").mkdir()
    staging = Staging(root)
    staging.open("t")
    staging.create(PurePosixPath("sub/x")).close()
    looked = staging._target

    def swapped(name: PurePosixPath) -> tuple[str, ...]:
        found = looked(name)
        (root / "sub").rmdir()
        (root / "sub").symlink_to(outside)
        return found

    monkeypatch.setattr(staging, "_target", swapped)
    with pytest.raises(BadRequest, match="leads out"):
        staging.commit()
    staging.close()
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_folder_that_becomes_a_link_in_the_middle_of_a_walk(
    root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The narrowest gap: the entry was a folder when it was looked at and is a link when it is opened."""
    (root / "sub").mkdir()
    enter = beneath.Place.enter

    def swapped(place: beneath.Place, name: str) -> None:
        (root / "sub").rmdir()
        (root / "sub").symlink_to(outside)
        enter(place, name)

    monkeypatch.setattr(beneath.Place, "enter", swapped)
    with pytest.raises(BadRequest, match="cannot be walked"):
        listing(root, "sub")


def test_a_file_that_becomes_a_link_after_the_check(root: Path, outside: Path) -> None:
    (root / "x").write_text("mine")
    check_wanted(root, ["x"])
    (root / "x").unlink()
    (root / "x").symlink_to(outside / "secret")
    with pytest.raises(BadRequest, match="leads out"):
        b"".join(tar_stream(root, "x"))


def test_a_child_that_becomes_a_link_while_its_folder_is_packed(
    root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "x").write_text("mine")
    real = os.open

    def swapped(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if path == "x":
            (root / "sub" / "x").unlink()
            (root / "sub" / "x").symlink_to(outside / "secret")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", swapped)
    pieces = tar_stream(root, "sub")
    gathered = [next(pieces)]
    with pytest.raises(OSError):
        gathered.extend(pieces)
    assert b"secret" not in b"".join(gathered)


# --- what is never opened


def test_pipes_and_sockets_hold_up_nobody(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "sub").mkdir()
    os.mkfifo(root / "sub" / "pipe")
    (root / "sub" / "file").write_text("x")
    (root / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(BadRequest, match="neither a file nor a folder"):
            check_wanted(root, [name])
    assert b"".join(tar_stream(root, "pipe")) == b"\0" * 1024, "also when it came after the check"
    assert set(unpacked(b"".join(tar_stream(root, "sub")))) == {"sub", "sub/file"}
    assert {item["mode"][0] for item in listing(root, ".")[0]} == {"p", "d", "l"}


def test_a_file_that_becomes_a_pipe(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "x").write_text("mine")
    real = os.open

    def swapped(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if path == "x":
            (root / "x").unlink()
            os.mkfifo(root / "x")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", swapped)
    assert b"".join(tar_stream(root, "x")) == b"\0" * 1024


def test_a_file_that_grows_for_ever_ends(root: Path) -> None:
    path = root / "log"
    path.write_bytes(b"a" * 600_000)
    gathered = []
    with path.open("ab") as growing:
        for piece in tar_stream(root, "log"):
            gathered.append(piece)
            growing.write(b"b" * 300_000)
            growing.flush()
    assert unpacked(b"".join(gathered))["log"].size == 600_000


def test_folders_without_end(root: Path) -> None:
    fd = os.open(root, os.O_RDONLY)
    opened = [fd]
    for _ in range(MAX_DEPTH + 50):
        os.mkdir("d", dir_fd=opened[-1])
        opened.append(os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=opened[-1]))
    with pytest.raises(OSError, match="deeper than"):
        b"".join(tar_stream(root, "d"))
    assert listing(root, "/".join(["d"] * MAX_DEPTH))[1] == ""
    for fd in opened:
        os.close(fd)


@pytest.mark.parametrize("target", ["self", "../work/self", "./self/", "/home/work/self"])
def test_links_in_a_circle(root: Path, target: str) -> None:
    (root / "self").symlink_to(target)
    for asked in ("self", "self/x"):
        with pytest.raises(BadRequest):
            listing(root, asked)


def test_links_within_the_folder_are_followed(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "f").write_text("x")
    (root / "rel").symlink_to("a/b/../b")
    (root / "abs").symlink_to(root / "a" / "b")
    (root / "home").symlink_to("/home/work/a")
    (root / "a" / "up").symlink_to("../rel/f")
    for asked in ("rel/f", "abs/f", "home/b/f", "a/up", "home/up", "a/../rel/f", "/home/work/rel/f", f"{root}/rel/f"):
        check_wanted(root, [asked])
        assert list(unpacked(b"".join(tar_stream(root, asked)))) == ["f"]
    with pytest.raises(BadRequest):
        check_wanted(root, ["nothing/../a"])
    with pytest.raises(NotFound):
        check_wanted(root, ["a/b/f/x"])


@pytest.mark.parametrize("target", ["..", "../outside", "../../..", "/", "/etc", "/proc/self/root", "a/../../outside"])
def test_links_that_lead_out(root: Path, outside: Path, target: str) -> None:
    (root / "a").mkdir()
    (root / "out").symlink_to(target)
    for asked in ("out", "out/", "out/secret", "a/../out/passwd", "/home/work/out/secret"):
        for look in (lambda asked=asked: listing(root, asked), lambda asked=asked: check_wanted(root, [asked])):
            with pytest.raises(BadRequest):
                look()


def test_no_descriptor_is_left_open(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    before = set(os.listdir("/proc/self/fd"))
    for asked in ("a/b", "a/..", "..", "a/b/nothing", "x" * 300, "a/\0"):
        for look in (listing, lambda r, a: check_wanted(r, [a]), lambda r, a: b"".join(tar_stream(r, a))):
            try:
                look(root, asked)
            except (BadRequest, NotFound):
                pass
    assert next(tar_stream(root, "a")), "left in the middle"
    assert set(os.listdir("/proc/self/fd")) == before


# --- names


NAMES = [
    "new\nline",
    'quo"te',
    "back\\slash",
    "\x1b]0;title\x07",
    "\u202egnp.exe",
    "-rf",
    "~",
    "%2e%2e",
    "\udcff\udcfe",
    "n" * 255,
    "\u00fc" * 127,
    " ",
    "a;b",
    "CON",
]


@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader")
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_names_arrive_as_they_are(api: Any, service: Any, name: str) -> None:
    ref = await api.create()
    folder: Path = service.root / ref
    (folder / name).write_bytes(b"content")
    listed = json.loads((await api.send("GET", f"/session/{ref}/files")).json["files"])
    assert [item["filename"] for item in listed] == [name]
    answer = await api.send("POST", f"/session/{ref}/download", {"files": [name]})
    assert answer.status == 200
    assert "\n" not in answer.headers["Content-Type"] and "Content-Disposition" not in answer.headers
    head = answer.raw.partition(b"\r\n\r\n")[0]
    # nothing of a name goes into a header
    assert head.split(b"\r\n")[1:] == [b"Content-Type: application/x-tar", b"Content-Encoding: identity"]
    (member,) = unpacked(answer.raw[answer.raw.index(b"\r\n\r\n") + 4 :]).values()
    assert member.name == name
    if "\udcff" not in name and name.strip() and len(quote(name, safe="")) < 8000:
        (folder / name).unlink()
        assert (await upload(api, ref, {quote(name, safe=""): b"sent"})).status == 204
        assert (folder / name).read_bytes() == b"sent"


@pytest.mark.parametrize("name", ["n" * 256, "\u00fc" * 128, "d/" * 3000 + "x", "\ud800"])
async def test_names_that_no_disk_takes(api: Any, service: Any, name: str) -> None:
    ref = await api.create()
    for method, what, asked in (("POST", "download", {"files": [name]}), ("GET", "files", {"path": name})):
        answer = await api.send(method, f"/session/{ref}/{what}", asked)
        assert answer.status in (200, 400, 404)
        assert answer.status != 200 or answer.json["errors"]
    if name != "\ud800" and not name.startswith("d/"):
        body, kind = multipart({quote(name, safe=""): b"x"})
        sent = await api.send("POST", f"/session/{ref}/upload", raw=io.BytesIO(body), content_type=kind)
        assert sent.status == 400
    assert list((service.root / ref).iterdir()) == []


async def test_very_many_files_are_listed(api: Any, service: Any) -> None:
    ref = await api.create()
    folder = service.root / ref
    for number in range(10_000):
        (folder / f"f{number}").touch()
    answer = await api.send("GET", f"/session/{ref}/files")
    assert len(json.loads(answer.json["files"])) == 10_000


async def test_a_download_that_is_cut(api: Any, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client must not take half for the whole."""
    ref = await api.create()
    (service.root / ref / "sub").mkdir()
    monkeypatch.setattr(workfolder, "MAX_DEPTH", 0)
    with pytest.raises(aiohttp.ClientError):
        await api.send("POST", f"/session/{ref}/download", {"files": ["sub"]})
    assert (await api.send("GET", "/auth")).status == 200
