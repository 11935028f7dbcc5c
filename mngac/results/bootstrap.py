"""The bootstrap over images (Efron 1979), paired: the same images for whatever is resampled together. Without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mngac.results.intervals import LEVEL

Outcomes = NDArray[np.float64]
"""(..., attacks, images): 1 where an image withstands the attack, 0 where it is broken."""
Bounds = tuple[float, float, float]
"""A number, with the ends of its interval."""
RESAMPLES = 2000
AT_ONCE = 100
"""Resamples whose draws are held in memory together."""


def resampled(outcomes: Outcomes, name: str) -> NDArray[np.float64]:
    """Shares of images that withstand, of each resample.

    Args:
        outcomes: (..., attacks, images).
        name: of the stream of random numbers, which is a function of it alone.

    Returns:
        (resamples, ..., attacks), in [0, 1].
    """
    n = outcomes.shape[-1]
    held = [times @ outcomes.reshape(-1, n).T for times in _draws(n, name)]  # whole numbers, and so exact everywhere
    return np.concatenate(held).reshape(-1, *outcomes.shape[:-1]) / n


def _draws(n: int, name: str) -> Iterator[NDArray[np.float64]]:
    """(resamples, images), some at a time: how often each image is drawn."""
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    for _ in range(RESAMPLES // AT_ONCE):
        yield random.multinomial(n, np.full(n, 1 / n), size=AT_ONCE).astype(np.float64)


def interval(centre: float, drawn: NDArray[np.float64], level: float = LEVEL) -> Bounds | None:
    """A number and the percentile interval of its resamples; None where it is undefined.

    Resamples in which it is undefined say nothing of it, and are left out.
    """
    said = drawn[~np.isnan(drawn)]
    if np.isnan(centre) or not said.size:
        return None
    low, high = np.quantile(said, [(1 - level) / 2, (1 + level) / 2])
    return centre, float(low), float(high)
