"""What Jupyter kernels say of code, in our words: completions and inspection."""

import re
from itertools import zip_longest
from typing import Any, Dict, List

from . import looking

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_MOST = 1000
_TEXT_CHARS = 100000
_DOC_CHARS = 20000
_FIELD = re.compile(
    r"^(Signature|Init signature|Call signature|Type|String form|Length|File|Docstring|Init docstring|Class docstring"
    r"|Call docstring|Source|Subclasses|Namespace|Base Class):[ ]*",
    re.MULTILINE,
)
"""How IPython heads what it knows of an object."""
_UNSAID = ("<unknown>", "statement")


def completions(content: Dict[str, Any], code: str, cursor: int) -> Dict[str, Any]:
    """Returns `matches`, their `types` and the `start` of what they replace."""
    matches = [str(match) for match in _list(content.get("matches"))[:_MOST]]
    start, end = content.get("cursor_start"), content.get("cursor_end")
    start = min(start, cursor) if type(start) is int and start >= 0 else cursor
    if type(end) is int and end > cursor:
        # here only what is before the cursor is replaced: what is behind it would be there twice
        tail = code[cursor:end]
        matches = [match[: -len(tail)] if tail and match.endswith(tail) else match for match in matches]
    metadata = content.get("metadata")
    entries = _list(metadata.get("_jupyter_types_experimental")) if isinstance(metadata, dict) else []
    said = {str(entry.get("text")): str(entry.get("type") or "") for entry in entries if isinstance(entry, dict)}
    types = [said.get(match, "") for match in matches]
    return {"matches": matches, "types": ["" if kind in _UNSAID else kind for kind in types], "start": start}


def inspection(content: Dict[str, Any], code: str, cursor: int, detail: int) -> Dict[str, Any]:
    """Returns what `looking.look` would of Python: of other languages all that was said is the documentation."""
    data = content.get("data")
    text = data.get("text/plain") if isinstance(data, dict) else None
    if not content.get("found") or not isinstance(text, str):
        return {"found": False}
    text = _ANSI.sub("", text).strip()
    fields = _fields(text)
    signature = next((fields[name] for name in ("Signature", "Init signature", "Call signature") if name in fields), "")
    docs = [fields[name] for name in ("Docstring", "Class docstring", "Init docstring") if name in fields]
    return {
        "found": True,
        "name": looking.name_at(code, cursor),
        "type": fields.get("Type", ""),
        "signature": signature[signature.find("(") :] if "(" in signature else "",
        "doc": ("\n".join(docs) if fields else text)[:_DOC_CHARS],
        "text": (fields.get("Source", "") if detail else fields.get("String form", ""))[:_TEXT_CHARS],
    }


def _fields(text: str) -> Dict[str, str]:
    found = list(_FIELD.finditer(text))
    if not found or found[0].start() != 0:
        return {}
    fields: Dict[str, str] = {}
    for match, following in zip_longest(found, found[1:]):
        end = following.start() if following is not None else len(text)
        fields.setdefault(match.group(1), text[match.end() : end].strip())
    return fields


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []
