"""The passes of an unforeseen attack, for one image that withstands it to the end: at most so many, by its keys.

Tests hold each to what a real one counts. An attack of one's own is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from mngac.params.unforeseen import UnforeseenAttack
from mngac.planning.attacks import Passes

CLIMBS = 4
"""Of the affine mix's two parts, in two rounds (mngac/attacks/affine.py)."""
SEVERITIES = 5
OF_A_SEVERITY = 10_000
"""Images of CIFAR-10-C."""


def _l0(config: UnforeseenAttack) -> Passes:
    """Foolbox's steps and a look at what came of them, another look, and the queries."""
    return Passes(config.steps + 2 + config.queries, config.steps)


def _rotation_translation(config: UnforeseenAttack) -> Passes:
    return Passes(config.angles * config.shifts**2, 0)


def _affine_linf_l1(config: UnforeseenAttack) -> Passes:
    """A gradient to start from, or three balls in place of one; a look after each start."""
    each, others = max(1, config.steps // CLIMBS), config.restarts - 1
    early = min(ceil(0.3 * each), (each - 1) // 2)
    larger = 2 * max(1, early) + each - 2 * early
    forward = config.restarts * (CLIMBS * (each + 1) + 1) + 1 + 2 * others
    return Passes(forward, CLIMBS * each + 1 + others * ((CLIMBS - 1) * each + larger))


SEARCHES: dict[str, Callable[[UnforeseenAttack], Passes]] = {
    "l0": _l0,
    "rotation_translation": _rotation_translation,
    "affine_linf_l1": _affine_linf_l1,
}
"""By file of mngac/unforeseen/attacks, beside corruptions."""


def passes_of(config: UnforeseenAttack, dataset: str, n: int, stated: int | None) -> float | None:
    """Passes of an attack on a data set, each image's last look included; None for an attack of one's own.

    Args:
        config: the attack's entry.
        dataset: name by which `sources` know an archive.
        n: images of the split that are attacked.
        stated: the entry's `n`; None where it takes all that there are.
    """
    if config.attack == "corruptions":
        there = min(stated or OF_A_SEVERITY, OF_A_SEVERITY)
        return float(SEVERITIES * len(config.corruptions) * there) if dataset in config.sources else 0.0
    search = SEARCHES.get(config.attack)
    return n * (sum(search(config)) + 1.0) if search else None
