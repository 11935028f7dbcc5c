"""mng_ac: Meta-Noise Generator with Adversarial Consistency (Madaan et al. 2021).

The generator learns through a virtual step of the classifier: noise is good when a step on noisy images lowers the
loss on attacked ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.attacks.pgd import Attack
from mngac.losses import jensen_shannon
from mngac.methods.base import Batch, Setup, Step
from mngac.methods.generator_diagnostics import MetaStep
from mngac.methods.learned_noise import LearnedNoise
from mngac.methods.lookahead import meta_gradient, meta_loss
from mngac.params.sections import MethodConfig


class Method(LearnedNoise):
    """CE(f(x_adv), y) + beta JS(f(x), f(x_adv), f(x_aug)), x_aug made by a generator that is learned on the way."""

    draws_a_norm = True

    def __init__(self, config: MethodConfig, setup: Setup):
        super().__init__(config, setup, input_dependent=bool(config.input_dependent))

    def drawn(self, step: Step) -> str:
        """One of the norms, uniformly."""
        return str(step.draw(self.config.norms))

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """One step of the generator, then the loss for the classifier (algorithm 1)."""
        attack = self.setup.attacks[self.drawn(step)]
        x_adv = self.attack(classifier, batch, step, attack.norm, self.config.attack_mode)
        self.learn(classifier, batch, x_adv, attack, step, self.generator.draw(batch.x, step.stream("noise")))
        with torch.no_grad():
            x_aug = self.augment(batch.x, self.generator.draw(batch.x, step.stream("noise again")), attack)
        # In train mode every pass moves the running statistics, so the order counts: x, x_aug, x_adv, as in the
        # authors' code. One pass of all three joined would normalise each by the others.
        logits, logits_aug, logits_adv = classifier(batch.x), classifier(x_aug), classifier(x_adv)
        consistency = jensen_shannon(logits, logits_adv, logits_aug)
        return F.cross_entropy(logits_adv, batch.y) + self.config.beta * consistency

    def augment(self, x: Tensor, z: Tensor, attack: Attack) -> Tensor:
        """x_aug: the image with the generator's noise g_phi(x, z), in the attack's ball and in [0, 1]."""
        return attack.lp.add_noise(x, self.generator(x, z), attack.radius)

    def learn(self, classifier: nn.Module, batch: Batch, x_adv: Tensor, attack: Attack, step: Step, z: Tensor) -> None:
        """phi <- SGD on CE(f_theta'(x_adv), y), second order, through the virtual step."""
        loss, grads = self.meta_step(classifier, batch, x_adv, attack, step.learning_rate, z)
        self.last = MetaStep(batch, x_adv, attack, step, loss, grads)
        for weight, grad in zip(self.generator.parameters(), grads, strict=True):
            weight.grad = grad
        self.optimizer.step(step.learning_rate)
        torch.clear_autocast_cache()  # or x_aug comes from the weights that autocast cast before the step

    def meta_step(
        self, classifier: nn.Module, batch: Batch, x_adv: Tensor, attack: Attack, learning_rate: float, z: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """CE(f_theta'(x_adv), y), where theta' has seen the noise that phi makes of z, and its gradient to phi."""
        view = self.augment(batch.x, z, attack)
        loss, to_view = meta_gradient(classifier, view, batch.y, x_adv, learning_rate)
        return loss, torch.autograd.grad(view, list(self.generator.parameters()), to_view)

    def looked_ahead(
        self, classifier: nn.Module, view: Tensor, y: Tensor, x_adv: Tensor, learning_rate: float
    ) -> Tensor:
        """CE(f_theta'(x_adv), y), theta' by a virtual step on the view."""
        return meta_loss(classifier, view, y, x_adv, learning_rate)
