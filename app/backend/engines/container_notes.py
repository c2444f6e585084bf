"""What is known of a session's container: in the session's folder from before there is one, and in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..runner.files import private
from .leftovers import read_json

NOTE: Final = "container.json"
"""In the session's folder; tells as well that the session is one in a container."""
_KEY: Final = "container"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerNote:
    """Which container, and how it is fenced in."""

    name: str
    network: str = "host"
    gpus: int = 0
    """How many GPUs the engine gave it."""
    hides_gpus: bool = False
    """There are GPUs on the machine that it was not given."""
    isolation: str = ""
    """What was asked for, and is not used."""

    def stored(self) -> dict[str, Any]:
        """Returns it as JSON."""
        return {
            _KEY: {
                "name": self.name,
                "network": self.network,
                "gpus": self.gpus,
                "hides_gpus": self.hides_gpus,
                "isolation": self.isolation,
            }
        }

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> ContainerNote | None:
        """Reads what `stored` returned, alone or among other things; None where there is nothing of it."""
        found = stored.get(_KEY)
        if not isinstance(found, dict) or not found.get("name"):
            return None
        return cls(
            name=str(found["name"]),
            network=str(found.get("network", "host")),
            gpus=int(found.get("gpus", 0)),
            hides_gpus=bool(found.get("hides_gpus")),
            isolation=str(found.get("isolation", "")),
        )


def known_of(session_dir: Path, runner: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns `runner`, or what is noted in the folder where the backend was killed before it could store that.

    Empty for a session that is in no container. Reads a small file.
    """
    if ContainerNote.restored(runner) is not None:
        return runner
    noted = read_json(session_dir / NOTE) or {}
    return noted if ContainerNote.restored(noted) is not None else {}


def write(session_dir: Path, known: Mapping[str, Any]) -> None:
    """Notes what `known_of` is to return.

    Raises:
        OSError: it cannot be written.
    """
    path = session_dir / NOTE
    fresh = path.with_suffix(".new")
    with open(fresh, "w", opener=private) as file:
        json.dump(dict(known), file)
    fresh.replace(path)
