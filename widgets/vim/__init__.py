"""Vim's keys as a pure state machine: keys in, effects out. Nothing here knows Textual."""

from .effects import Act, Edit, Effect, Group, Look, Mode, Move, Replay, Say, Select, Text, Undo
from .machine import Vim

__all__ = [
    "Act",
    "Edit",
    "Effect",
    "Group",
    "Look",
    "Mode",
    "Move",
    "Replay",
    "Say",
    "Select",
    "Text",
    "Undo",
    "Vim",
]
