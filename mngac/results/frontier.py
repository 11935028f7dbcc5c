"""Which rows are worth their cost: those that no cheaper one may equal. Loads without torch."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float, float]
"""What a row costs, and the ends of its interval."""


def frontier(points: Sequence[Point]) -> list[bool]:
    """Whether each row stands above all that cost less, interval above interval.

    Of rows that cost the same, one that another stands above is not on it; where their intervals meet, both may be.
    """
    return [
        all(high < point[1] for cost, _, high in points if cost < point[0])
        and not any(cost == point[0] and low > point[2] for cost, low, _ in points)
        for point in points
    ]
