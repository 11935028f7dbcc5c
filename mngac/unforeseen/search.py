"""Attacks that search: what one finds is a witness, from which an image is made anew and judged; its word counts for
nothing.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from mngac.attacks.pgd import Classifier
from mngac.evaluation.acceptance import Counted, is_correct
from mngac.evaluation.isolated import isolated
from mngac.evaluation.outcome import Outcome
from mngac.evaluation.reproducible import reproducible
from mngac.evaluation.tasks import Runner
from mngac.shapes import Images, Labels
from mngac.unforeseen.base import Attack

WORST = "worst case"


class Search(Attack):
    """An attack on the images of the split that are correct without it."""

    columns = (WORST,)

    @abstractmethod
    def search(self, classifier: Classifier, x: Images, y: Labels) -> Tensor:
        """A witness for each image, float (batch, ...).

        Args:
            classifier: images in [0, 1] -> logits.
            x: images (batch, channels, height, width) in [0, 1].
            y: labels (batch,).
        """

    @abstractmethod
    def within(self, x: Images, witness: Tensor) -> Tensor:
        """Which witnesses keep to the budget: bool (batch,)."""

    @abstractmethod
    def made(self, x: Images, witness: Tensor) -> Images:
        """The images (batch, channels, height, width) that the witnesses (batch, ...) stand for."""

    def images(self, column: str, correct: Tensor) -> tuple[int, list[int]]:
        """How many images there are, and the positions of those that are correct (bool (n,)) without attack."""
        return len(correct), correct.nonzero().flatten().tolist()

    def outcomes(self, column: str, positions: list[int], runner: Runner) -> tuple[list[Outcome], int]:
        """Searches with random generators of its own, and accepts."""
        x, y = runner.batch(positions)
        counted = Counted(runner.asked)
        with isolated(runner.seed), reproducible(torch.backends.cudnn.allow_tf32):
            witness = self.search(counted, x, y)
            return accept(self, runner.judge, x, y, witness), counted.images


@torch.no_grad()
def accept(attack: Search, classifier: Classifier, x: Images, y: Labels, witness: Tensor) -> list[Outcome]:
    """What the witnesses (batch, ...) did to each of the images (batch, channels, height, width) in [0, 1].

    Valid: the witness is finite and within the budget, the image made of it finite and in [0, 1]. Broken: valid, and
    the classifier that judges no longer predicts y in float32. Rejected: misclassified but not valid, or not finite.

    Raises:
        ValueError: for another number of witnesses than images, or images of another shape.
    """
    if len(witness) != len(x):
        raise ValueError(f"the attack returned {len(witness)} witnesses for {len(x)} images")
    finite = witness.flatten(1).isfinite().all(1)
    witness = torch.where(finite.view(-1, *[1] * (witness.dim() - 1)), witness, 0).float()
    x_adv = attack.made(x, witness)
    if x_adv.shape != x.shape:
        raise ValueError(f"the witnesses stand for images {tuple(x_adv.shape)}, in place of {tuple(x.shape)}")
    inside = ((x_adv >= 0) & (x_adv <= 1)).flatten(1).all(1)  # false for what is not finite
    valid = finite & inside & attack.within(x, witness)
    with reproducible(tensor_float32=False):
        wrong = ~is_correct(classifier(torch.where(valid.view(-1, 1, 1, 1), x_adv, x_adv.nan_to_num())).float(), y)
    broken, rejected = torch.stack([valid & wrong, (wrong & ~valid) | ~finite]).tolist()
    return [
        Outcome.BROKEN if b else Outcome.REJECTED if r else Outcome.HELD for b, r in zip(broken, rejected, strict=True)
    ]
