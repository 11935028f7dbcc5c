"""Whether the gradients that a classifier gives are those of its logits, and of use to an attack on cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mngac.attacks.pgd import Classifier, Loss, summed_cross_entropy
from mngac.evaluation.precision import below_notice, coarseness
from mngac.norms import TINY
from mngac.shapes import Images, Labels, Logits
from mngac.streams import stream

COMPARED = 32
"""Images whose gradients are compared with finite differences."""
DIRECTIONS = 4
STEPS = (1e-4, 1e-3, 1e-2)
"""Of the finite differences: the one counts at which they are nearest to the gradient."""
COARSE_STEPS = (3e-2, 1e-1)
"""Of the finite differences of logits in half precision, whose rounding hides what smaller ones do."""
INSIDE, COARSE_INSIDE = 0.03, 0.3
"""Share of [0, 1] that an image is drawn in from its ends, half of it for noise that breaks ties of pixels."""
UNLIKE = 0.5
"""Share of the larger of both by which a gradient may differ from finite differences."""
SHARE = 0.1
"""Share of the images from which on a finding is a flag, where a few may be so by accident."""


def useless_gradients(classifier: Classifier, x: Images, y: Labels) -> list[str]:
    """Red flags of gradients that are missing, zero, or lost to float32.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes).
        x: images that are classified correctly.
        y: their labels.
    """
    if not len(x):
        return []
    if not _differentiable(classifier, x):
        return [f"the logits have no gradient to the image on {len(x)} of {len(x)} images"]
    zero = _is_zero(_gradient(classifier, x, y, _margin))
    lost = _is_lost(_gradient(classifier, x, y, summed_cross_entropy)) & ~zero
    return _flagged(zero, 0.0, "the gradient to the image is zero") + _flagged(
        lost, SHARE, "the softmax underflows in float32, so that cross-entropy has no gradient,"
    )


def false_gradients(classifier: Classifier, x: Images, y: Labels) -> list[str]:
    """A red flag of gradients that are there, and not the logits' own; the first 32 images are used.

    Args:
        classifier: as for `useless_gradients`, and deterministic.
        x: images that are classified correctly.
        y: their labels.
    """
    x, y = x[:COMPARED], y[:COMPARED]
    if not len(x) or not _differentiable(classifier, x):
        return []
    unlike = _unlike_differences(classifier, x, y) & ~_is_zero(_gradient(classifier, x, y, _margin))
    return _flagged(unlike, SHARE, "the gradient is not that of the logits, by finite differences,")


def _flagged(found: Tensor, share: float, text: str) -> list[str]:
    """A flag where more than a share of the images show it."""
    count = int(found.sum())
    return [f"{text} on {count} of {len(found)} images"] if count > share * len(found) else []


def _margin(logits: Logits, y: Labels) -> Tensor:
    """Summed: the label's logit above the largest other one; it does not saturate."""
    return (logits.gather(1, y[:, None])[:, 0] - logits.scatter(1, y[:, None], -torch.inf).amax(1)).sum()


def _differentiable(classifier: Classifier, x: Images) -> bool:
    """Whether anything leads from the logits back to the image."""
    with torch.enable_grad():
        return bool(classifier(x.detach().clone().requires_grad_()).requires_grad)


def _gradient(classifier: Classifier, x: Images, y: Labels, loss: Loss) -> Images:
    """Of a summed loss, to the images; zero where the loss does not depend on them."""
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        found = torch.autograd.grad(loss(classifier(x).float(), y), x, allow_unused=True)[0]
    return torch.zeros_like(x) if found is None else found


def _is_zero(gradient: Images) -> Tensor:
    return gradient.flatten(1).abs().amax(1) == 0


def _is_lost(gradient: Images) -> Tensor:
    """Which images' gradients are so small that no attack normalises them: bool (n,)."""
    return gradient.flatten(1).norm(dim=1) < TINY


@torch.no_grad()
def _unlike_differences(classifier: Classifier, x: Images, y: Labels) -> Tensor:
    """Which images' derivatives of the margin disagree with central differences, at every step: bool (n,).

    Both are taken in random directions, inside of [0, 1]: at its ends a classifier may clamp.
    """
    draw = stream(0, "probe directions")
    noise = torch.rand(x.shape, generator=draw).to(x)
    given = classifier(x)
    steps, inside = (STEPS, INSIDE) if coarseness(given) == 1 else (COARSE_STEPS, COARSE_INSIDE)
    x = inside / 2 + (1 - 2 * inside) * x + inside * noise
    logits = classifier(x).float()
    other = logits.scatter(1, y[:, None], -torch.inf).argmax(1)
    weights = F.one_hot(y, logits.shape[1]).float() - F.one_hot(other, logits.shape[1]).float()
    gradient = _gradient(classifier, x, y, lambda z, _: (z * weights).sum())
    directions = [2 * torch.randint(0, 2, x.shape, generator=draw).to(x) - 1 for _ in range(DIRECTIONS)]
    derivatives = torch.stack([(gradient * v).flatten(1).sum(1) for v in directions], 1)
    unlike = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for step in steps:
        pairs = [(classifier(x + step * v).float(), classifier(x - step * v).float()) for v in directions]
        differences = torch.stack([((a - b) * weights).sum(1) / (2 * step) for a, b in pairs], 1)
        gap = (differences - derivatives).norm(dim=1)
        larger = torch.maximum(differences.norm(dim=1), derivatives.norm(dim=1))
        rounding = below_notice(given) * logits.abs().amax() / step
        unlike &= (gap > UNLIKE * larger) & (gap > rounding)
    return unlike
