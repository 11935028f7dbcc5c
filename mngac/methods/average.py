"""adv_avg: the mean loss over all norms (Tramèr and Boneh 2019)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.methods.base import Base, Batch, Step


class Method(Base):
    """mean_p CE(f(A_p(x)), y)."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """The mean over norms of the cross-entropy on attacked images."""
        attacked = [self.attack(classifier, batch, step, p, self.config.attack_mode) for p in self.config.norms]
        return torch.stack([F.cross_entropy(classifier(x_adv), batch.y) for x_adv in attacked]).mean()
