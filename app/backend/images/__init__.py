"""Images: what can run code here, how it is named, which reference leads to it."""

from .catalogue import Catalogue
from .python_source import PythonSource

__all__ = ["Catalogue", "PythonSource"]
