"""The five lines of the README with real processes, a real backend, real kernels."""

from __future__ import annotations

import signal

import pytest

from .conftest import World

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(180)
def test_the_five_lines(world: World) -> None:
    done = world.bai("run", "--rm", "-c", 'print("hello world")', "python")
    assert (done.status, done.out) == (0, "hello world\n"), done

    (world.folder / "myscript.py").write_text("import sys\nprint(sys.argv)\nsys.exit(5)\n")
    done = world.bai("run", "--rm", "--exec", "python myscript.py arg1 arg2", "python", "./myscript.py")
    assert (done.status, done.out) == (5, "['myscript.py', 'arg1', 'arg2']\n"), done

    (world.folder / "mygpucode.py").write_text("import os\nprint(os.environ['GPU_COUNT'])\n")
    done = world.bai("run", "--rm", "-r", "gpu=0.5", "python", "./mygpucode.py")
    assert (done.status, done.out) == (0, "1\n"), done

    assert world.ids() == []
    for name in ("first-one", "second-one"):
        assert world.bai("run", "-t", name, "-c", "x = 41", "python").status == 0
    listed = world.bai("ps")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["NAME", "second-one", "first-one"]
    assert world.bai("run", "-q", "-t", "first-one", "-c", "print(x + 1)", "python").out == "42\n"

    first, second = world.ids()
    done = world.bai("rm", first[:13], second)
    assert (done.status, done.out) == (0, f"{first[:13]}\n{second}\n"), done
    assert world.ids() == []


@pytest.mark.timeout(180)
def test_code_that_asks_fails_dies_and_is_interrupted(world: World) -> None:
    done = world.bai("run", "-q", "--rm", "-c", "print(input('name? '))", "python", stdin="Ada\n")
    assert (done.status, done.out) == (0, "name? Ada\n"), done
    done = world.bai("run", "-q", "--rm", "-c", "input('name? ')", "python")
    assert (done.status, done.out) == (1, "name? "), done
    assert "EOFError" in done.err
    done = world.bai("run", "-q", "--rm", "--exec", "cat; echo end", "python", stdin="a\nb")
    assert (done.status, done.out) == (0, "a\nb\nend\n"), done
    assert world.bai("run", "--rm", "-c", "1/0", "python").status == 1
    assert world.bai("run", "--rm", "-c", "import sys; sys.exit(7)", "python").status == 7
    assert world.bai("run", "--rm", "-c", "import os; os.kill(os.getpid(), 11)", "python").status == 139

    code = "import time\nprint('started', flush=True)\ntime.sleep(100)"
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with world.start("run", "--rm", "-c", code, "python") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            process.send_signal(number)
            process.communicate(timeout=30)
        assert process.returncode == status
    assert world.ids() == []


@pytest.mark.timeout(180)
def test_requests_that_cannot_be(world: World) -> None:
    for arguments, status, words in (
        (("-r", "gpu=5"), 65, "this machine has 2"),
        (("-r", "foo=1"), 65, "foo"),
        (("-r", "cpu=-1"), 65, "negative"),
        (("-r", "cpu=many"), 65, "many"),
        (("-r", "gpu=1", "-r", "cuda.shares=1"), 65, "not both"),
    ):
        done = world.bai("run", "--rm", *arguments, "-c", "1", "python")
        assert done.status == status and words in done.err, done
        assert done.err.startswith("bai-tui: ") and done.err.count("\n") == 1, done
    done = world.bai("run", "--rm", "-c", "1", "pythn")
    assert done.status == 66 and "'python'" in done.err, done

    assert world.bai("run", "-t", "taker", "-r", "gpu=2", "-c", "1", "python").status == 0
    done = world.bai("run", "--max-wait", "1", "--rm", "-r", "gpu=1", "-c", "1", "python")
    assert done.status == 75 and "still in the queue" in done.err, done
    assert len(world.ids()) == 1
