"""What a classifier does that makes its evaluation doubtful, found by probing it; each finding is a red flag."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import is_correct

IMAGES = 128
SAME = 1e-4


def probe(classifier: Classifier, x: Tensor, y: Tensor) -> list[str]:
    """Red flags of a classifier, on a batch of images.

    Args:
        classifier: images in [0, 1] (batch, channels, height, width) -> logits (batch, classes).
        x: images; the first 128 are used.
        y: labels.

    Returns:
        one line a flag; empty for a deterministic, differentiable classifier in eval mode that returns logits.
    """
    x, y = x[:IMAGES], y[:IMAGES]
    with torch.no_grad():
        logits = classifier(x).float()
        again = [classifier(x).float() for _ in range(3)]
        alone = torch.cat([classifier(half).float() for half in x.split(max(1, len(x) // 2))])
    stochastic = any(_differ(logits, other) for other in again)
    flags = [
        (_training(classifier), "the classifier is in train mode"),
        (stochastic, "the classifier is stochastic: the same images give other logits"),
        (not stochastic and _differ(logits, alone), "the logits of an image depend on the other images of its batch"),
        (_probabilities(logits), "the outputs look like probabilities, not logits"),
        (not bool(logits.isfinite().all()), "some logits are not finite"),
    ]
    chosen = is_correct(logits, y)
    return [text for raised, text in flags if raised] + _gradients(classifier, x[chosen], y[chosen])


def _differ(first: Tensor, second: Tensor) -> bool:
    scale = first.abs().amax().clamp_min(1e-12)
    return bool(((first - second).abs() > SAME * scale).any())


def _training(classifier: Classifier) -> bool:
    return isinstance(classifier, nn.Module) and any(module.training for module in classifier.modules())


def _probabilities(logits: Tensor) -> bool:
    inside = bool(((logits >= -SAME) & (logits <= 1 + SAME)).all())
    return inside and bool(((logits.sum(1) - 1).abs() < SAME).all())


def _gradients(classifier: Classifier, x: Tensor, y: Tensor) -> list[str]:
    """A flag where the margin of the label's logit has no gradient to the image; the margin does not saturate."""
    if not len(x):
        return []
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = classifier(x)
        if not logits.requires_grad:
            return [f"the logits have no gradient to the image on {len(x)} of {len(x)} images"]
        margin = logits.gather(1, y[:, None])[:, 0] - logits.scatter(1, y[:, None], -torch.inf).amax(1)
        gradient = torch.autograd.grad(margin.sum(), x, allow_unused=True)[0]
    zero = len(x) if gradient is None else int((gradient.flatten(1).abs().amax(1) == 0).sum())
    return [f"the gradient to the image is zero on {zero} of {len(x)} images"] if zero else []
