"""What is imported is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

MODULE_OF = {
    "graphql-core": "graphql",
    "nvidia-ml-py": "pynvml",
    "pyzmq": "zmq",
    "textual-image": "textual_image",
    "textual-serve": "textual_serve",
}
"""Distributions whose module has another name."""
LENT = {"ipython"}
"""Lent to sessions by its folder, and used by the runner inside them."""
BROUGHT_ALONG = {"rich", "markdown_it", "pil", "yarl", "multidict", "traitlets", "matplotlib", "_typeshed"}
"""Rich and markdown-it belong to Textual's interface, PIL to that of textual-image, yarl and multidict to aiohttp's,
what the typeshed has to type checkers; the others belong to images."""


def test_dependencies_are_those_that_are_imported(checkout: Path, shipped: list[str], project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"].values()
    texts = [*project["project"]["dependencies"], *(text for extra in extras for text in extra)]
    names = {re.split(r"[<>=~! \[;]", text, maxsplit=1)[0].lower() for text in texts}
    declared = {MODULE_OF.get(name, name) for name in names}
    imported: set[str] = set()
    for name in shipped:
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse((checkout / name).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0].lower() for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0].lower())
    foreign = imported - {name.lower() for name in sys.stdlib_module_names} - {"_bai_runner"}
    assert foreign - BROUGHT_ALONG - declared == set(), "imported, but not in pyproject.toml"
    assert declared - foreign - LENT == set(), "in pyproject.toml, but not imported"
