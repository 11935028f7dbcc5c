"""Tests and spreads over images and seeds. Loads without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist, mean, stdev

from mngac.results.intervals import LEVEL


def discordant(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int]:
    """Images that only the first, and only the second classifier has correct.

    Raises:
        ValueError: for sequences of different length.
    """
    pairs = list(zip(first, second, strict=True))
    return sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Exact two-sided McNemar p-value of two classifiers on the same images: binomial on the discordant pairs."""
    only_first, only_second = discordant(first, second)
    n, k = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, 2 * tail / 2**n)


def paired_difference(
    first: Sequence[bool], second: Sequence[bool], level: float = LEVEL
) -> tuple[float, float, float]:
    """Difference of the shares of True on the same images, first minus second, and its score interval.

    The interval holds the differences that the score test does not reject, with the nuisance probability at its
    maximum likelihood under each (Tango 1998, equations 7 to 9); it agrees with McNemar's z test at zero.

    Returns:
        difference, low, high, in [-1, 1].

    Raises:
        ValueError: for sequences of different length, or none.
    """
    b, c = discordant(first, second)
    n = len(first)
    if n < 1:
        raise ValueError("no images to compare")
    z = NormalDist().inv_cdf((1 + level) / 2)
    difference = (b - c) / n

    def score(delta: float) -> float:
        linear = -b - c + (2 * n - b + c) * delta
        root = math.sqrt(max(linear**2 + 8 * n * c * delta * (1 - delta), 0.0))
        nuisance = (root - linear) / (4 * n)
        variance = n * (2 * nuisance + delta * (1 - delta))
        gap = b - c - n * delta
        return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0

    return difference, _bisect(score, z, -1.0, difference), _bisect(score, -z, difference, 1.0)


def _bisect(falling: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Where a falling function passes a level; the nearer end where it does not."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > level else (low, middle)
    return (low + high) / 2


def paired_t(
    differences: Sequence[float], level: float = LEVEL
) -> tuple[float, float | None, float | None, float | None]:
    """Mean of the paired differences of several seeds, its t interval, and the two-sided p-value (Student 1908).

    Returns:
        mean, low, high, p; all but p in the differences' unit. Differences that are all alike, as counts of few images
        can be, show no deviation to test against: then interval and p are None, or 0, 0 and 1 where all are zero.

    Raises:
        ValueError: for fewer than two differences.
    """
    from scipy.stats import t

    centre, deviation = spread(differences)
    if deviation is None:
        raise ValueError(f"{len(differences)} paired difference; allowed: at least two")
    if not deviation:
        return (centre, None, None, None) if centre else (0.0, 0.0, 0.0, 1.0)
    error, freedom = deviation / math.sqrt(len(differences)), len(differences) - 1
    half = float(t.ppf((1 + level) / 2, freedom)) * error
    return centre, centre - half, centre + half, 2 * float(t.sf(abs(centre) / error, freedom))


def detectable(deviation: float, count: int, level: float, power: float) -> float:
    """The true difference that a paired t-test finds with this probability, in its direction and the deviation's unit.

    Args:
        deviation: of the paired differences, above 0, taken for the true one.
        count: of pairs, at least two.
        level: of the two-sided test.
        power: probability, between `level` and 1.
    """
    from scipy.stats import nct, t

    freedom, shift = count - 1, math.sqrt(count) / deviation
    threshold = float(t.ppf(1 - level / 2, freedom))

    def missed(difference: float) -> float:
        return 1 - float(nct.sf(threshold, freedom, difference * shift))

    return _bisect(missed, 1 - power, 0.0, 50 * deviation)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979).

    One that is not known stays so, and counts as 1 among the others: it was a test all the same.
    """
    known = [1.0 if p is None else p for p in p_values]
    adjusted = list(known)
    running = 0.0
    for rank, i in enumerate(sorted(range(len(known)), key=lambda i: known[i])):
        running = max(running, min(1.0, (len(known) - rank) * known[i]))
        adjusted[i] = running
    return [None if p is None else each for p, each in zip(p_values, adjusted, strict=True)]


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over seeds, and the standard deviation (n - 1) where there are several."""
    return mean(values), stdev(values) if len(values) > 1 else None
