"""nat: cross-entropy on clean images."""

from torch import Tensor, nn
from torch.nn import functional as F

from mngac.methods.base import Base, Batch, Step


class Method(Base):
    """CE(f(x), y)."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """Cross-entropy on clean images."""
        return F.cross_entropy(classifier(batch.x), batch.y)
