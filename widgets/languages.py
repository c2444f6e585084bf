"""What the editor knows of languages: how they are called, coloured, commented and indented.

Names are Pygments' aliases; whatever Pygments colours can be opened, those named here are edited with more sense.
Pygments is imported only when a lexer is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final

PLAIN: Final = "text"
_TELLING: Final = 2
"""Lines that must agree before a text is taken to be indented in another way than its language."""


@dataclass(frozen=True, slots=True)
class Language:
    """How a language is written."""

    name: str
    """Pygments' alias."""
    suffixes: tuple[str, ...] = ()
    """Ends of file names, with their dots; or whole names."""
    comment: str = ""
    """What begins a comment that ends with the line; empty = none."""
    around: tuple[str, str] = ("", "")
    """What encloses a comment, where there is no other."""
    indent: int = 4
    """Cells of a level."""
    tabs: bool = False
    """Levels are tabs."""
    opens: str = r"[\[({]$"
    """A regular expression of a line after which a level is deeper."""
    leaves: frozenset[str] = frozenset()
    """First words of lines after which a level is left."""
    closes: frozenset[str] = frozenset()
    """Words that stand a level further left as soon as they are typed."""
    images: tuple[str, ...] = ()
    """Words in the name of an image that speaks it."""


def _ends(*words: str) -> str:
    """Returns what opens a block in a language of words: one of them begins the line or ends it."""
    return rf"[\[({{]$|^(?:{'|'.join(words)})\b(?!.*\bend\b)|\b(?:do|then|begin)$"


_LANGUAGES: Final = (
    Language(
        "python",
        (".py", ".pyw", ".pyi", ".ipy", "SConstruct", "SConscript"),
        "#",
        opens=r"[:\[({]$",
        leaves=frozenset({"return", "pass", "break", "continue", "raise"}),
        images=("python", "ipython", "xpython", "pytorch", "tensorflow", "jax", "conda"),
    ),
    Language("r", (".r", ".R", ".Rprofile"), "#", indent=2, images=("r-base", "r", "ir", "rstudio", "tidyverse")),
    Language(
        "julia",
        (".jl",),
        "#",
        opens=_ends("function", "for", "while", "if", "else", "elseif", "let", "try", "catch", "struct", "module"),
        closes=frozenset({"end", "else", "elseif", "catch", "finally"}),
        images=("julia",),
    ),
    Language(
        "bash",
        (".sh", ".bash", ".zsh", ".bashrc", ".profile", ".zshrc"),
        "#",
        opens=r"[\[({]$|\b(?:do|then|else)$|^case\b.*\bin$",
        closes=frozenset({"fi", "done", "else", "elif", "esac"}),
        images=("bash", "zsh", "sh", "shell"),
    ),
    Language(
        "javascript",
        (".js", ".mjs", ".cjs", ".jsx"),
        "//",
        indent=2,
        images=("javascript", "node", "nodejs", "ijavascript"),
    ),
    Language("typescript", (".ts", ".tsx", ".mts"), "//", indent=2, images=("typescript", "deno", "tslab")),
    Language(
        "cpp",
        (".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx", ".h++", ".cu", ".cuh"),
        "//",
        images=("cpp", "cling", "xcpp", "gcc", "c++"),
    ),
    Language("c", (".c", ".h"), "//", images=("c",)),
    Language("rust", (".rs",), "//", images=("rust", "evcxr")),
    Language("go", (".go",), "//", tabs=True, images=("go", "golang", "gonb", "gophernotes")),
    Language("java", (".java",), "//", images=("java", "ijava", "jshell")),
    Language("scala", (".scala", ".sc"), "//", indent=2, images=("scala", "almond")),
    Language("kotlin", (".kt", ".kts"), "//", images=("kotlin",)),
    Language("csharp", (".cs", ".csx"), "//", images=("csharp", "dotnet")),
    Language("swift", (".swift",), "//", images=("swift",)),
    Language("php", (".php",), "//", images=("php",)),
    Language("perl", (".pl", ".pm"), "#", images=("perl", "iperl")),
    Language(
        "ruby",
        (".rb", "Rakefile", "Gemfile"),
        "#",
        indent=2,
        opens=_ends(
            "def", "class", "module", "if", "unless", "while", "until", "case", "when", "else", "elsif", "begin"
        ),
        closes=frozenset({"end", "else", "elsif", "when", "rescue", "ensure"}),
        images=("ruby", "iruby"),
    ),
    Language(
        "lua",
        (".lua",),
        "--",
        indent=2,
        opens=_ends("function", "local function", "for", "while", "if", "else", "elseif", "repeat"),
        closes=frozenset({"end", "else", "elseif", "until"}),
        images=("lua", "ilua"),
    ),
    Language(
        "octave",
        (".m",),
        "%",
        opens=_ends("function", "for", "while", "if", "else", "elseif", "switch", "case", "try"),
        closes=frozenset({"end", "else", "elseif", "endif", "endfor", "endwhile", "endfunction"}),
        images=("octave", "matlab"),
    ),
    Language(
        "haskell",
        (".hs",),
        "--",
        indent=2,
        opens=r"[\[({=]$|\b(?:do|where|of|let)$",
        images=("haskell", "ihaskell"),
    ),
    Language(
        "ocaml",
        (".ml", ".mli"),
        around=("(*", "*)"),
        indent=2,
        opens=r"[\[({=]$|->$|\b(?:begin|struct|sig|in)$",
        images=("ocaml",),
    ),
    Language("clojure", (".clj", ".cljs", ".edn"), ";", indent=2, images=("clojure",)),
    Language("sql", (".sql",), "--", images=("sql", "sqlite", "xsql", "duckdb", "postgres")),
    Language("fortran", (".f90", ".f95", ".f03"), "!", indent=2, images=("fortran", "lfortran")),
    Language("nix", (".nix",), "#", indent=2),
    Language("cmake", ("CMakeLists.txt", ".cmake"), "#", indent=2),
    Language("make", ("Makefile", "makefile", "GNUmakefile", ".mk"), "#", tabs=True),
    Language("docker", ("Dockerfile", "Containerfile", ".dockerfile"), "#"),
    Language("yaml", (".yaml", ".yml"), "#", indent=2, opens=r"[:\[({]$|^-$"),
    Language("toml", (".toml",), "#", indent=2),
    Language("ini", (".ini", ".cfg", ".conf"), "#"),
    Language("json", (".json", ".jsonl", ".ipynb", ".webmanifest"), indent=2),
    Language("html", (".html", ".htm", ".xhtml"), around=("<!--", "-->"), indent=2),
    Language("xml", (".xml", ".svg", ".xsd", ".xsl"), around=("<!--", "-->"), indent=2),
    Language("css", (".css",), around=("/*", "*/"), indent=2),
    Language("scss", (".scss", ".tcss"), "//", indent=2),
    Language("markdown", (".md", ".markdown", ".qmd", ".rmd", ".Rmd"), around=("<!--", "-->"), indent=2),
    Language("rst", (".rst",), ".. ", indent=3),
    Language("latex", (".tex", ".sty"), "%", indent=2),
    Language("diff", (".diff", ".patch")),
    Language(PLAIN, (".txt", ".log", ".csv", ".tsv")),
)

_BY_NAME: Final = {language.name: language for language in _LANGUAGES}
_BY_SUFFIX: Final = {suffix: language for language in _LANGUAGES for suffix in language.suffixes}
_BY_WORD: Final = {word: language.name for language in _LANGUAGES for word in language.images}
_KERNEL_NAMES: Final = {"c++": "cpp", "c#": "csharp", "node": "javascript", "shell": "bash", "sh": "bash"}
_SHEBANGS: Final = re.compile(r"#!.*?\b(python|bash|zsh|sh|Rscript|julia|node|ruby|perl|lua|php)[\d.]*\s*$")
_SHEBANG_NAMES: Final = {"zsh": "bash", "sh": "bash", "Rscript": "r", "node": "javascript"}


def language(name: str) -> Language:
    """Returns what is known of a language; of an unknown one, its name."""
    return _BY_NAME.get(name) or Language(name or PLAIN)


def names() -> list[str]:
    """Returns the languages that are known here."""
    return sorted(_BY_NAME)


def of_path(path: str, first_line: str = "") -> str:
    """Returns the language of a file by its name, or by what its first line says; empty = neither tells."""
    name = PurePath(path).name
    known = (
        _BY_SUFFIX.get(name) or _BY_SUFFIX.get(PurePath(name).suffix) or _BY_SUFFIX.get(PurePath(name).suffix.lower())
    )
    if known is not None:
        return known.name
    said = _SHEBANGS.match(first_line)
    if said:
        return _SHEBANG_NAMES.get(said[1], said[1])
    return _of_pygments(name)


@lru_cache(256)
def _of_pygments(name: str) -> str:
    if "." not in name:
        return ""
    from pygments.lexers import find_lexer_class_for_filename

    found = find_lexer_class_for_filename(name)
    return found.aliases[0] if found is not None and found.aliases else ""


def of_image(reference: str, spoken: str = "") -> str:
    """Returns the language that an image speaks.

    Args:
        reference: Its name, as `r-base:4.4`.
        spoken: The language as the image itself names it, if it does.
    """
    spoken = spoken.strip().lower()
    # kernels tell a standard with it: C++17
    spoken = spoken.rstrip("0123456789.")
    spoken = _KERNEL_NAMES.get(spoken, spoken)
    if spoken in _BY_NAME:
        return spoken
    path = reference.lower().partition("@")[0]
    name = path.rpartition("/")[2].partition(":")[0]
    if name in _BY_WORD:
        return _BY_WORD[name]
    for word in re.split(r"[^a-z+#]+", name):
        if len(word) > 1 and word in _BY_WORD:
            return _BY_WORD[word]
    return "python"


@lru_cache(32)
def lexer(name: str) -> Any:
    """Returns Pygments' lexer of a language, set so that text is taken as it is; None for plain text.

    The first import costs some 20 ms.
    """
    if name in ("", PLAIN):
        return None
    if name == "python":
        from .highlight import python_lexer

        return python_lexer()
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def tab_width(lines: Iterable[str], given: Language) -> tuple[int, bool]:
    """Returns (cells of a level, whether levels are tabs) as a text is written; as its language is, where it is new.

    Looks at as many lines as it is given.
    """
    tabs, before = 0, 0
    steps: dict[int, int] = {}
    for line in lines:
        body = line.lstrip(" \t")
        if not body:
            continue
        if line[0] == "\t":
            tabs += 1
            continue
        indent = len(line) - len(body)
        step = indent - before
        before = indent
        if step in (2, 3, 4, 8):
            steps[step] = steps.get(step, 0) + 1
    if tabs > sum(steps.values()):
        return (given.indent if given.tabs else 4), True
    if not steps:
        return given.indent, given.tabs and not tabs
    best = max(steps, key=lambda step: (steps[step], -step))
    if steps[best] < _TELLING:
        return given.indent, given.tabs and not tabs
    return best, False
