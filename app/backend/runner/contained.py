"""Becomes the first process of a session's container: its runner, in the image's own interpreter.

Started by path: `<interpreter> -s contained.py FOLDER`, FOLDER being the session's. No function stands here, so that an
interpreter that is too old reads this file to the end and says so.
"""

import sys

if sys.version_info < (3, 6):
    sys.exit("the Python of this image is %d.%d, sessions need 3.6 or later" % sys.version_info[:2])

import types

_package = types.ModuleType("_bai_runner")
_package.__path__ = [sys.path.pop(0)]
sys.modules["_bai_runner"] = _package
# The namespace of this file must outlive its place in sys.modules.
_package.__dict__["contained_main"] = sys.modules["__main__"]

from _bai_runner import first  # type: ignore[import-not-found]  # noqa: E402 - the package is made above

first.become_runner(sys.argv[1])
