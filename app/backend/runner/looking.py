"""What the names in a piece of code stand for: kinds of completions, and signature and documentation of one.

Objects of user code are looked at without running any of it where that can be avoided: attributes are found
statically, and only values of the standard types are shown.
"""

import builtins
import inspect
import keyword
import linecache
import re
import reprlib
import sys
import types
from typing import Any, Dict, List

_DOC_CHARS = 20000
_TEXT_CHARS = 100000
_SIGNATURE_CHARS = 2000
_REACH_CHARS = 4000
"""How far back the call is looked for that the cursor is in."""
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*", re.UNICODE)
_BEFORE = re.compile(r"[\w.]*$", re.UNICODE)
_AFTER = re.compile(r"\w*", re.UNICODE)
NOTHING = object()
"""Stands for what is not there, or cannot be told without running code."""
_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    type(str.join),
    type(object.__init__),
    type("".__str__),
    type(dict.__dict__["fromkeys"]),
)
_WRAPPERS = (staticmethod, classmethod)
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxdict = 12
_PLAIN = (int, float, complex, bool, str, bytes, bytearray, type(None), list, tuple, dict, set, frozenset, range)
_WITH_SHAPE = frozenset(("numpy", "torch", "pandas", "polars", "tensorflow", "jax", "jaxlib", "cupy"))
"""Libraries whose values say with `shape` and `dtype` what one wants to know, and tell that without work."""


def kinds(matches: List[str], namespace: Dict[str, Any]) -> List[str]:
    """Returns what each completion is: function, class, module, keyword, property, param, magic, path, instance or "".

    The words are those that Jupyter's kernels use.
    """
    holders: Dict[str, Any] = {}
    return [_kind_of_match(match, namespace, holders) for match in matches]


def _kind_of_match(match: str, namespace: Dict[str, Any], holders: Dict[str, Any]) -> str:
    if match.startswith("%"):
        return "magic"
    if match.endswith("="):
        return "param"
    if not _NAME.fullmatch(match):
        return "path" if "/" in match else ""
    holder, dot, name = match.rpartition(".")
    if not dot:
        found = _first(name, namespace)
        if found is NOTHING:
            return "keyword" if keyword.iskeyword(name) else "module" if name in sys.modules else ""
        return kind_of(found)
    if holder not in holders:
        holders[holder] = resolve(holder, namespace)
    if holders[holder] is NOTHING:
        return ""
    found = _attribute(holders[holder], name)
    return "" if found is NOTHING else kind_of(found)


def kind_of(value: Any) -> str:
    """Returns what sort of thing a value is, in the words of `kinds`."""
    if isinstance(value, type):
        return "class"
    if isinstance(value, types.ModuleType):
        return "module"
    if isinstance(value, _FUNCTIONS) or isinstance(value, _WRAPPERS):
        return "function"
    if isinstance(value, property):
        return "property"
    # such as a ufunc of numpy, or what functools.lru_cache makes: a signature or a name of its own, and callable
    if callable(value) and inspect.getattr_static(value, "__name__", None) is not None:
        return "function"
    return "instance"


def _first(name: str, namespace: Dict[str, Any]) -> Any:
    if name in namespace:
        return namespace[name]
    return builtins.__dict__.get(name, NOTHING)


def _attribute(holder: Any, name: str) -> Any:
    """Returns an attribute, or what stands for it where getting it would run code: a property as itself."""
    try:
        found = inspect.getattr_static(holder, name)
    except AttributeError:
        if isinstance(holder, types.ModuleType):
            # a module may make its attributes when they are first asked for
            return getattr(holder, name, NOTHING)
        return NOTHING
    except Exception:  # a class with a __dict__ of its own invention
        return NOTHING
    if isinstance(found, property):
        return found
    if isinstance(found, _FUNCTIONS) or isinstance(found, _WRAPPERS):
        # bound, so that the signature is the one that a call has
        return getattr(holder, name, found)
    if isinstance(found, (types.MemberDescriptorType, types.GetSetDescriptorType)):
        return getattr(holder, name, NOTHING)
    return found


def resolve(dotted: str, namespace: Dict[str, Any]) -> Any:
    """Returns what a dotted name stands for; `NOTHING` when it stands for none or only code could tell."""
    first, *rest = dotted.split(".")
    value = _first(first, namespace)
    for name in rest:
        if value is NOTHING or isinstance(value, property):
            return NOTHING
        value = _attribute(value, name)
    return value


def name_at(code: str, cursor: int) -> str:
    """Returns the dotted name that the cursor touches, else that of the call in whose brackets it is, else ""."""
    before = _BEFORE.search(code[max(0, cursor - 500) : cursor])
    after = _AFTER.match(code, cursor)
    word = (before.group() if before else "") + (after.group() if after else "")
    if _NAME.fullmatch(word) and not keyword.iskeyword(word):
        return word
    return call_around(code, cursor)


def call_around(code: str, cursor: int) -> str:
    """Returns the dotted name of the innermost call whose brackets are open at the cursor, else ""."""
    depth = 0
    at = cursor - 1
    least = max(0, cursor - _REACH_CHARS)
    while at >= least:
        char = code[at]
        if char in "\"'":
            # back over the text; a quote within it that is escaped ends nothing
            at -= 1
            while at >= least and (code[at] != char or (at and code[at - 1] == "\\")):
                at -= 1
        elif char in ")]}":
            depth += 1
        elif char in "([{":
            if depth:
                depth -= 1
            elif char == "(":
                before = _BEFORE.search(code[max(0, at - 500) : at])
                word = before.group() if before else ""
                if word and not keyword.iskeyword(word):
                    return word
        at -= 1
    return ""


def look(code: str, cursor: int, detail: int, namespace: Dict[str, Any]) -> Dict[str, Any]:
    """Returns `found`, and of what is at the cursor `name`, `type`, `signature`, `doc` and `text`.

    `text` is a value in short, or with `detail` the source.
    """
    name = name_at(code, cursor)
    value = resolve(name, namespace) if name else NOTHING
    if value is NOTHING and "." not in name and name in sys.modules and not keyword.iskeyword(name):
        value = sys.modules[name]
    if value is NOTHING:
        value = _imported(name, code)
    if value is NOTHING:
        return nothing(name)
    return describe(name, value, detail)


def _imported(name: str, code: str) -> Any:
    """Returns what an `import` of the code itself would bind, where that module is loaded already."""
    if not name:
        return NOTHING
    first, _, rest = name.partition(".")
    pattern = r"^\s*import\s+(?:[\w., ]+,\s*)?([\w.]+)\s+as\s+%s\b|^\s*from\s+([\w.]+)\s+import\b.*\b%s\b" % (
        (re.escape(first),) * 2
    )
    match = re.search(pattern, code, re.MULTILINE)
    if match is None:
        return NOTHING
    module = sys.modules.get(match.group(1) or match.group(2))
    if module is None:
        return NOTHING
    value: Any = module if match.group(1) else _attribute(module, first)
    for part in rest.split(".") if rest else ():
        value = NOTHING if value is NOTHING or isinstance(value, property) else _attribute(value, part)
    return value


def nothing(name: str = "") -> Dict[str, Any]:
    """Returns the answer for what is not known."""
    return {"found": False, "name": name, "type": "", "signature": "", "doc": "", "text": ""}


def describe(name: str, value: Any, detail: int) -> Dict[str, Any]:
    """Returns what is to be said of a value."""
    kind = kind_of(value)
    return {
        "found": True,
        "name": name,
        "type": kind if kind != "instance" else _type_name(type(value)),
        "signature": signature_of(value) if kind in ("function", "class") else "",
        "doc": _doc_of(value, kind),
        "text": source_of(value) if detail else _value_of(value) if kind == "instance" else "",
    }


def _type_name(kind: type) -> str:
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else "%s.%s" % (module, kind.__qualname__)


def signature_of(value: Any) -> str:
    """Returns `(a, b=1)`; "" where the object does not tell."""
    try:
        return str(inspect.signature(value))[:_SIGNATURE_CHARS]
    except (ValueError, TypeError):
        # of functions in C the first line of the documentation often is the signature
        first = (_doc_of(value, "").splitlines() or [""])[0]
        match = re.match(r"[\w.]+(\(.*\)(?:\s*->.*)?)$", first.strip())
        return match.group(1)[:_SIGNATURE_CHARS] if match else ""


def _doc_of(value: Any, kind: str) -> str:
    if kind == "instance" and isinstance(value, _PLAIN):
        return ""  # what an integer is, everybody knows
    doc = inspect.getdoc(value)
    return doc[:_DOC_CHARS] if isinstance(doc, str) else ""


def _value_of(value: Any) -> str:
    kind = type(value)
    if kind in _PLAIN:
        said = _SHORT.repr(value)
        return (
            said
            if not isinstance(value, (list, tuple, dict, set, frozenset, str))
            else "%s  (%d)"
            % (
                said,
                len(value),
            )
        )
    if kind.__module__.partition(".")[0] in _WITH_SHAPE:
        parts = [str(getattr(value, name)) for name in ("shape", "dtype") if hasattr(value, name)]
        return " ".join(parts)[:_SIGNATURE_CHARS]
    return ""


def source_of(value: Any) -> str:
    """Returns the source of a function, a class or a module; "" where there is none to be read."""
    try:
        return inspect.getsource(value)[:_TEXT_CHARS]
    except (OSError, TypeError):
        pass
    # what inspect does not find: modules frozen into the interpreter, and classes of cells
    try:
        code = getattr(inspect.unwrap(value), "__code__", None)
        if isinstance(value, type):
            methods = [one.__code__ for one in vars(value).values() if isinstance(one, types.FunctionType)]
            code = min(methods, key=lambda one: one.co_firstlineno) if methods else None
        if not isinstance(code, types.CodeType):
            return ""
        lines = linecache.getlines(_file_of(code.co_filename, value))
        at = code.co_firstlineno - 1
        while isinstance(value, type) and at > 0 and not re.match(r"\s*class\s+%s\b" % value.__name__, lines[at]):
            at -= 1
        return "".join(inspect.getblock(lines[at:]))[:_TEXT_CHARS]
    except Exception:  # the file is another one by now, or does not hold what it did
        return ""


def _file_of(name: str, value: Any) -> str:
    if name.startswith("<frozen"):
        return str(getattr(sys.modules.get(value.__module__), "__file__", name))
    return name
