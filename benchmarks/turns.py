"""Timing in turns: every side once, then again, so that a busy machine slows all alike; medians and quartiles."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of some numbers, at least one."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def as_dict(self, scale: float = 1.0, digits: int = 3) -> dict[str, float]:
        """Scaled and rounded, for JSON."""
        return {name: round(value * scale, digits) for name, value in asdict(self).items()}


def in_turns(sides: Mapping[str, Callable[[], float]], turns: int) -> dict[str, list[float]]:
    """Each side's numbers: turn after turn, every side once."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            found[name].append(side())
    return found


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """How many times as fast: of each turn, so that what slows a whole turn drops out."""
    return Spread.of([a / b for a, b in zip(slow, fast, strict=True)])
