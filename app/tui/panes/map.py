"""The map of the machine with its keys."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from ....widgets.gpu_map import GpuMap
from ..actions import bindings


class MapPane(GpuMap, inherit_bindings=False):
    """The map of the machine with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("map")]
    pane_name: ClassVar[str] = "map"

    def focus_target(self) -> Widget:
        return self

    def show_session(self, session_id: str | None) -> None:
        self.select(session_id)
