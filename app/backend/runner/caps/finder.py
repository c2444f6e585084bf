"""Finds the frameworks as they are found anyway, and has them capped when they have been executed.

Every Python of the session loads this as it starts: it imports nothing that a starting Python has not loaded (`typing`
alone would take ten milliseconds), hence the quoted annotations.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

FRACTIONS = "BAI_TUI_GPU_FRACTIONS"
"""For each visible GPU the part of its memory that the session may take: `0.5`, `1,1,0.5`."""
VISIBLE = "BAI_TUI_GPU_VISIBLE"
"""CUDA_VISIBLE_DEVICES as it was at launch: what `FRACTIONS` speaks of, should code change it."""

_PATCHES = {
    "torch": "cap_torch",
    "tensorflow.python.eager.context": "cap_context",
    "tensorflow.python.client.session": "cap_session",
    # TensorFlow 1.15 and 2.0 live here, under another name
    "tensorflow_core.python.eager.context": "cap_context",
    "tensorflow_core.python.client.session": "cap_session",
}


class CapsFinder:
    """Stands first of all finders and looks at names only."""

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """Returns what the other finders find, prepared to be capped; None for all but a handful of names."""
        if name not in _PATCHES:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if find is not None and not isinstance(finder, CapsFinder):
                spec = find(name, path, target)
                if spec is not None:
                    _prepare(spec, name)
                    return spec
        return None

    def invalidate_caches(self) -> None:
        pass


def _prepare(spec: "Any", name: str) -> None:
    loader = spec.loader
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return

    def exec_module(module: "Any") -> None:
        execute(module)
        if module.__name__ == name:  # a loader may serve several modules
            patch(module)

    try:
        loader.exec_module = exec_module
    except AttributeError:
        tell("its loader cannot be wrapped", name)


def patch(module: "Any") -> None:
    """Caps a framework; says so in one line on stderr when that fails, and never raises."""
    try:
        from . import frameworks

        getattr(frameworks, _PATCHES[module.__name__])(module)
    except Exception as exc:
        tell(exc, module.__name__)


_told: "List[str]" = []


def tell(problem: "Any", framework: str) -> None:
    """Says once in a process that the memory of the GPU is not capped, and why."""
    if not _told:
        _told.append(framework)
        try:
            text = " ".join(str(problem).split())[:200] or type(problem).__name__
            sys.stderr.write("bai-tui: %s is not kept to the share of GPU memory: %s\n" % (framework, text))
        except Exception:  # stderr is the user's
            pass


def install() -> None:
    """Puts the finder first, once."""
    if not any(isinstance(finder, CapsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, CapsFinder())
