"""What an evaluation attack aims at, and the test that its output must pass, whatever the attack claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.isolated import isolated
from mngac.evaluation.outcome import Outcome
from mngac.evaluation.reproducible import reproducible
from mngac.norms import LP
from mngac.params.sections import AttackConfig
from mngac.shapes import Images, Labels, Logits

TOLERANCE = 1e-4

AttackFunction = Callable[[Classifier, Tensor, Tensor, "Target", AttackConfig], Tensor]


class Counted:
    """A classifier that counts the images passed through it."""

    def __init__(self, classifier: Classifier):
        self.classifier = classifier
        self.images = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.images += len(x)
        return self.classifier(x)


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


def is_correct(logits: Logits, y: Labels) -> Tensor:
    """Which images are classified as `y`: all logits finite, and y's above every other.

    A classifier that returns NaN, or the same number for every class, is correct about nothing.

    Args:
        logits: (batch, classes).
        y: labels (batch,).

    Returns:
        bool (batch,).
    """
    own = logits.gather(1, y[:, None])
    others = logits.scatter(1, y[:, None], -torch.inf)
    return logits.isfinite().all(1) & (own > others).all(1)


@torch.no_grad()
def accept(classifier: Classifier, x: Images, y: Labels, x_adv: Tensor, target: Target) -> list[Outcome]:
    """What an attack's output did to each image, whatever the attack says of it.

    Valid: finite, pixels in [0, 1], ‖x_adv - x‖ <= radius (1 + 1e-4). Broken: valid, and the plain classifier in
    float32 no longer predicts y. Rejected: misclassified but not valid, or not finite.

    Args:
        classifier: images in [0, 1] -> logits.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        x_adv: the output, of the images' shape.
        target: the ball.

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
        wrong = ~is_correct(classifier(x_adv).float(), y)
    valid = finite & inside & near
    broken, rejected = torch.stack([valid & wrong, (wrong & ~valid) | ~finite]).tolist()  # read back at once
    return [
        Outcome.BROKEN if b else Outcome.REJECTED if r else Outcome.HELD for b, r in zip(broken, rejected, strict=True)
    ]


def run_attack(
    attack: AttackFunction,
    classifier: Classifier,
    asked: Classifier,
    x: Tensor,
    y: Tensor,
    target: Target,
    config: AttackConfig,
) -> tuple[list[Outcome], int]:
    """Runs an attack on one batch, with random generators and cuDNN of its own, and tests its output.

    Args:
        attack: (classifier, x, y, target, config) -> x_adv.
        classifier: images in [0, 1] -> logits; judges what the attack returns.
        asked: whom the attack asks in its place: the same but for rounding.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        target: the ball.
        config: the attack's entry of the suite.

    Returns:
        each image's outcome, and how many images the attack passed through the classifier.
    """
    counted = Counted(asked)
    with isolated(target.seed), reproducible(torch.backends.cudnn.allow_tf32):
        x_adv = attack(counted, x, y, target, config)
        return accept(classifier, x, y, x_adv, target), counted.images
