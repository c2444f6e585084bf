"""Our themes can be read: 4.5:1 for every text on every ground that it stands on."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pytest
from bai_tui.styles.themes import SHEETS, THEMES
from bai_tui.tests.tui.fakes import FakeServer
from bai_tui.widgets.gpu_map import TINT
from bai_tui.widgets.marks import COLOURS
from textual.color import Color
from textual.theme import Theme

QUIET_ON = ("background", "surface", "panel")
OURS = [theme for theme in THEMES if not theme.ansi]
"""Those whose colours we know."""
RED_GREEN = {
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
}
"""What is seen of linear red, green and blue (Machado, Oliveira and Fernandes, 2009)."""
Linear = tuple[float, ...]


def ratio(one: Color, two: Color) -> float:
    lighter, darker = sorted((luminance(one), luminance(two)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def linear(color: Color) -> Linear:
    def one(value: float) -> float:
        return value / 12.92 if value <= 0.03928 else float(((value + 0.055) / 1.055) ** 2.4)

    return tuple(one(part / 255) for part in color.rgb)


def luminance(color: Color) -> float:
    red, green, blue = linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def seen(color: str, eye: str) -> Linear:
    """What an eye that mixes up red and green sees."""
    parts = linear(Color.parse(color))
    return tuple(min(1.0, max(0.0, sum(a * b for a, b in zip(row, parts, strict=True)))) for row in RED_GREEN[eye])


def apart(one: Linear, two: Linear) -> float:
    """How different two colours look: a distance in CIELAB, of which 2.3 is just seen."""

    def lab(color: Linear) -> tuple[float, float, float]:
        def root(value: float) -> float:
            return float(value ** (1 / 3)) if value > 0.008856 else 7.787 * value + 16 / 116

        red, green, blue = color
        x = root((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047)
        y = root(0.2126 * red + 0.7152 * green + 0.0722 * blue)
        z = root((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883)
        return 116 * y - 16, 500 * (x - y), 200 * (y - z)

    return math.dist(lab(one), lab(two))


@pytest.mark.parametrize("eye", RED_GREEN)
@pytest.mark.parametrize(
    "theme", [theme for theme in OURS if theme.name != "bai-contrast"], ids=lambda theme: theme.name
)
def test_states_are_told_apart_without_red_and_green(theme: Theme, eye: str) -> None:
    states = {name: seen(getattr(theme, name), eye) for name in ("primary", "success", "warning", "error")}
    least = 20 if theme.name == "bai-safe" else 8
    for (one, first), (two, second) in combinations(states.items(), 2):
        assert apart(first, second) >= least, f"{theme.name}: {one} and {two}"


@pytest.mark.parametrize("eye", RED_GREEN)
def test_cells_of_the_map_are_told_apart_without_red_and_green(eye: str) -> None:
    safe = next(theme for theme in THEMES if theme.name == "bai-safe")
    parts = [seen(safe.variables[f"map-{number}"], eye) for number in range(COLOURS)]
    for one, two in combinations(parts, 2):
        assert apart(one, two) >= 10


def test_high_contrast_is_high() -> None:
    theme = next(theme for theme in THEMES if theme.name == "bai-contrast")
    ground = Color.parse(theme.panel or "")
    texts = [theme.foreground, theme.primary, theme.success, theme.warning, theme.error, theme.variables["quiet"]]
    texts += [value for name, value in theme.variables.items() if name.startswith("code-")]
    for colour in texts:
        assert ratio(Color.parse(colour or ""), ground) >= 7, colour
    assert ratio(Color.parse(theme.variables["line"]), ground) >= 4.5, "edges of panes"


@pytest.mark.parametrize("theme", OURS, ids=lambda theme: theme.name)
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


@pytest.mark.parametrize("theme", OURS, ids=lambda theme: theme.name)
def test_the_cells_of_the_map_can_be_read_and_told_from_the_ground(theme: Theme) -> None:
    surface, text = Color.parse(theme.surface or ""), Color.parse(theme.foreground or "")
    own = Color.parse(theme.variables["map-text"])
    for number in range(COLOURS):
        colour = Color.parse(theme.variables[f"map-{number}"])
        assert ratio(own, colour) >= 4.5, f"{theme.name}: the selected session in map-{number}"
        assert ratio(text, surface.blend(colour, TINT)) >= 4.5, f"{theme.name}: a session in map-{number}"
        assert ratio(colour, surface) >= 3, f"{theme.name}: what is used, in map-{number}"


@pytest.mark.parametrize("name", ["nord", "textual-light", "ansi-dark", "ansi-light", "bai-16", "bai-16-light"])
async def test_a_theme_that_is_not_ours_can_be_worn(open_desk: Any, server: FakeServer, name: str) -> None:
    server.add("py-1")
    async with open_desk() as desk:
        await desk.until(lambda: desk.app.main.map.display)
        desk.app.theme = name
        await desk.pilot.pause()
        assert "py-1" in desk.app.main.map.render_line(2 * 2).text
