"""Values over time: their exact means, and a coarse picture of their course in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

POINTS = 1024
"""Parts of a timeline at most; with the next one, two become one each."""


class Timeline:
    """Some values that stay the same between events. Times never go back."""

    def __init__(self, count: int, begin_s: float) -> None:
        self.begin_s = self.now_s = begin_s
        self.totals = [0.0] * count
        """Of each value, the integral over time."""
        self.width_s = 1.0
        """Of a part."""
        self.parts: list[list[float]] = []
        """Part -> integral of each value over it."""
        self._count = count

    def advance(self, now_s: float, values: Sequence[float]) -> None:
        """Notes that the values were these from the last call until `now_s`."""
        at_s, self.now_s = self.now_s, now_s
        passed_s = now_s - at_s
        if passed_s <= 0:
            return
        for number, value in enumerate(values):
            self.totals[number] += value * passed_s
        while now_s - self.begin_s > self.width_s * POINTS:
            self._halve()
        while at_s < now_s:
            place = int((at_s - self.begin_s) / self.width_s)
            until_s = min(now_s, self.begin_s + (place + 1) * self.width_s)
            if until_s <= at_s:  # the floating point stands on a border
                place, until_s = place + 1, min(now_s, self.begin_s + (place + 2) * self.width_s)
            while len(self.parts) <= place:
                self.parts.append([0.0] * self._count)
            part = self.parts[place]
            for number, value in enumerate(values):
                part[number] += value * (until_s - at_s)
            at_s = until_s

    def _halve(self) -> None:
        pairs = zip(self.parts[::2], [*self.parts[1::2], [0.0] * self._count], strict=False)
        self.parts = [[one + other for one, other in zip(first, second, strict=True)] for first, second in pairs]
        self.width_s *= 2

    def means(self, number: int) -> list[float]:
        """Returns the mean of a value in each part; the last part may be cut short."""
        spans = [self.width_s] * len(self.parts)
        if spans:
            spans[-1] = self.now_s - self.begin_s - self.width_s * (len(spans) - 1)
        return [part[number] / span if span > 0 else 0.0 for part, span in zip(self.parts, spans, strict=True)]
