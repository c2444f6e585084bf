"""What the catalogue knows, put together from what its sources have."""

from __future__ import annotations

from bai_tui.app.backend.images.aliases import shipped_aliases
from bai_tui.app.backend.images.shelf import Shelf
from bai_tui.app.policies import ImageSettings
from bai_tui.tests.images.sources import image, named


def test_a_look_that_finds_what_was_there_changes_nothing() -> None:
    shelf = Shelf(1, shipped_aliases(), ImageSettings())
    first, second = named(image("python:3.11-debian12")), named(image("python:3.12-debian12"))
    shelf.put(0, [first, second], shelf.changes)
    known = shelf.find("python")
    shelf.put(0, [first, second], shelf.changes)
    assert shelf.find("python") is known  # what was found out about names is still good
    shelf.put(0, [first], shelf.changes)
    assert shelf.find("python").image.canonical == "python:3.11-debian12"
