"""What an evaluation attack aims at, and the test that its output must pass, whatever the attack claims."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mngac.norms import LP

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Pool:
    """The images of an evaluation, in [0, 1] or uint8 (n, channels, height, width), and the classes predicted (n,).

    Attacks that walk along a decision boundary take their starting points from it.
    """

    images: Tensor
    predictions: Tensor


@dataclass(frozen=True)
class Target:
    """A ball, the number of classes, the attack's seed, the device, and other images to start from."""

    norm: str
    radius: float
    classes: int
    seed: int
    device: str
    pool: Pool | None = None


def right(logits: Tensor, y: Tensor) -> Tensor:
    """Which images are classified as `y`: all logits finite, and y's above every other.

    A classifier that returns NaN, or the same number for every class, is right about nothing.

    Args:
        logits: (batch, classes).
        y: labels (batch,).

    Returns:
        bool (batch,).
    """
    own = logits.gather(1, y[:, None])
    others = logits.scatter(1, y[:, None], -torch.inf)
    return logits.isfinite().all(1) & (own > others).all(1)


@contextlib.contextmanager
def reproducible(tensor_float32: bool) -> Iterator[None]:
    """Convolutions on CUDA that give the same bits twice; in plain float32 where `tensor_float32` is false."""
    with torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=tensor_float32
    ):
        yield


@torch.no_grad()
def accept(classifier: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, x_adv: Tensor, target: Target) -> Tensor:
    """Which outputs count as adversarial, and which claim to be but are not valid.

    Valid: finite, pixels in [0, 1], ‖x_adv - x‖ <= radius (1 + 1e-4). Adversarial: valid, and the plain classifier in
    float32 no longer predicts y.

    Returns:
        int8 (batch,): 1 adversarial, 0 not, -1 misclassified but not valid, or not finite.

    Raises:
        ValueError: for outputs of another shape than the images.
    """
    if x_adv.shape != x.shape:
        raise ValueError(f"the attack returned {tuple(x_adv.shape)} for images {tuple(x.shape)}")
    x_adv = x_adv.float()
    finite = x_adv.flatten(1).isfinite().all(1)
    x_adv = torch.where(finite.view(-1, *[1] * (x.dim() - 1)), x_adv, x)
    inside = ((x_adv >= 0) & (x_adv <= 1)).flatten(1).all(1)
    near = LP[target.norm].size(x_adv - x) <= target.radius * (1 + TOLERANCE)
    with reproducible(tensor_float32=False):
        wrong = ~right(classifier(x_adv).float(), y)
    valid = finite & inside & near
    return torch.where(valid & wrong, 1, torch.where((wrong & ~valid) | ~finite, -1, 0)).to(torch.int8)
