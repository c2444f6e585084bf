"""The work folder of a session, for those who bring and fetch files."""

from __future__ import annotations

from pathlib import Path

from ..ports import Keypair
from .finder import Finder
from .inside import Inside
from .workquota import WorkQuota


class Uploads:
    """Finds work folders and the room in them. A base of the service."""

    _finder: Finder
    _inside: Inside
    _work_quota: WorkQuota

    async def work_dir(self, caller: Keypair, ref: str) -> Path:
        """Returns the folder that uploads go to and `files` lists."""
        return self._inside.work_dir(self._finder.live(caller, ref))

    async def upload_room_bytes(self, caller: Keypair, ref: str) -> int | None:
        """Returns how much more the work folder may take; None = whatever fits on the disk."""
        return await self._work_quota.room_bytes(self._finder.live(caller, ref).session)
