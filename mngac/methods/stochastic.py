"""sat, sat_ac, sat_ac_noise, sat_linf_l1: one norm a batch, and consistency of the posteriors (Madaan et al. 2021)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.losses import jensen_shannon
from mngac.methods.base import Base, Batch, Step


class Method(Base):
    """CE(f(A_p(x)), y) + beta JS(f(x), [f(x_aug),] f(A_p(x))), p drawn uniformly for the batch.

    beta = 0 is Stochastic Adversarial Training. With `noise: gaussian` a third view, Gaussian noise in the
    ball, takes the place of MNG-AC's generated noise: what MNG-AC is without learning.
    """

    draws_a_norm = True

    def drawn(self, step: Step) -> str:
        """One of the norms, uniformly."""
        return str(step.draw(self.config.norms))

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """Cross-entropy on attacked images plus the weighted consistency of clean, noisy and attacked posteriors."""
        norm = self.drawn(step)
        x_adv = self.attack(classifier, batch, step, norm, self.config.attack_mode)
        if not self.config.beta:
            return F.cross_entropy(classifier(x_adv), batch.y)
        views = [batch.x]
        if self.config.noise == "gaussian":
            noise = torch.randn(batch.x.shape, device=batch.x.device, generator=step.stream("noise"))
            attack = self.setup.attacks[norm]
            views.append(attack.lp.add_noise(batch.x, noise, attack.radius))
        logits = [classifier(view) for view in [*views, x_adv]]
        consistency = jensen_shannon(*logits)
        return F.cross_entropy(logits[-1], batch.y) + self.config.beta * consistency
