"""What an evaluation shows that makes it doubtful, beside what probing the classifier does."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from torch import Tensor

from mngac.params.registry import find
from mngac.params.sections import Suite
from mngac.results import red_flags
from mngac.results.intervals import wilson
from mngac.results.records import AttackRecord, worst_case

BLACK_BOX_SHARE = 0.002
"""Share of the images that a black-box attack may add to what the gradient attacks broke (AutoAttack's own check)."""


def flags_of(suite: Suite, clean: Tensor, attacks: Sequence[AttackRecord], classes: int) -> list[str]:
    """Red flags of an evaluation.

    Args:
        suite: the attacks' entries.
        clean: bool (n,), correct without attack.
        attacks: what each did, in the suite's order.
        classes: number of logits.
    """
    blind = [is_black_box(config.attack) for config in suite.attacks]
    return [
        *red_flags.overstates([config.model_dump(exclude_none=True) for config in suite.attacks]),
        *at_chance(int(clean.sum()), len(clean), classes),
        *fewer_targets(suite, classes),
        *black_box_wins(attacks, blind, len(clean)),
    ]


def is_black_box(attack: str) -> bool:
    """Whether an attack of this name uses no gradients."""
    return getattr(importlib.import_module(find("evaluation/attacks", attack).module), "BLACK_BOX", False)


def fewer_targets(suite: Suite, classes: int) -> list[str]:
    """A flag for each targeted attack that has fewer classes to aim at than the suite says."""
    return [
        f"{config.attack} {config.norm} is not standard: {classes - 1} target classes in place of {config.targets}"
        for config in suite.attacks
        if config.targets and config.targets > classes - 1
    ]


def at_chance(correct: int, n: int, classes: int) -> list[str]:
    """A flag where the clean accuracy cannot be told from chance: Wilson's 95 % interval holds one in `classes`."""
    if wilson(correct, n)[0] > 1 / classes:
        return []
    return [f"clean accuracy is {100 * correct / n:.1f} % of {n} images: at chance level for {classes} classes"]


def black_box_wins(attacks: Sequence[AttackRecord], black_box: Sequence[bool], n: int) -> list[str]:
    """Flags where an attack without gradients broke images that the norm's gradient attacks had left correct.

    Args:
        attacks: of one evaluation.
        black_box: for each, whether it uses no gradients.
        n: number of images.
    """
    flags = []
    for attack, blind in zip(attacks, black_box, strict=True):
        seeing = [a for a, b in zip(attacks, black_box, strict=True) if a.norm == attack.norm and not b]
        if not blind or not seeing:
            continue
        withstood = worst_case(*(a.correct for a in seeing))
        won = sum(correct and outcome == "0" for correct, outcome in zip(withstood, attack.correct, strict=True))
        if won > BLACK_BOX_SHARE * n:
            flags.append(f"{attack.name} {attack.norm} broke {won} images that the gradient attacks had left")
    return flags
