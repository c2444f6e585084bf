"""Our themes can be read: 4.5:1 for every text on every ground that it stands on."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.styles.themes import SHEETS, THEMES
from bai_tui.tests.tui.fakes import FakeServer
from bai_tui.widgets.gpu_map import TINT
from bai_tui.widgets.marks import COLOURS
from textual.color import Color
from textual.theme import Theme

QUIET_ON = ("background", "surface", "panel")


def ratio(one: Color, two: Color) -> float:
    lighter, darker = sorted((luminance(one), luminance(two)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: Color) -> float:
    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.03928 else float(((value + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(part / 255) for part in color.rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_contrast(theme: Theme) -> None:
    texts = {name: getattr(theme, name) for name in ("foreground", "primary", "success", "warning", "error")}
    texts |= {name: value for name, value in theme.variables.items() if name.startswith("code-") or name == "quiet"}
    grounds = {name: getattr(theme, name) for name in QUIET_ON}
    for text, colour in texts.items():
        for ground, below in grounds.items():
            if text.startswith("code-") and ground == "background":
                continue
            assert ratio(Color.parse(colour), Color.parse(below)) >= 4.5, f"{theme.name}: {text} on {ground}"
    row = Color.parse(theme.variables["cursor-row"])
    for name in ("quiet",):
        assert ratio(Color.parse(theme.variables[name]), row) >= 4.5, f"{theme.name}: {name} on the cursor's row"


def test_rules_name_no_colour() -> None:
    for sheet in SHEETS:
        for line in sheet.read_text().splitlines():
            assert "#" not in line.partition(":")[2] or line.strip().startswith(("/*", "#", "MainScreen", ".")), line


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_the_cells_of_the_map_can_be_read_and_told_from_the_ground(theme: Theme) -> None:
    surface, text = Color.parse(theme.surface or ""), Color.parse(theme.foreground or "")
    own = Color.parse(theme.variables["map-text"])
    for number in range(COLOURS):
        colour = Color.parse(theme.variables[f"map-{number}"])
        assert ratio(own, colour) >= 4.5, f"{theme.name}: the selected session in map-{number}"
        assert ratio(text, surface.blend(colour, TINT)) >= 4.5, f"{theme.name}: a session in map-{number}"
        assert ratio(colour, surface) >= 3, f"{theme.name}: what is used, in map-{number}"


@pytest.mark.parametrize("name", ["nord", "textual-light", "ansi-dark", "ansi-light"])
async def test_a_theme_that_is_not_ours_can_be_worn(open_desk: Any, server: FakeServer, name: str) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.main.map.display)
        desk.app.theme = name
        await desk.pilot.pause()
        assert "py-1" in desk.app.main.map.render_line(2 * 2).text
