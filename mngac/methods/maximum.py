"""adv_max: each image's worst norm (Tramèr and Boneh 2019)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.methods.base import Base, Batch, Step
from mngac.models.frozen import frozen_statistics


class Method(Base):
    """Per image, max_p CE(f(A_p(x)), y)."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """Cross-entropy on each image's worst attack; one pass with gradient, on the images chosen."""
        attacked = [self.attack(classifier, batch, step, p, self.config.attack_mode) for p in self.config.norms]
        with torch.no_grad(), frozen_statistics(classifier, "train"):
            losses = [F.cross_entropy(classifier(a), batch.y, reduction="none") for a in attacked]
        worst = torch.stack(losses).argmax(0)
        chosen = torch.stack(attacked)[worst, torch.arange(len(worst), device=worst.device)]
        return F.cross_entropy(classifier(chosen), batch.y)
