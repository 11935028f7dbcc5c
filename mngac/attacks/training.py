"""The attack of a training step, of the kind that its parameters name."""

from __future__ import annotations

import torch

from mngac.attacks.apgd import apgd
from mngac.attacks.pgd import Attack, Classifier, pgd
from mngac.shapes import Images, Labels


def attacked(classifier: Classifier, x: Images, y: Labels, attack: Attack, generator: torch.Generator) -> Images:
    """x_adv by PGD or Auto-PGD.

    Args:
        classifier: [0, 1] images -> logits; its mode is the caller's.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        attack: kind, norm, radius, steps; of pgd also the length of a step.
        generator: of the random start.
    """
    if attack.kind == "apgd":
        return apgd(classifier, x, y, attack.norm, attack.radius, attack.steps, generator)
    return pgd(classifier, x, y, attack, generator)
