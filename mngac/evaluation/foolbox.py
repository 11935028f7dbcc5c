"""Foolbox's attacks (Rauber et al. 2017, 2020), one batch at a time.

Foolbox's own verdict is left aside: it says that the clipped output is misclassified, not that it is valid. What it
clipped to the ball goes to the one acceptance test, like the output of every attack.
"""

from __future__ import annotations

from typing import Any

import foolbox
from torch import Tensor, nn

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target
from mngac.params.errors import UserError


class _Module(nn.Module):
    """A callable as a module, which foolbox asks for; the callable's own mode is not touched."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classify = lambda x: classifier(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(x)


def perturb(
    attack: foolbox.Attack, norm: str, classifier: Classifier, x: Tensor, y: Tensor, target: Target, **more: Any
) -> Tensor:
    """Runs an attack on one batch and clips its output to the ball and to [0, 1].

    Args:
        attack: a foolbox attack, ready with its settings.
        norm: the only norm that it is made for.
        classifier: images in [0, 1] -> logits, its weights without gradients.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        target: the ball.
        more: what the attack's call takes beyond that, such as starting points.

    Raises:
        UserError: for a target of another norm.
    """
    if target.norm != norm:
        raise UserError(f"{type(attack).__name__} is made for {norm}, not for {target.norm}")
    model = foolbox.PyTorchModel(_Module(classifier).eval(), bounds=(0, 1), device=x.device)
    _, x_adv, _ = attack(model, x.contiguous().clamp(0, 1), y, epsilons=target.radius, **more)
    return x_adv.detach().clamp(0, 1)
