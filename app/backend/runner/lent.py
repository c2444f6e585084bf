"""Lends modules of bai-tui's own environment to an image that has no IPython.

The finder stands last: whatever the image has itself wins. Only what IPython needs is lent, nothing else of the
environment can be imported through it.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any, Dict, Optional


class LentFinder:
    """Finds top-level modules by a list of names."""

    def __init__(self, folders: Dict[str, str]) -> None:
        """Takes top-level name -> folder that holds it."""
        self._folders = folders

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        folder = self._folders.get(name)
        return PathFinder.find_spec(name, [folder]) if folder is not None else None

    def invalidate_caches(self) -> None:
        pass


def lend(folders: Dict[str, str]) -> None:
    """Makes the modules of `folders` importable in this process."""
    sys.meta_path.append(LentFinder(folders))


def take_back() -> None:
    """Undoes `lend`, also what has been imported through it."""
    for finder in [finder for finder in sys.meta_path if isinstance(finder, LentFinder)]:
        sys.meta_path.remove(finder)
        for name in list(sys.modules):
            if name.partition(".")[0] in finder._folders:
                del sys.modules[name]
