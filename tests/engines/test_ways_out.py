"""What the user of an isolated session might try to reach the outside by: variables, and whoever comes in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("bwrap")]

NAMING = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "LD_LIBRARY_PATH", "SSL_CERT_DIR", "CUDA_HOME", "CUDA_MPS_PIPE_DIRECTORY")
NOTE = "import os; open({place!r} + '/ran.%d' % os.getpid(), 'w').write('outside')"
WATCH = """
import json, os
known, looked, found = set(os.listdir("/proc")), 0, []
while not os.path.exists("enough"):
    for pid in set(os.listdir("/proc")) - known:
        known.add(pid)
        looked += pid.isdigit()
        try:
            found += [os.readlink("/proc/%s/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%s/fd" % pid)]
        except OSError:
            pass
with open("seen.new", "w") as file:
    json.dump([looked, found], file)
os.rename("seen.new", "seen")
"""
START = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {watch!r}], start_new_session=True)"


async def test_no_variable_of_the_users_acts_outside(isolated: Any, folder: Path) -> None:
    # interpreters run what they find there before anything else: the runner's must not
    place = folder / "planted"
    place.mkdir()
    (place / "sitecustomize.py").write_text(NOTE.format(place=str(place)))
    session = await isolated(environ={"PYTHONPATH": str(place), "PYTHONHASHSEED": "7"})
    assert (await session.run("import os; print(os.environ['PYTHONHASHSEED'])")).text() == "7\n", "inside they act"
    assert [path.name for path in place.iterdir()] == ["sitecustomize.py"]


async def test_no_variable_of_the_users_puts_back_what_is_hidden(kit: Any, folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    secrets = [data / name for name in (*NAMING, "PYTHONPATH")]
    for secret in secrets:
        secret.write_text("the key")
    variables = {secret.name: str(secret) for secret in secrets}
    seen = f"import json, os; print(json.dumps([os.path.exists(path) for path in {list(variables.values())}]))"
    engine = ProcessEngine(folder / "engine", spares=0, hide=[data])
    sessions = kit.Sessions(engine, folder)
    try:
        session = await sessions.start(isolation="bwrap", environ=variables)
        assert json.loads((await session.run(seen)).text()) == [False] * len(secrets)
        told = await sessions.start(isolation="bwrap", granted=variables)
        assert json.loads((await told.run(seen)).text()) == [True] * len(NAMING) + [False], "those of the devices do"
    finally:
        await sessions.end()
        await engine.close()


async def test_no_variable_of_the_users_gives_a_gpu(isolated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, str]] = []

    def device_files(environ: dict[str, str]) -> list[str]:
        asked.append(dict(environ))
        return []

    monkeypatch.setattr("bai_tui.app.backend.engines.sandbox.device_files", device_files)
    await isolated(environ={"CUDA_VISIBLE_DEVICES": "GPU-of-somebody-else"}, granted={"CUDA_VISIBLE_DEVICES": ""})
    await isolated(environ={"CUDA_VISIBLE_DEVICES": "GPU-of-somebody-else"})
    assert asked == [{"CUDA_VISIBLE_DEVICES": ""}, {}]


async def test_who_comes_in_cannot_be_looked_into(isolated: Any) -> None:
    """On its way in a process is a copy of the runner: with its journal, its sockets, and what it knows."""
    session = await isolated()
    await session.run(START.format(watch=WATCH))
    for _ in range(8):
        assert (await session.batch(exec="true")).code == 0
    (session.work / "enough").touch()
    seen = session.work / "seen"
    await until(seen.exists)
    looked, found = json.loads(seen.read_text())
    assert looked
    assert [one for one in found if str(session.base) in one] == []
