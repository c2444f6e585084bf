"""An index of devices by how much of each is free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def lowest(bits: int) -> int:
    """Returns the number of the lowest bit that is set."""
    return (bits & -bits).bit_length() - 1


class Amounts:
    """Free units of devices, numbered from 0, without an index: for few devices with many units."""

    __slots__ = ("free",)

    def __init__(self, free: Sequence[int]) -> None:
        self.free = list(free)
        """Device -> free units."""

    def move(self, device: int, change: int) -> None:
        """Adds `change` to what a device has free; it must not become negative."""
        if self.free[device] + change < 0:
            raise ValueError(f"device {device} cannot have {self.free[device] + change} units free")
        self.free[device] += change


class Levels(Amounts):
    """Devices, numbered from 0, sorted by their free units.

    One integer per level holds its devices as bits, one more holds which levels have any. So "the fullest device that
    has room for n" is a shift and a lowest bit, whatever the number of devices, and ties always go to the lowest
    number: the same history gives the same map.
    """

    __slots__ = ("_occupied", "at")

    def __init__(self, free: Sequence[int]) -> None:
        super().__init__(free)
        self.at = [0] * (max(free, default=0) + 1)
        """Level -> bits of the devices that have exactly so much free."""
        self._occupied = 0
        for device, level in enumerate(free):
            self.at[level] |= 1 << device
            self._occupied |= 1 << level

    def move(self, device: int, change: int) -> None:
        """Adds `change` to what a device has free; it must stay between 0 and the highest level."""
        bit = 1 << device
        old = self.free[device]
        new = old + change
        if not 0 <= new < len(self.at):
            raise ValueError(f"device {device} cannot have {new} units free")
        at = self.at
        at[old] ^= bit
        if not at[old]:
            self._occupied ^= 1 << old
        if not at[new]:
            self._occupied |= 1 << new
        at[new] |= bit
        self.free[device] = new

    def fullest_with(self, units: int, below: int) -> int | None:
        """Returns the device with the least free, at least `units` and less than `below`; None when there is none."""
        fitting = self._occupied >> units
        if not fitting:
            return None
        level = units + lowest(fitting)
        return lowest(self.at[level]) if level < below else None

    def emptiest(self, below: int) -> int | None:
        """Returns the device with the most free that is less than `below`; None when there is none."""
        levels = self._occupied & ((1 << below) - 1)
        return lowest(self.at[levels.bit_length() - 1]) if levels else None

    def top(self) -> int:
        """Returns the highest level that has a device; -1 without devices."""
        return self._occupied.bit_length() - 1

    def from_emptiest(self) -> Iterator[int]:
        """Yields the devices that have anything free, the most first, then by number."""
        levels = self._occupied & ~1
        while levels:
            level = levels.bit_length() - 1
            levels ^= 1 << level
            devices = self.at[level]
            while devices:
                yield lowest(devices)
                devices &= devices - 1
