"""msd: adversarial training on Multi Steepest Descent (Maini et al. 2020)."""

from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional as F

from mngac.attacks.msd import msd
from mngac.methods.base import Base, Batch, Step
from mngac.models.frozen import under_attack
from mngac.params.types import number


class Method(Base):
    """CE(f(MSD(x)), y)."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """Cross-entropy on images attacked by MSD, with the entry's step sizes."""
        sizes = self.config.step_sizes
        attacks = [self.setup.attacks[p] for p in self.config.norms]
        attacks = [replace(a, step_size=a.radius * number(sizes[a.norm])) for a in attacks]
        with under_attack(classifier, self.config.attack_mode):
            x_adv = msd(classifier, batch.x, batch.y, attacks)
        return F.cross_entropy(classifier(x_adv), batch.y)
