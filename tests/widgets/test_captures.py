"""What real programs printed reads as on a real terminal: progress bars of several kinds, colours, moves.

The captures were taken from a pty of 100 columns. `.shown` is what tmux shows, where pyte lacks what a program uses.
"""

from __future__ import annotations

from pathlib import Path

import pyte
import pytest
from bai_tui.widgets.lines import Styled, plain_text
from bai_tui.widgets.transcript import Transcript

FOLDER = Path(__file__).parent / "captures"
CAPTURES = sorted(FOLDER.glob("*.txt"))


def shown_by_a_terminal(capture: Path) -> list[str]:
    expected = capture.with_suffix(".shown")
    if expected.exists():
        return [line.rstrip() for line in expected.read_text(encoding="utf-8").splitlines()]
    screen = pyte.HistoryScreen(100, 40, history=1000, ratio=1.0)
    pyte.Stream(screen).feed(capture.read_bytes().decode())
    gone = ["".join(line[column].data for column in range(100)) for line in screen.history.top]
    lines = [line.rstrip() for line in (*gone, *screen.display)]
    while lines and not lines[-1]:
        lines.pop()
    return lines


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_it_reads_as_on_a_terminal(capture: Path, size: int) -> None:
    text = capture.read_bytes().decode()
    transcript = Transcript()
    for at in range(0, len(text), size):
        transcript.write(text[at : at + size])
    lines = [plain_text(line).rstrip() for line in transcript.lines]
    while lines and not lines[-1]:
        lines.pop()
    assert lines == shown_by_a_terminal(capture)


def test_there_are_captures() -> None:
    assert len(CAPTURES) >= 7


def test_styles_and_links_of_programs_are_kept() -> None:
    transcript = Transcript()
    transcript.write((FOLDER / "moves.txt").read_bytes().decode())
    styled = next(line for line in transcript.lines if isinstance(line, Styled))
    found = {styled.text[start:end]: style for start, end, style in styled.spans}
    assert found["rev"].reverse and found["curl"].underline == 1 and found["rgb"].fg == (10, 20, 30)
    transcript.write("\x1b]8;id=1;https://example.org/a\x1b\\here\x1b]8;;\x1b\\ \x1b[21mtwo\x1b[m\n")
    line = transcript.lines[-1]
    assert isinstance(line, Styled)
    (_, _, link), _, (_, _, double) = line.spans
    assert (link.link, double.link, double.underline) == ("https://example.org/a", "", 2)
