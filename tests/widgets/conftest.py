"""What holds for every test of a widget."""

from bai_tui.tests.sheets import parsed_once

__all__ = ["parsed_once"]
