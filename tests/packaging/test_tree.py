"""What holds for every tracked file."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

MACHINE = re.compile(
    rb"(?<![\w.])/(?:work|root|home/(?!work\b)\w+|Users/\w+|opt/(?:pypi|wheels)[\w-]*)/[\w.]|"
    rb"(?:index|extra-index|find-links)[-_]?url\s*=|https?://[\w.-]+/(?:simple|packages)/"
)
"""Paths of somebody's machine, package registries. `/home/work` is the wire's name of a session's work folder."""

OPTIONAL = {"IPython", "matplotlib", "traitlets"}
BRIDGE = {name: {"zmq"} for name in ("bridge.py", "jupyter_peer.py", "jupyter_wire.py")}
"""Modules of the runner that are loaded in the interpreter of this program only, and what they need there."""
"""What the runner uses where an image has it."""


def test_no_file_names_a_machine_or_a_registry(checkout: Path, tracked: list[str]) -> None:
    found = []
    for name in tracked:
        if name == "tests/packaging/test_tree.py":
            continue
        for number, line in enumerate((checkout / name).read_bytes().splitlines(), start=1):
            if MACHINE.search(line):
                found.append(f"{name}:{number}: {line[:100]!r}")
    assert not found, "\n".join(found)


def test_no_product_of_a_tool_is_tracked(tracked: list[str]) -> None:
    bad = re.compile(
        r"(^|/)(__pycache__|\.venv|build|dist|\.cache|\.coverage|\.hypothesis)(/|$)|\.(pyc|so|whl|egg-info)$"
    )
    assert [name for name in tracked if bad.search(name)] == []


def test_every_module_says_why_it_exists(checkout: Path, tracked: list[str]) -> None:
    silent = []
    for name in tracked:
        if not name.endswith(".py") or name.startswith("tests/"):  # tests say it by their names
            continue
        text = (checkout / name).read_text()
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            silent.append(name)
    assert not silent, f"modules without a docstring: {silent}"


def test_public_names_say_what_they_are(checkout: Path, shipped: list[str]) -> None:
    """A floor under the share of public classes and functions of modules that have a docstring."""
    public = documented = 0
    for name in shipped:
        if not name.endswith(".py"):
            continue
        for node in ast.parse((checkout / name).read_text()).body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not node.name.startswith("_"):
                public += 1
                documented += bool(ast.get_docstring(node))
    assert public > 50
    assert documented / public > 0.75, f"only {documented} of {public} public classes and functions have a docstring"


def test_runner_is_python_3_6_and_standard_library_only(checkout: Path, shipped: list[str]) -> None:
    """It runs inside the interpreter of any image. What an image may lack is asked for in a try."""
    modules = [name for name in shipped if name.startswith("app/backend/runner/") and name.endswith(".py")]
    assert len(modules) > 1, "the runner has no modules"
    # `_bai_runner` is the name under which the folder is loaded there; shell_ipython is itself loaded in a try.
    own = {Path(name).stem for name in modules} | {"_bai_runner"}
    for name in modules:
        tree = ast.parse((checkout / name).read_text(), filename=name, feature_version=(3, 6))
        optional = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{name}:{node.lineno}: leaves the room of the runner"
                if node.module == "__future__":
                    names = {alias.name for alias in node.names}
                    assert "annotations" not in names, f"{name}:{node.lineno}: Python 3.6 has no such future"
                roots = {node.module.split(".")[0]} if node.module and not node.level else set()
            else:
                continue
            lent = id(node) in optional or name.endswith("/shell_ipython.py")
            foreign = roots - own - set(sys.stdlib_module_names) - (OPTIONAL if lent else set())
            foreign -= BRIDGE.get(Path(name).name, set())
            assert not foreign, f"{name}:{node.lineno}: {foreign} is not of the standard library"
