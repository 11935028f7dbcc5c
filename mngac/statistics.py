"""Intervals and tests over images and seeds. Loads without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist, mean, stdev

import numpy as np

LEVEL = 0.95


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share, in [0, 1] (Wilson 1927).

    Raises:
        ValueError: for n < 1 or successes outside 0..n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def discordant(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int]:
    """Images that only the first, and only the second classifier has right.

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


def bootstrap_difference(
    first: Sequence[Sequence[bool]], second: Sequence[Sequence[bool]], draws: int = 10_000, level: float = LEVEL
) -> tuple[float, float, float]:
    """Difference of mean shares of two sides, with a percentile interval over seeds and images.

    Each draw takes every side's records with replacement, and one set of images with replacement for both sides, so
    that the images stay paired (two-way bootstrap of Owen 2007). The draws are seeded: equal input, equal interval.

    Args:
        first: records x images, right or not.
        second: the same images for the other side; the number of records may differ.
        draws: bootstrap draws.
        level: of the interval.

    Returns:
        difference, low, high, in [-1, 1].

    Raises:
        ValueError: for different images.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{a.shape[1]} and {b.shape[1]} images")
    random = np.random.default_rng(0)
    weights_a = random.multinomial(len(a), np.full(len(a), 1 / len(a)), size=draws) / len(a)
    weights_b = random.multinomial(len(b), np.full(len(b), 1 / len(b)), size=draws) / len(b)
    n = a.shape[1]
    found = np.empty(draws)
    for start in range(0, draws, 500):
        chosen = random.multinomial(n, np.full(n, 1 / n), size=min(500, draws - start)) / n
        part = slice(start, start + len(chosen))
        found[part] = ((weights_a[part] @ a - weights_b[part] @ b) * chosen).sum(1)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(a.mean() - b.mean()), float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over seeds, and the standard deviation (n - 1) where there are several."""
    return mean(values), stdev(values) if len(values) > 1 else None
