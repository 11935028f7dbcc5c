"""eat: E-AT (Croce and Hein 2022), the harder of the norms drawn more often."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.attacks.apgd import apgd
from mngac.methods.base import Base, Batch, Setup, Step
from mngac.models.frozen import under_attack
from mngac.params.sections import MethodConfig


class Method(Base):
    """CE(f(APGD_p(x)), y), p drawn for the batch with weight 1 - running robust training accuracy of p.

    The running accuracies start at zero, so that all norms are drawn alike, and are exponential means with the entry's
    `momentum`. They live on the host: one number is read back a step.
    """

    draws_a_norm = True

    def __init__(self, config: MethodConfig, setup: Setup):
        super().__init__(config, setup)
        self.accuracy = dict.fromkeys(self.config.norms, 0.0)
        self._drawn: dict[int, str] = {}
        """Norm of each step of the epoch in progress: what it was drawn by has moved since."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """Cross-entropy on images attacked by APGD in the norm drawn."""
        norm = self._drawn[step.number] = self.draw(step)
        attack = self.setup.attacks[norm]
        with under_attack(classifier, self.config.attack_mode):
            x_adv = apgd(classifier, batch.x, batch.y, norm, attack.radius, attack.steps, step.stream(f"attack {norm}"))
        logits = classifier(x_adv)
        correct = (logits.detach().argmax(1) == batch.y).float().mean().item()
        momentum = self.config.momentum
        self.accuracy[norm] = momentum * self.accuracy[norm] + (1 - momentum) * correct
        return F.cross_entropy(logits, batch.y)

    def draw(self, step: Step) -> str:
        """A norm, in proportion to its running robust error."""
        errors = torch.tensor([1 - self.accuracy[p] for p in self.config.norms]).clamp_min(1e-6)
        point = torch.rand(1, generator=step.host_stream("norm")) * errors.sum()
        chosen = int((errors.cumsum(0) <= point).sum())
        return str(self.config.norms[min(chosen, len(errors) - 1)])

    def drawn(self, step: Step) -> str:
        """The norm that the step drew when it was taken, in the epoch in progress."""
        return self._drawn[step.number]

    def after_epoch(self, classifier: nn.Module, epoch: int) -> None:
        """Forgets which norms were drawn."""
        self._drawn = {}

    def diagnostics(self) -> dict[str, float]:
        """Running robust training accuracy of each norm."""
        return {f"running_{norm}": value for norm, value in self.accuracy.items()}

    def state_dict(self) -> dict[str, Any]:
        """The running accuracies."""
        return {"accuracy": dict(self.accuracy)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back the running accuracies."""
        self.accuracy = dict(state["accuracy"])
