"""Completion for interpreters without IPython: names, attributes, parameters, and what can be imported."""

import builtins
import importlib.util
import inspect
import keyword
import pkgutil
import re
import sys
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from .looking import NOTHING, call_around, resolve

MOST = 1000
"""Completions of one answer at most."""
_WORD = re.compile(r"[\w.]*$", re.UNICODE)
_MODULE_LINE = re.compile(r"^\s*(?:import|from)\s+([\w.]*)$|^\s*import\s+.*,\s*([\w.]*)$")
_FROM_LINE = re.compile(r"^\s*from\s+([\w.]+)\s+import\s+\(?(?:.*,)?\s*(\w*)$")


def complete(code: str, cursor: int, namespace: Dict[str, Any]) -> Tuple[List[str], int]:
    """Returns what could stand in place of the text between the number, an index into `code`, and `cursor`."""
    before = code[:cursor]
    line = before[before.rfind("\n") + 1 :]
    asked = _import_of(line)
    if asked is not None:
        package, beginning, whole = asked
        prefix = package + "." if package and not whole else ""
        found = [prefix + name for name in importable(package, beginning, whole)]
        return found[:MOST], cursor - len(prefix + beginning)
    # it may be empty, but always matches
    word = _WORD.search(before).group()  # type: ignore[union-attr]
    holder, dot, beginning = word.rpartition(".")
    if dot:
        found = [holder + "." + name for name in _matching(_attributes(holder, namespace), beginning)]
    elif beginning:
        names = {*namespace, *builtins.__dict__, *keyword.kwlist}
        found = _parameters(code, cursor, beginning, namespace) + _matching(names, beginning)
    else:
        found = _parameters(code, cursor, "", namespace)
    return found[:MOST], cursor - len(word)


def _matching(names: Iterable[Any], beginning: str) -> List[str]:
    """Returns the names with that beginning; private ones only where that is what one has begun to type."""
    hidden = "" if beginning.startswith("_") else "_"
    fits = [name for name in names if isinstance(name, str) and name.startswith(beginning)]
    return sorted(name for name in fits if not (hidden and name.startswith(hidden)))


def _attributes(holder: str, namespace: Dict[str, Any]) -> List[str]:
    value = resolve(holder, namespace)
    try:
        if value is NOTHING or isinstance(value, property):
            # as the interpreter's own completion does: what is behind a property is only known by getting it
            value = eval(holder, namespace)
        return dir(value)
    except Exception:  # what a user's object raises, or no name at all
        return []


def _parameters(code: str, cursor: int, beginning: str, namespace: Dict[str, Any]) -> List[str]:
    """Returns `name=` for the parameters of the call that the cursor is in."""
    name = call_around(code, cursor)
    value = resolve(name, namespace) if name else NOTHING
    if value is NOTHING or not callable(value):
        return []
    try:
        parameters = inspect.signature(value).parameters.values()
    except (ValueError, TypeError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [one.name + "=" for one in parameters if one.kind in kinds and one.name.startswith(beginning)]


def _import_of(line: str) -> Optional[Tuple[str, str, bool]]:
    """Returns (package, beginning of the name, whether any of its names will do) where a line imports something."""
    match = _FROM_LINE.match(line)
    if match is not None:
        return match.group(1), match.group(2), True
    match = _MODULE_LINE.match(line)
    if match is not None:
        package, _, name = (match.group(1) or match.group(2) or "").rpartition(".")
        return package, name, False
    return None


def importable(package: str, beginning: str, whole: bool) -> List[str]:
    """Returns the modules of a package, or of "" the top-level ones; with `whole` what else a loaded one has, too."""
    found: Set[Any] = set()
    path: Any = None
    if not package:
        found.update(sys.builtin_module_names)
    elif package in sys.modules:
        path = list(getattr(sys.modules[package], "__path__", ()))
        if whole:
            found.update(dir(sys.modules[package]))
    else:
        path = _folders(package)
    if path is None or path:
        found.update(module.name for module in pkgutil.iter_modules(path))
    return _matching(found, beginning)


def _folders(package: str) -> List[str]:
    """Returns where a package that is not loaded has its modules; loading one is the user's decision."""
    if "." in package:
        return []
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    return list(spec.submodule_search_locations or ()) if spec is not None else []
