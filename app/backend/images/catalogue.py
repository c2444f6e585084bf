"""The catalogue of Python interpreters behind the `ImageCatalogue` joint."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...model.images import Image
from ..ports import Resolution


class PythonCatalogue:
    """The Python interpreters of this machine as images."""

    def __init__(
        self, cache_dir: Path, user_aliases: Path | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        """Looks at nothing yet.

        Args:
            cache_dir: where probe results are kept; made when needed.
            user_aliases: the user's `aliases.toml`; it need not exist.
            environ: PATH, HOME, PYENV_ROOT, XDG_DATA_HOME, ... are read from here.
        """
        raise NotImplementedError

    def list(self) -> Sequence[Image]:
        """Returns what is known now, newest runtime first."""
        raise NotImplementedError

    def aliases(self) -> Mapping[str, str]:
        """Returns alias -> canonical reference, as the shipped and the user's table have it."""
        raise NotImplementedError

    async def refresh(self) -> None:
        """Looks over the machine. One look runs at a time: a second caller waits for the first. Safe to cancel."""
        raise NotImplementedError

    async def resolve(self, reference: str) -> Resolution:
        """Returns the image for `reference`; waits for the first look over the machine when there was none yet.

        Raises:
            ImageNotFound: nothing fits, or the interpreter is gone; the message names the nearest.
            BadRequest: no reference.
        """
        raise NotImplementedError
