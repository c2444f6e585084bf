"""IPython's InteractiveShell without ZMQ, without history files and without threads."""

# Of IPython's functions only some are annotated.
# mypy: disable-error-code="no-untyped-call"

import contextlib
import io
import os
import re
import sys
import types
import warnings
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import display, looking
from .results import cut_our_tail, exit_code_of

_MAGIC = re.compile(r"[%!?]|^\s*[,;/]", re.MULTILINE)
"""Matches every cell that holds syntax of IPython's own, and some more."""
_PLAIN_TYPES = frozenset((int, float, complex, bool, str, bytes, list, tuple, dict, set, frozenset))


def build(module: types.ModuleType, ipython_dir: str) -> "IPythonShell":
    """Returns a warmed shell whose user namespace is `module`.

    Raises:
        ImportError: the interpreter has no IPython.
    """
    from IPython.core.autocall import ExitAutocall
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.lib.pretty import _repr_pprint
    from traitlets.config import Config

    def bai_of(part: Any) -> "IPythonShell":
        found: IPythonShell = part.shell.bai
        return found

    class Hook(DisplayHook):
        """Echoes results as a plain interpreter does, without `Out[1]:`."""

        def compute_format_data(self, result: Any) -> Any:
            # Nothing rich can come of a number or a list unless the user said so; asking all the formatters
            # would be a quarter of the time of a short cell.
            kind = type(result)
            if kind in _PLAIN_TYPES:
                formatter: Any = bai_of(self).shell.display_formatter
                rich = dict(formatter.formatters, mimebundle=formatter.mimebundle_formatter)
                plain = rich.pop("text/plain", None)
                if plain is not None and not any(kind in found.type_printers for found in rich.values()):
                    by_repr = plain.type_printers.get(kind) is _repr_pprint
                    return {"text/plain": repr(result) if by_repr else plain(result)}, {}
            return super().compute_format_data(result)

        def quiet(self) -> bool:
            cell: str = bai_of(self).shell.history_manager.input_hist_parsed[-1]
            return ";" in cell and bool(super().quiet())

        def write_output_prompt(self) -> None:
            pass

        def finish_displayhook(self) -> None:
            # The original flushes stdout, which here happens every few milliseconds and at the end of the run.
            self._is_active = False

        def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
            bai_of(self).emit_bundle(format_dict)

    class Publisher(DisplayPublisher):
        """Takes what `display()` shows."""

        def publish(self, data: Any, *args: Any, **kwargs: Any) -> None:
            bai_of(self).emit_bundle(data)

        def clear_output(self, wait: bool = False) -> None:
            sys.stdout.write("\033[2K\r")

    class Exit(ExitAutocall):
        """`exit`, `exit()` and `exit(3)` end the run with that code; the session goes on."""

        def __call__(self, code: Any = None) -> None:
            raise SystemExit(code)

    class Shell(InteractiveShell):
        displayhook_class = Hook
        display_pub_class = Publisher
        system = InteractiveShell.system_raw
        bai: Any = None

        def _tee(self, channel: str) -> Any:
            # IPython 9 keeps all that a cell prints, in memory and for good; the journal has it already.
            return contextlib.suppress()  # noqa: B022 - a context that does nothing

        def should_run_async(self, raw_cell: str, **more: Any) -> bool:
            # The original compiles the cell to find out.
            cell = more.get("transformed_cell") or raw_cell
            return ("await" in cell or "async" in cell) and bool(super().should_run_async(raw_cell, **more))

        def run_code(self, *args: Any, **more: Any) -> Any:
            self.bai.begin()
            return super().run_code(*args, **more)

        def init_user_ns(self) -> None:
            super().init_user_ns()
            for name in ("exit", "quit"):
                self.user_ns[name] = self.user_ns_hidden[name] = Exit(self)

        def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
            kind, _, trace = exc_tuple or sys.exc_info()
            if kind is not None and issubclass(kind, SystemExit):
                return  # an exit code, not an accident
            cut_our_tail(trace)
            super().showtraceback(exc_tuple, *args, **kwargs)

        def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
            text = stb if isinstance(stb, str) else self.InteractiveTB.stb2text(stb)
            sys.stderr.write(text + "\n")

    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.banner1 = ""
    config.InteractiveShell.separate_in = ""
    config.InteractiveShell.ipython_dir = ipython_dir
    config.IPCompleter.use_jedi = False
    os.environ["IPYTHONDIR"] = ipython_dir
    shell = Shell.instance(config=config, user_module=module, user_ns=module.__dict__)
    with contextlib.suppress(ImportError):  # before IPython 7 cells were transformed in another way
        _spare_tokenizing(shell)
    # SystemExit is how a cell tells its exit code here; IPython would explain how to leave a terminal.
    warnings.filterwarnings("ignore", message="To exit: use 'exit'")
    warnings.filterwarnings("ignore", message="Output cache limit")
    return IPythonShell(shell)


def _spare_tokenizing(shell: Any) -> None:
    """Has cells tokenized only where that could find something: it takes longer than to run a short cell."""
    from IPython.core.inputtransformer2 import TransformerManager

    class Manager(TransformerManager):
        def __init__(self) -> None:
            super().__init__()
            self._original = list(self.token_transformers)

        def do_token_transforms(self, lines: List[str]) -> Any:
            if self.token_transformers == self._original and not _MAGIC.search("".join(lines)):
                return lines
            return super().do_token_transforms(lines)

    shell.input_transformer_manager = Manager()


class IPythonShell:
    """What the kernel needs of IPython."""

    def __init__(self, shell: Any) -> None:
        import IPython

        self.name = "ipython %s" % IPython.__version__
        self.shell = shell
        self.emit: display.Emit = lambda record: None
        self.begin: Callable[[], None] = lambda: None
        """Is called before the first statement of a cell, at least."""
        shell.bai = self
        self._warm()

    def _warm(self) -> None:
        # What a first cell imports and compiles is done once for all sessions, before the fork.
        with contextlib.redirect_stdout(io.StringIO()):
            self.rehearse()
        try:
            raise ValueError
        except ValueError:
            self.shell.InteractiveTB.structured_traceback(*sys.exc_info())
        self.shell.complete(None, "impo", 4)

    def rehearse(self) -> None:
        """Runs a cell that leaves no trace."""
        shell = self.shell
        shell.run_cell("len([1])")
        shell.history_manager.reset()
        shell.user_ns["_oh"].clear()
        hook = shell.displayhook
        hook._ = hook.__ = hook.___ = ""
        for names in (shell.user_ns, shell.user_ns_hidden):
            for name in [name for name in names if re.match(r"_i?\d+$", name)]:
                del names[name]
            for name in ("_", "__", "___", "_i", "_ii", "_iii"):
                if name in names:
                    names[name] = ""
        shell.execution_count = 1

    def attach(self, emit: display.Emit, environ: Any) -> None:
        """Binds the shell to the session's output."""
        self.emit = emit
        self.shell.user_ns["_dh"][:] = [os.getcwd()]
        if environ.get("NO_COLOR"):
            self.shell.run_line_magic("colors", "NoColor")

    def emit_bundle(self, bundle: Any) -> None:
        text, records = display.records_of(bundle)
        if text is not None:
            sys.stdout.write(text + "\n")
        for record in records:
            self.emit(record)

    def start_up(self, code: str) -> int:
        """Runs code that is no cell of the user's; returns its exit code."""
        return self.run(code, is_cell=False)

    def run(self, code: str, is_cell: bool = True) -> int:
        """Runs a cell; returns its exit code."""
        try:
            result = self.shell.run_cell(code, store_history=is_cell)
            display.flush_figures(self.emit)
        except SystemExit as stop:
            return exit_code_of(stop)
        except BaseException:
            self.shell.showtraceback()
            return 1
        error: Optional[BaseException] = result.error_before_exec or result.error_in_exec
        if isinstance(error, SystemExit):
            return exit_code_of(error)
        return 0 if error is None else 1

    def complete(self, code: str, cursor: int) -> Tuple[List[str], List[str], int]:
        """Returns what could stand in place of the text before `cursor`, what each is, and where that text begins."""
        start = code.rfind("\n", 0, cursor) + 1
        end = code.find("\n", cursor)
        line = code[start:] if end < 0 else code[start:end]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text, matches = self.shell.complete(None, line, cursor - start)
        # Versions differ in how much of `os.pa` their matches replace: here it is always the whole of it.
        # (it may be empty, but always matches)
        word = re.search(r"[\w.]*$", code[:cursor]).group()  # type: ignore[union-attr]
        if text and not word.endswith(text) and code[start:cursor].endswith(text):
            word = text  # such as `%ti`, or a path
        kept = word[: -len(text)] if text and word.endswith(text) else ""
        # magics can be typed without their %, but nobody who types a name means one
        named = [str(match) for match in matches[:1000] if text.startswith("%") or not str(match).startswith("%")]
        found = [kept + match for match in named]
        return found, looking.kinds(found, self.shell.user_ns), cursor - len(word)

    def look(self, code: str, cursor: int, detail: int) -> Dict[str, Any]:
        """Returns what is to be said of what is at `cursor`, see `looking.look`; magics are known, too."""
        name = looking.name_at(code, cursor)
        start = code.rfind("\n", 0, cursor) + 1
        magic = re.match(r"\s*(%%?)([\w.]+)", code[start:])
        if magic is not None and name == magic.group(2):
            found = self.shell.find_magic(name, "cell" if magic.group(1) == "%%" else "line")
            if found is not None:
                return looking.describe(magic.group(1) + name, found, detail)
        return looking.look(code, cursor, detail, self.shell.user_ns)
