"""The passes of an evaluation attack, for one image that withstands it to the end: at most so many, by its keys.

A record's `forwards` counts the images passed forward; a gradient is a pass more. Tests hold each attack to what a
real one counts. An attack of one's own is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from mngac.params.sections import AttackConfig

LOOKS = 5
"""Steps of `pgd` between two looks at who is broken (mngac/evaluation/until_broken.py)."""
BISECTIONS = 10
"""Of foolbox's Brendel-Bethge attack, to the boundary."""
ON_THE_HOST = ("brendel_bethge",)
"""Attacks whose time goes into a loop over images on the processor, not into passes."""


class Passes(NamedTuple):
    """Of one image."""

    forward: int
    backward: int
    """Gradients to the image."""


def _ascents(starts: int, lengths: list[int], after_last: int) -> Passes:
    """APGD from several starts, in several balls: a gradient at each ball's start, then one a step.

    Args:
        starts: of an image.
        lengths: steps in each ball.
        after_last: 1 where a gradient is asked for after the last step, too.
    """
    steps = [max(length, 0) for length in lengths]
    forward = sum(1 + length for length in steps)
    return Passes(starts * forward, starts * sum(max(1, length + after_last) for length in steps))


def _parts(config: AttackConfig, early: int) -> list[int]:
    """Steps in each ball: on l_1 in three, `early` in the two larger ones."""
    return [early, early, config.steps - 2 * early] if config.norm == "l1" else [config.steps]


def _batched(config: AttackConfig, starts: int) -> Passes:
    return _ascents(starts, _parts(config, min(ceil(0.3 * config.steps), (config.steps - 1) // 2)), 0)


def _pyautoattack(config: AttackConfig, starts: int) -> Passes:
    return _ascents(starts, _parts(config, ceil(0.3 * config.steps)), 1)


def _targets(config: AttackConfig, classes: int) -> int:
    return min(config.targets, classes - 1)


def _batched_apgd_ce(config: AttackConfig, classes: int) -> Passes:
    return _batched(config, config.restarts)


def _batched_apgd_t(config: AttackConfig, classes: int) -> Passes:
    """A pass to choose the targets."""
    passes = _batched(config, _targets(config, classes))
    return Passes(1 + passes.forward, passes.backward)


def _apgd_ce(config: AttackConfig, classes: int) -> Passes:
    """A pass to see who is right."""
    passes = _pyautoattack(config, config.restarts)
    return Passes(1 + passes.forward, passes.backward)


def _apgd_t(config: AttackConfig, classes: int) -> Passes:
    """The same, and one for each target and start."""
    starts = _targets(config, classes) * config.restarts
    passes = _pyautoattack(config, starts)
    return Passes(1 + starts + passes.forward, passes.backward)


def _fab_t(config: AttackConfig, classes: int) -> Passes:
    """Two passes a step, one with a gradient; three around them."""
    starts = _targets(config, classes) * config.restarts
    return Passes(1 + starts * (3 + 2 * config.steps), starts * config.steps)


def _square(config: AttackConfig, classes: int) -> Passes:
    return Passes(1 + config.restarts * (config.queries + 2), 0)


def _pgd(config: AttackConfig, classes: int) -> Passes:
    return Passes(config.steps + ceil(config.steps / LOOKS), config.steps)


def _gaussian_noise(config: AttackConfig, classes: int) -> Passes:
    return Passes(config.repeats + 2, 0)


def _salt_and_pepper(config: AttackConfig, classes: int) -> Passes:
    return Passes(config.steps + 2, 0)


def _carlini_wagner(config: AttackConfig, classes: int) -> Passes:
    steps = config.binary_search_steps * config.steps
    return Passes(steps + 1, steps)


def _ead(config: AttackConfig, classes: int) -> Passes:
    steps = config.binary_search_steps * config.steps
    return Passes(2 * steps + 1, steps)


def _brendel_bethge(config: AttackConfig, classes: int) -> Passes:
    """One pass more wherever rounding makes a starting point useless."""
    return Passes(1 + 1 + BISECTIONS + config.steps + 1, config.steps)


ATTACKS: dict[str, Callable[[AttackConfig, int], Passes]] = {
    "batched_apgd_ce": _batched_apgd_ce,
    "batched_apgd_t": _batched_apgd_t,
    "apgd_ce": _apgd_ce,
    "apgd_t": _apgd_t,
    "fab_t": _fab_t,
    "square": _square,
    "pgd": _pgd,
    "pgd_l1": _pgd,
    "gaussian_noise": _gaussian_noise,
    "salt_and_pepper": _salt_and_pepper,
    "carlini_wagner": _carlini_wagner,
    "ead": _ead,
    "brendel_bethge": _brendel_bethge,
}
"""By file of mngac/evaluation/attacks."""


def at_most(config: AttackConfig, classes: int) -> Passes | None:
    """Passes of an image that withstands the attack; None for an attack that nothing is known of: one's own."""
    attack = ATTACKS.get(config.attack)
    return attack(config, classes) if attack else None
