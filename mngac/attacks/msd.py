"""Multi Steepest Descent (Maini et al. 2020): each step tries every norm from one point and keeps the worst."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from mngac.attacks.pgd import Attack, Classifier, gradient, summed_cross_entropy
from mngac.shapes import Images, Labels


def msd(classifier: Classifier, x: Images, y: Labels, attacks: Sequence[Attack]) -> Images:
    """From zero, `max(steps)` steps; returns x_adv (batch, channels, height, width) of the highest loss over all steps.

    Each image takes the candidate, among one step in each norm from the same point, with the highest cross-entropy
    (algorithm 1). Every candidate lies in its own norm's ball, so the result lies in the union of the balls.
    """
    delta = torch.zeros_like(x)
    best, best_loss = delta, torch.full((len(x),), -torch.inf, device=x.device)
    for _ in range(max(attack.steps for attack in attacks)):
        grad = gradient(classifier, x + delta, y, summed_cross_entropy)
        steps = [a.lp.to_ball(x, delta + a.lp.ascend(grad, a.step_size, a.top), a.radius) for a in attacks]
        with torch.no_grad():
            losses = torch.stack([F.cross_entropy(classifier(x + d), y, reduction="none") for d in steps])
        worst, choice = losses.max(0)
        delta = torch.stack(steps)[choice, torch.arange(len(x), device=x.device)]
        better = worst > best_loss
        best = torch.where(better.view(-1, 1, 1, 1), delta, best)
        best_loss = torch.where(better, worst, best_loss)
    return (x + best).clamp(0, 1).detach()
