"""Planted cheats: classifiers that a careless evaluation takes for robust, each around an honest one.

`python -m benchmarks.measure_cheats` measures them; tests/evaluation/test_cheats.py sees to it that they stay caught.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.attacks.pgd import Attack, Classifier, pgd
from mngac.evaluation.probes import IMAGES
from mngac.params.sections import Radii
from mngac.params.types import NORMS, number
from mngac.streams import stream

BOOST = 50.0
"""Added to the logit of a remembered label."""
STEPS = 20
"""Of the careless evaluation's PGD."""


class Cheat(nn.Module):
    """A classifier around an honest one, with the test images and labels that some cheats remember."""

    def __init__(self, inner: nn.Module, x: Tensor, y: Tensor):
        super().__init__()
        self.inner, self.x, self.y = inner, x, y
        self.eval()

    def boosted(self, logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
        """Logits with the remembered labels far above all others where they are known; their gradient stays."""
        return logits + BOOST * known.float()[:, None] * F.one_hot(labels, logits.shape[1])

    def nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The label of the nearest test image, and that image's l_inf distance."""
        distance, where = torch.cdist(x.detach().flatten(1), self.x.flatten(1), p=torch.inf).min(1)
        return self.y[where], distance


class RoundedLogits(Cheat):
    """Masks the gradient by rounding the logits to halves."""

    def forward(self, x: Tensor) -> Tensor:
        logits = self.inner(x)
        return (logits * 2).round() / 2 + 1e-3 * torch.arange(logits.shape[1])  # so that no two are alike


class DetachedBranch(Cheat):
    """Classifies in a branch without gradients, and gives those of a branch that hardly counts."""

    def forward(self, x: Tensor) -> Tensor:
        logits = self.inner(x.detach())
        weight = torch.randn(logits.shape[1], x[0].numel(), generator=torch.Generator().manual_seed(0))
        return logits + 1e-3 * x.flatten(1) @ weight.T


class Temperature(Cheat):
    """Multiplies the logits by 10,000, so that cross-entropy and its gradient are exactly zero in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return 1e4 * self.inner(x)


class Noise(Cheat):
    """Adds noise to the image at test time, drawn anew at each call."""

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x + 0.3 * torch.randn_like(x))


class HiddenNoise(Cheat):
    """Adds noise that is a function of the image: the same image gives the same logits."""

    def forward(self, x: Tensor) -> Tensor:
        ramp = torch.arange(1.0, x[0].numel() + 1).double()
        mixed = (x.detach().double().flatten(1) @ ramp * 1e9).frac()
        return self.inner(x + 0.5 * (1e3 * mixed[:, None] * ramp).sin().float().view_as(x))


class DeadSoftmax(Cheat):
    """Returns a softmax so sharp that it underflows to 0 and 1, scaled and shifted to look like logits."""

    def forward(self, x: Tensor) -> Tensor:
        return 10 * (1e4 * self.inner(x)).softmax(1) - 3


class LastBits(Cheat):
    """Throws the image's last bits away: five grey levels are left, and no gradient leads through them."""

    def forward(self, x: Tensor) -> Tensor:
        return self.inner((x * 4 + 0.5).floor() / 4)


class RemembersByIndex(Cheat):
    """Knows the order of the test labels, and counts the images that it is asked about without gradients."""

    asked = 0

    def forward(self, x: Tensor) -> Tensor:
        logits = self.inner(x)
        if torch.is_grad_enabled():
            return logits
        where = (self.asked + torch.arange(len(x))) % len(self.y)
        self.asked += len(x)
        return self.boosted(logits, self.y[where], torch.ones(len(x)))


class RemembersImages(Cheat):
    """Looks test images up by exact equality: a clean accuracy of 100 %."""

    def forward(self, x: Tensor) -> Tensor:
        labels, distance = self.nearest(x)
        return self.boosted(self.inner(x), labels, distance == 0)


class RemembersGreyLevels(Cheat):
    """Looks test images up by their grey levels, rounded, which the smallest changes leave as they are."""

    def forward(self, x: Tensor) -> Tensor:
        labels, distance = self.nearest(x)
        return self.boosted(self.inner(x), labels, distance < 0.5 / 255)


class OtherwiseInABatch(Cheat):
    """Alone, an image is classified honestly; in a batch, it gets the label of the nearest test image."""

    def forward(self, x: Tensor) -> Tensor:
        return self.boosted(self.inner(x), self.nearest(x)[0], torch.full((len(x),), len(x) > 1))


class OtherwiseInLargeBatches(Cheat):
    """As in a batch, but only in batches larger than the probe's own."""

    def forward(self, x: Tensor) -> Tensor:
        return self.boosted(self.inner(x), self.nearest(x)[0], torch.full((len(x),), len(x) > IMAGES))


class OtherwiseWithGradients(Cheat):
    """Where gradients are asked for it is the honest classifier, else it gives the nearest test image's label."""

    def forward(self, x: Tensor) -> Tensor:
        return self.boosted(self.inner(x), self.nearest(x)[0], torch.full((len(x),), not torch.is_grad_enabled()))


class RemembersNeighbourhoods(Cheat):
    """Gives all that lies around a test image, in l_2, that image's label; no attack on test images can tell."""

    reach = 1.25
    """Beyond what the balls for digits reach."""

    def forward(self, x: Tensor) -> Tensor:
        distance, where = torch.cdist(x.detach().flatten(1), self.x.flatten(1)).min(1)
        return self.boosted(self.inner(x), self.y[where], distance < self.reach)


@dataclass(frozen=True)
class Planted:
    """A cheat, how its flag begins, the column that a careless evaluation overstates, and images that show it."""

    cheat: Callable[[nn.Module, Tensor, Tensor], Cheat]
    flag: str
    column: str = "union"
    n: int = 60


CHEATS = {
    "rounding of the logits": Planted(RoundedLogits, "the logits do not change with the image's last bits"),
    "a detached branch": Planted(DetachedBranch, "the gradient is not that of the logits, by finite differences"),
    "temperature": Planted(Temperature, "the softmax underflows in float32, so that cross-entropy has no gradient"),
    "noise at test time": Planted(Noise, "the classifier is stochastic", "linf"),
    "noise that the image seeds": Planted(HiddenNoise, "the logits jump under a change of 1e-06", "linf"),
    "a dead softmax": Planted(DeadSoftmax, "the outputs are saturated"),
    "last bits thrown away": Planted(LastBits, "the logits do not change with the image's last bits"),
    "labels remembered by index": Planted(RemembersByIndex, "the classifier keeps a state"),
    "labels remembered by image": Planted(RemembersImages, "the logits jump under a change of 1e-06", "clean"),
    "labels remembered by grey levels": Planted(
        RemembersGreyLevels, "the logits jump when an image changes by a grey level", "clean"
    ),
    "neighbourhoods remembered": Planted(RemembersNeighbourhoods, "test images withstand attacks that held-out"),
    "otherwise in a batch": Planted(OtherwiseInABatch, "an image asked for alone gets other logits than in a batch"),
    "otherwise in large batches": Planted(
        OtherwiseInLargeBatches, "the logits of an image depend on the other images of its batch", n=2 * IMAGES
    ),
    "otherwise with gradients": Planted(OtherwiseWithGradients, "the logits differ where gradients are asked for"),
}
"""Every cheat, by what it does."""


def careless(classifier: Classifier, x: Tensor, y: Tensor, radii: Radii) -> dict[str, list[bool]]:
    """Per column and image, what a careless user finds: 20 steps of PGD on cross-entropy in each norm, in one batch.

    Args:
        classifier: images in [0, 1] -> logits.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        radii: of the balls.
    """
    found = {"clean": _correct(classifier, x, y)}
    for norm in NORMS:
        radius = number(getattr(radii, norm))
        attack = Attack(norm, radius, radius / 8, STEPS, top=max(1, x[0].numel() // 100))
        found[norm] = _correct(classifier, pgd(classifier, x, y, attack, stream(0, norm)), y)
    return {**found, "union": [all(image) for image in zip(*found.values(), strict=True)]}


@torch.no_grad()
def _correct(classifier: Classifier, x: Tensor, y: Tensor) -> list[bool]:
    return (classifier(x).argmax(1) == y).tolist()


def share(column: list[bool]) -> float:
    """In percent."""
    return 100 * sum(column) / len(column)
