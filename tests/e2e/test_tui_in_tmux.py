"""The whole way in tmux, by keys and what stands on the screen: launch, run, answer, terminal, kill."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="NO TMUX HERE: the screen was not tried in it"),
]

LIMIT_S = 60.0


class Tmux:
    """One window of 120x40 cells with a program, in a server of its own."""

    def __init__(self, folder: Path, environ: dict[str, str], command: str) -> None:
        # unix sockets have short paths: the test's folder may be too long
        self._base = ["tmux", "-f", "/dev/null", "-S", os.path.join(os.environ["BAI_TUI_TEST_ROOT"], "t.sock")]
        self._environ = environ
        self._call("new-session", "-d", "-x", "120", "-y", "40", "-c", str(folder), command)
        self._call("set-option", "-g", "remain-on-exit", "on")

    def _call(self, *words: str) -> str:
        done = subprocess.run(
            [*self._base, *words], env=self._environ, capture_output=True, text=True, timeout=LIMIT_S, check=True
        )
        return done.stdout

    def press(self, *keys: str) -> None:
        """Presses keys, by tmux's names."""
        self._call("send-keys", *keys)

    def type(self, text: str) -> None:
        self._call("send-keys", "-l", text)

    @property
    def screen(self) -> str:
        return self._call("capture-pane", "-p")

    def wait_for(self, *texts: str, gone: str = "") -> str:
        """Looks until all of `texts` stand on the screen, and `gone` no more."""

        def there(screen: str) -> bool:
            return all(text in screen for text in texts) and not (gone and gone in screen)

        return self.wait_until(there, f"{texts}, without {gone!r}" if gone else str(texts))

    def wait_until(self, condition: Callable[[str], bool], what: str) -> str:
        deadline = time.monotonic() + LIMIT_S
        while True:
            screen = self.screen
            if condition(screen):
                return screen
            assert time.monotonic() < deadline, f"never came: {what}\n{screen}"
            time.sleep(0.05)  # tmux tells nobody when a screen changes

    @property
    def exit_status(self) -> str:
        """The exit status of the program; empty while it runs."""
        return self._call("display-message", "-p", "#{pane_dead_status}").strip()

    def close(self) -> None:
        subprocess.run([*self._base, "kill-server"], env=self._environ, check=False, capture_output=True)


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    outside = ("BACKEND_", "XDG_", "BAI_TUI_A", "TMUX")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
    home = tmp_path / "home"
    (home / ".config" / "bai-tui").mkdir(parents=True)
    (home / ".config" / "bai-tui" / "config.toml").write_text("port = 0\n")
    environ = {**kept, "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8", "SHELL": "/bin/sh"}
    yield environ
    stop = [sys.executable, "-m", "bai_tui", "serve", "--stop", "--kill-sessions"]
    subprocess.run(stop, env=environ, check=False, capture_output=True)


def names(environ: dict[str, str]) -> list[str]:
    listed = [sys.executable, "-m", "bai_tui", "ps", "--name-only"]
    return subprocess.run(listed, env=environ, check=True, capture_output=True, text=True).stdout.split()


def test_launch_run_answer_terminal_and_kill(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text('who = input("who? ")\nprint("hello", who.upper())\n')
    tmux = Tmux(tmp_path, environ, shlex.join([sys.executable, "-m", "bai_tui"]))
    try:
        tmux.wait_for("no sessions yet", "runs code in sessions")
        tmux.press("n")
        tmux.wait_for("python:")
        tmux.press("Enter")
        tmux.wait_for("● py-1", gone="no sessions yet")

        tmux.press("C-o")
        tmux.wait_for("Open a file")
        tmux.type(str(tmp_path / "asks.py"))
        tmux.press("Enter")
        tmux.wait_for("who = input(", gone="Open a file")
        tmux.press("C-r")
        tmux.wait_for("input for run [1]")
        tmux.type("ada")
        tmux.press("Enter")
        tmux.wait_for("hello ADA", gone="input for run")

        tmux.press("F10")
        tmux.wait_until(lambda screen: "$ " in screen or "# " in screen, "the prompt of a shell")
        tmux.type("echo $((6 * 7))$((1 + 1))")
        tmux.press("Enter")
        tmux.wait_for("422")

        tmux.press("C-]")
        tmux.press("F2", "x")
        tmux.wait_for("ends in ")
        tmux.press("u")
        tmux.wait_for("● py-1")
        assert names(environ) == ["py-1"]
        tmux.press("x")
        tmux.wait_for("ended")
        assert names(environ) == []

        tmux.press("C-q")
        tmux.wait_until(lambda _: tmux.exit_status != "", "the end of the program")
        assert tmux.exit_status == "0"
    finally:
        tmux.close()
