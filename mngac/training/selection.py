"""Which epoch's classifier a training keeps: the one with the best union on validation images, under a named suite.

Robust accuracy falls again in long adversarial trainings: robust overfitting (Rice, Wong and Kolter, ICML 2020).
Trainings that keep their last epoch do not load this file: what evaluates is in the keys of those alone that use it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mngac.data.store import Split
from mngac.evaluation.loop import evaluate
from mngac.models.frozen import frozen_statistics
from mngac.params.sections import Radii, Suite


class Best:
    """The best classifier so far: of several with an equal union the first.

    Args:
        images: of the validation split, of which the suite's `n` first ones are looked at.
        suite: attacks, with their seed: every epoch is attacked alike.
        radii: of the training.
        device: where batches are put.
    """

    def __init__(self, images: Split, suite: Suite, radii: Radii, device: str):
        n = suite.n or len(images)
        self.images, self.labels = images.images[:n], images.labels[:n]
        self.suite, self.radii, self.device = suite, radii, device
        self.epoch, self.union = 0, -1.0
        self.weights: dict[str, Tensor] = {}

    def look(self, classifier: nn.Module, epoch: int) -> float:
        """The union in percent of an epoch's classifier, whose weights are kept where it is the best.

        Args:
            classifier: its mode and running statistics stay as they are.
            epoch: 1 is the first.
        """
        with frozen_statistics(classifier, "eval"):
            found = evaluate(classifier, self.images, self.labels, self.suite, self.radii, device=self.device)
        union = 100 * sum(found.union()) / len(self.labels)
        if union > self.union:
            self.epoch, self.union = epoch, union
            self.weights = {name: value.detach().clone() for name, value in classifier.state_dict().items()}
        return union

    def put(self, classifier: nn.Module) -> None:
        """Gives a classifier the best weights."""
        classifier.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The best so far, to resume."""
        return {"epoch": self.epoch, "union": self.union, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        self.epoch, self.union, self.weights = state["epoch"], state["union"], state["weights"]
