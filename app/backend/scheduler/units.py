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
