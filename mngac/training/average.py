"""Averaged weights: an exponential moving average of a classifier over its steps, running statistics with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mngac.models.weights import twin


class Average:
    """A classifier's average: after the first step the classifier itself, and from then on a moving average.

    At step t + 1 it keeps min(decay, (1 + t) / (10 + t)) of itself: early weights do not stay in the average of a short
    training. Numbers that are no floats, such as counts of
    batches, are the classifier's own. As `torch.optim.swa_utils.AveragedModel` with buffers, but that the host, which
    counts the steps itself, waits for no device.

    Args:
        classifier: neither compiled nor with hooks of this training, since all of it is copied.
        decay: the most that is kept at a step, between 0 and 1.
    """

    def __init__(self, classifier: nn.Module, decay: float):
        self.classifier, self.decay, self.steps = twin(classifier), decay, 0
        self._floats, self._others = _by_kind(self.classifier)

    @torch.no_grad()
    def update(self, classifier: nn.Module) -> None:
        """Takes in the classifier that a step left."""
        floats, others = _by_kind(classifier)
        kept = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.steps else 0.0
        torch._foreach_lerp_(self._floats, floats, 1 - kept)
        for average, current in zip(self._others, others, strict=True):
            average.copy_(current)
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        """The averaged classifier and the number of steps, to resume."""
        return {"classifier": self.classifier.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self.classifier.load_state_dict(state["classifier"])
        self.steps = state["steps"]


def _by_kind(classifier: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and buffers that are floats, and the others."""
    everything = [*classifier.parameters(), *classifier.buffers()]
    floats = [tensor for tensor in everything if tensor.is_floating_point()]
    return floats, [tensor for tensor in everything if not tensor.is_floating_point()]
