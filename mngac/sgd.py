"""SGD with momentum and weight decay: torch's own, by its functional form.

`torch.optim.SGD` gives the same bits, but making one imports the compiler: a second of every training's start.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class SGD:
    """Moves weights against their gradients.

    Args:
        weights: those without a gradient stay as they are.
        momentum: share of the last step that is kept, in [0, 1).
        weight_decay: factor of the weight that is added to its gradient.
        vectors_decay: whether that is so for weights of one dimension too: those of batch norms, and biases.
    """

    def __init__(self, weights: Iterable[Tensor], momentum: float, weight_decay: float, vectors_decay: bool = True):
        self.weights, self.momentum, self.weight_decay = list(weights), momentum, weight_decay
        self.velocities: list[Tensor | None] = [None] * len(self.weights)
        """The running sum of each weight's gradients; None before its first step."""
        alike = [vectors_decay or weight.dim() > 1 for weight in self.weights]
        self.groups = [[k for k, decays in enumerate(alike) if decays is each] for each in (True, False)]
        """Positions of the weights that decay, and of those that do not."""

    def descend(self, loss: Tensor, learning_rate: float) -> None:
        """One step against a loss's gradients, beside the step that a training itself takes."""
        free = [weight for weight in self.weights if weight.requires_grad]
        for weight, gradient in zip(free, torch.autograd.grad(loss, free, allow_unused=True), strict=True):
            weight.grad = gradient
        self.step(learning_rate)
        self.zero_grad()
        torch.clear_autocast_cache()  # or the next step's pass has the weights that autocast cast before this one

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One step of this length."""
        for group, decay in zip(self.groups, (self.weight_decay, 0.0), strict=True):
            moved = [k for k in group if self.weights[k].grad is not None]
            if moved:
                self._move(moved, decay, learning_rate)

    def _move(self, moved: list[int], weight_decay: float, learning_rate: float) -> None:
        weights = [self.weights[k] for k in moved]
        velocities = [self.velocities[k] for k in moved]
        sgd(
            weights,
            [weight.grad for weight in weights if weight.grad is not None],
            velocities,
            weight_decay=weight_decay,
            momentum=self.momentum,
            lr=learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        for k, velocity in zip(moved, velocities, strict=True):
            self.velocities[k] = velocity

    def zero_grad(self) -> None:
        """Takes the gradients away."""
        for weight in self.weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The velocities."""
        return {"velocities": list(self.velocities)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        self.velocities = list(state["velocities"])
