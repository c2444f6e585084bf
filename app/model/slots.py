"""Resource slots: names, amounts, and maps of them.

Amounts are exact `Decimal`s; on the wire they are unscaled decimal strings. Syntax: wire contract 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
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

_SIZE = re.compile(r"([0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)\s*([kmgtpezy])?(?:i?b(?:ytes?)?)?", re.IGNORECASE | re.ASCII)
_COUNT = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_LONGEST = 40
"""Characters of an amount; keeps arithmetic on it cheap and exact."""
_POWERS = {"": 1, **{unit: 1024**power for power, unit in enumerate("kmgtpezy", 1)}}


def is_bytes(slot: str) -> bool:
    """Whether amounts of `slot` are bytes."""
    return "mem" in slot


def parse_amount(slot: str, text: str | int) -> Decimal:
    """Returns the exact amount that `text` means for `slot`.

    Bytes: integers, or a number with k, m, g, t, p, e, z, y (powers of 1024, any case, optional `b`, `ib`, `bytes`).
    Counts: plain decimals with at most 3 places.

    Raises:
        InvalidAmount: negative, malformed, infinite, too long, or finer than a thousandth (counts) or a byte (bytes).
    """
    raw = str(text).strip()
    if len(raw) > _LONGEST:
        raise InvalidAmount(f"{raw[:_LONGEST]!r}... is too long for an amount of the slot {slot!r}")
    if raw.startswith("-"):
        raise InvalidAmount(f"Resource slot {slot!r} cannot be negative: {raw}")
    if is_bytes(slot):
        match = _SIZE.fullmatch(raw)
        if match is None:
            raise InvalidAmount(f"{raw!r} is no size for the slot {slot!r}: write bytes, or a number with k, m, g or t")
        # Integers, not Decimal arithmetic: its context would round after 28 digits.
        numerator, denominator = Decimal(match[1].replace("_", "")).as_integer_ratio()
        size, rest = divmod(numerator * _POWERS[(match[2] or "").lower()], denominator)
        if rest:
            raise InvalidAmount(f"{raw!r} is no whole number of bytes for the slot {slot!r}")
        return Decimal(size)
    if not _COUNT.fullmatch(raw):
        raise InvalidAmount(f"{raw!r} is no amount for the slot {slot!r}: write a decimal number such as 1 or 0.5")
    if len(raw.partition(".")[2].rstrip("0")) > 3:
        raise InvalidAmount(f"{raw!r} is finer than a thousandth of the slot {slot!r}: round it to 3 places")
    return Decimal(raw)


def format_amount(amount: Decimal) -> str:
    """Returns `amount` as an unscaled decimal string: `0.5`, `1`, `1073741824`."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def typed_amount(slot: str, text: str) -> str:
    """Returns what a person types for an amount: `1g`, where the wire has `1073741824`. The amount is the same.

    On the command line, as in the Backend.AI client, a plain number of memory is MiB.

    Raises:
        InvalidAmount: see `parse_amount`.
    """
    if not is_bytes(slot):
        return text
    size = int(parse_amount(slot, text))
    unit = next((unit for unit in "tgmk" if size and size % _POWERS[unit] == 0), "")
    return f"{size // _POWERS[unit]}{unit or 'b'}"


def _number_text(value: str | int | float | Decimal) -> str:
    """Returns a JSON number as it was meant: 0.1 is a tenth, 1e9 is written out."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_LONGEST else "9" * (_LONGEST + 1)  # str() of a huge int is refused
    exact = Decimal(str(value))
    return format(exact, "f") if exact.is_finite() and abs(exact.adjusted()) <= _LONGEST else str(exact)


class ResourceSlots(Mapping[str, Decimal]):
    """An immutable map from slot name to exact amount; a missing slot is zero where amounts are compared."""

    __slots__ = ("_amounts",)

    def __init__(self, amounts: Mapping[str, Decimal | int] | None = None) -> None:
        """Raises TypeError for a float: it has lost what was meant before it comes here."""
        if amounts and any(isinstance(amount, float) for amount in amounts.values()):
            raise TypeError(f"slots are exact: give Decimal or int, not float, in {dict(amounts)}")
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
            amounts[name] = parse_amount(name, _number_text(value))
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
        if not isinstance(other, ResourceSlots):
            return NotImplemented
        return self._nonzero() == other._nonzero()

    def __hash__(self) -> int:
        return hash(frozenset(self._nonzero().items()))

    def _nonzero(self) -> dict[str, Decimal]:
        return {name: amount for name, amount in self._amounts.items() if amount}

    def __repr__(self) -> str:
        return f"ResourceSlots({self.wire()})"
