"""Installs the import hook of `caps` at the start of a Python, then goes on to the image's own sitecustomize.

Any Python of the session executes this, Python 2 too: no annotations, nothing that fails, nothing that takes time.
It is executed in a copy that `engines.environment.make_caps_dir` makes: `startup/sitecustomize.py` beside the modules.
"""

import sys

_ours = sys.modules.pop("sitecustomize", None)
_here = __file__.rpartition("/")[0]
sys.path[:] = [_entry for _entry in sys.path if _entry != _here]
if sys.version_info >= (3, 6):
    try:
        _package = type(sys)("_bai_caps")
        _package.__path__ = [_here.rpartition("/")[0]]
        sys.modules["_bai_caps"] = _package
        __import__("_bai_caps.finder").finder.install()
    except Exception as _exc:
        sys.stderr.write("bai-tui: the share of GPU memory is not told to frameworks here: %s\n" % _exc)
try:
    __import__("sitecustomize")  # the next one on the path
except ImportError as _exc:
    if getattr(_exc, "name", "sitecustomize") != "sitecustomize":
        raise
    if _ours is not None:
        sys.modules["sitecustomize"] = _ours
