"""What an evaluation attack aims at, and the test that its output must pass, whatever the attack claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mngac.norms import NORMS

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Target:
    """A ball, the number of classes, the attack's seed and the device."""

    norm: str
    radius: float
    classes: int
    seed: int
    device: str


@torch.no_grad()
def accept(classifier: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, x_adv: Tensor, target: Target) -> Tensor:
    """Which outputs count as adversarial, and which claim to be but are not valid.

    Valid: finite, pixels in [0, 1], ‖x_adv - x‖ <= radius (1 + 1e-4). Adversarial: valid, and the plain classifier in
    float32 predicts another class.

    Returns:
        int8 (batch,): 1 adversarial, 0 not, -1 misclassified but not valid.
    """
    finite = x_adv.flatten(1).isfinite().all(1)
    x_adv = torch.where(finite.view(-1, 1, 1, 1), x_adv, x)
    inside = ((x_adv >= 0) & (x_adv <= 1)).flatten(1).all(1)
    near = NORMS[target.norm].size(x_adv - x) <= target.radius * (1 + TOLERANCE)
    wrong = classifier(x_adv.float()).argmax(1) != y
    valid = finite & inside & near
    return torch.where(valid & wrong, 1, torch.where((wrong & ~valid) | ~finite, -1, 0)).to(torch.int8)
