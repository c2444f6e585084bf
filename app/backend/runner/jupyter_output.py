"""What Jupyter kernels show, as our console has it."""

from typing import Any, Dict, Tuple

from . import display
from .outbox import Outbox

_ERASE_LINE = "\033[2K\r"


def _bundle(data: Any) -> Dict[str, Any]:
    """Returns a MIME bundle with texts for values; those that are JSON may be anything."""
    if not isinstance(data, dict):
        return {}
    found = {}
    for mime, value in data.items():
        if isinstance(value, list) and mime != "application/json":  # lines, as in notebooks
            value = "".join(str(line) for line in value)
        if isinstance(value, str) or mime == "application/json":
            found[str(mime)] = value
    return found


class JupyterOutput:
    """Turns messages of iopub into text and records."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._clear = False
        """The line is to be erased when something comes to take its place."""

    def show(self, kind: str, content: Dict[str, Any]) -> None:
        """Shows what a message holds, if that is to be shown."""
        if kind == "stream":
            self.text("stderr" if content.get("name") == "stderr" else "stdout", content.get("text"))
        elif kind in ("display_data", "execute_result", "update_display_data"):
            self.bundle(content.get("data"))
        elif kind == "clear_output":
            self._clear = True
            if not content.get("wait"):
                self.text("stdout", "")
        elif kind == "error":
            self.text("stderr", error_text(content))

    def text(self, kind: str, text: Any) -> None:
        """Shows text, if it is any."""
        if isinstance(text, str):
            if self._clear:
                self._clear = False
                self._outbox.text("stdout", _ERASE_LINE)
            self._outbox.text(kind, text)

    def bundle(self, data: Any) -> None:
        """Shows the best of a MIME bundle."""
        text, records = display.records_of(_bundle(data))
        if text is not None:
            self.text("stdout", text if text.endswith("\n") else text + "\n")
        for record in records:
            self._outbox.frame({"record": record})

    def payloads(self, reply: Dict[str, Any]) -> None:
        """Shows the pages that a cell has turned to, such as help."""
        for payload in reply.get("payload") or ():
            if isinstance(payload, dict) and payload.get("source") == "page":
                data = _bundle(payload.get("data"))
                # a page is for reading: its text says more to a console than what a browser would make of it
                self.bundle({"text/plain": data["text/plain"]} if data.get("text/plain") else data)


def error_text(content: Dict[str, Any]) -> str:
    """Returns the traceback of an error, or its name where there is none."""
    lines = content.get("traceback")
    if isinstance(lines, list) and any(lines):
        text = "\n".join(str(line) for line in lines)
    else:
        text = ": ".join(str(content[name]) for name in ("ename", "evalue") if content.get(name)) or "the cell failed"
    return text if text.endswith("\n") else text + "\n"


def exit_of(content: Dict[str, Any]) -> Tuple[int, bool]:
    """Returns the exit code that an error stands for, and whether there is more to it: not where a cell of Python, or a
    command of a shell, has ended with a code.

    Other than in the native kernel a text for `sys.exit` is shown with its traceback.
    """
    name, value = content.get("ename"), str(content.get("evalue") or "")
    if name == "SystemExit" and value in ("", "None"):
        return 0, False
    is_code = name == "SystemExit" or (name == "" and not content.get("traceback"))
    if is_code and value.lstrip("-").isdigit():
        return int(value) & 0xFF, False
    return 1, True
