"""What holds for every test of a widget."""

from bai_tui.tests.screens import parsed_once, short_waits

__all__ = ["parsed_once", "short_waits"]
