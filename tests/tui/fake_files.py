"""What a client tells of one session that no list does: its files, what was asked for with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bai_tui.app.client.views import AboutView, FileView

if TYPE_CHECKING:
    from bai_tui.tests.tui.fakes import FakeServer

CHANGED_S = 1_794_900_000.0


class FakeFiles:
    """What a client does with files."""

    _server: FakeServer

    def _files(self, ref: str) -> dict[str, bytes]:
        self._server.check()
        return self._server.find(ref).files

    async def list_files(self, ref: str, path: str = ".") -> list[FileView]:
        inside = "" if path == "." else f"{path}/"
        found: dict[str, FileView] = {}
        for name, content in self._files(ref).items():
            if name.startswith(inside):
                first, slash, _ = name.removeprefix(inside).partition("/")
                mode = "drwxr-xr-x" if slash else "-rw-r--r--"
                found[first] = FileView(first, 0 if slash else len(content), CHANGED_S, mode)
        return list(found.values())

    async def upload(self, ref: str, files: Mapping[str, Path]) -> None:
        self._files(ref).update({name: path.read_bytes() for name, path in files.items()})

    async def download(self, ref: str, path: str, folder: Path) -> Path:
        target = folder / path.rpartition("/")[2]
        target.write_bytes(self._files(ref)[path])
        return target

    async def delete_files(self, ref: str, paths: Sequence[str]) -> None:
        for path in paths:
            del self._files(ref)[path]

    async def about(self, ref: str) -> AboutView:
        self._server.check()
        return self._server.find(ref).about
