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
from mngac.models.batch_norm import frozen_statistics
from mngac.models.noise_generator import NoiseGenerator
from mngac.params import MethodParams
from mngac.streams import stream_seed


def virtual_step(classifier: nn.Module, x_aug: Tensor, y: Tensor, learning_rate: float) -> dict[str, Tensor]:
    """theta' = theta - alpha grad_theta CE(f_theta(x_aug), y), kept in the graph of x_aug; theta stays as it is."""
    weights = dict(classifier.named_parameters())
    loss = F.cross_entropy(classifier(x_aug), y)
    slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    return {name: weight - learning_rate * slope for (name, weight), slope in zip(weights.items(), slopes, strict=True)}


class Method(Base):
    """CE(f(x_adv), y) + beta JS(f(x), f(x_adv), f(x_aug)), x_aug made by a generator that is learned on the way."""

    def __init__(self, params: MethodParams, setting: Setting):
        super().__init__(params, setting)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(setting.seed, "generator weights"))
            self.generator = NoiseGenerator(setting.channels, bool(self.params.input_dependent))
        self.generator.to(setting.device)
        self.initial = torch.cat([w.detach().flatten().clone() for w in self.generator.parameters()])
        self.optimizer = torch.optim.SGD(
            self.generator.parameters(), lr=0.0, momentum=setting.momentum, weight_decay=setting.weight_decay
        )
        self.seen: dict[str, Tensor] = {}
        self.steps_seen = 0

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
        self._note(classifier, batch, x_adv, ball, step, meta_loss.detach(), gradients)
        for group in self.optimizer.param_groups:
            group["lr"] = step.learning_rate
        self.optimizer.step()

    def meta_loss(
        self, classifier: nn.Module, batch: Batch, x_adv: Tensor, ball: Attack, learning_rate: float, z: Tensor
    ) -> Tensor:
        """CE(f_theta'(x_adv), y) as a function of phi; batch statistics are used, running ones stay."""
        with frozen_statistics(classifier, "train"):
            moved = virtual_step(classifier, self.augment(batch.x, z, ball), batch.y, learning_rate)
            return F.cross_entropy(functional_call(classifier, moved, (x_adv,)), batch.y)

    def _note(
        self,
        classifier: nn.Module,
        batch: Batch,
        x_adv: Tensor,
        ball: Attack,
        step: Step,
        meta_loss: Tensor,
        gradients: tuple[Tensor, ...],
    ) -> None:
        """Adds up, on the device, what shows whether the generator learns; the costly part on every eighth step."""
        weights = torch.cat([w.detach().flatten() for w in self.generator.parameters()])
        slope = torch.cat([g.flatten() for g in gradients])
        decay = self.setting.weight_decay * weights.norm()
        noted = {
            "meta_loss": meta_loss,
            "gradient_to_decay": slope.norm() / decay.clamp_min(1e-12),
            "distance_from_start": (weights - self.initial).norm() / self.initial.norm(),
        }
        if self.steps_seen % 8 == 0:
            noted["clamped_share"] = self.clamped_share(batch.x, ball, step)
            gaussian = torch.randn(batch.x.shape, device=batch.x.device, generator=step.stream("gaussian"))
            with frozen_statistics(classifier, "train"):
                noisy = ball.ball.fit(batch.x, gaussian, ball.radius)
                moved = virtual_step(classifier, noisy, batch.y, step.learning_rate)
                with torch.no_grad():
                    logits = functional_call(classifier, moved, (x_adv,))
                    noted["meta_loss_over_gaussian"] = meta_loss - F.cross_entropy(logits, batch.y)
        self.steps_seen += 1
        for name, value in noted.items():
            zero = torch.zeros(2, device=value.device)
            self.seen[name] = self.seen.get(name, zero) + torch.stack([value.float(), torch.ones_like(value).float()])

    def clamped_share(self, x: Tensor, ball: Attack, step: Step) -> Tensor:
        """Share of the noise's coordinates that the fit to the ball leaves without gradient."""
        with torch.no_grad():
            noise = self.generator(x, self.generator.draw(x, step.stream("noise noted")))
        noise.requires_grad_()
        probe = torch.randn(x.shape, device=x.device, generator=step.stream("probe"))
        slope = torch.autograd.grad((ball.ball.fit(x, noise, ball.radius) * probe).sum(), noise)[0]
        return slope.eq(0).float().mean()

    def diagnostics(self) -> dict[str, float]:
        """Means since the last call: share of clamped coordinates, gradient to decay, distance, meta loss."""
        means = {f"generator_{name}": (total[0] / total[1]).item() for name, total in self.seen.items()}
        self.seen = {}
        return means

    def artifact(self) -> dict[str, Tensor]:
        """The generator's weights."""
        return {name: value.detach().cpu().contiguous() for name, value in self.generator.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Generator, its first weights and its optimizer."""
        return {
            "generator": self.generator.state_dict(),
            "initial": self.initial,
            "optimizer": self.optimizer.state_dict(),
            "steps_seen": self.steps_seen,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back generator and optimizer."""
        self.generator.load_state_dict(state["generator"])
        self.initial = state["initial"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps_seen = state["steps_seen"]
