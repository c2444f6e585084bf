"""Cells in the native kernel, through everything: engine, runner, kernel, journal, reader."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from typing import Any

import pytest
from bai_tui.app.model.errors import IllegalState, KernelNotReady
from bai_tui.app.model.inspection import Completions, Inspection

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_results_are_echoed_and_state_persists(session: Any) -> None:
    first = await session.run("x = 20\nprint('hello world')")
    assert (first.said, first.code) == ([("stdout", "hello world\n")], 0)
    second = await session.run("x + 22")
    assert (second.said, second.code) == ([("stdout", "42\n")], 0)
    assert [record.kind for record in second.records] == ["run-started", "stdout", "run-finished"]
    assert second.records[0].data == {"mode": "query", "code": "x + 22", "options": {}}


async def test_the_order_of_all_kinds_of_output_is_kept(session: Any) -> None:
    result = await session.run(
        "import os, subprocess, sys, ctypes\n"
        "class Rich:\n    def _repr_html_(self): return '<b>r</b>'\n"
        "for i in range(3):\n"
        "    print('py', i)\n"
        "    subprocess.run(['echo', 'child'])\n"
        "    print('err', i, file=sys.stderr)\n"
        "    print('between')\n"
        "    display(Rich())\n"
        "ctypes.CDLL(None).puts(b'from C')\n"
        "print('end')"
    )
    expected: list[tuple[str, str]] = []
    for i in range(3):
        expected += [("stdout", f"py {i}\nchild\n"), ("stderr", f"err {i}\n")]
        expected += [("stdout", "between\n"), ("html", "<b>r</b>")]
    assert result.said == [*expected, ("stdout", "from C\nend\n")]


async def test_output_is_seen_while_the_cell_runs(session: Any) -> None:
    run_id = await session.begin("print('early')\nanswer = input('go on? ')\nprint('late')")
    first = await session.follow(run_id, until=lambda record: record.kind == "waiting-input")
    assert first.text() == "early\ngo on? "
    await session.kernel.send_input(run_id, "")
    assert (await session.follow(run_id)).text() == "early\ngo on? late\n"

    run_id = await session.begin("import time\nprint('before a sleep', flush=False)\ntime.sleep(60)")
    await session.follow(run_id, until=lambda record: record.kind == "stdout")  # times out if it comes with the end
    await session.kernel.interrupt()
    assert (await session.follow(run_id)).code == 1


async def test_input_and_getpass_ask_in_the_console(session: Any) -> None:
    run_id = await session.begin(
        "import getpass, sys\nname = input('name? ')\nword = getpass.getpass('word? ')\n"
        "line = sys.stdin.readline()\nprint([name, word, line])"
    )
    after, asked = 0, []
    for answer in ("Ada", "s3cret", "third"):
        part = await session.follow(run_id, after=after, until=lambda record: record.kind == "waiting-input")
        asked.append((part.text(), part.end.data["is_password"]))
        after = part.end.seq
        await session.kernel.send_input(run_id, answer)
    result = await session.follow(run_id, after=after)
    assert asked == [("name? ", False), ("word? ", True), ("", False)]
    assert result.text() == "['Ada', 's3cret', 'third\\n']\n"


async def test_an_answer_that_names_its_prompt_counts_once(session: Any) -> None:
    run_id = await session.begin("print(input('a'), input('b'))")
    first = await session.follow(run_id, until=lambda record: record.kind == "waiting-input")
    prompt = first.end.seq
    assert not await session.kernel.send_input(run_id, "to none that asks", prompt - 1)
    assert await session.kernel.send_input(run_id, "one", prompt)
    assert not await session.kernel.send_input(run_id, "one", prompt)
    second = await session.follow(run_id, after=prompt, until=lambda record: record.kind == "waiting-input")
    assert not await session.kernel.send_input(run_id, "one", prompt)
    assert await session.kernel.send_input(run_id, "two")
    with contextlib.suppress(IllegalState):  # the run may have ended by now
        assert not await session.kernel.send_input(run_id, "three", second.end.seq)
    assert (await session.follow(run_id, after=second.end.seq)).text() == "one two\n"


async def test_the_end_of_input_is_eof(session: Any) -> None:
    run_id = await session.begin("try:\n    input()\nexcept EOFError:\n    print('eof')")
    await session.follow(run_id, until=lambda record: record.kind == "waiting-input")
    await session.kernel.send_input(run_id, "\x04")
    assert (await session.follow(run_id)).text() == "eof\n"


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(60)", "input()", "!sleep 60"])
async def test_interrupt(session: Any, code: str) -> None:
    wanted = "waiting-input" if code == "input()" else "stdout"
    run_id = await session.begin("print('go')\n" + code)
    await session.follow(run_id, until=lambda record: record.kind == wanted)
    await session.kernel.interrupt()
    result = await session.follow(run_id)
    if code != "!sleep 60":  # IPython takes the shell command's interrupt for itself
        assert result.code == 1
        assert "KeyboardInterrupt" in result.text("stderr")
        assert "runner" not in result.text("stderr"), "frames of ours mean nothing to the user"
    assert (await session.run("'still here'")).text() == "'still here'\n"


async def test_an_interrupt_between_runs_hurts_nobody(session: Any) -> None:
    for _ in range(5):
        await session.kernel.interrupt()
    assert (await session.run("1")).text() == "1\n"


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("1/0", 1, "ZeroDivisionError"),
        ("def f(:", 1, "SyntaxError"),
        ("import sys; sys.exit(3)", 3, None),
        ("import sys; sys.exit()", 0, None),
        ("raise SystemExit('bye')", 1, "bye\n"),
        ("exit", 0, None),
        ("exit(4)", 4, None),
    ],
)
async def test_exit_codes_of_cells(session: Any, code: str, exit_code: int, said: str | None) -> None:
    result = await session.run(code)
    assert (result.end.kind, result.code) == ("run-finished", exit_code)
    assert said in result.text("stderr") if said else result.said == []
    assert (await session.run("2")).code == 0


@pytest.mark.parametrize(
    ("code", "exit_code", "name"),
    [
        ("import os; print('last words'); os._exit(5)", 5, None),
        ("import ctypes; print('last words', flush=True); ctypes.string_at(0)", 139, "SIGSEGV"),
        ("import os; print('last words', flush=True); os.kill(os.getpid(), 9)", 137, "SIGKILL"),
    ],
)
async def test_death_of_the_kernel_and_restart(session: Any, code: str, exit_code: int, name: str | None) -> None:
    if name is None:
        code = code.replace("print('last words')", "print('last words', flush=True)")
    result = await session.run(code)
    assert result.end.kind == "kernel-died"
    assert (result.code, result.end.data.get("signal")) == (exit_code, name)
    assert result.text() == "last words\n"
    death = await asyncio.wait_for(session.kernel.kernel_died(), 5)
    assert death.code == (-(exit_code - 128) if name else exit_code)
    assert (name or "exit code 5") in death.reason
    with pytest.raises(KernelNotReady, match="restart"):
        await session.begin("1")
    (session.work / "kept").write_text("x")
    await session.kernel.restart()
    assert (await session.run("import os; os.listdir()")).text() == "['kept']\n"


async def test_restart_forgets_state_and_ends_the_run(session: Any) -> None:
    await session.run("x = 1; import subprocess; p = subprocess.Popen(['sleep', '60'])")
    run_id = await session.begin("import time; print('go'); time.sleep(60)")
    await session.follow(run_id, until=lambda record: record.kind == "stdout")
    await session.kernel.restart()
    broken = await session.follow(run_id)
    assert (broken.end.kind, broken.end.data["reason"]) == ("kernel-died", "the kernel was restarted")
    assert "NameError" in (await session.run("x")).text("stderr")
    assert len(session.alive()) == 1, "what the old kernel had started is gone"


async def test_only_one_run_at_a_time(session: Any) -> None:
    run_id = await session.begin("import time; print('go'); time.sleep(60)")
    assert session.kernel.busy_run == run_id
    with pytest.raises(IllegalState, match="another run"):
        await session.begin("1")
    assert await session.kernel.complete("impor", 5) == Completions(start=5, busy=True)
    assert await session.kernel.inspect("print", 5) == Inspection(busy=True)
    await session.kernel.interrupt()
    await session.follow(run_id)
    assert session.kernel.busy_run is None
    with pytest.raises(IllegalState):
        await session.kernel.send_input(run_id, "too late")


async def test_an_interrupt_before_the_cell_begins_is_meant_for_it(session: Any) -> None:
    pid = await session.kernel_pid()
    os.kill(pid, signal.SIGSTOP)
    run_id = await session.begin("print('begun')")
    await session.kernel.interrupt()
    os.kill(pid, signal.SIGCONT)
    result = await session.follow(run_id)
    assert (result.code, result.text()) == (1, "")
    assert "KeyboardInterrupt" in result.text("stderr")
    assert (await session.run("1 + 1")).text() == "2\n"


async def test_an_interrupt_spares_the_run_that_comes_after_the_one_that_it_was_meant_for(session: Any) -> None:
    for _ in range(3):
        run_id = await session.begin("import time\nprint('go')\nwhile True: time.sleep(0.001)")
        await session.follow(run_id, until=lambda record: record.kind == "stdout")
        await session.kernel.interrupt()
        assert (await session.follow(run_id)).code == 1
        next_one = await session.run("for _ in range(150): time.sleep(0.001)\nprint('whole')")
        assert (next_one.code, next_one.text()) == (0, "whole\n"), next_one.text("stderr")


async def test_an_interrupt_while_output_is_written_doubles_none_of_it(session: Any) -> None:
    """It often comes just behind the system call that has written, before anybody has noted that."""
    for _ in range(40):
        run_id = await session.begin("i = 0\nwhile True:\n    print(i, flush=True)\n    i += 1")
        await session.follow(run_id, until=lambda record: record.kind == "stdout")
        await session.kernel.interrupt()
        result = await session.follow(run_id)
        assert result.code == 1
        lines = result.text().splitlines()
        assert lines == [str(number) for number in range(len(lines))]


async def test_an_interrupt_that_a_system_call_swallows_is_sent_again(session: Any) -> None:
    # What the race leaves behind: Python's own handler of the signal has told, the one of the kernel never ran.
    result = await session.run(
        "import os, signal, time\n"
        "streams = signal.getsignal(signal.SIGINT).__self__.streams\n"
        "os.write(streams._wake_write, bytes([signal.SIGINT]))\n"
        "time.sleep(60)"
    )
    assert result.code == 1
    assert "KeyboardInterrupt" in result.text("stderr")


async def test_completion(session: Any) -> None:
    await session.run("import os\nclass A: pass\na = A(); a.fast_mode = 1")
    assert (await session.kernel.complete("a.fa", 4)).matches == ("a.fast_mode",)
    completed = await session.kernel.complete("x = 1\nos.pa", 11)
    assert completed.start == 6 and not completed.busy
    assert dict(zip(completed.matches, completed.types, strict=True))["os.path"] == "module"
    assert (await session.kernel.complete("%tim", 4)).matches[0].startswith("%")
    assert not any(match.startswith("%") for match in (await session.kernel.complete("open(fi", 7)).matches)


async def test_inspection(session: Any) -> None:
    await session.run(
        "class A:\n"
        "    'the A'\n"
        "    def m(self, a, b=2):\n"
        "        'the m'\n"
        "        return a\n"
        "    @property\n"
        "    def loud(self):\n"
        "        'the loud one'\n"
        "        print('was run')\n"
        "a = A()\nnumbers = list(range(100))"
    )
    told = await session.kernel.inspect("x = a.m(1, ", 11)
    assert (told.name, told.type, told.signature, told.doc) == ("a.m", "function", "(a, b=2)", "the m")
    loud = await session.kernel.inspect("a.loud", 6)
    assert (loud.type, loud.doc) == ("property", "the loud one")
    assert not (await session.kernel.inspect("a.loud.real", 11)).found, "what only code could tell is not told"
    value = await session.kernel.inspect("numbers", 3)
    assert value.type == "list" and value.text.endswith("(100)") and len(value.text) < 200
    assert "def m(self" in (await session.kernel.inspect("A", 1, 1)).text
    assert (await session.kernel.inspect("%time 1 + 1", 5)).name == "%time"
    assert await session.kernel.inspect("nobody", 6) == Inspection(name="nobody")
    assert (await session.run("1 + 1")).text() == "2\n", "nothing that was asked about was run"


async def test_a_look_into_an_object_that_does_not_come_back_is_interrupted(session: Any) -> None:
    await session.run("import time\nclass A:\n    def __dir__(self):\n        while True: time.sleep(0.01)\na = A()")
    looks = asyncio.ensure_future(session.kernel.complete("a.", 2))
    await asyncio.sleep(0)  # so that the question is sent first
    run_id = await session.begin("print('mine')")
    await session.kernel.interrupt()
    assert (await looks).matches == ()
    await session.follow(run_id)
    assert (await session.run("1 + 1")).text() == "2\n"


async def test_200_000_lines_arrive_whole(session: Any) -> None:
    result = await session.run("for i in range(200_000): print(f'{i:079d}')")
    lines = result.text().splitlines()
    assert len(lines) == 200_000
    assert all(int(line) == number for number, line in enumerate(lines))
    assert len(result.records) < 2000, "lines are joined"


async def test_utf8_is_kept_whole_and_bad_bytes_are_replaced(session: Any) -> None:
    result = await session.run(
        "import os, time\nfor byte in '한글'.encode():\n    os.write(1, bytes([byte])); time.sleep(0.006)\n"
        "n = os.write(1, b'\\xff|\\xe2\\x82')"
    )
    assert result.text() == "한글\ufffd|\ufffd"


async def test_late_output_of_threads_and_children_belongs_to_no_run(session: Any) -> None:
    result = await session.run(
        "import threading, time, subprocess\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('late thread'))).start()\n"
        "p = subprocess.Popen('sleep 0.2; echo late child', shell=True)"
    )
    assert result.said == []
    late = ""
    async with asyncio.timeout(10):
        async for record in session.kernel.records(result.end.seq):
            assert record.run_id is None
            late += record.data
            if "late child\n" in late:
                break
    assert late == "late thread\nlate child\n"


async def test_forks_of_the_kernel_print_and_do_not_answer_for_it(session: Any) -> None:
    result = await session.run(
        "import os, sys, multiprocessing, warnings\nwarnings.simplefilter('error')\nprint('before')\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    print('in child'); print('child err', file=sys.stderr); sys.stdout.flush(); os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "def work(n):\n    print('work', n)\n    return n * n\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool: print(pool.map(work, [3]))"
    )
    assert result.text() == "before\nin child\nwork 3\n[9]\n"
    assert result.text("stderr") == "child err\n"
    assert result.code == 0


async def test_the_namespace_is_main_and_the_environment_is_the_sessions(sessions: Any) -> None:
    session = await sessions.start(environ={"FLAVOUR": "lemon", "PYTHONHASHSEED": "7", "TZ": "Asia/Seoul"})
    result = await session.run(
        "import os, sys, pickle, time\nclass A: pass\n"
        "print(type(pickle.loads(pickle.dumps(A()))) is A, __name__, sys.path[0] == '', sys.argv)\n"
        "print(os.environ['FLAVOUR'], os.environ['HOME'] == os.getcwd(), os.environ['LANG'], time.tzname[0])\n"
        "print(sys.flags.hash_randomization, os.environ['USER'] != '', 'PYTEST_CURRENT_TEST' in os.environ)\n"
        "import subprocess; print(subprocess.check_output('echo $FLAVOUR', shell=True))"
    )
    assert result.text().splitlines() == [
        "True __main__ True ['']",
        "lemon True C.UTF-8 KST",
        "1 True False",
        r"b'lemon\n'",
    ]
    assert result.code == 0


async def test_ipythons_names_for_results_and_inputs(session: Any) -> None:
    assert (await session.run("_, __, In, Out")).text() == "('', '', ['', '_, __, In, Out'], {})\n"
    assert (await session.run("41")).text() == "41\n"
    assert (await session.run("_ + 1, _2, Out[2], In[2]")).text() == "(42, 41, 41, '41')\n"
    assert (await session.run("%history 3")).text() == "_ + 1, _2, Out[2], In[2]\n"
    await session.run("mine = 1")
    assert (await session.run("%who")).text() == "mine\t \n"


def unmarked(said: list[Any]) -> list[Any]:
    """Returns records without the comment that says of HTML which text it stands for."""
    return [(kind, re.sub(r"\s*<!-- as text above.*-->$", "", data) if kind == "html" else data) for kind, data in said]


async def test_formatters_of_the_user_are_asked(session: Any) -> None:
    await session.run(
        "formatters = get_ipython().display_formatter.formatters\n"
        "formatters['text/html'].for_type(int, lambda n: f'<i>{n}</i>')\n"
        "formatters['text/plain'].for_type(str, lambda s, p, cycle: p.text('my ' + s))"
    )
    assert unmarked((await session.run("5")).said) == [("stdout", "5\n"), ("html", "<i>5</i>")]
    assert (await session.run("'word'")).said == [("stdout", "my word\n")]


async def test_magics_await_and_bare_shell_commands(session: Any) -> None:
    assert (await session.run("import asyncio\nawait asyncio.sleep(0.01, 'slept')")).text() == "'slept'\n"
    assert (await session.run("!echo shell; echo err >&2")).said in (
        [("stdout", "shell\n"), ("stderr", "err\n")],
        [("stderr", "err\n"), ("stdout", "shell\n")],
    )
    assert (await session.run("%pwd")).text().strip("'\n") == str(session.work)
    assert "Wall time" in (await session.run("%time sum(range(10))")).text()
    assert (await session.run("%%bash\necho from bash")).text() == "from bash\n"
    assert (await session.run("got = !echo captured\ngot")).text() == "['captured']\n"


async def test_images_are_media_records(session: Any) -> None:
    result = await session.run(
        "class P:\n    def _repr_png_(self): return b'\\x89PNG1234'\n"
        "class S:\n    def _repr_svg_(self): return '<svg/>'\n"
        "class T:\n    def _repr_html_(self): return '<table/>'\n    def __repr__(self): return 'a b\\n1 2'\n"
        "display(P(), S())\nT()"
    )
    assert unmarked(result.said) == [
        ("media", ["image/png", "data:image/png;base64,iVBORzEyMzQ="]),
        ("media", ["image/svg+xml", "<svg/>"]),
        ("stdout", "a b\n1 2\n"),
        ("html", "<table/>"),
    ]
