"""The tests of hostile sessions once more, run by root as somebody who is not.

Root passes some limits, and has groups where others have none: both are to be seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def test_all_of_this_as_an_ordinary_user() -> None:
    if os.getuid() != 0:
        pytest.skip("the tests are run by an ordinary user: test_hostile.py was this")
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    here = Path(__file__).resolve().with_name("test_hostile.py")
    start = f"import site, sys; site.addsitedir({packages!r}); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    nobody: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": [], "cwd": "/"}
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        try:
            tried = subprocess.run(
                [python, "-c", start, "--version"], env=environ, capture_output=True, text=True, timeout=60, **nobody
            )
        except (OSError, LookupError):
            continue
        if tried.returncode == 0 and os.stat(here).st_mode & 0o004:
            break
    else:
        pytest.skip("NO PYTHON HERE THAT THE USER nobody CAN RUN THE TESTS WITH")
    done = subprocess.run(
        [python, "-c", start, str(here), "-q", "-p", "no:cacheprovider", "--no-summary"],
        env=environ, capture_output=True, text=True, timeout=240, **nobody,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
