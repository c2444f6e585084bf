"""The import hook that keeps frameworks to a share of GPU memory, with frameworks that say what they were told.

What stands here for PyTorch and TensorFlow has the structure of the real ones where the hook touches them: a list of
calls that is worked off when CUDA is initialised; a context that asks for options when the devices are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bai_tui.app.backend.engines.environment import add_caps
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.runner.caps.finder import FRACTIONS, VISIBLE

TORCH = """
__version__ = '2.9.0'
from . import cuda
"""
CUDA = """
import os, threading
TOLD = []
_initialized = False
_tls = threading.local()
_initialization_lock = threading.Lock()
_queued_calls = []

class DeferredCudaCallError(Exception):
    pass

def is_initialized():
    return _initialized

def _lazy_call(callable, **kwargs):
    with _initialization_lock:
        if is_initialized():
            callable()
        else:
            _queued_calls.append((callable, []))

def _lazy_init():
    global _initialized
    if is_initialized() or hasattr(_tls, 'is_initializing'):
        return
    with _initialization_lock:
        if os.environ.get('NO_CUDA'):
            raise AssertionError('Torch not compiled with CUDA enabled')
        TOLD.append('init')
        _tls.is_initializing = True
        try:
            for queued_call, _ in _queued_calls:
                try:
                    queued_call()
                except Exception as exc:
                    raise DeferredCudaCallError(str(exc))
        finally:
            del _tls.is_initializing
        _initialized = True

init = _lazy_init

def device_count():
    return int(os.environ.get('GPUS', '1'))

def set_per_process_memory_fraction(fraction, device=None):
    _lazy_init()
    assert isinstance(fraction, float) and device < device_count()
    TOLD.append([device, fraction])

def get_per_process_memory_fraction(device=None):
    return float(os.environ.get('HELD', '1'))
"""
TENSORFLOW = {
    "tensorflow/__init__.py": "from .python.eager import context\nfrom .python.client import session\n",
    "tensorflow/python/__init__.py": "",
    "tensorflow/python/eager/__init__.py": "",
    "tensorflow/python/client/__init__.py": "",
    "tensorflow/python/config_pb2.py": """
import copy
class Experimental:
    def __init__(self): self.virtual_devices = []
class GPUOptions:
    def __init__(self):
        self.per_process_gpu_memory_fraction = 0.0
        self.experimental = Experimental()
class ConfigProto:
    def __init__(self): self.gpu_options = GPUOptions()
    def CopyFrom(self, other): self.__dict__ = copy.deepcopy(other.__dict__)
""",
    "tensorflow/python/eager/context.py": """
import os
from .. import config_pb2
class Context:
    def __init__(self): self._config = None
    def _compute_gpu_options(self):
        options = config_pb2.GPUOptions()
        if os.environ.get('LOGICAL'): options.experimental.virtual_devices.append('4096')
        return options
    @property
    def config(self):
        config = config_pb2.ConfigProto()
        config.gpu_options = self._compute_gpu_options()
        return config
_context = Context()
def context(): return _context
if os.environ.get('OLD'): del Context._compute_gpu_options
""",
    "tensorflow/python/client/session.py": """
from .. import config_pb2
from ..eager import context
class BaseSession:
    def __init__(self, target='', graph=None, config=None):
        if config is None and hasattr(context.Context, '_compute_gpu_options'):
            config = context.context().config
        if config is not None and not isinstance(config, config_pb2.ConfigProto):
            raise TypeError('config must be a tf.ConfigProto')
        self._config = config
class Session(BaseSession):
    def __init__(self, target='', graph=None, config=None):
        super().__init__(target, graph, config=config)
""",
}
LAZY = """
import json, torch
before = torch.cuda.is_initialized()
torch.cuda.init()
print(json.dumps([before, torch.cuda.TOLD]))
"""
HALF = [False, ["init", [0, 0.5]]]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


class Child:
    """Starts Pythons of a session with a part of a GPU, outside of one."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.site = base / "site"
        write(self.site, TENSORFLOW | {"torch/__init__.py": TORCH, "torch/cuda/__init__.py": CUDA})

    def environ(self, fractions: str, **more: str) -> dict[str, str]:
        environ = {"PYTHONPATH": str(self.site), "CUDA_VISIBLE_DEVICES": "GPU-a"}
        if fractions:
            environ[FRACTIONS] = fractions
        add_caps(environ, self.base / "caps")
        return environ | more

    def run(self, code: str, fractions: str = "0.5", *, python: str = sys.executable, **more: str) -> tuple[Any, str]:
        """Returns what was printed, decoded, and stderr."""
        done = subprocess.run(
            [python, "-c", code], env=self.environ(fractions, **more), capture_output=True, text=True, cwd=self.base
        )
        return (json.loads(done.stdout) if done.stdout else None), done.stderr


@pytest.fixture
def child(tmp_path: Path) -> Child:
    return Child(tmp_path)


def test_torch_is_told_when_user_code_initialises_cuda(child: Child, python: tuple[str, str]) -> None:
    assert child.run(LAZY, python=python[1]) == (HALF, "")


def test_a_python_starts_as_without_the_hook(child: Child, python: tuple[str, str]) -> None:
    # The image has a sitecustomize of its own, and the user a PYTHONPATH.
    write(child.site, {"sitecustomize.py": "value = 'own'", "mine.py": "value = 'mine'"})
    code = (
        "import sys; loaded = sorted(sys.modules); path = sys.path[1:]\n"
        "import json, sitecustomize, mine; print(json.dumps([loaded, path, [sitecustomize.value, mine.value]]))"
    )
    bare, error = child.run(code, "", python=python[1])
    assert error == ""
    (loaded, *rest), error = child.run(code, python=python[1])
    assert error == ""
    assert rest == bare[1:]
    assert set(loaded) - set(bare[0]) == {"_bai_caps", "_bai_caps.finder"}, "what it costs is two small modules"
    assert rest[1] == ["own", "mine"]


def test_without_a_sitecustomize_of_its_own_nothing_is_said(child: Child, python: tuple[str, str]) -> None:
    assert child.run("import json; print(json.dumps('up'))", python=python[1]) == ("up", "")


def test_a_sitecustomize_that_fails_is_reported_as_ever(child: Child) -> None:
    write(child.site, {"sitecustomize.py": "import nowhere"})
    with_hook, bare = child.run("pass"), child.run("pass", "")
    assert "No module named 'nowhere'" in bare[1]
    assert with_hook[1].splitlines()[-1] == bare[1].splitlines()[-1]


def test_tensorflow_is_told_by_context_and_sessions(child: Child, python: tuple[str, str]) -> None:
    code = (
        "import json, tensorflow as tf\n"
        "from tensorflow.python import config_pb2\n"
        "own, less = config_pb2.ConfigProto(), config_pb2.ConfigProto()\n"
        "less.gpu_options.per_process_gpu_memory_fraction = 0.25\n"
        "S = tf.session.Session\n"
        "found = [S()._config, S(config=own)._config, S('', None, less)._config, own]\n"
        "print(json.dumps([c.gpu_options.per_process_gpu_memory_fraction for c in found]))"
    )
    assert child.run(code, python=python[1]) == ([0.5, 0.5, 0.25, 0.0], "")
    assert child.run(code, python=python[1], OLD="1") == ([0.5, 0.5, 0.25, 0.0], ""), "before 1.15"
    assert child.run(code, "1") == ([0.0, 0.0, 0.25, 0.0], "")


def test_tensorflow_with_logical_devices_is_left_alone(child: Child) -> None:
    code = "import tensorflow as tf; print(tf.context.context().config.gpu_options.per_process_gpu_memory_fraction)"
    assert child.run(code) == (0.5, "")
    assert child.run(code, LOGICAL="1") == (0.0, "")


def test_a_wrong_config_is_refused_as_ever(child: Child) -> None:
    code = "import tensorflow as tf; tf.session.Session(config='x')"
    assert child.run(code)[1].splitlines()[-1] == "TypeError: config must be a tf.ConfigProto"


@pytest.mark.parametrize(
    ("fractions", "environ", "told"),
    [
        ("1,0.5", {"GPUS": "2"}, [[1, 0.5]]),
        ("0.25", {"HELD": "0.1"}, []),
        ("0.25", {"HELD": "0.3"}, [[0, 0.25]]),
        # more GPUs than at launch are none of the session's
        ("0.25", {"GPUS": "2"}, [[0, 0.25], [1, 0.25]]),
        ("0.25", {"GPUS": "0"}, []),
    ],
)
def test_each_gpu_has_its_part(child: Child, fractions: str, environ: dict[str, str], told: Any) -> None:
    assert child.run(LAZY, fractions, **environ) == ([False, ["init", *told]], "")


@pytest.mark.parametrize(
    ("visible", "told"),
    [
        ("GPU-a,GPU-b,GPU-c", [[2, 0.5]]),
        ("GPU-c", [[0, 0.5]]),
        ("GPU-a", []),
        ("GPU-c,GPU-b", [[0, 0.5]]),
        ("2", [[0, 0.5]]),
        ("", [[0, 0.5]]),
    ],
)
def test_code_that_picks_among_its_gpus_has_their_parts(child: Child, visible: str, told: Any) -> None:
    environ = {VISIBLE: "GPU-a,GPU-b,GPU-c", "CUDA_VISIBLE_DEVICES": visible}
    gpus = str(len(visible.split(",")))
    assert child.run(LAZY, "1,1,0.5", GPUS=gpus, **environ) == ([False, ["init", *told]], "")


def test_torch_without_cuda_is_as_ever(child: Child) -> None:
    code = "import torch\ntry:\n torch.cuda.init()\nexcept AssertionError as e: print('\"%s\"' % e)"
    assert child.run(code, NO_CUDA="1") == ("Torch not compiled with CUDA enabled", "")


@pytest.mark.parametrize(
    ("fractions", "change", "problem"),
    [
        ("half", "", "could not convert string to float: 'half'"),
        ("1.5", "", "BAI_TUI_GPU_FRACTIONS='1.5' holds no fractions"),
        ("0.5", "del set_per_process_memory_fraction", "version 2.9.0 cannot limit itself; 1.8 and later can"),
        ("0.5", "def device_count(): raise OSError('no\\nGPU')", "no GPU"),
        ("0.5", "del _lazy_call", "module 'torch.cuda' has no attribute '_lazy_call'"),
    ],
)
def test_a_cap_that_fails_says_so_once_and_breaks_nothing(
    child: Child, fractions: str, change: str, problem: str
) -> None:
    write(child.site, {"torch/cuda/__init__.py": f"{CUDA}\n{change}\n"})
    code = LAZY + "\nimport tensorflow as tf; tf.session.Session()"
    told, error = child.run(code, fractions)
    assert told == [False, ["init"]]
    assert error == f"bai-tui: torch is not kept to the share of GPU memory: {problem}\n"


def test_a_framework_that_cannot_be_imported_fails_as_ever(child: Child) -> None:
    write(child.site, {"torch/__init__.py": "raise ImportError('libcudart.so.12: not found')"})
    code = (
        "import importlib.util, json, sys\n"
        "found = importlib.util.find_spec('torch') is not None\n"
        "def why(name):\n"
        "    try: __import__(name)\n"
        "    except ImportError as e: return str(e)\n"
        "print(json.dumps([found, why('torch'), why('tensorflow.nowhere'), 'torch' in sys.modules]))"
    )
    nowhere = "No module named 'tensorflow.nowhere'"
    assert child.run(code) == ([True, "libcudart.so.12: not found", nowhere, False], "")


# --- in sessions


@pytest_asyncio.fixture(loop_scope="module")
async def engine(folder: Path) -> AsyncIterator[ProcessEngine]:
    """An engine for one test, whose zygotes end with it."""
    made = ProcessEngine(folder / "engine", spares=0)
    yield made
    await made.close()


@pytest.mark.parametrize("kernel", ["ipython", "plain"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_session_is_capped_wherever_it_runs_python(kit: Any, sessions: Any, kernel: str) -> None:
    environ = {FRACTIONS: "0.5", "CUDA_VISIBLE_DEVICES": "GPU-a"}
    session = await sessions.start(kit.make_image(kernel=kernel), environ=environ)
    write(session.work, {"torch/__init__.py": TORCH, "torch/cuda/__init__.py": CUDA, "train.py": LAZY})
    half = json.dumps(HALF) + "\n"
    assert (await session.run("import sys; 'torch' in sys.modules, any('caps' in p for p in sys.path)")).text() == (
        "(False, False)\n"
    )
    result = await session.run(LAZY)
    assert (result.text(), result.text("stderr")) == (half, "")
    assert (await session.run("import subprocess; subprocess.call(['python', 'train.py']); None")).text() == half
    batch = await session.batch(exec="python train.py")
    assert (batch.text(), batch.text("stderr")) == (half, "")
    await session.kernel.restart()
    assert (await session.run(LAZY)).text() == half


@pytest.mark.asyncio(loop_scope="module")
async def test_a_path_of_the_users_stays_behind_ours(kit: Any, sessions: Any, folder: Path) -> None:
    write(folder / "lib", {"mine.py": "value = 'mine'"})
    environ = {FRACTIONS: "0.5", "PYTHONPATH": str(folder / "lib")}
    session = await sessions.start(environ=environ)
    code = "import os, mine; print(mine.value, os.environ['PYTHONPATH'].split(os.pathsep)[1:])"
    wanted = f"mine ['{folder / 'lib'}']\n"
    assert (await session.run(code)).text() == wanted
    assert (await session.batch(exec=f'python -c "{code}"')).text() == wanted


@pytest.mark.asyncio(loop_scope="module")
async def test_a_session_without_a_part_of_a_gpu_has_no_hook(session: Any) -> None:
    code = "import os, sys; print('PYTHONPATH' in os.environ, [f for f in sys.meta_path if 'Caps' in repr(f)])"
    assert (await session.run(code)).text() == "False []\n"
    assert VISIBLE not in os.environ
