"""Images: what can run code here, how it is named, which reference leads to it."""

from .catalogue import Catalogue
from .containers import ContainerSource
from .kernelspecs import KernelspecSource
from .python_source import PythonSource
from .recipes import RecipeSource

__all__ = ["Catalogue", "ContainerSource", "KernelspecSource", "PythonSource", "RecipeSource"]
