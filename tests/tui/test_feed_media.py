"""Rich output from the wire to the transcript: what the runner says twice is shown once."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.app.backend.runner.display import records_of
from bai_tui.app.model.console import Frame, RunStatus
from bai_tui.app.tui.feed import Feed
from bai_tui.widgets.transcript import Header, Line, Media, plain_text

TABLE = "<table><tr><th></th><th>a</th></tr><tr><th>0</th><td>1</td></tr></table>"
TEXT = "   a\n0  1"


def fed(*records: tuple[str, Any]) -> list[Line]:
    feed = Feed()
    run = feed.begin("x", 0.0)
    feed.frame(run, Frame(RunStatus.CONTINUED, list(records)), 0.0)
    return [line for line in feed.transcript.lines if not isinstance(line, Header)]


def as_sent(bundle: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    text, records = records_of(bundle)
    said = before if text is None else f"{before}{text}\n"
    return [*([("stdout", said)] if said else []), *((kind, data) for kind, data in records)]


def test_a_table_stands_in_place_of_its_text() -> None:
    lines = fed(*as_sent({"text/plain": TEXT, "text/html": TABLE}, before="said before\n"), ("stdout", "after\n"))
    first, table, last = lines
    assert (first, last) == ("said before", "after")
    assert isinstance(table, Media) and table.mime == "text/html"
    assert plain_text(table) == TEXT


@pytest.mark.parametrize(
    "records",
    [
        [("stdout", "x" + TEXT + "\n"), *as_sent({"text/plain": TEXT, "text/html": TABLE})[1:]],
        [("stdout", "another\ntext\n"), *as_sent({"text/plain": TEXT, "text/html": TABLE})[1:]],
        [*as_sent({"text/plain": TEXT, "text/html": TABLE})[:1], ("html", TABLE)],
        [("stdout", "one\n"), ("html", TABLE + "\n<!-- as text above: lines=999999 crc32=00000000 -->")],
        [("stdout", "one\n"), ("html", TABLE + "\n<!-- as text above: lines=0 crc32=00000000 -->")],
    ],
)
def test_what_is_not_surely_the_same_stays(records: list[tuple[str, Any]]) -> None:
    lines = fed(*records)
    assert "\n".join(plain_text(line) for line in lines[:-1]) + "\n" == records[0][1]
    assert isinstance(lines[-1], Media)


def test_output_goes_on_where_the_text_was() -> None:
    feed = Feed()
    run = feed.begin("x", 0.0)
    for _ in range(3):
        feed.frame(run, Frame(RunStatus.CONTINUED, as_sent({"text/plain": TEXT, "text/html": TABLE})), 0.0)
    assert [type(line).__name__ for line in feed.transcript.lines] == ["Header", "Media", "Media", "Media"]
    assert feed.transcript.end == len(feed.transcript.lines)


@pytest.mark.parametrize(
    ("bundle", "mime"),
    [
        ({"text/plain": "<IPython.core.display.JSON object>", "application/json": {"a": 1}}, "application/json"),
        ({"text/plain": "<IPython.core.display.Markdown object>", "text/markdown": "# x"}, "text/markdown"),
        ({"text/plain": "<IPython.core.display.Latex object>", "text/latex": "$x$"}, "text/latex"),
        ({"text/plain": "<IPython.core.display.HTML object>", "text/html": "<b>x</b>"}, "text/html"),
        ({"text/plain": "<Figure size 1x1>", "image/png": "QUJD"}, "image/png"),
    ],
)
def test_what_has_no_text_comes_as_what_it_is(bundle: dict[str, Any], mime: str) -> None:
    (line,) = fed(*as_sent(bundle))
    assert isinstance(line, Media) and line.mime == mime
    assert line.alt


def test_html_that_tries_to_stall_the_reader_is_read_at_once() -> None:
    for hostile in ("<script>" * 20_000, "<a b='" * 20_000, "<!--" * 20_000, "<style" * 20_000):
        (line,) = fed(("html", hostile))
        assert isinstance(line, Media)
