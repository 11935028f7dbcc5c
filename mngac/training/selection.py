"""Which epoch's classifier a training keeps: the one with the best union on validation images, under a named suite.

Robust accuracy falls again in long adversarial trainings: robust overfitting (Rice, Wong and Kolter, ICML 2020).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mngac.models.weights import copied
from mngac.training.validation import Validation


class Best:
    """The best classifier so far: of several with an equal union the first.

    Args:
        validation: every epoch is attacked alike.
    """

    def __init__(self, validation: Validation):
        self.validation = validation
        self.epoch, self.union = 0, -1.0
        self.weights: dict[str, Tensor] = {}

    def look(self, classifier: nn.Module, epoch: int) -> float:
        """The union in percent of an epoch's classifier, whose weights are kept where it is the best.

        Args:
            classifier: its mode and running statistics stay as they are.
            epoch: 1 is the first.
        """
        union = self.validation.union_of(classifier)
        if union > self.union:
            self.epoch, self.union = epoch, union
            self.weights = copied(classifier)
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
