"""`docs/keys.md`, written from the action table: `python -m bai_tui.app.tui.actions.papers` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..about import ABOUT
from .action import Action
from .keys import Keys
from .table import ACTIONS, PANES, of

PAPER: Final = Path(__file__).parents[3] / "docs" / "keys.md"
_HEAD: Final = """\
# Keys

Every action of the workspace, pane by pane, written from the program's own table by `./dev keys`. `^r` is ctrl+r.
Inside the program `?` and `f1` show the same for the pane that you are in, searchable, with the keys that you gave;
`^p` finds an action by name and does it.

The first column is what `[keys]` in `config.toml` calls an action ([configuration](configuration.md)); it takes the
place of all its keys, and `""` leaves it none:

    [keys]
    list-kill = "K,delete"
    zoom = "f9,alt+z"

`bai-tui config validate` names unknown actions, keys that two actions would have, and keys that terminals do not send.
"""
_PLACES: Final = {"everywhere": "These work whatever has the focus, unless a terminal takes every key."}


def document() -> str:
    """Returns the paper."""
    keys = Keys({}, ACTIONS)
    parts = [_HEAD]
    for target in PANES:
        parts.append(f"\n## {target.capitalize()}\n\n{_PLACES.get(target) or ABOUT[target]}\n")
        parts.append("\n| Action | Keys | What it does |\n| --- | --- | --- |\n")
        parts += [_row(action, keys) for action in of(target)]
    return "".join(parts)


def _row(action: Action, keys: Keys) -> str:
    labels = " ".join(f"``{label}``" if "`" in label else f"`{label}`" for label in keys.labels(action))
    return f"| `{action.id}` | {_cell(labels)} | {_cell(action.tooltip)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAPER.write_text(document(), encoding="utf-8")
