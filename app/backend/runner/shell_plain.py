"""A shell with the rules of the standard library's interactive interpreter, for interpreters without IPython."""

import __future__

import ast
import builtins
import linecache
import sys
import textwrap
import traceback
import types
from typing import Any, Callable, Dict, List, Tuple

from . import completing, display, looking
from .results import cut_our_tail, exit_code_of, is_ours

_FUTURES = [getattr(__future__, name).compiler_flag for name in __future__.all_feature_names]
_TOP_LEVEL_AWAIT = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)
_CO_COROUTINE = 0x80


class PlainShell:
    """Runs cells in a persistent namespace; a last expression is echoed."""

    name = "plain"

    def __init__(self, module: types.ModuleType) -> None:
        self.module = module
        self._flags = _TOP_LEVEL_AWAIT
        self._count = 0
        self._loop: Any = None
        self.emit: display.Emit = lambda record: None
        self.begin: Callable[[], None] = lambda: None

    def rehearse(self) -> None:
        """Runs a cell that leaves no trace."""
        self.run("None")
        self._count = 0

    def attach(self, emit: display.Emit, environ: Any) -> None:
        """Binds the shell to the session's output."""
        self.emit = emit
        sys.displayhook = self._show
        builtins.display = self.display  # type: ignore[attr-defined]

    def display(self, *values: Any) -> None:
        """Shows values in their richest form."""
        for value in values:
            self._emit_bundle(display.bundle_of(value))

    def _emit_bundle(self, bundle: Any) -> None:
        text, records = display.records_of(bundle)
        if text is not None:
            sys.stdout.write(text + "\n")
        for record in records:
            self.emit(record)

    def _show(self, value: Any) -> None:
        if value is None:
            return
        builtins._ = None  # type: ignore[attr-defined]
        self._emit_bundle(display.bundle_of(value))
        builtins._ = value  # type: ignore[attr-defined]

    def start_up(self, code: str) -> int:
        """Runs code that is no cell of the user's; returns its exit code."""
        return self._run(code, "<start-up>")

    def run(self, code: str) -> int:
        """Runs a cell; returns its exit code."""
        self._count += 1
        return self._run(code, "<cell %d>" % self._count)

    def _run(self, code: str, name: str) -> int:
        lines = code.splitlines(True)
        if lines and lines[0][:1] in " \t":
            code = textwrap.dedent(code)
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        try:
            parts = self._compile(code, name)
        except (SyntaxError, ValueError, OverflowError, MemoryError):
            self._traceback(limit_frames=True)
            return 1
        try:
            self.begin()
            for part in parts:
                if part.co_flags & _CO_COROUTINE and _TOP_LEVEL_AWAIT:
                    self._await(eval(part, self.module.__dict__))
                else:
                    exec(part, self.module.__dict__)
            display.flush_figures(self.emit)
        except SystemExit as stop:
            return exit_code_of(stop)
        except BaseException:
            self._traceback()
            return 1
        return 0

    def _compile(self, code: str, name: str) -> List[types.CodeType]:
        flags = self._flags | ast.PyCF_ONLY_AST
        tree = compile(code, name, "exec", flags, True)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        whole = compile(tree, name, "exec", self._flags, True)
        for flag in _FUTURES:
            if whole.co_flags & flag:
                self._flags |= flag
        parts = [whole]
        if last is not None:
            parts.append(compile(ast.Interactive([last]), name, "single", self._flags, True))
        return parts

    def _await(self, awaitable: Any) -> None:
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(awaitable)

    def _traceback(self, limit_frames: bool = False) -> None:
        kind, value, trace = sys.exc_info()
        cut_our_tail(trace)
        while trace is not None and (limit_frames or is_ours(trace)):
            trace = trace.tb_next
        sys.last_type, sys.last_value, sys.last_traceback = kind, value, trace
        if sys.excepthook is not sys.__excepthook__ and not limit_frames:
            sys.excepthook(kind, value, trace)  # type: ignore[arg-type]
            return
        sys.stderr.write("".join(traceback.format_exception(kind, value, trace)))

    def complete(self, code: str, cursor: int) -> Tuple[List[str], List[str], int]:
        """Returns what could stand in place of the text before `cursor`, what each is, and where that text begins."""
        matches, start = completing.complete(code, cursor, self.module.__dict__)
        return matches, looking.kinds(matches, self.module.__dict__), start

    def look(self, code: str, cursor: int, detail: int) -> Dict[str, Any]:
        """Returns what is to be said of what is at `cursor`, see `looking.look`."""
        return looking.look(code, cursor, detail, self.module.__dict__)
