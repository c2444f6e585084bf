"""The keys of the details."""

from __future__ import annotations

from typing import Final

from .action import of_instrument

ROWS: Final = of_instrument("details", "i")
