"""l0: a few pixels of any value, by foolbox's Fast Minimum-Norm attack along gradients, then by random search.

Neither search contains the other: a pixel's slope does not tell what its far end does, and random draws seldom meet the
one set among many.
"""

from __future__ import annotations

from typing import Any

import eagerpy as ep
import foolbox
import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Target, is_correct
from mngac.evaluation.foolbox import perturb
from mngac.shapes import Images, Labels
from mngac.streams import stream
from mngac.unforeseen.search import Search
from mngac.unforeseen.sparse_rs import sparse_rs

LARGEST_STEP = 100.0
"""Of Fast Minimum-Norm, in l_2: so long that a pixel goes to an end of its range at once."""


def differing(x: Tensor, x_adv: Tensor) -> Tensor:
    """Pixels of each image that differ in any channel: int64 (batch,)."""
    return (x_adv != x).any(1).flatten(1).sum(1)


def most_changed(delta: Tensor, count: Tensor) -> Tensor:
    """The `count` (batch,) pixels of each perturbation that change most in a channel; the others are taken back."""
    size = delta.abs().amax(1).flatten(1)
    rank = size.argsort(dim=1, descending=True, stable=True).argsort(1)
    return delta * (rank < count[:, None]).view(len(delta), 1, *delta.shape[2:])


class Pixels(foolbox.distances.LpDistance):
    """Number of pixels that differ; foolbox's l_0 counts channels apart, and clips nothing."""

    def __init__(self) -> None:
        super().__init__(0)

    def __call__(self, references: Any, perturbed: Any) -> Any:
        """Of each image, float (batch,)."""
        x, x_adv = ep.astensors(references, perturbed)
        return ep.astensor(differing(x.raw, x_adv.raw).float())

    def clip_perturbation(self, references: Any, perturbed: Any, epsilon: float) -> Any:
        """The images with at most `epsilon` pixels changed."""
        x, x_adv = ep.astensor(references).raw, ep.astensor(perturbed).raw
        clipped = x + most_changed(x_adv - x, torch.full((len(x),), epsilon, device=x.device))
        return ep.astensor(torch.where(x_adv == clipped, x_adv, clipped))


class FastMinimumNorm(foolbox.attacks.L0FMNAttack):
    """Foolbox's attack (Pintor et al. 2021), whose stock projection keeps a coordinate more than it should."""

    def __init__(self, steps: int):
        super().__init__(steps=steps, max_stepsize=LARGEST_STEP)
        self.distance = Pixels()

    def project(self, x: ep.Tensor, x0: ep.Tensor, epsilon: ep.Tensor) -> ep.Tensor:
        """Keeps each image's `epsilon` most changed pixels."""
        return ep.astensor(x0.raw + most_changed(x.raw - x0.raw, epsilon.raw))


class Attack(Search):
    """At most `pixels` pixels of any value."""

    @property
    def budget(self) -> str:
        """Such as `3 pixels`."""
        return f"{self.config.pixels} pixel{'s' if self.config.pixels > 1 else ''}"

    def search(self, classifier: Classifier, x: Images, y: Labels) -> Tensor:
        """The image itself, perturbed: along gradients, and where that breaks nothing, at random."""
        target = Target("l0", self.config.pixels, 0, self.about.entry.seed, str(x.device))
        x_adv = perturb(FastMinimumNorm(self.config.steps), "l0", classifier, x, y, target)
        with torch.no_grad():
            left = is_correct(classifier(x_adv), y).nonzero().flatten()
        if len(left):
            generator = stream(self.about.entry.seed, "sparse-rs")
            pixels, queries = self.config.pixels, self.config.queries
            x_adv[left] = sparse_rs(classifier, x[left], y[left], pixels, queries, generator)
        return x_adv

    def within(self, x: Images, witness: Tensor) -> Tensor:
        """Whether no more pixels differ."""
        return differing(x, witness) <= self.config.pixels

    def made(self, x: Images, witness: Tensor) -> Images:
        """The witness is the image."""
        return witness
