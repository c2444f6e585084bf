"""Exact amounts as integers of one quantum.

Only integer arithmetic: a Decimal context of 28 digits would round what `mem=1y` asks for.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from ...model.errors import InvalidAmount
from ...model.slots import format_amount

_DIGITS = 60
"""More than any amount that `model.slots` lets through can have."""


class Quantum:
    """The smallest part of a slot that can be promised."""

    __slots__ = ("_denominator", "_numerator", "value")

    def __init__(self, value: Decimal) -> None:
        """Raises ValueError unless `value` is positive and finite."""
        if not value.is_finite() or value <= 0:
            raise ValueError(f"a quantum of {value} makes no sense: take a positive number such as 0.01")
        self.value = value
        self._numerator, self._denominator = value.as_integer_ratio()

    def units(self, amount: Decimal, slot: str) -> int:
        """Returns how many quanta `amount` is.

        Raises:
            InvalidAmount: negative, or no multiple; the message names the nearest two that are.
        """
        numerator, denominator = amount.as_integer_ratio()
        if numerator < 0:
            raise InvalidAmount(f"Resource slot {slot!r} cannot be negative: {format_amount(amount)}")
        units, rest = divmod(numerator * self._denominator, denominator * self._numerator)
        if rest:
            below, above = (format_amount(self.amount(near)) for near in (units, units + 1))
            ask = f"ask for {below} or {above}" if units else f"the least that can be asked for is {above}"
            raise InvalidAmount(f"{format_amount(amount)} {slot} is no multiple of {format_amount(self.value)}: {ask}")
        return units

    def amount(self, units: int) -> Decimal:
        """Returns the exact amount of so many quanta."""
        if units < 10**12:  # within the 28 digits of the default context
            return self.value * units
        with localcontext() as context:
            context.prec = _DIGITS
            return self.value * units


WHOLE = Quantum(Decimal(1))
"""Cores, whole devices, bytes."""
GRAIN = Quantum(Decimal("0.001"))
"""What shares are counted in whatever the quantum of requests is: `model.slots` lets nothing finer through."""


def quantum_of_shares(value: Decimal) -> Quantum:
    """Returns the quantum that requests of `cuda.shares` are checked against.

    Raises:
        ValueError: it does not divide 1, or is no multiple of 0.001.
    """
    quantum = Quantum(value)
    if value % GRAIN.value or 1 % value:
        raise ValueError(
            f"a quantum of {format_amount(value)} makes no sense: take a part of 1 in whole thousandths, such as 0.01, "
            "0.05, 0.1 or 0.25"
        )
    return quantum


def human_bytes(amount: Decimal) -> str:
    """Returns bytes in the largest unit that leaves at least 1, to a tenth: `1.5g`. For reading, not for counting."""
    units, size = "kmgtpezy", int(amount)
    power = min(max((size.bit_length() - 1) // 10, 0), len(units))
    if not power:
        return f"{size} bytes"
    tenths = size * 10 // 1024**power
    return f"{tenths // 10}{f'.{tenths % 10}' if tenths % 10 else ''}{units[power - 1]}"
