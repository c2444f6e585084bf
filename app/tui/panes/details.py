"""The details of the selected session with their keys."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from ....widgets.details import Details
from ..actions import bindings


class DetailsPane(Details, inherit_bindings=False):
    """The details with their keys; `Instruments` says what they show."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("details")]
    pane_name: ClassVar[str] = "details"

    def focus_target(self) -> Widget:
        return self
