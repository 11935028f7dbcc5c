"""How robust a classifier is on validation images, under a named suite: what choices within a training rest on.

Trainings that choose nothing do not load this file: what evaluates is in the keys of those alone that use it.
"""

from __future__ import annotations

from torch import nn

from mngac.data.store import Split
from mngac.evaluation.loop import evaluate
from mngac.models.frozen import frozen_statistics
from mngac.params.sections import Radii, Suite


class Validation:
    """The same images under the same attacks with the same seed, for every classifier that is asked about.

    Args:
        images: of the validation split, of which the suite's `n` first ones are looked at.
        suite: attacks, with their seed.
        radii: of the training.
        device: where batches are put.
    """

    def __init__(self, images: Split, suite: Suite, radii: Radii, device: str):
        n = suite.n or len(images)
        self.images, self.labels = images.images[:n], images.labels[:n]
        self.suite, self.radii, self.device = suite, radii, device

    def union_of(self, classifier: nn.Module) -> float:
        """Share in percent of the images that withstand all attacks.

        Args:
            classifier: its mode and running statistics stay as they are.
        """
        with frozen_statistics(classifier, "eval"):
            found = evaluate(classifier, self.images, self.labels, self.suite, self.radii, device=self.device)
        return 100 * sum(found.union()) / len(self.labels)
