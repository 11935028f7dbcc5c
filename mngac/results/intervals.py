"""The interval of a share, and that of a mean. Loads without torch."""

from __future__ import annotations

import math
from statistics import NormalDist

LEVEL = 0.95


def half_width(deviation: float, level: float = LEVEL) -> float:
    """Half of the normal interval about a mean, for the mean's standard deviation."""
    return deviation * NormalDist().inv_cdf((1 + level) / 2)


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share, in [0, 1] (Wilson 1927).

    Raises:
        ValueError: for n < 1 or successes outside 0..n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    z = half_width(1.0, level)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
