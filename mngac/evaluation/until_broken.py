"""PGD for evaluation: images leave the loop as soon as they are broken, so that a weak classifier costs little."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mngac.attacks.pgd import Attack, Classifier, ascend
from mngac.evaluation.acceptance import is_correct

EVERY = 5
"""Steps between two looks at who is broken: each look waits for the device, and new shapes cost it time."""


def pgd_until_broken(
    classifier: Classifier, x: Tensor, y: Tensor, attack: Attack, generator: torch.Generator
) -> Tensor:
    """PGD from a uniform start (Madry et al. 2018), which every five steps lets the broken images go.

    Args:
        classifier: images in [0, 1] -> logits.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        attack: norm, radius, steps.
        generator: of the start.

    Returns:
        x_adv in the ball: where an image was broken, the point at which that showed; else the last iterate.
    """
    x_adv = x + attack.lp.to_ball(x, attack.lp.start(x, attack.radius, generator), attack.radius)
    whole = torch.arange(len(x), device=x.device)
    for done in range(0, attack.steps, EVERY):
        few = replace(attack, steps=min(EVERY, attack.steps - done))
        moved = ascend(classifier, x[whole], y[whole], x_adv[whole] - x[whole], few)
        x_adv[whole] = moved
        with torch.no_grad():
            whole = whole[is_correct(classifier(moved), y[whole])]
        if not len(whole):
            break
    return x_adv
