"""The editor's open texts, and its files, without a screen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bai_tui.app.tui.documents import Document, Documents, Tabs
from bai_tui.app.tui.draft import Draft
from bai_tui.app.tui.files import MAX_BYTES, FileError, read_file, stamp_of, write_text
from bai_tui.app.tui.state import Memory
from textual.widgets.text_area import Selection


def edited(document: Document, text: str) -> None:
    buffer = document.buffer
    buffer.document.replace_range((0, 0), (0, 0), text)
    buffer.edited(0, 0, text.count("\n"))


def is_changed(document: Document) -> bool:
    # not the property itself: one that was false may be true after an edit
    return document.changed


def undone(document: Document, characters: int) -> None:
    document.buffer.document.replace_range((0, 0), (0, characters), "")
    document.buffer.edited(0, 0, 0)


def again(tmp_path: Path, documents: Documents, memory: Memory) -> Documents:
    documents.remember()
    memory.save()
    return Documents(Memory(tmp_path, "local"), "sample")


def test_the_first_start_has_the_sample(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "local")
    documents = Documents(memory, "sample")
    assert documents.first_start and documents.current.buffer.text == "sample"
    assert (documents.current.name, documents.current.changed) == ("scratch", False)
    later = again(tmp_path, documents, memory)
    assert not later.first_start and later.current.buffer.text == "sample"


def test_what_is_open_is_open_again(tmp_path: Path) -> None:
    file = tmp_path / "a.r"
    file.write_text("x <- 1\ny\n")
    memory = Memory(tmp_path, "local")
    documents = Documents(memory, "sample")
    opened = documents.opened(read_file(str(file)))
    opened.session = "s1"
    opened.buffer.selection = Selection.cursor((1, 1))
    opened.buffer.scroll = (0, 1)
    edited(opened, "# new ")
    scratch = documents.new("draft", "julia")
    assert [document.name for document in documents.all] == ["scratch", "a.r", "scratch 2"]
    documents.current = opened
    later = again(tmp_path, documents, memory)
    assert [document.name for document in later.all] == ["scratch", "a.r", "scratch 2"]
    assert later.current.path == str(file) and later.current.changed
    buffer = later.current.buffer
    assert buffer.text == "# new x <- 1\ny\n" and buffer.language == "r"
    assert buffer.selection == Selection.cursor((1, 1)) and buffer.scroll == (0, 1)
    assert later.current.session == "s1" and later.current.stamp == stamp_of(str(file))
    assert later.all[2].buffer.text == "draft" and later.all[2].buffer.language == scratch.buffer.language == "julia"


def test_closed_texts_are_forgotten(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "local")
    documents = Documents(memory, "sample")
    other = documents.new("b")
    documents.remember()
    memory.save()
    assert len(list(tmp_path.glob("draft-*"))) == 2
    documents.close(other)
    assert documents.current is documents.all[0]
    documents.close(documents.current)
    assert documents.current.buffer.text == ""
    later = again(tmp_path, documents, memory)
    assert len(later.all) == 1 and later.current.buffer.text == ""
    assert len(list(tmp_path.glob("draft-*"))) == 1


def test_a_draft_from_before_there_were_tabs_is_taken_over(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "local")
    draft = memory.of(Draft)
    draft.file, draft.changed, draft.row = "/x/a.py", True, 1
    memory.keep_text(".py", "a\nb")
    documents = Documents(memory, "sample")
    assert not documents.first_start
    assert (documents.current.path, documents.current.changed) == ("/x/a.py", True)
    assert documents.current.buffer.text == "a\nb" and documents.current.buffer.selection == Selection.cursor((1, 0))


@pytest.mark.parametrize(
    "entries", [[{}], [{"key": "x", "file": 3, "row": -4}], [{"key": 1}, {"key": 1}], ["no"], [{"row": 10**9}]]
)
def test_nonsense_in_the_memory_is_survived(tmp_path: Path, entries: list[object]) -> None:
    memory = Memory(tmp_path, "local")
    memory.of(Tabs).open = entries  # type: ignore[assignment]  # what a file may hold
    memory.of(Tabs).current = 77
    documents = Documents(memory, "sample")
    assert len(documents.all) == 1 and documents.current.buffer.text in ("", "sample")


def test_changed_is_what_differs_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("x")
    documents = Documents(Memory(None, "local"), "")
    document = documents.opened(read_file(str(file)))
    assert len(documents.all) == 1, "the empty text gave way"
    assert not is_changed(document) and not document.worth_asking
    edited(document, "y")
    assert is_changed(document)
    undone(document, 1)
    assert not is_changed(document), "an undo came back to what the file holds"
    edited(document, "z")
    document.is_file(str(file), document.buffer.text, None)
    assert not is_changed(document)
    undone(document, 1)
    assert is_changed(document), "an undo went on over the saving"


def test_a_file_has_one_tab(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("x")
    documents = Documents(Memory(None, "local"), "sample")
    first = documents.opened(read_file(str(file)))
    documents.step(-1)
    assert documents.opened(read_file(str(file))) is first is documents.current
    assert [documents.step(by).name for by in (1, 1, -1)] == ["scratch", "a.py", "scratch"]


# -- files -------------------------------------------------------------------------------------------------------------


def test_files_stay_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    raw = "\ufeffa\r\nb\r\n".encode()
    file.write_bytes(raw)
    found = read_file(str(file))
    assert (found.text, found.bom, found.writable) == ("a\r\nb\r\n", True, True)
    assert write_text(str(file), found.text, bom=found.bom) == stamp_of(str(file)) != found.stamp
    assert file.read_bytes() == raw


def test_permissions_stay_and_links_are_followed(tmp_path: Path) -> None:
    file, link = tmp_path / "a.sh", tmp_path / "link"
    file.write_text("x")
    file.chmod(0o750)
    link.symlink_to(file)
    write_text(str(link), "y")
    assert link.is_symlink() and file.read_text() == "y" and file.stat().st_mode & 0o777 == 0o750
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_a_read_only_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("x")
    file.chmod(0o444)
    assert not read_file(str(file)).writable


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"abc\0def", "no text: it holds zero bytes"),
        (b"abc\n\xff\xfe", "no UTF-8 text: see line 2"),
        (b"x" * (MAX_BYTES + 1), "larger than 8M"),
        (None, "does not exist"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "a"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FileError, match=said):
        read_file(str(file))


def test_folders_and_pipes_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder"):
        read_file(str(tmp_path))
    with pytest.raises(FileError, match="is a folder"):
        write_text(str(tmp_path), "x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is no file"):
        read_file(str(tmp_path / "pipe"))
    with pytest.raises(FileError, match="is no file"):
        write_text(str(tmp_path / "pipe"), "x")
    with pytest.raises(FileError, match="cannot be written"):
        write_text(str(tmp_path / "no" / "a"), "x")
    with pytest.raises(FileError, match="cannot be read"):
        read_file("a\0b")
