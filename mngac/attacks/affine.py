"""APGD on the affine l_inf-l_1 mix of Tramer and Boneh 2019: a sum of two parts, each in a ball of its own.

Each part in turn climbs by its norm's own APGD round the point that the other has
reached; on l_1 first in larger balls.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mngac.attacks.apgd import SHRINK_L1, Ascent, Halving, Problem, Sparse, cross_entropy, through_larger_balls
from mngac.attacks.pgd import Classifier
from mngac.norms import LP
from mngac.shapes import Images, Labels

ROUNDS = 2
"""In which each part climbs once."""


@dataclass(frozen=True)
class Mix:
    """Radii of the two parts: of S = {beta a + (1 - beta) b: a in the l_inf ball, b in the l_1 ball} for one beta."""

    linf: float
    l1: float

    @classmethod
    def of(cls, linf: float, l1: float, beta: float) -> Mix:
        """The mix with the share `beta` of an l_inf radius, and the rest's share of an l_1 radius."""
        return cls(beta * linf, (1 - beta) * l1)

    def most(self, weight: Tensor) -> Tensor:
        """How far a perturbation in the mix raises a linear score, each image's weight being (batch, ...)."""
        flat = weight.flatten(1).abs()
        return self.linf * flat.sum(1) + self.l1 * flat.amax(1)


def mixed(x: Images, parts: Tensor) -> Images:
    """x with both parts (batch, 2, channels, height, width) added, clipped to [0, 1].

    Clipping only shrinks the sum, coordinate by coordinate, and each part could shrink by the same factors: the clipped
    perturbation is in every mix that the parts are in.
    """
    return (x + parts.sum(1)).clamp(0, 1)


def within(parts: Tensor, mix: Mix, tolerance: float) -> Tensor:
    """Whether each part is in its ball, whose radius may be larger by a share: bool (batch,)."""
    near = [LP[norm].size(parts[:, i]) <= getattr(mix, norm) * (1 + tolerance) for i, norm in enumerate(("linf", "l1"))]
    return near[0] & near[1]


class Climber:
    """Images with two parts, of which one climbs at a time. Parts are (batch, channels, height, width), by norm."""

    def __init__(self, classifier: Classifier, x: Tensor, y: Tensor, mix: Mix, parts: dict[str, Tensor]):
        self.classifier, self.x, self.y, self.mix, self.parts = classifier, x, y, mix, parts
        self.found = _stacked(parts)
        """Parts with which an image fooled the classifier, where one has."""
        self.fooled = torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def climb(self, norm: str, steps: int, noise: Tensor | None = None) -> None:
        """Steps of one part; on l_1 from noise through larger balls, else from where the part is."""
        other = "l1" if norm == "linf" else "linf"
        centre = self.x + self.parts[other]
        problem = Problem(self.classifier, norm, getattr(self.mix, norm), steps)
        ascent = self._ascent(problem, centre, noise)
        ascent.run()
        fooling = _stacked({**self.parts, norm: ascent.adversarial - centre})
        self.found = torch.where(ascent.fooled.view(-1, 1, 1, 1, 1), fooling, self.found)
        self.fooled = self.fooled | ascent.fooled
        self._settle(norm, other, ascent.best - centre)

    def _ascent(self, problem: Problem, centre: Tensor, noise: Tensor | None) -> Ascent:
        start = centre + self.parts[problem.norm]
        if problem.norm == "linf":
            return Halving(problem, centre, self.y, self.y, start)
        if noise is not None:
            return through_larger_balls(problem, centre, self.y, self.y, noise)
        nonzero = (self.parts["l1"] != 0).flatten(1).sum(1).float()
        return Sparse(problem, centre, self.y, self.y, start, nonzero / centre[0].numel() / SHRINK_L1, nonzero)

    def _settle(self, norm: str, other: str, part: Tensor) -> None:
        """The part that climbed stays in the box by itself, as the next centre must; the sum is left as it is.

        What it gives up, the other has taken back before: the other shrinks by as much.
        """
        alone = torch.minimum(torch.maximum(part, -self.x), 1 - self.x)
        rest = torch.where(alone == part, self.parts[other], self.parts[other] + part - alone)
        self.parts = {norm: alone, other: rest}


def _stacked(parts: dict[str, Tensor]) -> Tensor:
    return torch.stack([parts["linf"], parts["l1"]], 1)


def steepest(x: Tensor, gradient: Tensor, mix: Mix) -> dict[str, Tensor]:
    """The parts that raise a linear score the most while their sum stays in the box.

    l_inf's goes as far as it may everywhere; l_1's fills what slack is left of the steepest coordinates, one by one.
    """
    flat, box = gradient.flatten(1), x.flatten(1)
    slack = torch.where(flat > 0, 1 - box, box) * (flat != 0)
    linf = slack.clamp_max(mix.linf)
    order = flat.abs().argsort(1, descending=True)
    left = (slack - linf).gather(1, order)
    filled = torch.minimum(left, (mix.l1 - (left.cumsum(1) - left)).clamp_min(0))
    l1 = torch.zeros_like(flat).scatter(1, order, filled)
    return {"linf": (flat.sign() * linf).view(x.shape), "l1": (flat.sign() * l1).view(x.shape)}


@torch.no_grad()
def affine_apgd(
    classifier: Classifier, x: Images, y: Labels, mix: Mix, steps: int, generator: torch.Generator | None
) -> Tensor:
    """Parts that raise the cross-entropy together.

    Args:
        classifier: images in [0, 1] -> logits.
        x: images (batch, channels, height, width) in [0, 1].
        y: labels (batch,).
        mix: radii of the parts.
        steps: gradient steps in all, shared evenly by the climbs; at least one each.
        generator: of a random start, on the images' device; None: the start is the gradient's steepest mix.

    Returns:
        parts (batch, 2, channels, height, width), l_inf's first: where the classifier was fooled, parts that fool it.
    """
    each, noise = max(1, steps // (2 * ROUNDS)), None
    if generator is None:
        parts = steepest(x, _gradient(classifier, x, y), mix)
    else:
        linf = LP["linf"].to_ball(x, LP["linf"].start(x, mix.linf, generator), mix.linf)
        parts, noise = (
            {"linf": linf, "l1": torch.zeros_like(x)},
            torch.randn(x.shape, device=x.device, generator=generator),
        )
    climber = Climber(classifier, x, y, mix, parts)
    for _ in range(ROUNDS):
        climber.climb("l1", each, noise)
        climber.climb("linf", each)
        noise = None
    return torch.where(climber.fooled.view(-1, 1, 1, 1, 1), climber.found, _stacked(climber.parts))


def _gradient(classifier: Classifier, x: Tensor, y: Tensor) -> Tensor:
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        losses = cross_entropy(classifier(point), y, y)
        return torch.autograd.grad(losses.sum(), point)[0]
