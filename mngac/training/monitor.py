"""The monitor of training: what a classifier withstands on a few validation images; it chooses nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from mngac.attacks.pgd import Attack
from mngac.attacks.training import attacked
from mngac.methods.base import Batch
from mngac.models.frozen import under_attack


def look(
    classifier: nn.Module,
    images: Batch,
    attacks: Mapping[str, Attack],
    steps: int,
    generators: Mapping[str, torch.Generator],
) -> dict[str, float]:
    """Clean and per-norm robust accuracy in percent, with what was looked at: shows overfitting to a norm.

    Args:
        classifier: its mode and running statistics stay as they are.
        images: the first validation images.
        attacks: the training attack of each norm.
        steps: in place of the attacks' own.
        generators: of each attack's start.
    """
    monitored: dict[str, float] = {"validation_images": len(images.y), "validation_steps": steps}
    with under_attack(classifier, "eval"):
        seen = {"clean": images.x}
        for norm, attack in attacks.items():
            shorter = replace(attack, steps=steps)
            seen[norm] = attacked(classifier, images.x, images.y, shorter, generators[norm])
        for name, x in seen.items():
            with torch.no_grad():
                correct = classifier(x).argmax(1) == images.y
            monitored[f"validation_{name}"] = round(100 * correct.float().mean().item(), 2)
    return monitored
