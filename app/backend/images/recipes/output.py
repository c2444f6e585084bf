"""What an installer says, understood: how far it is, and why it failed. Its text is untrusted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...ports import Progress

_LONGEST_MESSAGE = 120
_LONGEST_REASON = 400
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)")
_RESOLVED = re.compile(r"Resolved (\d+) packages? in")
_DONE = re.compile(r"(?:Downloaded|Built) (\S+)")
_STEP = re.compile(r"(Downloading|Building) (\S+(?: \(.*\))?)")
_PREPARED = re.compile(r"Prepared (\d+) packages? in")
_CHECKED = re.compile(r"(?:Installed|Audited|Checked) (\d+) packages? in")
_COMPILED = re.compile(r"Bytecode compiled \d+ files? in")
_COLLECTING = re.compile(r"Collecting (\S+)")
_PIP_STEP = re.compile(r"(?:Downloading|Using cached|Building wheel|Running setup\.py bdist_wheel) .*")
_PASSWORD = re.compile(r"(://)[^/\s@]+@")
_ADDRESS = re.compile(r"\S+://\S*/")
_INSTALLING = re.compile(r"Installing collected packages: (.+)")
_CAUSE = re.compile(r"(?:cause|Caused by): (.*)|[├╰]─▶ (.*)")
_FAILED = re.compile(r"(?:error|×):? (.*)")
_HINTS = (
    (re.compile(r"No space left on device|Disk quota exceeded|\(os error (?:28|122)\)"), "the disk is full"),
    (re.compile(r"Read-only file system|\(os error 30\)"), "the disk cannot be written"),
    (
        re.compile(
            r"dns error|Name or service not known|Temporary failure in name resolution|Connection refused"
            r"|NewConnectionError|ConnectTimeout|tcp connect error|Network is unreachable|timed out|No route to host"
        ),
        "the package index cannot be reached",
    ),
    (re.compile(r"ensurepip is not|ensurepip'? ?, '--upgrade"), "its interpreter lacks the modules venv or ensurepip"),
)


def clean(line: str) -> str:
    """Returns a line without escape sequences, control characters and passwords in addresses."""
    line = _ESCAPE.sub("", line.replace("\t", " "))
    return without_passwords("".join(char for char in line if char.isprintable()).rstrip())


def without_passwords(text: str) -> str:
    """Returns text that any user of the backend may see: addresses in it say nothing of who asks."""
    return _PASSWORD.sub(r"\1...@", text)


class Understanding:
    """Reads the lines of uv or pip; the unit of its progress is packages. Of uv's, compiling them all counts as a
    quarter of them more: it comes last, and takes long after a fast download."""

    def __init__(self) -> None:
        self._packages = 0
        self._total = 0
        self._done = 0
        self._doing: list[str] = []
        self._collected = 0

    def hear(self, line: str) -> Progress | None:
        """Returns how far it is now, or None when the line says nothing about that."""
        line = _ADDRESS.sub("", line.strip())
        if match := _RESOLVED.match(line):
            self._need(int(match[1]))
            return self._progress(f"{match[1]} packages are needed")
        if match := _DONE.match(line):
            self._done = min(self._done + 1, self._packages)
            self._doing = [step for step in self._doing if step.split()[1] != match[1]]
            return self._progress(self._doing[-1] if self._doing else f"{match[1]} is here")
        if match := _STEP.match(line):
            self._doing.append(f"{match[1].lower()} {match[2]}")
            return self._progress(self._doing[-1])
        if _PREPARED.match(line):
            return self._progress("installing")
        if match := _CHECKED.match(line):
            self._need(max(self._packages, int(match[1])))
            self._done = self._packages
            return self._progress("compiling")
        if _COMPILED.match(line):
            self._done = self._total
            return self._progress("installed")
        if match := _COLLECTING.match(line):
            self._collected += 1
            return self._progress(f"package {self._collected}: {match[1]}")
        if match := _INSTALLING.match(line):
            self._total = len(match[1].split(","))
            self._done = 0
            return self._progress(f"installing {self._total} packages")
        return self._progress(line[0].lower() + line[1:]) if _PIP_STEP.match(line) else None

    def _need(self, packages: int) -> None:
        self._packages = packages
        self._total = packages + -(-packages // 4)

    def _progress(self, message: str) -> Progress:
        return Progress(self._done, self._total, shorten(message, _LONGEST_MESSAGE))


def shorten(text: str, longest: int) -> str:
    """Returns at most `longest` characters, cut at the end."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def reason(lines: Sequence[str], code: int) -> str:
    """Returns why an installer failed, in words fit for a sentence: the decisive lines of its output.

    Args:
        lines: what it said at last, clean.
        code: its exit code.
    """
    hint = next((hint for pattern, hint in _HINTS if any(pattern.search(line) for line in lines)), "")
    said = re.sub(r"\s+", " ", _said_by_uv(lines) or _said_by_pip(lines)).strip(" .")
    said = said or f"the installer ended with exit code {code} and said nothing"
    return shorten(f"{hint}: {said}" if hint else said, _LONGEST_REASON)


def _said_by_uv(lines: Sequence[str]) -> str:
    """Returns the error, its innermost cause, and what a failed build printed last."""
    parts: list[str] = []
    last = ""
    for line in lines:
        text = line.strip()
        if match := _FAILED.match(text):
            parts, last = [match[1]], ""
        elif parts and (match := _CAUSE.match(text)):
            parts.append(match[1] or match[2] or "")
            last = ""
        elif parts and text and line.startswith(" ") and not last and not text.startswith("["):
            parts[-1] += f" {text.removeprefix('│').strip()}"  # the rest of a long one
        elif parts and text:
            last = text
    if not parts:
        return ""
    return ": ".join(part for part in dict.fromkeys([parts[0], parts[-1], last.strip("[]")]) if part)


def _said_by_pip(lines: Sequence[str]) -> str:
    said = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("WARNING", "[notice]"))]
    errors = [line.removeprefix("ERROR:").strip() for line in said if line.startswith("ERROR:")]
    return (errors or said or [""])[-1]
