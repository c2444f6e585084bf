"""Says it where it cannot be missed when nothing was tried on a card."""

from __future__ import annotations

import pytest

NOTICE = "NO NVIDIA GPU HERE: the layers of GPU enforcement were tried against fakes only, not on a card"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if any(NOTICE in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_sep("!", f"{NOTICE} (docs/gpu-shares.md)", yellow=True, bold=True)
