"""What a client does with the inside of one session: its work folder, and what was asked for with it.

Apart from `ApiClient`, of which it is a part, since most programs never need it: what it leans on is loaded at its
first use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .transport import Transport
from .views import AboutView, FileView


class Insides:
    """The part of a client that looks into sessions."""

    transport: Transport

    async def about(self, ref: str) -> AboutView:
        """Returns what was asked for with a live session beside its slots: environment, options, storage folders.

        Raises:
            SessionNotFound: there is none, or it has ended.
        """
        from . import about

        return await about.about(self.transport, ref)

    async def list_files(self, ref: str, path: str = ".") -> Sequence[FileView]:
        """Returns what lies in a folder of the session's work folder, by name.

        Raises:
            BadRequest: there is no such folder.
        """
        from . import files

        return await files.list_files(self.transport, ref, path)

    async def download(self, ref: str, path: str, folder: Path) -> Path:
        """Copies a file, or a folder with all that is in it, into a folder here; returns where it lies now.

        What is there already under that name is overwritten. Cancelled, it may leave a part of a folder.

        Raises:
            NotFound: there is no such file in the session.
        """
        from . import files

        return await files.download(self.transport, ref, path, folder)

    async def delete_files(self, ref: str, paths: Sequence[str]) -> None:
        """Removes files, and folders with all that is in them (capability `delete-files` only).

        Raises:
            NotFound: one is not there; those before it are gone.
        """
        from . import files

        await files.delete(self.transport, ref, paths)

    async def upload(self, ref: str, files: Mapping[str, Path]) -> None:
        """Uploads files; keys are paths relative to the work folder.

        Raises:
            BadRequest: a file cannot be read.
        """
        from . import upload

        await upload.upload(self.transport, ref, files)
