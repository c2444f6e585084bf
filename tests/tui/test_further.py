"""What the details tell beside what the list knows."""

from __future__ import annotations

from typing import Any

from bai_tui.app.client.views import AboutView
from bai_tui.app.tui.abouts import About
from bai_tui.app.tui.further import NEWEST, further_facts
from bai_tui.app.tui.happenings import Happening, Kind
from bai_tui.tests.tui.fakes import FakeServer
from bai_tui.widgets.glyphs import UNICODE
from bai_tui.widgets.lines import Run, RunState


def told(about: About | None = None, runs: Any = (), events: Any = ()) -> list[tuple[str, str]]:
    return [(fact.label, fact.value) for fact in further_facts(about, runs, events, UNICODE, 100.0)]


def test_secrets_of_the_environment_are_not_shown() -> None:
    view = AboutView({"SEED": "1", "HF_TOKEN": "abc", "MY_SECRET_KEY": "x"}, {"shmem": "64m"}, ("data",))
    assert told(About(0.0, view, 3, 2048)) == [
        ("env", "HF_TOKEN=(hidden)"),
        ("", "MY_SECRET_KEY=(hidden)"),
        ("", "SEED=1"),
        ("opts", "shmem=64m"),
        ("folders", "data"),
        ("files", "3, 2K: f11 lists them"),
    ]


def test_the_newest_runs_and_events_come_first_and_others_are_counted() -> None:
    runs = [Run(number, f"step({number})", 90.0, RunState.OK, 91.0) for number in range(1, 9)]
    runs.append(Run(9, "train()", 95.0, RunState.RUNNING))
    events = [Happening(float(number), Kind.EVENT, f"py-1 did {number}") for number in range(9)]
    facts = told(None, runs, [*events, Happening(9.0, Kind.COMMAND, "bai-tui rm py-1")])
    assert facts[0][1].startswith(f"[9] {UNICODE.busy}") and facts[0][1].endswith("train()")
    assert facts[NEWEST] == ("", "and 4 before")
    assert [value.split(" ", 1)[1] for _, value in facts[NEWEST + 1 :]] == [f"py-1 did {n}" for n in (8, 7, 6, 5, 4)]


async def test_it_is_asked_for_when_the_cursor_rests_on_a_session(open_desk: Any, server: FakeServer) -> None:
    session = server.sessions[server.add("py-1")]
    session.about = AboutView({"SEED": "7"})
    session.files["a.txt"] = b"12"
    async with open_desk(size=(120, 50)) as desk:
        details = desk.app.main.details

        def shown() -> str:
            return "\n".join(details.render_line(y).text for y in range(details.size.height))

        await desk.until(lambda: "SEED=7" in shown() and "f11 lists them" in shown())
