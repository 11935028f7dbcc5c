"""Catastrophic overfitting: within an epoch a classifier loses its robustness in a norm, and keeps its clean accuracy.

Described for adversarial training in one step by Wong, Rice and Kolter, "Fast is better than free" (ICLR 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from mngac.params.types import NORMS
from mngac.results.intervals import wilson

KEPT = 0.5
"""Share of itself that an accuracy loses at most without having collapsed;"""
LEAST_POINTS = 10.0
"""points that it falls by at least where it has."""


def collapses(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Where the robust accuracy of a norm collapsed from one epoch's monitor to the next one's.

    It fell to less than half and by 10 points or more, the 95 % intervals (Wilson) of the two do not meet, and the
    clean accuracy kept half of itself: where that falls too, the training has failed in another way.

    Args:
        lines: of the training's log, one an epoch; `replaced` in one says that it is of another classifier.

    Returns:
        the epoch (1 is the first), the norm, and its accuracies in percent before and after, for each.
    """
    return [
        {"epoch": after["epoch"], "norm": norm, "before": _of(before, norm), "after": _of(after, norm)}
        for before, after in pairwise(lines)
        if not after.get("replaced")
        for norm in NORMS
        if _collapsed(before, after, norm) and _of(after, "clean") >= KEPT * _of(before, "clean")
    ]


def _of(line: Mapping[str, Any], name: str) -> float:
    return float(line[f"validation_{name}"])


def _collapsed(before: Mapping[str, Any], after: Mapping[str, Any], norm: str) -> bool:
    was, now = _of(before, norm), _of(after, norm)
    return now < KEPT * was and was - now >= LEAST_POINTS and _bounds(after, norm)[1] < _bounds(before, norm)[0]


def _bounds(line: Mapping[str, Any], norm: str) -> tuple[float, float]:
    n = line["validation_images"]
    return wilson(round(_of(line, norm) * n / 100), n)
