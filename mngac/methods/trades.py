"""trades_linf, rst_linf: clean accuracy against the divergence of attacked posteriors (Zhang et al. 2019)."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.attacks.pgd import ascend
from mngac.losses import kl
from mngac.methods.base import Base, Batch, Step
from mngac.models.frozen import under_attack
from mngac.params.types import number


class Method(Base):
    """CE(f(x), y) + beta KL(p(x) ‖ p(x')), x' climbing that same divergence (equation 5)."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """The TRADES loss; with pseudo-labelled images in the batch it is RST's (Carmon et al. 2019)."""
        x_adv = self._attack(classifier, batch, step)
        logits = classifier(batch.x)
        return F.cross_entropy(logits, batch.y) + self.config.beta * kl(logits, classifier(x_adv))

    def _attack(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        (norm,) = self.config.norms
        attack = self.setup.attacks[norm]
        attack = replace(attack, step_size=attack.radius * number(self.config.step_sizes[norm]))
        noise = torch.randn(batch.x.shape, device=batch.x.device, generator=step.stream("attack start"))
        start = attack.lp.to_ball(batch.x, self.config.start_std * noise, attack.radius)
        with under_attack(classifier, self.config.attack_mode):
            with torch.no_grad():
                clean = classifier(batch.x)
            return ascend(classifier, batch.x, clean, start, attack, lambda adv, fixed: kl(fixed, adv) * len(fixed))
