"""Resource slots: names, amounts, and maps of them.

Amounts are exact `Decimal`s; on the wire they are unscaled decimal strings. Syntax: wire contract 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from .errors import BadRequest, InvalidAmount, UnknownSlot

CPU: Final = "cpu"
MEM: Final = "mem"
CUDA_DEVICE: Final = "cuda.device"
CUDA_SHARES: Final = "cuda.shares"
KNOWN_SLOTS: Final[Mapping[str, str]] = {CPU: "count", MEM: "bytes", CUDA_DEVICE: "count", CUDA_SHARES: "count"}
"""Slot name -> unit, in the order in which they are shown."""
GPU_ALIAS: Final = "gpu"
"""What people type for `cuda.shares`."""

_SIZE = re.compile(r"^([0-9][0-9_]*(?:\.[0-9]+)?|\.[0-9]+)\s*([kmgtpezy])?(i?b(?:yte(?:s)?)?)?$", re.IGNORECASE)
_COUNT = re.compile(r"^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)$")
_POWERS = {unit: 1024**power for power, unit in enumerate(" kmgtpezy") if unit != " "}


def is_bytes(slot: str) -> bool:
    """Whether amounts of `slot` are bytes."""
    return "mem" in slot


def parse_amount(slot: str, text: str | int) -> Decimal:
    """Returns the exact amount that `text` means for `slot`.

    Bytes: integers, or a number with k, m, g, t, p, e, z, y (powers of 1024, any case, optional `b`/`ib`).
    Counts: plain decimals with at most 3 places.

    Raises:
        InvalidAmount: negative, malformed, infinite, or finer than a thousandth (counts) or a byte (bytes).
    """
    raw = str(text).strip()
    if raw.startswith("-"):
        raise InvalidAmount(f"Resource slot {slot!r} cannot be negative: {raw}")
    if is_bytes(slot):
        match = _SIZE.match(raw)
        if match is None:
            raise InvalidAmount(f"{raw!r} is no size for the slot {slot!r}: write bytes, or a number with k, m, g or t")
        amount = Decimal(match[1].replace("_", "")) * _POWERS.get((match[2] or "").lower(), 1)
        if amount != amount.to_integral_value():
            raise InvalidAmount(f"{raw!r} is no whole number of bytes for the slot {slot!r}")
        return amount.to_integral_value()
    if not _COUNT.match(raw):
        raise InvalidAmount(f"{raw!r} is no amount for the slot {slot!r}: write a decimal number such as 1 or 0.5")
    try:
        amount = Decimal(raw)
    except InvalidOperation:  # pragma: no cover - the pattern lets nothing else through
        raise InvalidAmount(f"{raw!r} is no amount for the slot {slot!r}") from None
    if amount != round(amount, 3):
        raise InvalidAmount(f"{raw!r} is finer than a thousandth of the slot {slot!r}: round it to 3 places")
    return amount


def format_amount(amount: Decimal) -> str:
    """Returns `amount` as an unscaled decimal string: `0.5`, `1`, `1073741824`."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class ResourceSlots(Mapping[str, Decimal]):
    """An immutable map from slot name to exact amount; a missing slot is zero where amounts are compared."""

    __slots__ = ("_amounts",)

    def __init__(self, amounts: Mapping[str, Decimal | int] | None = None) -> None:
        self._amounts = {name: Decimal(amount) for name, amount in (amounts or {}).items()}

    @classmethod
    def parse(cls, wire: Mapping[str, object], *, known: Mapping[str, str] = KNOWN_SLOTS) -> ResourceSlots:
        """Reads slots as a user or client wrote them; `gpu` becomes `cuda.shares`.

        Raises:
            UnknownSlot: a name that `known` lacks; the message lists what there is.
            InvalidAmount: see `parse_amount`.
            BadRequest: `gpu` together with `cuda.shares`, or an amount that is neither string nor number.
        """
        if GPU_ALIAS in wire and CUDA_SHARES in wire:
            raise BadRequest("give 'gpu' or 'cuda.shares', not both: they are the same slot")
        amounts: dict[str, Decimal] = {}
        for asked, value in wire.items():
            name = CUDA_SHARES if asked == GPU_ALIAS else asked
            if name not in known:
                raise UnknownSlot(f"Unknown slot type: {asked!r}; this machine knows {', '.join(known)}")
            if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
                raise BadRequest(f"the amount of the slot {asked!r} must be a string or a number")
            amounts[name] = parse_amount(name, str(value))
        return cls(amounts)

    def wire(self) -> dict[str, str]:
        """Returns slot name -> unscaled decimal string."""
        return {name: format_amount(amount) for name, amount in self._amounts.items()}

    def __getitem__(self, name: str) -> Decimal:
        return self._amounts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._amounts)

    def __len__(self) -> int:
        return len(self._amounts)

    def amount(self, name: str) -> Decimal:
        """Returns the amount of `name`, zero when it is missing."""
        return self._amounts.get(name, Decimal(0))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceSlots) and self._amounts == other._amounts

    def __hash__(self) -> int:
        return hash(frozenset(self._amounts.items()))

    def __repr__(self) -> str:
        return f"ResourceSlots({self.wire()})"
