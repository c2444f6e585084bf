"""Text chosen by keys."""

from __future__ import annotations

from bai_tui.widgets.console_export import coloured, everything, output_of
from bai_tui.widgets.console_select import TextCursor, text_between
from bai_tui.widgets.transcript import RunState, Transcript


def said() -> Transcript:
    transcript = Transcript()
    run = transcript.begin("first()\nsecond()", 1.0)
    transcript.write("alpha beta\n\ngamma, delta\n")
    transcript.finish(run, RunState.OK, 2.0)
    other = transcript.begin("other()", 3.0)
    transcript.write("\x1b[1;31mred\x1b[0m end\n")
    transcript.finish(other, RunState.FAILED, 4.5, 2)
    return transcript


def test_it_moves_by_characters_words_and_lines() -> None:
    cursor = TextCursor(said(), (1, 0))
    cursor.move(0, 6)
    assert cursor.spot == (1, 6)
    cursor.word(1)
    assert cursor.spot == (3, 0)
    cursor.word(1)
    assert cursor.spot == (3, 5)
    cursor.word(-1)
    cursor.word(-1)
    assert cursor.spot == (1, 6)
    cursor.line_end(1)
    assert cursor.spot == (1, 9)
    cursor.move(2, 0)
    assert cursor.spot == (3, 9)
    cursor.move(-1, 0)
    assert cursor.spot == (2, 0)
    # its column is found again behind a shorter line
    cursor.move(1, 0)
    assert cursor.spot == (3, 9)
    cursor.move(0, -10)
    assert cursor.spot == (2, 0)
    cursor.move(-100, 0)
    assert cursor.spot[0] == 0
    cursor.move(100, 0)
    assert cursor.spot[0] == 5


def test_it_selects_characters_lines_and_the_other_way_round() -> None:
    transcript = said()
    cursor = TextCursor(transcript, (1, 6))
    assert cursor.range() is None
    cursor.mark()
    cursor.move(2, 0)
    first, last = cursor.range() or ((0, 0), (0, 0))
    assert text_between(transcript, first, last) == "beta\n\ngamma, "
    cursor.swap()
    assert cursor.spot == (1, 6)
    cursor.mark(by_line=True)
    first, last = cursor.range() or ((0, 0), (0, 0))
    assert text_between(transcript, first, last) == "alpha beta\n\ngamma, delta"
    cursor.mark(by_line=True)
    assert cursor.range() is None


def test_it_goes_over_what_is_folded_and_does_not_copy_it() -> None:
    transcript = said()
    transcript.runs[0].folded = True
    cursor = TextCursor(transcript, (0, 0))
    cursor.mark(by_line=True)
    cursor.move(1, 0)
    assert cursor.spot[0] == 4
    first, last = cursor.range() or ((0, 0), (0, 0))
    assert text_between(transcript, first, last) == "[1] first() …\n[2] other()"
    assert "alpha" in text_between(transcript, first, last, folded=True)
    cursor.move(-1, 0)
    assert cursor.spot[0] == 0


def test_a_run_is_copied_with_and_without_its_code() -> None:
    transcript = said()
    assert output_of(transcript, transcript.runs[0]) == "alpha beta\n\ngamma, delta"
    assert output_of(transcript, transcript.runs[1], code=True) == "other()\nred end"


def test_everything_is_saved_with_its_code_and_colours() -> None:
    text = everything(said(), colours=True)
    assert "# [1] 1970-01-01" in text and "# > second()" in text and "failed, exit 2, 1.50 s" in text
    assert "\x1b[1;31mred\x1b[0m end" in text
    assert "\x1b" not in everything(said())


def test_colours_are_written_as_they_were_read() -> None:
    transcript = Transcript()
    source = "\x1b[2;3;4;7;9mall\x1b[0m\x1b[38;5;200;48;2;1;2;3mrgb\x1b[0m\x1b[94;103mbright\x1b[0m plain"
    transcript.write(source)
    again = Transcript()
    again.write(coloured(transcript.lines[0]))
    assert again.lines == transcript.lines
