"""Images: what can run code here, how it is named, which reference leads to it."""

from .catalogue import PythonCatalogue

__all__ = ["PythonCatalogue"]
