"""adv_linf, adv_l1, adv_l2: adversarial training on one norm (Madry et al. 2018)."""

from torch import Tensor, nn
from torch.nn import functional as F

from mngac.methods.base import Base, Batch, Step


class Method(Base):
    """CE(f(A_p(x)), y) for the entry's one norm p."""

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """Cross-entropy on attacked images."""
        (norm,) = self.config.norms
        x_adv = self.attack(classifier, batch, step, norm, self.config.attack_mode)
        return F.cross_entropy(classifier(x_adv), batch.y)
