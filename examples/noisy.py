"""A method of one's own: what examples/add_a_method.py trains by."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mngac.methods.base import Base, Batch, Step


class Noisy(Base):
    """CE(f(x + u), y), u uniform in [-alpha, alpha]; `alpha` stands under `options` of the entry."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """The loss of one batch of images in [0, 1], a scalar."""
        u = 2 * torch.rand(batch.x.shape, generator=step.stream("noise"), device=batch.x.device) - 1
        return F.cross_entropy(classifier((batch.x + self.config.options["alpha"] * u).clamp(0, 1)), batch.y)
