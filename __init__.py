"""bai-tui: a terminal workspace for compute sessions."""

__version__ = "0.1.0"
