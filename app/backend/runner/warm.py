"""Builds the shell of a zygote."""

import builtins
import os
import shutil
import sys
import types
from typing import Any, Dict

from . import lent
from .shell_plain import PlainShell


def build_shell(settings: Dict[str, Any]) -> Any:
    """Returns IPython's shell where the interpreter has IPython or may borrow it, else the plain one.

    Settings: `jupyter` (folders with pyzmq: cells are run by a Jupyter kernel; or None), `plain` (never IPython),
    `lent` (top-level module -> folder), `lent_python` (oldest version that can use them), `ipython_dir` (made here,
    removed again).
    """
    module = types.ModuleType("__main__", "The session's namespace.")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    if settings.get("jupyter") is not None:
        sys.path.extend(folder for folder in settings["jupyter"] if folder not in sys.path)
        from .shell_jupyter import JupyterShell

        return JupyterShell()
    if not settings["plain"]:
        folder = settings["ipython_dir"]
        os.makedirs(folder, 0o700, exist_ok=True)
        try:
            from . import shell_ipython

            try:
                import IPython  # noqa: F401
            except ImportError:
                if sys.version_info < tuple(settings["lent_python"]):
                    return PlainShell(module)
                lent.lend(settings["lent"])
            return shell_ipython.build(module, folder)
        except Exception as exc:
            sys.stderr.write("IPython cannot be used (%s: %s), cells run plain\n" % (type(exc).__name__, exc))
            lent.take_back()
        finally:
            shutil.rmtree(folder, True)
    return PlainShell(module)
