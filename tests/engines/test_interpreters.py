"""The same session on every Python of this machine: with IPython, with a borrowed one, and without."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bai_tui.app.backend.engines.environment import lent_python
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.model.errors import IllegalState, LaunchFailed

pytestmark = pytest.mark.asyncio(loop_scope="module")


CELL = """
import os, subprocess, sys, threading
print('out'); print('err', file=sys.stderr)
subprocess.call(['echo', 'child']); os.write(1, b'fd\\n'); None
class Rich:
    def _repr_html_(self): return '<i/>'
display(Rich())
"""


@pytest_asyncio.fixture(loop_scope="module")
async def engine(folder: Path) -> AsyncIterator[ProcessEngine]:
    """An engine for one test, whose zygotes end with it."""
    made = ProcessEngine(folder / "engine", spares=0)
    yield made
    await made.close()


async def make_environment(home: Path) -> None:
    made = await asyncio.create_subprocess_exec(sys.executable, "-m", "venv", "--without-pip", str(home))
    assert await made.wait() == 0


async def test_a_session(kit: Any, sessions: Any, python: tuple[str, str]) -> None:
    version, interpreter = python
    session = await sessions.start(kit.make_image(interpreter))
    major, minor = map(int, version.split("."))
    if (major, minor) >= lent_python():
        assert session.kernel.shell.startswith("ipython")
    result = await session.run(CELL)
    assert result.said == [("stdout", "out\n"), ("stderr", "err\n"), ("stdout", "child\nfd\n"), ("html", "<i/>")]
    assert (await session.run("import sys; '%d.%d' % sys.version_info[:2]")).text() == f"'{version}'\n"
    assert (await session.run("import sys; sys.exit(3)")).code == 3
    failed = await session.run("def f():\n    return 1/0\nf()")
    assert (failed.code, "ZeroDivisionError" in failed.text("stderr")) == (1, True)
    assert "_bai_runner" not in failed.text("stderr")
    assert "shell_plain" not in failed.text("stderr")
    completed = await session.kernel.complete("x = 1\nsys.exi", 13)
    assert (completed.matches, completed.types, completed.start) == (("sys.exit",), ("function",), 6)
    assert "json" in (await session.kernel.complete("import js", 9)).matches
    told = await session.kernel.inspect("sys.exit(", 9)
    assert (told.found, told.name, told.type) == (True, "sys.exit", "function")
    assert told.doc.startswith("exit(") or "Exit the interpreter" in told.doc
    source = await session.kernel.inspect("import os\nos.path.join", 22, 1)
    assert "def join" in source.text and source.signature.startswith("(a, *")

    run_id = await session.begin("name = input('name? ')\nwhile True: pass")
    asked = await session.follow(run_id, until=lambda record: record.kind == "waiting-input")
    await session.kernel.send_input(run_id, "Ada")
    await session.kernel.interrupt()
    broken = await session.follow(run_id, after=asked.end.seq)
    assert (broken.code, "KeyboardInterrupt" in broken.text("stderr")) == (1, True)
    died = await session.run("import os; os.kill(os.getpid(), 9)")
    assert died.end.data["signal"] == "SIGKILL"
    await session.kernel.restart()
    lines = await session.run("for i in range(20000): print(i)")
    assert lines.text() == "".join(f"{i}\n" for i in range(20000))
    batch = await session.batch(exec="python -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'")
    assert batch.text() == f"{version}\n"


async def test_a_plain_image_never_uses_ipython(kit: Any, sessions: Any) -> None:
    session = await sessions.start(kit.make_image(kernel="plain"))
    assert session.kernel.shell == "plain"
    assert (await session.run("6 * 7")).text() == "42\n"
    assert (await session.run("_")).text() == "42\n"
    assert (await session.run("x = 1\nx\nif x: x + 1")).text() == ""
    assert (await session.run("import asyncio\nawait asyncio.sleep(0, 'slept')")).text() == "'slept'\n"
    assert "get_ipython" not in (await session.run("print(dir())")).text()
    assert (await session.run("  indented = 5\n  indented")).text() == "5\n"
    failed = await session.run("def f():\n    raise KeyError('x')\n\nf()")
    assert failed.text("stderr").splitlines()[:3] == [
        "Traceback (most recent call last):",
        '  File "<cell 7>", line 4, in <module>',
        "    f()",
    ]
    assert (await session.run("from __future__ import annotations")).code == 0
    assert (await session.run("def g(a: nowhere): return 1\ng.__annotations__")).text() == "{'a': 'nowhere'}\n"


async def test_a_virtual_environment_keeps_its_packages(kit: Any, sessions: Any, folder: Path) -> None:
    home = folder / "an env"
    await make_environment(home)
    (site,) = home.glob("lib/python3.*/site-packages")
    (site / "only_here.py").write_text("value = 'from the environment'")
    session = await sessions.start(kit.make_image(str(home / "bin/python")))
    assert session.kernel.shell.startswith("ipython")
    assert (await session.run("import only_here; print(only_here.value)")).text() == "from the environment\n"
    assert "ModuleNotFoundError" in (await session.run("import aiohttp")).text("stderr"), "only IPython is lent"
    batch = await session.batch(exec="python3 -c 'import only_here, sys; print(only_here.value, sys.prefix)'")
    assert batch.text() == f"from the environment {home}\n"


async def test_no_restart_without_the_environment(kit: Any, sessions: Any, folder: Path) -> None:
    """A new kernel is a copy of a process that is there: it would come up, and lack every package."""
    home = folder / "soon gone"
    await make_environment(home)
    session = await sessions.start(kit.make_image(str(home / "bin/python")))
    assert (await session.run("kept = 42")).code == 0
    shutil.rmtree(home)
    with pytest.raises(IllegalState, match="the image was removed below the session"):
        await session.kernel.restart()
    assert (await session.run("kept")).text() == "42\n", "it goes on as it was"


async def test_the_images_own_packages_win_over_lent_ones(kit: Any, sessions: Any, folder: Path) -> None:
    home = folder / "own"
    await make_environment(home)
    (site,) = home.glob("lib/python3.*/site-packages")
    (site / "traitlets.py").write_text("raise ImportError('an old one')")
    session = await sessions.start(kit.make_image(str(home / "bin/python")))
    assert session.kernel.shell == "plain", "an image with which IPython does not work gets the plain shell"
    assert (await session.run("1 + 1")).text() == "2\n"
    assert "an old one" in (await session.run("import traitlets")).text("stderr")
    assert "ModuleNotFoundError" in (await session.run("import IPython")).text("stderr")


async def test_an_isolated_session(kit: Any, sessions: Any, python: tuple[str, str]) -> None:
    version, interpreter = python
    try:
        session = await sessions.start(kit.make_image(interpreter), isolation="bwrap", network=False)
    except LaunchFailed as exc:
        if "isolation" in exc.message:
            pytest.skip(f"NO SANDBOXES CAN BE HAD HERE: {exc.message}")
        raise
    ask = "import os, sys; print('%d.%d' % sys.version_info[:2], os.getcwd())"
    assert (await session.run(ask)).text() == f"{version} /home/work\n"
    assert (await session.batch(exec=f'python -c "import ssl, json; {ask}"')).text() == f"{version} /home/work\n"
    assert (await session.run(CELL)).text().split() == ["out", "child", "fd"]
    plain = await sessions.start(kit.make_image(interpreter, kernel="plain"), isolation="bwrap")
    assert (await plain.run("6 * 7")).text() == "42\n"
