"""What is hidden from a sandbox and what is put back, on made-up file systems."""

from __future__ import annotations

from pathlib import Path

import pytest
from bai_tui.app.backend.runner.sandbox_mounts import View


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an interpreter, a link to it, and secrets."""
    home = tmp_path / "home" / "me"
    for folder in (".ssh", ".pyenv/versions/3.11.7/bin", "venv/bin", "bin", "lib/python3.11", "data"):
        (home / folder).mkdir(parents=True)
    (home / ".pyenv/versions/3.11.7/bin/python").touch()
    (home / ".pyenv/versions/3.11").symlink_to("3.11.7")
    (home / "venv/bin/python").symlink_to(home / ".pyenv/versions/3.11/bin/python")
    return home


def test_an_interpreter_is_put_back_with_the_links_that_lead_to_it(home: Path) -> None:
    view = View([str(home)])
    view.show_prefix(str(home / "venv"))
    view.show_prefix(str(home / ".pyenv/versions/3.11"))
    view.show(str(home / "venv/bin/python"))
    versions = home / ".pyenv/versions"
    args = " ".join(view.mounts({}))
    assert args.startswith(f"--tmpfs {home} ") and args.endswith(f" --remount-ro {home}")
    for shown in (home / "venv", versions / "3.11.7"):
        assert f"--ro-bind {shown} {shown}" in args
    assert f"--symlink 3.11.7 {versions / '3.11'}" in args
    assert "/bin/python" not in args, "it lies in what is shown already"
    assert ".ssh" not in args


def test_a_home_that_is_a_prefix_shows_its_parts_only(home: Path) -> None:
    view = View([str(home)])
    view.show_prefix(str(home))
    assert view.shown == {str(home / "bin"), str(home / "lib")}
    view.show(str(home))
    view.show(str(home.parent))
    view.show("/")
    assert view.shown == {str(home / "bin"), str(home / "lib")}


def test_nothing_comes_back_that_holds_something_hidden(home: Path) -> None:
    view = View([str(home), str(home / "data" / "state"), str(home / "data")])
    view.show(str(home / "data"))
    assert view.shown == set()
    args = view.mounts({})
    assert args.count("--tmpfs") == 1, "what lies in a hidden folder need not be hidden"


def test_what_is_seen_anyway_is_left_alone(home: Path) -> None:
    view = View([str(home)])
    for path in ("/usr", "/usr/bin/env", str(home / "none"), ""):
        view.show(path)
    assert (view.shown, view.hides("/usr"), view.hides(str(home / ".ssh"))) == (set(), False, True)


def test_folders_of_the_system_stay_whoever_lives_there() -> None:
    assert "/usr" not in View(["/usr", "/"]).hidden
    assert "/" not in View(["/"]).hidden


def test_a_hidden_file_is_covered_and_own_folders_come_where_they_belong(home: Path) -> None:
    secret = home.parent / "secret"
    secret.write_text("the key")
    place = str(home / "work")
    args = " ".join(View([str(home), str(secret)]).mounts({place: "/outside"}))
    assert f"--ro-bind /dev/null {secret}" in args
    assert args.index(f"--tmpfs {home}") < args.index(f"--bind /outside {place}") < args.index(f"--remount-ro {home}")


def test_links_that_go_round_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    view = View([str(tmp_path)])
    view._link(str(tmp_path / "a" / "x"))
    assert set(view.links) == {str(tmp_path / "a"), str(tmp_path / "b")}
