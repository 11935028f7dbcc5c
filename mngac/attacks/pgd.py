"""Projected gradient ascent: the one loop. A norm supplies start, ascent and projection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mngac.norms import LP, Lp
from mngac.shapes import Images, Labels

Classifier = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Attack:
    """An ascent in one ball: radius and step size are lengths in the norm; `top` counts coordinates of an l_1 step.

    Of `kind` apgd it finds step size and coordinates itself.
    """

    norm: str
    radius: float
    step_size: float
    steps: int
    top: int = 1
    kind: str = "pgd"

    @property
    def lp(self) -> Lp:
        """The norm's functions."""
        return LP[self.norm]


def summed_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy summed over the batch, so that an image's gradient does not depend on the batch's size."""
    return F.cross_entropy(logits, y, reduction="sum")


def gradient(classifier: Classifier, x: Images, y: Tensor, loss: Loss) -> Images:
    """Gradient of the loss to the images alone, whatever the caller's grad mode; none reaches the weights."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(loss(classifier(x), y), x)[0].to(x.dtype)


def ascend(
    classifier: Classifier, x: Images, y: Tensor, start: Images, attack: Attack, loss: Loss = summed_cross_entropy
) -> Images:
    """`steps` projected ascent steps from the perturbation `start`.

    Args:
        classifier: [0, 1] images -> logits; its mode is the caller's.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,), or whatever `loss` takes as its second argument.
        start: perturbation in the ball, x + start in [0, 1].
        attack: norm, radius, steps.
        loss: (logits, y) -> scalar, summed over the batch.

    Returns:
        x_adv, detached, in the ball and in [0, 1] (Madry et al. 2018, equation 2.2 and section 4).
    """
    delta = start
    for _ in range(attack.steps):
        step = attack.lp.ascend(gradient(classifier, x + delta, y, loss), attack.step_size, attack.top)
        delta = attack.lp.to_ball(x, delta + step, attack.radius)
    return (x + delta).clamp(0, 1).detach()


def pgd(classifier: Classifier, x: Images, y: Labels, attack: Attack, generator: torch.Generator) -> Images:
    """PGD from a uniform start in the ball; arguments and result as for `ascend`."""
    start = attack.lp.to_ball(x, attack.lp.start(x, attack.radius, generator), attack.radius)
    return ascend(classifier, x, y, start, attack)
