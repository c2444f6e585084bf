"""What can be done, a module for each pane; `table` puts them together."""

from .action import Action
from .table import ACTIONS, PANES, bindings, of

__all__ = ["ACTIONS", "PANES", "Action", "bindings", "of"]
