"""mng_ac: Meta-Noise Generator with Adversarial Consistency (Madaan et al. 2021).

The generator learns through a virtual step of the classifier: noise is good when a step on noisy images lowers the
loss on attacked ones.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from mngac.attacks.pgd import Attack
from mngac.losses import jensen_shannon
from mngac.methods.base import Base, Batch, Setting, Step
from mngac.methods.generator_diagnostics import Diagnostics, Learned
from mngac.models.batch_norm import frozen_statistics
from mngac.models.noise_generator import NoiseGenerator
from mngac.params.sections import MethodParams
from mngac.streams import stream_seed


def virtual_step(classifier: nn.Module, x_aug: Tensor, y: Tensor, learning_rate: float) -> dict[str, Tensor]:
    """theta' = theta - alpha grad_theta CE(f_theta(x_aug), y), in the graph of x_aug, if any; theta stays as it is."""
    weights = dict(classifier.named_parameters())
    loss = F.cross_entropy(classifier(x_aug), y)
    slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=x_aug.requires_grad)
    return {name: weight - learning_rate * slope for (name, weight), slope in zip(weights.items(), slopes, strict=True)}


class Method(Base):
    """CE(f(x_adv), y) + beta JS(f(x), f(x_adv), f(x_aug)), x_aug made by a generator that is learned on the way."""

    def __init__(self, params: MethodParams, setting: Setting):
        super().__init__(params, setting)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(setting.seed, "generator weights"))
            self.generator = NoiseGenerator(setting.channels, bool(self.params.input_dependent))
        self.generator.to(setting.device)
        self.optimizer = torch.optim.SGD(
            self.generator.parameters(), lr=0.0, momentum=setting.momentum, weight_decay=setting.weight_decay
        )
        self.diagnosed = Diagnostics(self.generator, setting.weight_decay)
        self.learned: Learned | None = None
        """The generator's last step, where it is to be looked at."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """One MNG-AC step for the generator, then the loss for the classifier.

        The three passes run apart and in the order x, x_aug, x_adv: only they move the running statistics, and one
        concatenated pass would give other statistics.
        """
        norm = step.draw(self.params.norms)
        x_adv = self.attack(classifier, batch, step, norm, self.params.attack_mode)
        ball = self.setting.attacks[norm]
        self.learn(classifier, batch, x_adv, ball, step, self.generator.draw(batch.x, step.stream("noise")))
        with torch.no_grad():
            x_aug = self.augment(batch.x, self.generator.draw(batch.x, step.stream("noise again")), ball)
        logits, logits_aug, logits_adv = classifier(batch.x), classifier(x_aug), classifier(x_adv)
        consistency = jensen_shannon(logits, logits_adv, logits_aug)
        return F.cross_entropy(logits_adv, batch.y) + self.params.beta * consistency

    def augment(self, x: Tensor, z: Tensor, ball: Attack) -> Tensor:
        """x_aug = fit_p(x, g_phi(x, z)), in the ball and in [0, 1]."""
        return ball.ball.fit(x, self.generator(x, z), ball.radius)

    def learn(self, classifier: nn.Module, batch: Batch, x_adv: Tensor, ball: Attack, step: Step, z: Tensor) -> None:
        """phi <- SGD on CE(f_theta'(x_adv), y), second order, through the virtual step."""
        meta_loss = self.meta_loss(classifier, batch, x_adv, ball, step.learning_rate, z)
        self.optimizer.zero_grad()
        gradients = torch.autograd.grad(meta_loss, list(self.generator.parameters()))
        for weight, slope in zip(self.generator.parameters(), gradients, strict=True):
            weight.grad = slope
        self._note(batch, x_adv, ball, step, meta_loss.detach(), gradients)
        for group in self.optimizer.param_groups:
            group["lr"] = step.learning_rate
        self.optimizer.step()

    def meta_loss(
        self, classifier: nn.Module, batch: Batch, x_adv: Tensor, ball: Attack, learning_rate: float, z: Tensor
    ) -> Tensor:
        """CE(f_theta'(x_adv), y) as a function of phi; batch statistics are used, running ones stay."""
        return self.looked_ahead(classifier, self.augment(batch.x, z, ball), batch.y, x_adv, learning_rate)

    def looked_ahead(
        self, classifier: nn.Module, view: Tensor, y: Tensor, x_adv: Tensor, learning_rate: float
    ) -> Tensor:
        """CE(f_theta'(x_adv), y), theta' by a virtual step on the view; of second order where the view has a graph."""
        with frozen_statistics(classifier, "train"):
            moved = virtual_step(classifier, view, y, learning_rate)
            return F.cross_entropy(functional_call(classifier, moved, (x_adv,)), y)

    def _note(
        self,
        batch: Batch,
        x_adv: Tensor,
        ball: Attack,
        step: Step,
        meta_loss: Tensor,
        gradients: tuple[Tensor, ...],
    ) -> None:
        """Keeps what the generator's step did, where it is due to be looked at; a step at rate 0 does nothing."""
        due = step.learning_rate > 0 and self.diagnosed.due(ball.norm)
        self.learned = Learned(batch, x_adv, ball, step, meta_loss, gradients) if due else None

    def watch(self, classifier: nn.Module) -> None:
        """Compares the generator's noise with other noise, where the last step is due for it."""
        seen, self.learned = self.learned, None
        if seen is None:
            return

        def worth(view: Tensor) -> Tensor:
            return self.looked_ahead(classifier, view, seen.batch.y, seen.x_adv, seen.step.learning_rate).detach()

        with frozen_statistics(classifier, "train"):
            self.diagnosed.note(classifier, seen, worth)

    def diagnostics(self) -> dict[str, float]:
        """Angle to the first weights in degrees; means by norm since the last call (see `Diagnostics.note`)."""
        return {f"generator_{name}": value for name, value in self.diagnosed.means().items()}

    def artifact(self) -> dict[str, Tensor]:
        """The generator's weights."""
        return {name: value.detach().cpu().contiguous() for name, value in self.generator.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Generator, its optimizer, and its diagnostics' first weights and counts."""
        return {
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "diagnosed": self.diagnosed.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back generator and optimizer."""
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.diagnosed.load_state_dict(state["diagnosed"])
