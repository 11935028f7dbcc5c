"""ramp: RAMP (Jiang and Singh 2024, arXiv 2402.06827): two norms paired in their logits, and clean training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from mngac.attacks.apgd import apgd_with_losses
from mngac.methods.base import Base, Batch, Step
from mngac.methods.gradient_projection import projected
from mngac.models.compiled import plain
from mngac.models.frozen import under_attack
from mngac.models.weights import copied


class Method(Base):
    """CE(f(x_worst), y) + beta KL(p(x_p) ‖ p(x_q)), the entry's two norms p and q attacked by APGD.

    x_worst is, image by image, the attack of higher loss. The divergence is a mean over the images whose x_p is
    classified right, and its gradient also reaches p(x_p). With a `projection` above 0 a second classifier, that each
    epoch starts from the first one's weights and sees clean images, gives its part at the epoch's end.
    """

    natural: dict[str, Tensor]
    """Weights and running statistics of the second classifier, which is the first one's network with other numbers."""

    def initialise(self, classifier: nn.Module) -> None:
        """Begins the second classifier, if clean training has a part in it."""
        if self.config.projection:
            self.before = copied(classifier)
            weights = dict(classifier.named_parameters())
            self.natural = {name: value.clone() for name, value in self.before.items()}
            self.optimizer = self.setup.optimizer(self.natural[name].requires_grad_() for name in weights)

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """The loss on attacked images; the second classifier takes its own step on clean ones."""
        if self.config.projection:
            self._step_on_clean(classifier, batch, step)
        source, target = self.config.norms
        x_source, loss_source = self._attacked(classifier, batch, step, source)
        x_target, loss_target = self._attacked(classifier, batch, step, target)
        worse = (loss_source > loss_target).view(-1, 1, 1, 1)
        # The order of the passes counts, since each moves the running statistics: that of the released code.
        logits_target = classifier(x_target)
        logits_source = classifier(x_source)
        logits_worst = classifier(torch.where(worse, x_source, x_target))
        pairing = logit_pairing(logits_source, logits_target, batch.y)
        return F.cross_entropy(logits_worst, batch.y) + self.config.beta * pairing

    def _attacked(self, classifier: nn.Module, batch: Batch, step: Step, norm: str) -> tuple[Tensor, Tensor]:
        attack = self.setup.attacks[norm]
        with under_attack(classifier, self.config.attack_mode):
            return apgd_with_losses(
                classifier, batch.x, batch.y, norm, attack.radius, attack.steps, step.stream(f"attack {norm}")
            )

    def _step_on_clean(self, classifier: nn.Module, batch: Batch, step: Step) -> None:
        with plain(classifier):
            logits = functional_call(classifier, self.natural, (batch.x,))
        self.optimizer.descend(F.cross_entropy(logits, batch.y), step.learning_rate)

    def after_epoch(self, classifier: nn.Module, epoch: int) -> None:
        """Both classifiers go on from the projection; the momentum of each stays its own."""
        if self.config.projection:
            found = projected(self.before, classifier.state_dict(), self.natural, self.config.projection)
            classifier.load_state_dict(found)
            _put(self.natural, found)
            _put(self.before, found)

    def state_dict(self) -> dict[str, Any]:
        """The second classifier, its optimizer, and both at the epoch's beginning."""
        if not self.config.projection:
            return {}
        natural = {name: value.detach() for name, value in self.natural.items()}
        return {"natural": natural, "optimizer": self.optimizer.state_dict(), "before": self.before}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes them back."""
        if self.config.projection:
            _put(self.natural, state["natural"])
            _put(self.before, state["before"])
            self.optimizer.load_state_dict(state["optimizer"])


def logit_pairing(logits_source: Tensor, logits_target: Tensor, y: Tensor) -> Tensor:
    """KL(p_source ‖ p_target), its mean over the images whose source logits are right; 0 where none is.

    Args:
        logits_source: (batch, classes), to which the gradient goes too.
        logits_target: (batch, classes).
        y: labels (batch,).
    """
    right = logits_source.detach().argmax(1) == y
    target, source = logits_target.log_softmax(1), logits_source.log_softmax(1)
    each = F.kl_div(target, source, reduction="none", log_target=True).sum(1)
    return (each * right).sum() / right.sum().clamp_min(1)


@torch.no_grad()
def _put(into: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    for name, value in values.items():
        into[name].copy_(value)
